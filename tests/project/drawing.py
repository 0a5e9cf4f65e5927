"""Draws reports of made-up models inside a generated project: `python drawing.py DIRECTORY`.

Each case's directory gets report.json, report.html, the pictures, and facts.json with what only pandas can tell.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mlops_actions.review import page
from mlops_actions.review.charts import find_intervals, make_charts
from mlops_actions.review.pictures import check_png
from mlops_actions.review.plots import count_confusion, draw_pictures, make_plots
from mlops_actions.review.report import (
    FORMAT,
    MetricChange,
    Note,
    Report,
    Ruling,
    Slice,
    TestRows,
    ValueChange,
    read_report,
)
from mlops_actions.review.svg import THEMES, Axis, measure, paint, span
from mlops_actions.stats.metrics import METRICS, Predictions

EVIL = "</script><img src=x onerror=\"document.title='pwned'\"><!--"
NAMES = [EVIL, '"}]; alert(1) //', "`@everyone` var(--text) | \u202e", "中文 " * 50, ""]
NUMBERS = [(0.0, 1.0), (-3.2, 11.0), (7.0, 7.0), (0.0, 0.0), (12_300.0, 98_000.0), (1e-9, 3e-9), (-2e12, 5e12)]
COLOUR = re.compile(r'"(#[0-9a-f]{6}|var[^"]*)"')
Case = tuple[np.ndarray, Predictions | None, Predictions]


def guess(truth: np.ndarray, classes: list[str], skill: float, seed: int) -> Predictions:
    """Probabilities that know the truth the better the more skill they have."""
    scores = np.random.default_rng(seed).normal(size=(len(truth), len(classes)))
    scores += skill * (truth[:, None] == np.array(classes, dtype=object)[None, :])
    odds = np.exp(scores)
    return Predictions(odds / odds.sum(axis=1, keepdims=True), classes)


def classify(rows: int, classes: list[str], champion: bool = True) -> Case:
    truth = np.array(classes, dtype=object)[np.random.default_rng(0).integers(0, len(classes), rows)]
    return truth, guess(truth, classes, 1.2, 1) if champion else None, guess(truth, classes, 1.8, 2)


def regress(rows: int) -> Case:
    random = np.random.default_rng(0)
    truth = random.gamma(2, 30, rows)
    theirs, ours = truth * 0.9 + random.normal(size=rows) * 9, truth + random.normal(size=rows)
    return truth, Predictions(theirs.astype(np.float32)), Predictions(ours.astype(np.float32))  # as a bundle answers


def odd_cases() -> Iterator[tuple[str, Case]]:
    """Predictions that no curve or no picture can be drawn of, wholly or in part."""
    two = ["no", "yes"]
    truth, champion, candidate = classify(200, two)
    yield "constant predictions", (truth, champion, Predictions(np.full((200, 2), 0.5), two))
    yield "one class in the truth", (np.full(200, "no", dtype=object), champion, candidate)
    each = [int(np.argmax(truth == name)) for name in two]
    yield "two rows", (truth[each], None, Predictions(candidate.values[each], two))
    yield "not a number", (truth, Predictions(np.full((200, 2), np.nan), two), candidate)
    gone = guess(truth, ["maybe", *two], 1.0, 3)
    yield "a class that is gone", (truth, gone, candidate)
    yield "a class that is new", (truth, candidate, gone)
    rows, theirs, ours = regress(50)
    yield "infinite", (rows, Predictions(np.full(50, np.inf)), ours)
    yield "some infinite", (rows, theirs, Predictions(np.where(rows > 30, np.inf, ours.values)))
    yield "far too large", (rows, Predictions(np.where(rows > 30, 1.7e308, -1.7e308)), ours)
    yield "a constant number", (np.ones(50), Predictions(np.ones(50)), Predictions(np.ones(50)))


CASES = {
    "two classes": classify(2_000, ["no", "yes"]),
    "six classes": classify(3_000, [f"class {number}" for number in range(6)]),
    "twenty classes": classify(5_000, [f"class {number:02}" for number in range(20)]),
    "first model": classify(300, ["a", "b", "c"], champion=False),
    "numbers": regress(5_000),
    "many rows": classify(100_000, ["no", "yes"]),
    "many numbers": regress(100_000),
    "hostile names": classify(500, NAMES),
    **dict(odd_cases()),
}


def write_report(truth: np.ndarray, champion: Predictions | None, candidate: Predictions) -> Report:
    """A report with something of everything; the model's own data in its plots."""
    compared = champion is not None
    return Report(
        format=FORMAT,
        passed=False,
        unchanged=False,
        same_recipe=False,
        baseline="champion",
        pull_request=7,
        champion="v1.2.0" if compared else None,
        primary="roc_auc",
        margin=0.01,
        confidence=0.95,
        params=[ValueChange("model.params.C", None, "0.5"), ValueChange(EVIL, EVIL, EVIL)],
        schema=[],
        data=[ValueChange("rows", "5000", "5300")],
        stages=[],
        incomparable=None,
        notes=[Note("new_classes", [EVIL])],
        rows=TestRows(len(truth), len(truth), 0, 0, 0, 0),
        metrics=[
            MetricChange("roc_auc", True, 0.8, 0.81, 0.002, 0.018),
            MetricChange("log_loss", False, 0.4, 0.46, 0.05, 0.07),
            MetricChange("accuracy", True, 0.7, 0.7, None, None),
            MetricChange("brier_score", False, 0.1, 0.09, -0.02, 0.0),
        ]
        if compared
        else [MetricChange("roc_auc", True, None, 0.81, None, None)],
        rulings=[
            Ruling("guard", "log_loss", False, "worse", 0.46, 0.4, 0.02),
            Ruling("guard", "brier_score", True, "better", 0.09, 0.1, 0.0),
            Ruling("guard", "accuracy", True, "undefined", 0.7, 0.7, 0.02),
            Ruling("champion", "roc_auc", True, "better", 0.81, 0.8, 0.01),
            Ruling("slice", f"plan = {EVIL}", False, "worse", 0.5, 0.8, 0.1),
        ]
        if compared
        else [],
        slices=[
            Slice(f"plan = {EVIL}", 80, 0.8, 0.5, -0.4, -0.2, True, None),
            Slice("age up to 30", 60, 0.8, 0.82, -0.05, 0.09, False, None),
            Slice("plan = gold", 3, None, None, None, None, False, "only 3 rows"),
        ],
        slice_margin=0.1 if compared else None,
        plots=make_plots(truth, champion, candidate),
        confusion=count_confusion(truth, champion, candidate),
    )


