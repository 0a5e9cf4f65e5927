"""The gate: what passes, and what it says of each rule. Nothing but params.yaml loosens it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..core.config import Gate
from ..stats.verdict import Verdict, passes, verdict
from .report import Cost, MetricChange, Ruling

if TYPE_CHECKING:
    from .compare import Comparison


def rule(comparison: "Comparison", gate: Gate) -> list[Ruling]:
    """Return a ruling for each threshold, the primary metric, each guard, each slice that collapsed, each cost limit.

    A metric that is undefined for the candidate fails: an unknown value is not a good one.
    """
    metrics = {metric.name: metric for metric in comparison.metrics}
    rulings = [meets_threshold(metrics[name], limit) for name, limit in gate.thresholds.items()]
    if comparison.compared and gate.compare:
        rulings += _against_champion(comparison, metrics, gate)
    elif metrics[gate.primary].candidate is None:
        rulings.append(Ruling("champion", gate.primary, False, "undefined", None, None, gate.margin))
    return rulings + [stays_below(cost, limit) for cost in comparison.costs if (limit := limit_of(cost, gate))]


def _against_champion(comparison: "Comparison", metrics: dict[str, MetricChange], gate: Gate) -> Iterator[Ruling]:
    yield not_worse(comparison, metrics[gate.primary], gate)
    for name, margin in gate.guards.items():
        yield guard(comparison, metrics[name], margin, gate.confidence)
    for part in comparison.slices:
        if part.collapsed:
            yield Ruling("slice", part.name, False, "worse", part.candidate, part.champion, gate.slices.margin)


def meets_threshold(metric: MetricChange, limit: float) -> Ruling:
    """Return whether the candidate is at least `limit`, or at most where less is better."""
    value = metric.candidate
    passed = value is not None and (value >= limit if metric.greater_is_better else value <= limit)
    return Ruling("threshold", metric.name, passed, None, value, None, limit)


def not_worse(comparison: "Comparison", metric: MetricChange, gate: Gate) -> Ruling:
    """Return the verdict on the primary metric: a non-inferiority test with the margin that params.yaml states."""
    ruling: Verdict = "undefined"
    passed = metric.candidate is not None
    if interval := comparison.intervals.get(metric.name):
        ruling = verdict(interval.low, interval.high, gate.margin)
        passed = passes(ruling, interval.gain, gate.margin, gate.undecided)
    return Ruling("champion", metric.name, passed, ruling, metric.candidate, metric.champion, gate.margin)


def guard(comparison: "Comparison", metric: MetricChange, margin: float, confidence: float) -> Ruling:
    """Return the verdict on a guard metric, which fails where the harm is proved beyond its margin.

    Its p-value is corrected together with those of the slices: who looks many times finds something by chance.
    """
    ruling: Verdict = "undefined"
    passed = metric.candidate is not None
    if interval := comparison.intervals.get(metric.name):
        ruling = verdict(interval.low, interval.high, margin)
        passed = comparison.harms[metric.name] >= 1 - confidence
        ruling = "worse" if not passed else "undecided" if ruling == "worse" else ruling
    return Ruling("guard", metric.name, passed, ruling, metric.candidate, metric.champion, margin)


def limit_of(cost: Cost, gate: Gate) -> float | None:
    """Return what params.yaml allows for a measured cost, None where it sets no limit."""
    return None if cost.candidate is None else getattr(gate.limits, cost.name)


def stays_below(cost: Cost, limit: float) -> Ruling:
    """Return whether the candidate costs no more than `limit`."""
    value = cost.candidate
    return Ruling("cost", cost.name, value is not None and value <= limit, None, value, cost.champion, limit)
