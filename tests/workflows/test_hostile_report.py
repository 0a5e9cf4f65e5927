"""A pull request writes its report itself, and a job that may write reads it: it gets a comment in plain words."""

import io
import json
import re
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from local_github import LocalGitHub, PullRequest, Repository, Run, read_workflows
from local_github.events import pull_request_event, workflow_run_event
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mlops_actions.review import artifact, comment, markdown, report

ZIP = tuple[str | zipfile.ZipInfo, bytes]
Modules = tuple[ModuleType, ModuleType, ModuleType, ModuleType]
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


@pytest.fixture(scope="module")
def modules() -> Modules:
    return report, markdown, artifact, comment


@pytest.fixture(scope="module")
def reviewed(first: Repository) -> PullRequest:
    """An open pull request on which nothing has run."""
    repository = first.copy("acme/reviewed")
    repository.disabled |= {"retrain"}
    return repository.open_pull_request("tuned", "Regularise more")


@pytest.fixture(scope="module")
def retrain(hub: LocalGitHub, reviewed: PullRequest) -> Run:
    """A retrain that has ended well; each test says what it left."""
    event = pull_request_event(reviewed, "opened")
    workflow = next(one for one in read_workflows(reviewed.base.bare, event.sha) if one.name == "retrain")
    run = hub.begin_run(reviewed.base, workflow, event)
    run.conclusion = "success"
    return run


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    """What an honest retrain of the first pull request reports."""
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


@pytest.fixture
def report_on(hub: LocalGitHub, reviewed: PullRequest, retrain: Run) -> Iterator[Any]:
    """`report_on(zip)`: the report run after a retrain that left this artifact."""
    kept = dict(hub.artifacts)

    def deliver(content: bytes) -> Run:
        hub.keep_artifact(retrain.id, "report", content)
        (run,) = reviewed.base.deliver(workflow_run_event(retrain))
        return run

    yield deliver
    hub.artifacts.clear()
    hub.artifacts.update(kept)


def with_attack(value: Any, attack: str, key: str = "") -> Any:
    """The same report with every string in it replaced, but those that are one of a few words."""
    if isinstance(value, dict):
        return {name: with_attack(item, attack, f"{key}.{name}") for name, item in value.items()}
    if isinstance(value, list):
        return [with_attack(item, attack, key) for item in value]
    return attack if isinstance(value, str) and key not in CHOICES else value


def test_an_honest_report_is_inert_and_the_check_for_it_sees_what_is_not(
    reviewed: PullRequest, retrain: Run, report_on: Any, written: dict[str, Any]
) -> None:
    report_on(pack(("report.json", json.dumps(written).encode()))).expect("success")
    assert_inert(reviewed.comments()[-1]["body"], retrain.url)
    for attack in ("@acme", "<b>x</b>", "[x](https://evil.example)", "x <https://evil.example>", "see #1"):
        assert list(find_active(attack)), attack


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
@pytest.mark.parametrize("passed", [True, False], ids=["passes", "fails"])
def test_no_string_of_a_report_mentions_links_or_becomes_html(
    modules: Modules, written: dict[str, Any], attack: str, passed: bool
) -> None:
    report, markdown, *_ = modules
    hostile = with_attack(written, attack) | {"passed": passed, "incomparable": None if passed else attack}
    changes = [{"name": attack, "champion": attack, "candidate": attack}] * 9
    hostile |= {"params": changes, "data": changes, "schema": changes, "shifts": hostile["shifts"] * 9}
    hostile["rulings"] = [ruling | {"passed": passed} for ruling in hostile["rulings"]]
    for unchanged in (False, True):
        read = report.read_report(json.dumps(hostile | {"unchanged": unchanged}).encode())
        body = markdown.render(read, run_url="https://github.example/run", commit="0" * 40)
        assert_inert(body, "https://github.example/run")
        assert body.isprintable() or all(char.isprintable() or char == "\n" for char in body)
        body.encode()


