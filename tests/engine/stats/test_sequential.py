"""Bounds that hold however often one looks: their quantile, the interval of a difference, the bounds of a rate.

tests/engine/monitoring/test_looks.py simulates how rarely they mislead.
"""

import numpy as np
import pytest
from mlops_actions.stats.intervals import Interval
from mlops_actions.stats.metrics import METRICS, Metric, Predictions
from mlops_actions.stats.sequential import (
    Sample,
    always_valid_quantile,
    compare_independent,
    compare_paired,
    rate_interval,
    why_not,
)
from traffic import make_population

WAITED_FOR = 100
AGES = [0.1, 0.5, 1, 2, 10, 100]


def draw_samples(rows: int) -> list[Sample]:
    """Return what two models answered to requests of each its own."""
    truth, good, worse = make_population("classification")
    chosen = np.random.default_rng(2).integers(len(truth), size=(2, rows))
    return [Sample(truth[some], model.take(some)) for some, model in zip(chosen, (good, worse), strict=True)]


def repeat(sample: Sample, times: int, grouped: bool) -> Sample:
    again = np.repeat(np.arange(len(sample.truth)), times)
    return Sample(sample.truth[again], sample.said.take(again), again if grouped else None)


def compare(metric: Metric, samples: list[Sample]) -> Interval:
    interval = compare_independent(metric, *samples, 0.95, WAITED_FOR)
    assert interval is not None
    return interval


def test_the_quantile_is_least_at_its_age_and_near_to_that_for_long() -> None:
    normal = {age: always_valid_quantile(age, 1e9, 0.95) for age in AGES}
    assert min(normal, key=normal.__getitem__) == 1 and normal[1] == pytest.approx(3.035, abs=1e-3)
    assert normal[0.1] < 1.27 * normal[1] and normal[100] < 1.2 * normal[1]
    assert all(always_valid_quantile(age, 10, 0.95) > normal[age] for age in AGES), "Student's is wider"


def test_an_interval_is_tightest_at_ten_times_the_truths_that_are_waited_for() -> None:
    intervals = (compare(METRICS["log_loss"], draw_samples(rows)) for rows in (200, 2000, 20_000))
    few, most, many = ((interval.high - interval.low) / 2 / interval.error for interval in intervals)
    assert most == pytest.approx(3.035, abs=0.03) and few > 1.2 * most and many > 1.05 * most


def test_the_bounds_of_a_rate_hold_at_every_look() -> None:
    random = np.random.default_rng(3)
    looks = np.unique(np.geomspace(1, 3000, 20).astype(int))
    lost = []
    for _ in range(300):
        counts = np.cumsum(random.random(looks[-1]) < 0.02)[looks - 1]
        bounds = [rate_interval(int(count), int(total), 0.95) for count, total in zip(counts, looks, strict=True)]
        lost.append(any(not low <= 0.02 <= high for low, high in bounds))
    assert np.mean(lost) <= 0.05


@pytest.mark.parametrize(("count", "total", "low", "high"), [(0, 0, 0, 1), (0, 1000, 0, 0.007), (50, 50, 0.895, 1)])
def test_the_bounds_of_what_was_never_or_always_seen(count: int, total: int, low: float, high: float) -> None:
    assert rate_interval(count, total, 0.95) == (pytest.approx(low, abs=1e-3), pytest.approx(high, abs=1e-3))


@pytest.mark.parametrize("metric", ["accuracy", "f1", "roc_auc", "average_precision"])
def test_two_versions_that_were_right_every_time_are_not_proved_to_be_equal(metric: str) -> None:
    samples = [
        Sample(
            one.truth, Predictions(np.column_stack([one.truth == "no", one.truth == "yes"]) * 0.8 + 0.1, ["no", "yes"])
        )
        for one in draw_samples(300)
    ]
    interval = compare(METRICS[metric], samples)
    assert interval.gain == pytest.approx(0, abs=1e-9) and interval.error > 0
    assert interval.low < -0.01 and interval.high > 0.01, "300 rows without a mistake allow for one in a hundred"


