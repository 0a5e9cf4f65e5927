"""The interval of a metric's change: against references, with groups, and where there is hardly anything to go by."""

from dataclasses import replace

import numpy as np
import pytest
from mlops_actions.stats import intervals
from mlops_actions.stats.intervals import Interval, paired_estimate, paired_intervals
from mlops_actions.stats.metrics import METRICS, Metric, Predictions, find_metric, metrics_of
from scipy import stats

Models = tuple[np.ndarray, Predictions, Predictions]


def share_of_right(truth: np.ndarray, model: Predictions) -> float:
    """Return accuracy; not a number where a class is absent."""
    return float((model.labels == truth).mean()) if len(set(truth)) > 1 else float("nan")


def largest_error(truth: np.ndarray, model: Predictions) -> float:
    return -float(np.abs(truth - model.values).max())


# Metrics that know no weights: each is computed on some hundred resamples of the rows.
BLACK_BOXES = {
    metric.name: metric
    for metric in (
        Metric("share_of_right", "classification", True, share_of_right),
        Metric("largest_error", "regression", True, largest_error),
    )
}


def make_models(case: str, rows: int = 200) -> Models:
    """Return the truth, and what a champion and a candidate predict."""
    if case.endswith("numbers"):
        return make_regressions(case, rows)
    random = np.random.default_rng(3)
    classes = ["a", "b", "c"] if case in ("three classes", "vanished class") else ["no", "yes"]
    codes = random.permutation(np.arange(rows) % len(classes))
    if case == "one class":
        codes[:] = 0
    truth = np.array(classes, dtype=object)[codes]
    score = np.eye(len(classes))[codes] + random.gamma(1, 0.6, (rows, len(classes)))
    champion = score / score.sum(axis=1, keepdims=True)
    noise = score + random.gamma(1, 0.2, score.shape)
    candidate = noise / noise.sum(axis=1, keepdims=True)
    if case == "constant":
        champion, candidate = (np.tile(share, (rows, 1)) for share in ([0.3, 0.7], [0.4, 0.6]))
    if case == "identical":
        candidate = champion
    if case == "perfect":
        champion, candidate = (np.eye(len(classes))[codes] * share + (1 - share) / 2 for share in (0.8, 0.6))
        candidate += random.uniform(-0.01, 0.01, (rows, 1)) * [1, -1]
    if case == "same labels":
        candidate = 0.9 * champion + 0.1 * np.eye(2)[champion.argmax(axis=1)]
    if case in ("one row", "three rows"):
        candidate = champion.copy()
        wrong = np.flatnonzero(champion.argmax(axis=1) != codes)[: 1 if case == "one row" else 3]
        candidate[wrong] = np.eye(2)[codes[wrong]]
    if case == "vanished class":
        kept = candidate[:, :2] / candidate[:, :2].sum(axis=1, keepdims=True)
        return truth, Predictions(champion, classes), Predictions(kept, classes[:2])
    return truth, Predictions(champion, classes), Predictions(candidate, classes)


def make_regressions(case: str, rows: int) -> Models:
    random = np.random.default_rng(3)
    truth = random.normal(size=rows)
    if case == "constant numbers":
        return truth, Predictions(np.zeros(rows)), Predictions(np.full(rows, 0.1))
    return truth, Predictions(truth + random.normal(size=rows)), Predictions(truth + random.normal(size=rows))


def interval_of(metric: str, case: str = "noisy", rows: int = 200, repeat: int = 1, grouped: bool = False) -> Interval:
    """Return the interval of one metric of classes, each row repeated, the repetitions in one group or not."""
    truth, champion, candidate = make_models(case, rows)
    again = np.repeat(np.arange(rows), repeat)
    found = paired_intervals(
        [find_metric(metric, "classification", BLACK_BOXES)],
        truth[again],
        champion.take(again),
        candidate.take(again),
        confidence=0.95,
        groups=again if grouped else None,
    )
    return found[metric]