@pytest.mark.parametrize("strings", ["a" * 200, "é" * 200, "`|@" * 80])
def test_a_comment_is_never_longer_than_github_takes(modules: Modules, written: dict[str, Any], strings: str) -> None:
    report, markdown, *_ = modules
    many = [{"name": f"{number}{strings}", "champion": strings, "candidate": strings} for number in range(1000)]
    metrics = [metric | {"name": strings} for metric in written["metrics"] for _ in range(200)]
    stages = [{"name": strings, "seconds": 1e308}] * 1000
    rulings = [ruling | {"subject": strings, "passed": False} for ruling in written["rulings"]] * 500
    large = written | {"params": many, "data": many, "schema": many, "metrics": metrics, "stages": stages}
    large |= {
        "rulings": rulings,
        "slices": [part | {"name": strings, "collapsed": True} for part in written["slices"] * 500],
    }
    large |= {
        "shifts": [shift | {"column": strings} for shift in written["shifts"] * 500],
        "costs": written["costs"] * 500,
    }
    large |= {"notes": [{"kind": "new_classes", "names": [strings] * 100}] * 500, "plots": written["plots"] * 500}
    large |= {"confusion": {"classes": [strings] * 500, "champion": [[1] * 500] * 500, "candidate": [[1] * 500] * 500}}
    large |= {"passed": False, "incomparable": strings * 100, "champion": strings * 100, "method": strings * 100}
    large["rows"] = written["rows"] | {"test": 10**4000}
    read = report.read_report(json.dumps(large).encode())
    body = markdown.render(read, run_url="https://github.example/run", commit="0" * 40)
    assert len(body) <= 65_536
    assert body.startswith("### ❌ Not worse: ") and "[The run, its log and the full report]" in body


@pytest.mark.parametrize(
    ("ends", "drawn"),
    [
        ([357.0, 18_440.0], True),
        ([-2.5e6, 3.1e9], True),
        ([1e-7, 3e-7], True),
        ([7.0, 7.0], False),
        ([0.0, 1e308], False),
        ([-1e308, 1e308], False),
    ],
)
def test_a_chart_in_text_has_no_number_that_mermaid_cannot_read(
    modules: Modules, written: dict[str, Any], ends: list[float], drawn: bool
) -> None:
    report, markdown, *_ = modules
    curves = [{"model": model, "label": "", "x": ends, "y": ends[::-1]} for model in ("champion", "candidate")]
    plots = [{"name": "residuals", "curves": curves}]
    plots.append({"name": "roc", "curves": [curve | {"x": [0.0, 1e308], "y": [-1e308, 1e308]} for curve in curves]})
    read = report.read_report(json.dumps(written | {"plots": plots}).encode())
    charts = re.findall(r"```mermaid\n(.*?)```", markdown.render(read, run_url=None, commit=None), re.DOTALL)
    assert len(charts) == drawn + 1 and all(CHART.fullmatch(chart) for chart in charts)


def test_the_first_line_leads_with_the_verdict_and_counts_the_slices_that_collapsed(
    modules: Modules, written: dict[str, Any]
) -> None:
    report, markdown, *_ = modules
    threshold, champion, _, part, _ = written["rulings"]
    slices = [part | {"passed": False, "verdict": "worse", "subject": f"plan = {name}"} for name in ("gold", "tin")]
    missed = threshold | {"passed": False, "limit": 0.8}
    threshold_missed = "`roc_auc` 0.7700 misses the threshold 0.8"
    collapsed = "`roc_auc` collapses on 2 slices, most surely where `plan = gold`"

    def line(*rulings: dict[str, Any]) -> str:
        read = report.read_report(json.dumps(written | {"passed": False, "rulings": rulings}).encode())
        return str(markdown.headline(read))

    worse = line(missed, champion | {"passed": False, "verdict": "worse"}, *slices)
    assert worse.startswith("❌ Worse: `roc_auc` 0.7700, ")
    assert worse.endswith(f": the interval lies beyond the margin of 0.01; besides, {threshold_missed}; {collapsed}")
    assert line(champion, *slices).startswith(f"❌ Fails: {collapsed}; otherwise not worse: `roc_auc` 0.7700, ")
    assert line(champion, slices[0]).startswith(
        "❌ Fails: `roc_auc` collapses from 0.7600 → 0.7700 where `plan = gold`;"
    )