def area(x: list[float], y: list[float]) -> float:
    return float(np.trapezoid(y, x))


def find_facts(report: Report, case: Case) -> dict[str, Any]:
    """What the pictures must agree with."""
    truth, _, candidate = case
    facts: dict[str, Any] = {"backgrounds": {name: theme.background for name, theme in THEMES.items()}}
    facts["intervals"] = [[one.name, one.low, one.gain, one.high, one.limit] for one in find_intervals(report)]
    calm = replace(report, rulings=[], slices=[part for part in report.slices if not part.collapsed])
    facts["calm"] = [one.name for one in find_intervals(calm)]
    charts = {chart.name: chart for chart in make_charts(report)}
    facts["painted"] = {
        name: sorted({colour for chart in charts.values() for colour in COLOUR.findall(paint(chart.svg, theme))})
        for name, theme in THEMES.items()
    }
    facts["themes"] = {name: sorted(vars(theme).values()) for name, theme in THEMES.items()}
    facts["tips"] = {name: [[tip.model, tip.text] for tip in chart.tips] for name, chart in charts.items()}
    facts["svg"] = sum(len(chart.svg) for chart in charts.values())
    curves = {plot.name: plot.curves[-1] for plot in report.plots}
    if "roc" in curves:
        facts["area"] = area(curves["roc"].x, curves["roc"].y)
        facts["roc_auc"] = METRICS["roc_auc"].compute(truth, candidate.with_classes_of(truth))
        facts["precision"] = area(curves["precision_recall"].x, curves["precision_recall"].y)
        facts["average_precision"] = METRICS["average_precision"].compute(truth, candidate.with_classes_of(truth))
    return facts


def main(directory: Path) -> None:
    for name, case in CASES.items():
        here = directory / name
        (here / "pictures").mkdir(parents=True)
        report = write_report(*case)
        (here / "report.json").write_text(report.to_json())
        assert read_report(report.to_json().encode()) == report
        pictures = draw_pictures(report)
        for file, picture in pictures.items():
            check_png(picture)
            (here / "pictures" / file).write_bytes(picture)
        (here / "report.html").write_text(page.write_page(report))
        (here / "facts.json").write_text(json.dumps(find_facts(report, case)))
    again = draw_pictures(write_report(*CASES["two classes"]))
    assert again == {path.name: path.read_bytes() for path in (directory / "two classes/pictures").iterdir()}
    (directory / "nothing drawn.html").write_text(
        page.write_page(replace(report, plots=[], rulings=[], slices=[], confusion=None))
    )
    ends = {str(numbers): span(numbers) for numbers in NUMBERS}
    ticks = {name: [label for _, label in Axis(*both, 0, 300).ticks()] for name, both in ends.items()}
    (directory / "axes.json").write_text(json.dumps({"ends": ends, "ticks": ticks}))
    (directory / "widths.json").write_text(
        json.dumps({text: measure(text) for text in ("1.0", "−0.25", "Overall", "中文")})
    )
