"""The report as Markdown: its first lines, and that no string of it is more than a word in a code span."""

import json
import re
from typing import Any

import pytest
from hostile import ATTACKS, CHART, assert_inert, honest_report, with_attack
from mlops_actions.review import markdown, report


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    """What an honest retrain of the first pull request reports."""
    return honest_report()


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
@pytest.mark.parametrize("passed", [True, False], ids=["passes", "fails"])
def test_no_string_of_a_report_mentions_links_or_becomes_html(
    written: dict[str, Any], attack: str, passed: bool
) -> None:
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
def test_a_comment_is_never_longer_than_github_takes(written: dict[str, Any], strings: str) -> None:
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
    large |= {"confusion": {"classes": [strings] * 150, "champion": [[1] * 150] * 150, "candidate": [[1] * 150] * 150}}
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
    written: dict[str, Any], ends: list[float], drawn: bool
) -> None:
    curves = [{"model": model, "label": "", "x": ends, "y": ends[::-1]} for model in ("champion", "candidate")]
    plots = [{"name": "residuals", "curves": curves}]
    plots.append({"name": "roc", "curves": [curve | {"x": [0.0, 1e308], "y": [-1e308, 1e308]} for curve in curves]})
    read = report.read_report(json.dumps(written | {"plots": plots}).encode())
    charts = re.findall(r"```mermaid\n(.*?)```", markdown.render(read, run_url=None, commit=None), re.DOTALL)
    assert len(charts) == drawn + 1 and all(CHART.fullmatch(chart) for chart in charts)


def test_the_first_line_leads_with_the_verdict_and_counts_the_slices_that_collapsed(written: dict[str, Any]) -> None:
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


def test_nothing_to_retrain_means_that_no_stage_ran(written: dict[str, Any]) -> None:

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
def test_what_is_no_champion_is_never_called_one(written: dict[str, Any], kind: str) -> None:
    notes = [{"kind": kind, "names": ["maybe"]} for kind in ("own_rows", "new_classes", "gone_classes")]
    rulings = [ruling | {"verdict": "undecided"} for ruling in written["rulings"]]
    asked = written | {"baseline": kind, "notes": notes, "rulings": rulings}
    for changes in ({}, {"incomparable": "it cannot"}, {"incomparable": "it cannot", "passed": False, "rulings": []}):
        read = report.read_report(json.dumps(asked | changes).encode())
        pictures = {"roc-light": "https://github.example/roc.png"}
        texts = [markdown.render(read, run_url=None, commit=None, pictures=shown) for shown in (None, pictures)]
        assert not [text for text in texts if "champion" in text] and "| baseline `v1.0.0` |" in texts[0]
        assert ("incomparable" in changes) or NAMED[kind] in texts[0]


def test_nothing_is_said_of_what_was_not_compared(written: dict[str, Any]) -> None:
    nothing = {"champion": None, "params": [], "schema": [], "data": [], "shifts": [], "slices": []}
    threshold = written["rulings"][0]
    notes = [{"kind": "not_fetched", "names": ["commit abc1234: no store has it"]}]
    for rulings, met in (([threshold], "every threshold is met"), ([], "no threshold is set")):
        read = report.read_report(json.dumps(written | nothing | {"rulings": rulings, "notes": notes}).encode())
        body = markdown.render(read, run_url=None, commit=None)
        assert body.startswith(f"### ✅ Passes: nothing is released yet to compare it with, and {met}\n")
        assert "unchanged" not in body and "was not compared: `commit abc1234: no store has it`." in body


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (0.0, "0.0000"), (0.91574, "0.9157"), (3.2e-7, "3.2e-07"), (9.87654, "9.8765"),
        (12.3456, "12.346"), (638.4289, "638.43"), (1234.56, "1,234.6"), (-18_440.4, "-18,440"), (2.5e16, "2.5e+16"),
    ],
)  # fmt: skip
def test_a_number_has_as_many_digits_as_people_read(value: float | None, text: str) -> None:
    assert markdown.number(value) == text