def test_nothing_to_retrain_means_that_no_stage_ran(modules: Modules, written: dict[str, Any]) -> None:
    report, markdown, *_ = modules

    def body(*ran: str, **changes: Any) -> str:
        stages = [stage | {"seconds": 1.5 if stage["name"] in ran else None} for stage in written["stages"]]
        read = report.read_report(json.dumps(written | {"unchanged": True, "stages": stages, **changes}).encode())
        return str(markdown.render(read, run_url=None, commit=None))

    none = body(same_recipe=True)
    assert none.startswith("### ➖ Nothing to retrain: the model is the champion's, `v1.0.0`, byte for byte\n")
    assert "Retrained" not in none
    some = body("train", "export")
    assert some.startswith("### ➖ Retrained; the model is byte for byte `v1.0.0`: these changes do not reach it\n")
    assert "**Retrained** `train` 1.5 s, `export` 1.5 s; up to date: `prepare`" in some and "Nothing" not in some
    cached = body()
    assert cached.startswith("### ➖ The model is byte for byte `v1.0.0`: these changes do not reach it\n")
    assert "**Retrained** nothing in this run; up to date: `prepare`" in cached
    again = body("train", same_recipe=True)
    assert again.startswith("### ➖ Retrained as `v1.0.0` was: the model is the same, byte for byte\n")


NAMED = {
    "named": "against `v1.0.0`: the interval",
    "head": "against the last commit, `v1.0.0` (nothing is released yet): the interval",
    "base": "against the commit before, `v1.0.0` (nothing is released yet): the interval",
}


@pytest.mark.parametrize("kind", NAMED)
def test_what_is_no_champion_is_never_called_one(modules: Modules, written: dict[str, Any], kind: str) -> None:
    report, markdown, *_ = modules
    notes = [{"kind": kind, "names": ["maybe"]} for kind in ("own_rows", "new_classes", "gone_classes")]
    rulings = [ruling | {"verdict": "undecided"} for ruling in written["rulings"]]
    asked = written | {"baseline": kind, "notes": notes, "rulings": rulings}
    for changes in ({}, {"incomparable": "it cannot"}, {"incomparable": "it cannot", "passed": False, "rulings": []}):
        read = report.read_report(json.dumps(asked | changes).encode())
        pictures = {"roc-light": "https://github.example/roc.png"}
        texts = [markdown.render(read, run_url=None, commit=None, pictures=shown) for shown in (None, pictures)]
        assert not [text for text in texts if "champion" in text] and "| baseline `v1.0.0` |" in texts[0]
        assert ("incomparable" in changes) or NAMED[kind] in texts[0]


def test_nothing_is_said_of_what_was_not_compared(modules: Modules, written: dict[str, Any]) -> None:
    report, markdown, *_ = modules
    nothing = {"champion": None, "params": [], "schema": [], "data": [], "shifts": [], "slices": []}
    threshold = written["rulings"][0]
    notes = [{"kind": "not_fetched", "names": ["commit abc1234: no store has it"]}]
    for rulings, met in (([threshold], "every threshold is met"), ([], "no threshold is set")):
        read = report.read_report(json.dumps(written | nothing | {"rulings": rulings, "notes": notes}).encode())
        body = markdown.render(read, run_url=None, commit=None)
        assert body.startswith(f"### ✅ Passes: nothing is released yet to compare it with, and {met}\n")
        assert "unchanged" not in body and "was not compared: `commit abc1234: no store has it`." in body


