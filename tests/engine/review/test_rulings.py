"""The gate's rulings on what was measured: thresholds, the primary metric, guards, slices and costs."""

from typing import Any

import pytest
from mlops_actions.core.config import Gate, Limits
from mlops_actions.review.compare import Comparison
from mlops_actions.review.gate import rule
from mlops_actions.review.report import ComparedRows, Cost, MetricChange, Ruling, Slice
from mlops_actions.stats.intervals import Interval

GAIN = Interval(0.02, 0.01, 0.03, 0.005, 99, "")
LOSS = Interval(-0.1, -0.12, -0.08, 0.01, 99, "")
ROC_AUC = MetricChange("roc_auc", True, 0.80, 0.82, 0.01, 0.03)
LOG_LOSS = MetricChange("log_loss", False, 0.40, 0.50, 0.08, 0.12)


def comparison_of(*metrics: MetricChange, **facts: Any) -> Comparison:
    nothing: dict[str, Any] = dict.fromkeys(("notes", "slices", "costs", "shifts", "plots"), [])
    nothing |= {"incomparable": None, "rows": ComparedRows(9, 9, 0, 0, 0, 0), "confusion": None, "redefined": None}
    return Comparison(**nothing | {"intervals": {}, "harms": {}, "metrics": [*metrics]} | facts)


def rulings(comparison: Comparison, **gate: Any) -> list[tuple[str, str, bool, str | None]]:
    found = rule(comparison, Gate(primary="roc_auc", limits=gate.pop("limits", Limits(model_mb=None)), **gate))
    return [(ruling.rule, ruling.subject, ruling.passed, ruling.verdict) for ruling in found]


@pytest.mark.parametrize(
    ("name", "limit", "passed"),
    [("roc_auc", 0.82, True), ("roc_auc", 0.83, False), ("log_loss", 0.5, True), ("log_loss", 0.49, False)],
)
def test_a_threshold_is_the_least_of_a_score_and_the_most_of_an_error(name: str, limit: float, passed: bool) -> None:
    found = rulings(comparison_of(ROC_AUC, LOG_LOSS), thresholds={name: limit}, compare=False)
    assert found == [("threshold", name, passed, None)]


def test_a_threshold_of_an_undefined_metric_is_missed() -> None:
    undefined = MetricChange("roc_auc", True, None, None, None, None)
    found = rulings(comparison_of(undefined), thresholds={"roc_auc": 0.5})
    assert found == [("threshold", "roc_auc", False, None), ("champion", "roc_auc", False, "undefined")]


@pytest.mark.parametrize(("interval", "passed", "verdict"), [(GAIN, True, "better"), (LOSS, False, "worse")])
def test_the_primary_metric_is_held_against_the_champion(interval: Interval, passed: bool, verdict: str) -> None:
    found = rulings(comparison_of(ROC_AUC, intervals={"roc_auc": interval}))
    assert found == [("champion", "roc_auc", passed, verdict)]


def test_a_metric_without_an_interval_passes_where_it_is_defined() -> None:
    assert rulings(comparison_of(ROC_AUC)) == [("champion", "roc_auc", True, "undefined")]


def test_without_a_comparison_only_what_is_absolute_is_ruled_on() -> None:
    alone = MetricChange("roc_auc", True, None, 0.8, None, None)
    assert rulings(comparison_of(alone)) == []
    assert rulings(comparison_of(ROC_AUC, intervals={"roc_auc": LOSS}), compare=False) == []


@pytest.mark.parametrize(
    ("interval", "p_value", "passed", "verdict"),
    [
        (LOSS, 0.01, False, "worse"),
        (LOSS, 0.2, True, "undecided"),
        (GAIN, 1.0, True, "better"),
        (None, 1.0, True, "undefined"),
    ],
)
def test_a_guard_fails_where_the_corrected_p_value_proves_the_harm(
    interval: Interval | None, p_value: float, passed: bool, verdict: str
) -> None:
    intervals = {"roc_auc": GAIN} | ({"log_loss": interval} if interval else {})
    comparison = comparison_of(ROC_AUC, LOG_LOSS, intervals=intervals, harms={"log_loss": p_value})
    found = rulings(comparison, guards={"log_loss": 0.02})
    assert found == [("champion", "roc_auc", True, "better"), ("guard", "log_loss", passed, verdict)]


def test_each_slice_that_collapsed_fails() -> None:
    slices = [
        Slice("plan = gold", 60, 0.8, 0.5, -0.4, -0.2, True, None),
        Slice("plan = blue", 60, 0.8, 0.8, -0.1, 0.1, False, None),
    ]
    comparison = comparison_of(ROC_AUC, intervals={"roc_auc": GAIN}, slices=slices)
    last = rule(comparison, Gate(primary="roc_auc"))[-1]
    assert last == Ruling("slice", "plan = gold", False, "worse", 0.5, 0.8, 0.1)
    assert len(rulings(comparison)) == 2


@pytest.mark.parametrize(("limit", "expected"), [(2.0, [True]), (1.0, [False]), (None, [])])
def test_a_cost_has_a_limit_only_where_params_set_one(limit: float | None, expected: list[bool]) -> None:
    costs = [Cost("latency_ms", None, 1.5), Cost("training_seconds", None, None)]
    found = rulings(
        comparison_of(ROC_AUC, costs=costs),
        compare=False,
        limits=Limits(model_mb=None, latency_ms=limit, training_seconds=1.0),
    )
    assert found == [("cost", "latency_ms", passed, None) for passed in expected]