@pytest.mark.parametrize("digits", [8, 1], ids=["no ties", "ties"])
def test_delong_equals_all_pairs_compared_one_by_one(digits: int) -> None:
    truth, *models = make_models("noisy", 60)
    champion, candidate = (Predictions(model.values.round(digits), model.classes) for model in models)
    parts = []
    for model in (champion, candidate):
        positive, negative = (model.values[truth == label, 1] for label in ("yes", "no"))
        wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
        parts.append((wins.mean(axis=1), wins.mean(axis=0)))
    positives, negatives = (parts[1][side] - parts[0][side] for side in (0, 1))
    expected = np.sqrt(positives.var(ddof=1) / len(positives) + negatives.var(ddof=1) / len(negatives))
    _, error, _ = paired_estimate(METRICS["roc_auc"], truth, champion, candidate)
    assert error == pytest.approx(expected, rel=1e-9)


def test_the_bootstrap_agrees_with_scipys_on_a_mean() -> None:
    truth, champion, candidate = make_models("numbers", 2000)
    ours = paired_intervals([METRICS["mae"]], truth, champion, candidate, confidence=0.95)["mae"]
    gains = np.abs(truth - champion.values) - np.abs(truth - candidate.values)
    random = np.random.default_rng(4)
    theirs = stats.bootstrap((gains,), np.mean, n_resamples=9999, batch=500, rng=random).confidence_interval
    assert [ours.low, ours.high] == pytest.approx([theirs.low, theirs.high], abs=0.03 * (theirs.high - theirs.low))


@pytest.mark.parametrize("metric", ["accuracy", "f1", "roc_auc", "average_precision", "log_loss", "share_of_right"])
def test_the_same_rows_have_the_same_interval(metric: str) -> None:
    first = interval_of(metric)
    assert first == interval_of(metric)
    assert first.low < first.gain < first.high


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "roc_auc", "log_loss", "share_of_right"])
def test_rows_that_repeat_do_not_narrow_the_interval_when_they_are_grouped(metric: str) -> None:
    def width(repeat: int = 1, grouped: bool = False) -> float:
        interval = interval_of(metric, "noisy", 300, repeat, grouped)
        return interval.high - interval.low

    once = width()
    assert width(repeat=5, grouped=True) == pytest.approx(once, rel=0.12)
    assert width(repeat=5) < 0.6 * once


def test_a_small_share_of_many_rows_gives_a_black_boxs_interval() -> None:
    sampled, whole = (interval_of(name, rows=20_000) for name in ("share_of_right", "accuracy"))
    assert sampled.error == pytest.approx(whole.error, rel=0.15)
    assert sampled.method == "paired bootstrap, 500 resamples of 2,000 rows"


def test_a_scorer_of_scikit_learn_has_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """`precision_micro` is accuracy by another name."""
    monkeypatch.setattr(intervals, "BLACK_BOX_RESAMPLES", 100)  # each takes some milliseconds
    scorer, built_in = (interval_of(name) for name in ("precision_micro", "accuracy"))
    assert scorer.gain == pytest.approx(built_in.gain) and scorer.error == pytest.approx(built_in.error, rel=0.2)
    assert scorer.method == "paired bootstrap, 100 resamples"


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "log_loss", "share_of_right"])
def test_identical_models_have_no_change(metric: str) -> None:
    interval = interval_of(metric, case="identical")
    assert (interval.gain, interval.low, interval.high) == (0, 0, 0)
    truth, champion, candidate = make_models("identical")
    assert paired_estimate(find_metric(metric, "classification", BLACK_BOXES), truth, champion, candidate)[:2] == (0, 0)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "recall", "f1"])
def test_same_labels_of_other_probabilities_do_not_prove_that_nothing_changed(metric: str) -> None:
    interval = interval_of(metric, case="same labels")
    assert interval.gain == 0
    assert interval.low < -0.005 and interval.high > 0.005


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_two_perfect_rankings_of_few_rows_do_not_prove_that_nothing_changed(metric: str) -> None:
    few, many = (interval_of(metric, case="perfect", rows=rows) for rows in (40, 400))
    assert few.gain == many.gain == 0 and few.low == -few.high
    assert 0.02 < few.high < 0.2 and many.high < few.high / 5
    assert few.method == "as if one row more told the models apart"


def test_one_row_that_differs_does_not_prove_a_change() -> None:
    interval = interval_of("accuracy", case="one row")
    assert interval.gain == pytest.approx(1 / 200)
    assert interval.low < 0 and interval.high > 3 / 200


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "f1"])
def test_three_rows_that_improved_and_none_that_got_worse_do_not_prove_a_gain(metric: str) -> None:
    interval = interval_of(metric, case="three rows")
    assert interval.gain > 0 > interval.low