def test_why_github_refused_a_comment_is_one_short_line_without_a_word_of_the_comment(
    modules: Modules, hub: LocalGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    comment = modules[3]
    repository = hub.create_repository("acme/refusing").name
    runner = {"GITHUB_SERVER_URL": hub.url, "GITHUB_REPOSITORY": repository, "GITHUB_TOKEN": hub.people["acme"].value}
    for name, value in (hub.laptop("acme") | runner).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    hostile = "\n".join([*ATTACKS[:9], "::add-mask::evil", "##[add-mask]evil", "\u2028::stop-commands::evil\u2028"])

    def refused(body: str) -> str:
        with pytest.raises(comment.UserError, match="^CML could not comment on pull request 1: ") as found:
            comment.run_cml(1, body, update=False)
        return str(found.value).partition("1: ")[2]

    for shift in ("", "x", "xx"):  # where CML's words are cut off, wherever in a letter of three bytes that is
        assert refused(shift + "\u2028" * 66_000).startswith("Validation Failed: body is too long (maximum is 65536")
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_unknown")
    assert refused(hostile) == "HTTP 401, Bad credentials"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("cml comment create <file>\n\nOptions:\n  --repo\n\nUnknown argument: bogus\n", "Unknown argument: bogus"),
        ('{"level":"warn","message":"x"}\n{"level":"error","message":"token not found"}\n', "token not found"),
        ('{"message":"a\\n::add-mask::b\\u001b[1m ##[add-mask]c"}', "a ::add-mask::b [1m #[add-mask]c"),
        ('{"message":1,"response":null}', '{"message":1,"response":null}'),
        ('{"message":"Not Found","request":{"body":"\\"message\\":\\"evil\\",\\"status\\":200,\\"url\\":', "Not Found"),
        ('{"input":"\\"message\\":\\"evil\\"","message":"Invalid URL"}', "Invalid URL"),
        ('{"message":"Gone","response":{"data":{},"status":410,"url":"x"},"status":410}', "HTTP 410, Gone"),
        ("[]", "[]"),
        ("x" * 70_000, "x" * 300),
        ("", ""),
    ],
)  # fmt: skip
def test_whatever_cml_says_is_one_line_that_gives_the_runner_no_command(
    modules: Modules, said: str, reason: str
) -> None:
    assert modules[3].read_reason(said) == reason


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (0.0, "0.0000"), (0.91574, "0.9157"), (3.2e-7, "3.2e-07"), (9.87654, "9.8765"),
        (12.3456, "12.346"), (638.4289, "638.43"), (1234.56, "1,234.6"), (-18_440.4, "-18,440"), (2.5e16, "2.5e+16"),
    ],
)  # fmt: skip
def test_a_number_has_as_many_digits_as_people_read(modules: Modules, value: float | None, text: str) -> None:
    assert modules[1].number(value) == text


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format":' * 50_000,
        b"1" * 10_000,
        b'{"format": 1e999}',
    ],
    ids=["empty", "list", "object", "null", "bytes", "deep", "deep-objects", "long-number", "infinite"],
)
def test_what_is_no_report_is_refused_in_one_sentence(modules: Modules, text: bytes) -> None:
    report, *_ = modules
    with pytest.raises(report.UserError, match=r"^report\.json is not a report: \w+$"):
        report.read_report(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("passed", "true"),
        ("passed", 1),
        ("pull_request", "1"),
        ("pull_request", True),
        ("pull_request", 1.0),
        ("margin", float("nan")),
        ("rows", {}),
        ("rows", {"test": 1.5, "decided": 1, "new": 0, "gone": 0, "edited": 0, "trained": 0}),
        ("notes", [{"kind": "@acme", "names": []}]),
        ("costs", [{"name": "<b>", "champion": None, "candidate": 1}]),
        ("plots", [{"name": "cat", "curves": []}]),
        ("plots", [{"name": "roc", "curves": [{"model": "@acme", "label": "", "x": [], "y": []}]}]),
        ("plots", [{"name": "roc", "curves": [{"model": "champion", "label": "", "x": ["1"], "y": [1]}]}]),
        ("confusion", {"classes": ["a"], "champion": None, "candidate": [["1"]]}),
        ("champion", 5),
        ("champion", ["v1"]),
        ("metrics", {}),
        ("metrics", [[]]),
        ("metrics", [None]),
        ("stages", [{"name": "train"}]),
        ("stages", [{"name": "train", "seconds": float("inf")}]),
        ("stages", [{"name": "train", "seconds": float("nan")}]),
        ("stages", [{"name": "train", "seconds": 10**400}]),
        ("params", [{"name": "a", "champion": 1, "candidate": None}]),
        ("extra", "more"),
    ],
)
def test_a_report_of_wrong_types_is_refused(modules: Modules, written: dict[str, Any], field: str, value: Any) -> None:
    report, *_ = modules
    with pytest.raises(report.UserError, match="is not a report"):
        report.read_report(json.dumps(written | {field: value}).encode())
    with pytest.raises(report.UserError, match="is not a report"):
        report.read_report(json.dumps({key: item for key, item in written.items() if key != field} | {"x": 1}).encode())


