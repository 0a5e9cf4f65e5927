"""How rarely the canary report is wrong, however often one looks: simulations of somebody who looks at every batch."""

from dataclasses import dataclass

import numpy as np
import pytest
from mlops_actions.stats.intervals import estimate, quantile
from mlops_actions.stats.metrics import find_metric
from mlops_actions.stats.sequential import Sample, compare_independent, compare_paired
from traffic import make_population

METRICS = {
    "accuracy": "classification",
    "f1": "classification",
    "roc_auc": "classification",
    "average_precision": "classification",
    "log_loss": "classification",
    "rmse": "regression",
}
LOOKS = [100, 200, 300, 400, 600, 800, 1000, 1200, 1600, 2000, 2400]
FEWER = [100, 200, 300, 400, 600, 800, 1200, 1600]  # for a run that goes through all of them
WAITED_FOR = 100


@dataclass
class Watch:
    """What somebody finds who looks at a canary at each of some looks."""

    passed: bool = False  # not worse, by the interval that allows to look
    peeked: bool = False  # not worse, by an interval for one look
    lost: bool = False  # an interval without the truth
    found_at: float = np.inf  # the truths at which it found what is the case


def watch(metric: str, case: str, runs: int, looks: list[int]) -> list[Watch]:
    """Look at a canary after each batch of truths, again and again.

    The margin is the difference between two models. In the case `bad` the canary is worse by exactly it, in `good`
    better by it, and in `awful` worse by it where the margin is an eighth of that; `shadow` is `bad` on the same rows.
    """
    task = METRICS[metric]
    truth, good, worse = make_population(task)
    measure = find_metric(metric, task)
    before, now = (worse, good) if case == "good" else (good, worse)
    gain = estimate(measure, truth, now)[0] - estimate(measure, truth, before)[0]
    margin = abs(gain) / (8 if case == "awful" else 1)
    compare = compare_paired if case == "shadow" else compare_independent
    random = np.random.default_rng(1)
    watches = []
    for _ in range(runs):
        rows = random.integers(len(truth), size=(2, looks[-1]))
        done = Watch()
        for look in looks:
            one, other = rows[0, :look], rows[0 if case == "shadow" else 1, :look]
            samples = Sample(truth[one], before.take(one)), Sample(truth[other], now.take(other))
            interval = compare(measure, *samples, 0.95, WAITED_FOR)
            assert interval is not None
            done.passed |= interval.low >= -margin
            done.peeked |= interval.gain - quantile(0.95, interval.df) * interval.error >= -margin
            done.lost |= not interval.low <= gain <= interval.high
            if interval.low > 0 if case == "good" else interval.high < -margin:
                done.found_at = min(done.found_at, look)
            if case in ("good", "awful") and np.isfinite(done.found_at):
                break
        watches.append(done)
    return watches


def share(watches: list[Watch], what: str) -> float:
    return float(np.mean([getattr(one, what) for one in watches]))


@pytest.mark.parametrize(("metric", "case", "runs"), [
    *((metric, "bad", 120 if metric == "rmse" else 60) for metric in METRICS),
    *((metric, "shadow", 40) for metric in ("accuracy", "roc_auc", "log_loss")),
])  # fmt: skip
def test_who_looks_after_every_batch_is_rarely_misled(metric: str, case: str, runs: int) -> None:
    watches = watch(metric, case, runs, FEWER)
    assert share(watches, "passed") <= 0.05, "it is worse by the margin, and passed as not worse at some look"
    assert share(watches, "lost") <= 0.05, "an interval of 95 % holds the truth at every look"
    assert share(watches, "peeked") > 0.05, "an interval for one look is not made for many: else this could not fail"


@pytest.mark.parametrize("metric", METRICS)
def test_a_real_improvement_is_found(metric: str) -> None:
    found_at = [one.found_at for one in watch(metric, "good", 20, LOOKS)]
    assert np.isfinite(found_at).mean() >= 0.9 and np.median(found_at) <= 1000


@pytest.mark.parametrize("metric", METRICS)
def test_a_real_harm_is_found(metric: str) -> None:
    watches = watch(metric, "awful", 20, LOOKS)
    found_at = [one.found_at for one in watches]
    assert np.isfinite(found_at).mean() >= 0.7 and np.median(found_at) <= 2000
    assert share(watches, "passed") == 0
