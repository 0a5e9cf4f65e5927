"""Reports of made-up models, with their pages and pictures."""

from collections.abc import Callable
from functools import cache, partial

import numpy as np
from mlops_actions.review.page import write_page
from mlops_actions.review.plots import count_confusion, draw_pictures, make_plots
from mlops_actions.review.report import FORMAT, ComparedRows, MetricChange, Note, Report, Ruling, Slice, ValueChange
from mlops_actions.stats.metrics import Predictions

EVIL = "</script><img src=x onerror=\"document.title='pwned'\"><!--"
NAMES = [EVIL, '"}]; alert(1) //', "`@everyone` var(--text) | \u202e", "中文 " * 50, ""]
Case = tuple[np.ndarray, Predictions | None, Predictions]


def guess(truth: np.ndarray, classes: list[str], skill: float, seed: int) -> Predictions:
    """Return probabilities that know the truth the better the more skill they have."""
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


@cache
def odd_cases() -> dict[str, Case]:
    """Return predictions that no curve or no picture can be drawn of, wholly or in part."""
    cases: dict[str, Case] = {}
    two = ["no", "yes"]
    truth, champion, candidate = classify(200, two)
    cases["constant predictions"] = (truth, champion, Predictions(np.full((200, 2), 0.5), two))
    cases["one class in the truth"] = (np.full(200, "no", dtype=object), champion, candidate)
    each = [int(np.argmax(truth == name)) for name in two]
    cases["two rows"] = (truth[each], None, Predictions(candidate.values[each], two))
    cases["not a number"] = (truth, Predictions(np.full((200, 2), np.nan), two), candidate)
    gone = guess(truth, ["maybe", *two], 1.0, 3)
    cases["a class that is gone"] = (truth, gone, candidate)
    cases["a class that is new"] = (truth, candidate, gone)
    rows, theirs, ours = regress(50)
    cases["infinite"] = (rows, Predictions(np.full(50, np.inf)), ours)
    cases["some infinite"] = (rows, theirs, Predictions(np.where(rows > 30, np.inf, ours.values)))
    cases["far too large"] = (rows, Predictions(np.where(rows > 30, 1.7e308, -1.7e308)), ours)
    cases["a constant number"] = (np.ones(50), Predictions(np.ones(50)), Predictions(np.ones(50)))
    return cases


CASES: dict[str, Callable[[], Case]] = {
    "two classes": lambda: classify(2_000, ["no", "yes"]),
    "six classes": lambda: classify(3_000, [f"class {number}" for number in range(6)]),
    "twenty classes": lambda: classify(5_000, [f"class {number:02}" for number in range(20)]),
    "first model": lambda: classify(300, ["a", "b", "c"], champion=False),
    "numbers": lambda: regress(5_000),
    "many rows": lambda: classify(100_000, ["no", "yes"]),
    "many numbers": lambda: regress(100_000),
    "hostile names": lambda: classify(500, NAMES),
    **{name: partial(odd_cases().__getitem__, name) for name in odd_cases()},
}


@cache
def report_of(case: str) -> Report:
    """Return the report of one of `CASES`: read it only."""
    return make_report(*CASES[case]())


@cache
def pictures_of(case: str) -> dict[str, bytes]:
    """Return the pictures of a case's report by their file names."""
    return draw_pictures(report_of(case))


@cache
def page_of(case: str) -> str:
    """Return the page of a case's report."""
    return write_page(report_of(case))


def make_report(truth: np.ndarray, champion: Predictions | None, candidate: Predictions) -> Report:
    """Return a report with something of everything; the model's own data in its plots."""
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
        rows=ComparedRows(len(truth), len(truth), 0, 0, 0, 0),
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