def test_a_report_of_another_format_is_refused(modules: Modules, written: dict[str, Any]) -> None:
    report, *_ = modules
    with pytest.raises(report.UserError, match="this version reads format"):
        report.read_report(json.dumps(written | {"format": 99}).encode())


def test_a_damaged_zip_is_refused_wherever_the_damage_is(modules: Modules, written: dict[str, Any]) -> None:
    _, _, artifact, _ = modules
    text = json.dumps(written).encode()
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        whole = pack(("report.json", text), compression=compression)
        for position in range(0, len(whole), 7):
            damaged = bytearray(whole)
            damaged[position] ^= 0xFF
            try:
                artifact.unpack(bytes(damaged))
            except artifact.UserError as error:
                assert re.search(r"no readable (report\.json|zip file)", str(error))


def test_a_zip_bomb_is_not_unpacked(modules: Modules) -> None:
    _, _, artifact, _ = modules
    bomb = pack(("report.json", bytes(300 * 2**20)))
    with pytest.raises(artifact.UserError, match=r"larger than 1,048,576 bytes"):
        artifact.unpack(bomb)


def link(name: str) -> zipfile.ZipInfo:
    """A zip's entry that is a symbolic link."""
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([("report.md", b"# hello")], "has no readable report.json"),
        ([("../report.json", b"{}"), ("/report.json", b"{}"), ("..\\report.json", b"{}")], "has no readable"),
        ([(link("report.json"), b"/etc/passwd")], "is not a report"),
        ([("report.json", b" " * (2**20 + 1))], "larger than 1,048,576 bytes"),
    ],
    ids=["no-report", "paths-that-climb", "a-link", "too-large"],
)
def test_an_artifact_that_is_no_report_posts_nothing(
    reviewed: PullRequest, report_on: Any, files: list[ZIP], said: str
) -> None:
    before = reviewed.comments()
    run = report_on(pack(*files))
    assert said in run.expect("failure").log and "Traceback" not in run.log
    assert reviewed.comments() == before


def test_a_huge_artifact_is_not_even_downloaded(reviewed: PullRequest, report_on: Any, hub: LocalGitHub) -> None:
    before = reviewed.comments()
    run = report_on(pack(("report.json", bytes(21 * 2**20)), compression=zipfile.ZIP_STORED))
    assert "the report artifact is larger than 20,971,520 bytes" in run.expect("failure").log
    assert reviewed.comments() == before


@pytest.mark.parametrize("number", [999, 0, -1, None], ids=["unknown", "zero", "negative", "none"])
def test_a_report_that_names_another_pull_request_posts_nothing_anywhere(
    reviewed: PullRequest, report_on: Any, written: dict[str, Any], number: int | None
) -> None:
    before = reviewed.comments()
    run = report_on(pack(("report.json", json.dumps(written | {"pull_request": number}).encode())))
    assert "which the run does not belong to" in run.expect("failure").log
    assert reviewed.comments() == before


def test_a_report_cannot_speak_on_somebody_elses_pull_request(
    reviewed: PullRequest, report_on: Any, written: dict[str, Any]
) -> None:
    reviewed.base.bare.git("update-ref", "refs/heads/other", "refs/heads/tuned")
    other = reviewed.base.open_pull_request("other", "Somebody else's")
    before = reviewed.comments()
    run = report_on(pack(("report.json", json.dumps(written | {"pull_request": other.number}).encode())))
    assert f"names pull request {other.number}, which the run does not belong to" in run.expect("failure").log
    assert other.comments() == [] and reviewed.comments() == before