def test_a_tail_is_given_one_row_more_like_the_worst_which_is_one_degree_of_freedom() -> None:
    """One row of 100 makes up the whole change of RMSE: its error without a tail, and with one."""
    truth = np.random.default_rng(5).normal(size=100)
    champion, candidate = truth + 0.1, truth + 0.1
    candidate[0] += 10
    rmse = METRICS["rmse"]
    (_, alone, few), (_, together, more) = (
        paired_estimate(metric, truth, Predictions(champion), Predictions(candidate))
        for metric in (replace(rmse, tail=0), rmse)
    )
    assert together == pytest.approx(2**0.5 * alone, rel=0.02), "twice the square"
    assert few == pytest.approx(2, rel=0.05) and more == pytest.approx(2**2 / (1 / 2 + 1), rel=0.05)


def check_every_metric(case: str, rows: int) -> set[str]:
    """Return the metrics of a task that have an interval, those that know no weights included."""
    truth, champion, candidate = make_models(case, rows)
    task = "regression" if champion.classes is None else "classification"
    metrics = [*metrics_of(task).values(), *(metric for metric in BLACK_BOXES.values() if metric.task == task)]
    found = paired_intervals(metrics, truth, champion, candidate, confidence=0.95)
    for metric in metrics:
        gain, error, df = paired_estimate(metric, truth, champion, candidate)
        assert metric.name not in found or np.isfinite([gain, error]).all() and df >= 1, metric.name
    for name, interval in found.items():
        assert interval.low <= interval.gain <= interval.high and interval.error >= 0, (name, interval)
    return set(found)


@pytest.mark.parametrize("rows", [2, 3, 6, 30])
@pytest.mark.parametrize("case", ["noisy", "constant", "one class", "three classes", "same labels"])
def test_a_handful_of_rows_gives_an_interval_around_the_gain_or_none(rows: int, case: str) -> None:
    assert {"accuracy", "log_loss"} <= check_every_metric(case, rows)


@pytest.mark.parametrize("rows", [1, 2, 6, 30])
@pytest.mark.parametrize("case", ["numbers", "constant numbers"])
def test_a_handful_of_numbers_gives_an_interval_around_the_gain(rows: int, case: str) -> None:
    assert {"rmse", "mae", "median_absolute_error"} <= check_every_metric(case, rows)


def test_models_of_different_classes_are_compared() -> None:
    interval = interval_of("accuracy", case="vanished class")
    assert interval.gain < 0 and interval.high < 0


def test_a_metric_that_the_rows_do_not_define_has_no_interval() -> None:
    truth, champion, candidate = make_models("one class")
    metric = METRICS["roc_auc"]
    assert paired_intervals([metric], truth, champion, candidate, confidence=0.95) == {}
    assert np.isnan(paired_estimate(metric, truth, champion, candidate)).all()
    assert np.isnan(intervals.estimate(metric, truth, candidate)).all()


def test_p_value_is_small_where_the_gain_is_below_the_margin() -> None:
    clearly, not_at_all, never, surely = (
        intervals.p_not_below(gain, error, df=50, margin=0.01)
        for gain, error in ((-0.1, 0.02), (0.0, 0.02), (0.0, 0.0), (-0.1, 0.0))
    )
    assert clearly < 0.001 and not_at_all > 0.5 and never == 1 and surely == 0


@pytest.mark.parametrize(
    ("df", "margin", "reach"),
    [(1e6, 0.021, 2.8016), pytest.param(5, 0.025, 2.5706 + 0.9195, id="Student's, of five degrees of freedom")],
)
def test_the_margin_that_is_advised_holds_the_chance_that_it_is_asked_for(
    df: float, margin: float, reach: float
) -> None:
    assert intervals.enough_margin(0.0123, df, 0.05) == margin
    assert 0.04 < intervals.chance_of_blocking_equal(0.0123, df, margin) <= 0.05
    assert intervals.smallest_detectable(0.0123, df, 0.95) == pytest.approx(reach * 0.0123, rel=1e-3)


def test_an_estimate_without_error_needs_no_margin() -> None:
    assert intervals.enough_margin(0.0, 10, 0.05) == 0 == intervals.chance_of_blocking_equal(0.0, 10, 0.01)
