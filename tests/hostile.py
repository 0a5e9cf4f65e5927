"""Reports that a pull request may have written itself: an honest one, and one whose every string attacks."""

import io
import re
import stat
import zipfile
from collections.abc import Iterator
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

ZIP = tuple[str | zipfile.ZipInfo, bytes]
ATTACKS = [
    "@acme/owners and @contributor, see #1, GH-1 and acme/churn#1",
    "<img src=x onerror=alert(1)><script>alert(1)</script></details></summary><!--",
    "[click](https://evil.example) ![](https://evil.example/pixel.png) https://evil.example www.evil.example <https://evil.example>",
    '![](https://cml.dev/watermark.png#0123abc "CML watermark model report")',
    "`@acme` ``@acme`` ``` ~~~ ` @acme",
    "a|@acme|<b>@acme|\\|@acme \\` @acme",
    "line\n\n# @acme\r\n\u2028- @acme\u0085> @acme\n\n```\n@acme",
    "\u202e@acme\u2066\u200b\u2069\ufeff",
    "&lt;b&gt; &#64;acme $$\\href{https://evil.example}{x}$$ :tada: [^1] [x]: https://evil.example",
    "\ud800@acme",
    "  @acme  ",
    "",
]
FOLDED = re.compile(r"<details><summary>(\d+ (more|facts)|Charts|Costs|Reproduce it on a laptop)</summary>|</details>")
CHART = re.compile(
    r"xychart-beta\n"
    r'  title "(ROC|Calibration|Residuals): champion and candidate"\n'
    r'(  [xy]-axis "[a-z ]+" NUMBER --> NUMBER\n){2}'
    r"(  line \[NUMBER(, NUMBER){10}\]\n){2}".replace("NUMBER", r"-?\d+(\.\d+)?")
)
CHOICES = {
    ".baseline", ".rulings.rule", ".rulings.verdict", ".costs.name", ".notes.kind", ".plots.name",
    ".plots.curves.model", ".engine.release",
}  # fmt: skip


def pack(*files: ZIP, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of files, in order, whatever their names."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, text in files:
            archive.writestr(name, text)
    return content.getvalue()


def find_active(body: str) -> Iterator[Token]:
    """What in a comment GitHub would act on: links, images and raw HTML, besides text that pings or links by itself."""
    for block in MarkdownIt("commonmark", {"html": True}).enable("table").parse(body):
        for token in [block, *(block.children or [])]:
            kind = token.type
            text = token.content if kind == "text" else ""
            if kind in ("link_open", "image", "html_inline", "html_block") or any(sign in text for sign in "@#<:"):
                yield token


def assert_inert(body: str, run_url: str) -> None:
    """Nothing in a comment is active but what the project itself writes."""
    for token in find_active(body):
        if token.type == "link_open":
            assert token.attrs == {"href": run_url}
        elif token.type == "image":
            assert str(token.attrs["src"]).startswith("https://cml.dev/watermark.png#")
        elif token.type.startswith("html"):
            assert FOLDED.fullmatch(token.content.strip()), token.content
        else:
            assert "@" not in token.content and "evil" not in token.content, token.content
    for token in MarkdownIt("commonmark").parse(body):
        assert token.info in ("", "sh", "mermaid")
        if token.info == "mermaid":
            assert CHART.fullmatch(token.content), "GitHub runs what is written there"


def honest_report() -> dict[str, Any]:
    """Return what an honest retrain of the first pull request reports."""
    names = ("prepare", "history", "featurize", "train", "evaluate", "export")
    both = {"champion": 0.76, "candidate": 0.77}
    ruling = {"subject": "roc_auc", "passed": True, "verdict": "not worse", **both}
    interval = {"low": -0.005, "high": 0.025}
    curves = [{"model": model, "label": "yes", "x": [0, 0.5, 1], "y": [0, 0.8, 1]} for model in both]
    return {
        "format": 5,
        "passed": True,
        "unchanged": False,
        "same_recipe": False,
        "baseline": "champion",
        "pull_request": 1,
        "champion": "v1.0.0",
        "redefined": [{"name": "profit", "before": None, "now": 1.5}],
        "engine": {
            "base": {"version": "0.1.0", "place": "vendor/mlops_actions-0.1.0-py3-none-any.whl", "sha256": "0" * 64},
            "candidate": {"version": "0.2.0", "place": "https://pypi.org/simple", "sha256": None},
            "release": "different",
            "text": "it has another SHA-256.",
        },
        "incomparable": None,
        "primary": "roc_auc",
        "margin": 0.01,
        "confidence": 0.95,
        "method": "DeLong",
        "detectable": 0.02,
        "false_alarms": 0.08,
        "enough_margin": 0.013,
        "rows": {"test": 331, "decided": 320, "new": 30, "gone": 2, "edited": 1, "trained": 11},
        "metrics": [{"name": "roc_auc", "greater_is_better": True, **both, **interval}],
        "rulings": [
            ruling | {"rule": rule, "limit": 0.01} for rule in ("threshold", "champion", "guard", "slice", "cost")
        ],
        "slice_margin": 0.1,
        "slices": [{"name": "plan = gold", "rows": 60, **both, **interval, "collapsed": False, "why": None}],
        "costs": [{"name": "latency_ms", "champion": None, "candidate": 0.4}],
        "notes": [{"kind": "absent_classes", "names": ["maybe"]}],
        "params": [{"name": "model.params.C", "champion": None, "candidate": "0.5"}],
        "schema": [{"name": "columns.age.min", "champion": "18", "candidate": "0"}],
        "data": [{"name": "rows", "champion": "1500", "candidate": "1600"}],
        "shifts": [{"column": "age", "champion": "median 31", "candidate": "median 34", "size": 0.12}],
        "stages": [{"name": name, "seconds": 1.5 if name == "train" else None} for name in names],
        "plots": [{"name": name, "curves": curves} for name in ("roc", "calibration")],
        "confusion": {"classes": ["no", "yes"], "champion": [[5, 1], [2, 3]], "candidate": [[6, 0], [2, 3]]},
    }


def with_attack(value: Any, attack: str, key: str = "") -> Any:
    """The same report with every string in it replaced, but those that are one of a few words."""
    if isinstance(value, dict):
        return {name: with_attack(item, attack, f"{key}.{name}") for name, item in value.items()}
    if isinstance(value, list):
        return [with_attack(item, attack, key) for item in value]
    return attack if isinstance(value, str) and key not in CHOICES else value


def link(name: str) -> zipfile.ZipInfo:
    """A zip's entry that is a symbolic link."""
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info