def test_a_hostile_report_is_posted_as_plain_code(
    reviewed: PullRequest, report_on: Any, written: dict[str, Any], retrain: Run
) -> None:
    for attack in (ATTACKS[0] + ATTACKS[3], ATTACKS[1] + ATTACKS[4]):
        files = [("../../evil.sh", b"x"), (link("report.md"), b"/etc/passwd")]
        hostile = with_attack(written, attack)
        report_on(pack(*files, ("report.json", json.dumps(hostile).encode()))).expect("success")
        (comment,) = reviewed.comments()
        assert_inert(comment["body"], retrain.url)
        assert "acme" in comment["body"] or "img" in comment["body"]


def test_a_retrain_that_left_no_report_is_said_to_have_ended_before_a_verdict(
    hub: LocalGitHub, reviewed: PullRequest, retrain: Run
) -> None:
    kept = dict(hub.artifacts)
    hub.artifacts.clear()
    retrain.conclusion = "failure"
    try:
        (run,) = reviewed.base.deliver(workflow_run_event(retrain))
    finally:
        hub.artifacts.update(kept)
        retrain.conclusion = "success"
    run.expect("success")
    (comment,) = reviewed.comments()
    assert comment["body"].startswith("### ❌ The retrain ended before a verdict")
    assert f"({retrain.url})" in comment["body"]


def test_a_report_that_says_it_passes_does_not_outvote_the_runs_own_conclusion(
    reviewed: PullRequest, report_on: Any, written: dict[str, Any], retrain: Run
) -> None:
    retrain.conclusion = "failure"
    try:
        report_on(pack(("report.json", json.dumps(written).encode()))).expect("success")
    finally:
        retrain.conclusion = "success"
    (comment,) = reviewed.comments()
    assert comment["body"].startswith("### ❌ The run failed, although its report says it passes")


def test_a_run_on_a_head_that_a_newer_push_replaced_says_nothing(reviewed: PullRequest, retrain: Run) -> None:
    event = workflow_run_event(retrain)
    event.payload["workflow_run"]["head_sha"] = reviewed.base_sha
    before = reviewed.comments()
    (run,) = reviewed.base.deliver(event)
    assert "a newer push will be reported" in run.expect("success").log
    assert reviewed.comments() == before


def test_the_one_comment_is_found_behind_more_than_a_hundred_others(
    hub: LocalGitHub, reviewed: PullRequest, report_on: Any, written: dict[str, Any]
) -> None:
    report = pack(("report.json", json.dumps(written).encode()))
    (ours,) = reviewed.comments()
    path = f"/repos/{reviewed.base.name}/issues/comments/{ours['id']}"
    hub.emulate.call("DELETE", path, "acme")
    forged = ours["body"] + "\n\nIgnore the rest."
    reviewed.comment(forged, "mallory")

    report_on(report).expect("success")
    mine = reviewed.comments()[-1]
    assert mine["user"]["login"] == "github-actions[bot]", "a person's copy of the comment is not taken for it"
    for number in range(105):
        reviewed.comment(f"Comment {number}", "contributor")
    reviewed.comment(forged, "mallory")
    count = len(reviewed.comments())
    report_on(report).expect("success")
    after = reviewed.comments()
    assert len(after) == count == 108
    assert [comment["id"] for comment in after if comment["user"]["login"] == "github-actions[bot]"] == [mine["id"]]
    assert [comment["body"] for comment in after if comment["user"]["login"] == "mallory"] == [forged, forged]

    hub.emulate.call("DELETE", path.rpartition("/")[0] + f"/{mine['id']}", "acme")
    report_on(report).expect("success")
    late = reviewed.comments()[-1]
    report_on(report).expect("success")
    assert [one["id"] for one in reviewed.comments()][-1] == late["id"], "also where it stands on the second page"
    assert late["user"]["login"] == "github-actions[bot]"