@pytest.mark.parametrize("metric", ["rmse", "median_absolute_error"])
def test_numbers_without_any_error_are_not_judged(metric: str) -> None:
    random = np.random.default_rng(2)
    samples = [Sample(values := random.normal(size=300), Predictions(values)) for _ in range(2)]
    assert compare_independent(METRICS[metric], *samples, 0.95, WAITED_FOR) is None
    assert compare_paired(METRICS[metric], samples[0], samples[0], 0.95, WAITED_FOR) is None


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "log_loss"])
def test_requests_of_the_same_key_are_one_observation(metric: str) -> None:
    plain = draw_samples(300)
    once = compare(METRICS[metric], plain)
    repeated, grouped = (
        compare(METRICS[metric], [repeat(sample, 5, grouped) for sample in plain]) for grouped in (False, True)
    )
    assert grouped.error == pytest.approx(once.error, rel=0.02) and repeated.error < 0.5 * once.error


def test_a_metric_that_knows_no_weights_and_a_built_in_one_find_the_same() -> None:
    share = Metric("share", "classification", True, lambda truth, model: float((truth == model.labels).mean()))
    samples = draw_samples(2000)
    resampled, built_in = (compare(metric, samples) for metric in (share, METRICS["accuracy"]))
    assert resampled.gain == pytest.approx(built_in.gain) and resampled.error == pytest.approx(built_in.error, rel=0.15)


def test_the_same_rows_tell_more_than_rows_of_each_ones_own() -> None:
    truth, good, worse = make_population("classification")
    rows = np.arange(2000)
    champion, canary = (Sample(truth[rows], model.take(rows)) for model in (good, worse))
    paired = compare_paired(METRICS["accuracy"], champion, canary, 0.95, WAITED_FOR)
    apart = compare_independent(METRICS["accuracy"], champion, canary, 0.95, WAITED_FOR)
    assert paired and apart and paired.gain == pytest.approx(apart.gain)
    assert paired.error < 0.9 * apart.error
    assert paired.method == "always-valid (normal mixture), the same rows"


ROWS = "{} of the 100 truths{} that are waited for have arrived for the {}"
CLASS = "{} of the 5 truths of class {} have arrived for the {}"


def sample_of(counts: dict[str, int], groups: bool = False) -> Sample:
    """Return a sample with so many truths of each class; where grouped, two rows of each key."""
    truth = np.repeat(np.array([*counts], dtype=object), [*counts.values()])
    chances = np.full((len(truth), len(counts)), 1 / len(counts))
    return Sample(truth, Predictions(chances, [*counts]), np.arange(len(truth)) // 2 if groups else None)


@pytest.mark.parametrize(
    ("metric", "champion", "canary", "reason"),
    [
        ("accuracy", {"no": 100, "yes": 0}, {"no": 99, "yes": 0}, ROWS.format(99, "", "canary")),
        ("accuracy", {"no": 99, "yes": 0}, {"no": 100, "yes": 0}, ROWS.format(99, "", "champion")),
        ("accuracy", {"no": 100, "yes": 0}, {"no": 100, "yes": 0}, None),
        ("f1", {"no": 100, "yes": 5}, {"no": 100, "yes": 4}, CLASS.format(4, "yes", "canary")),
        ("f1", {"no": 100, "yes": 4}, {"no": 100, "yes": 5}, CLASS.format(4, "yes", "champion")),
        ("f1", {"no": 100, "yes": 0}, {"no": 100, "yes": 0}, CLASS.format(0, "yes", "canary")),
        ("f1", {"no": 100, "yes": 5}, {"no": 100, "yes": 5}, None),
        ("f1", {"a": 50, "b": 50, "c": 0}, {"a": 50, "b": 50, "c": 0}, None),
        ("f1", {"a": 50, "b": 50, "c": 1}, {"a": 50, "b": 50, "c": 0}, CLASS.format(0, "c", "canary")),
        ("roc_auc", {"a": 50, "b": 50, "c": 1}, {"a": 50, "b": 50, "c": 0}, None),
    ],
)
def test_samples_say_nothing_before_enough_truths_have_arrived(
    metric: str, champion: dict[str, int], canary: dict[str, int], reason: str | None
) -> None:
    assert why_not(METRICS[metric], sample_of(champion), sample_of(canary), WAITED_FOR) == reason


def test_truths_of_the_same_key_are_waited_for_as_one() -> None:
    champion, shadow = sample_of({"no": 200, "yes": 100}), sample_of({"no": 90, "yes": 90}, groups=True)
    reason = why_not(METRICS["accuracy"], champion, shadow, WAITED_FOR, "shadow")
    assert reason == ROWS.format(90, " of different keys", "shadow")
