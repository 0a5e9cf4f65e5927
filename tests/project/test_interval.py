"""The interval of a metric's change: against references, with groups, and where there is hardly anything to go by."""

from collections.abc import Callable
from typing import Any

import pytest

Statistics = Callable[..., Any]


@pytest.fixture
def interval(statistics: Statistics) -> Statistics:
    """`interval("accuracy", case="noisy", rows=200)`: gain, low, high, error and method, None where it is undefined."""
    return lambda metric, **options: statistics("interval", metric=metric, **options)


def test_delong_equals_all_pairs_compared_one_by_one(statistics: Statistics) -> None:
    for ours, theirs in statistics("compare_delong"):
        assert ours == pytest.approx(theirs, rel=1e-9)


def test_the_bootstrap_agrees_with_scipys_on_a_mean(statistics: Statistics) -> None:
    ours, theirs, width = statistics("compare_with_scipy")
    assert ours == pytest.approx(theirs, abs=0.03 * width)


@pytest.mark.parametrize("metric", ["accuracy", "f1", "roc_auc", "average_precision", "log_loss", "matthews_corrcoef"])
def test_the_same_rows_have_the_same_interval(interval: Statistics, metric: str) -> None:
    first = interval(metric)
    assert first == interval(metric)
    assert first["low"] < first["gain"] < first["high"]


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "roc_auc", "log_loss", "matthews_corrcoef"])
def test_rows_that_repeat_do_not_narrow_the_interval_when_they_are_grouped(interval: Statistics, metric: str) -> None:
    def width(**options: Any) -> float:
        found = interval(metric, rows=300, **options)
        return found["high"] - found["low"]

    once = width()
    assert width(repeat=5, grouped=True) == pytest.approx(once, rel=0.12)
    assert width(repeat=5) < 0.6 * once


def test_a_small_share_of_many_rows_gives_a_scorers_interval(statistics: Statistics) -> None:
    drawn, whole = statistics("compare_black_box")
    assert drawn == pytest.approx(whole, rel=0.15)


def test_identical_models_have_no_change(interval: Statistics) -> None:
    for metric in ("accuracy", "roc_auc", "log_loss", "matthews_corrcoef"):
        found = interval(metric, case="identical")
        assert (found["gain"], found["low"], found["high"]) == (0, 0, 0)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "recall", "f1"])
def test_same_labels_of_other_probabilities_do_not_prove_that_nothing_changed(
    interval: Statistics, metric: str
) -> None:
    found = interval(metric, case="same labels")
    assert found["gain"] == 0
    assert found["low"] < -0.005 and found["high"] > 0.005


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_two_perfect_rankings_of_few_rows_do_not_prove_that_nothing_changed(interval: Statistics, metric: str) -> None:
    few, many = (interval(metric, case="perfect", rows=rows) for rows in (40, 400))
    assert few["gain"] == many["gain"] == 0 and few["low"] == -few["high"]
    assert 0.02 < few["high"] < 0.2 and many["high"] < few["high"] / 5
    assert few["method"] == "as if one row more told the models apart"


def test_one_row_that_differs_does_not_prove_a_change(interval: Statistics) -> None:
    found = interval("accuracy", case="one row")
    assert found["gain"] == pytest.approx(1 / 200)
    assert found["low"] < 0 and found["high"] > 3 / 200


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "f1"])
def test_three_rows_that_improved_and_none_that_got_worse_do_not_prove_a_gain(
    interval: Statistics, metric: str
) -> None:
    found = interval(metric, case="three rows")
    assert found["gain"] > 0 > found["low"]


def test_a_tail_is_given_one_row_more_like_the_worst_which_is_one_degree_of_freedom(statistics: Statistics) -> None:
    (alone, few), (together, more) = statistics("one_row_far_off")
    assert together == pytest.approx(2**0.5 * alone, rel=0.02), "twice the square"
    assert few == pytest.approx(2, rel=0.05) and more == pytest.approx(2**2 / (1 / 2 + 1), rel=0.05)


@pytest.mark.parametrize("rows", [2, 3, 6, 30])
@pytest.mark.parametrize("case", ["noisy", "constant", "one class", "three classes", "same labels"])
def test_a_handful_of_rows_gives_an_interval_around_the_gain_or_none(
    statistics: Statistics, rows: int, case: str
) -> None:
    found = statistics("intervals", case=case, rows=rows)
    assert "accuracy" in found and "log_loss" in found
    for name, (gain, low, high, error) in found.items():
        assert low <= gain <= high and error >= 0, (name, gain, low, high, error)


@pytest.mark.parametrize("rows", [1, 2, 6, 30])
@pytest.mark.parametrize("case", ["numbers", "constant numbers"])
def test_a_handful_of_numbers_gives_an_interval_around_the_gain(statistics: Statistics, rows: int, case: str) -> None:
    found = statistics("intervals", case=case, rows=rows)
    assert {"rmse", "mae", "median_absolute_error"} <= set(found)
    for name, (gain, low, high, error) in found.items():
        assert low <= gain <= high and error >= 0, (name, gain, low, high, error)


def test_models_of_different_classes_are_compared(interval: Statistics) -> None:
    found = interval("accuracy", case="vanished class")
    assert found["gain"] < 0 and found["high"] < 0


def test_p_value_is_small_where_the_gain_is_below_the_margin(statistics: Statistics) -> None:
    clearly, not_at_all, never = statistics("p_values", cases=[[-0.1, 0.02], [0.0, 0.02], [0.0, 0.0]])
    assert clearly < 0.001 and not_at_all > 0.5 and never == 1


def test_the_margin_that_is_advised_holds_the_chance_that_it_is_asked_for(statistics: Statistics) -> None:
    margin, chance, detectable = statistics("margins", error=0.0123, df=1e6)
    assert margin == 0.021 and 0.04 < chance <= 0.05
    assert detectable == pytest.approx(2.8016 * 0.0123, rel=1e-3)
    unsure, chance, more = statistics("margins", error=0.0123, df=5)
    assert unsure == 0.025 and 0.04 < chance <= 0.05
    assert more == pytest.approx((2.5706 + 0.9195) * 0.0123, rel=1e-3), "Student's, of five degrees of freedom"
