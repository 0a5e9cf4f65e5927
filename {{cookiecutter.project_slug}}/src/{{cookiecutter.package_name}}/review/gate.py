"""The gate: absolute thresholds, and not worse than the champion. Nothing but params.yaml loosens it."""

from ..config import Gate
from .report import Metric, Ruling


def rule(metrics: list[Metric], gate: Gate) -> list[Ruling]:
    """Return one ruling for each threshold and, where a champion was measured too, one for the primary metric.

    A metric that is undefined for the candidate fails: an unknown value is not a good one.
    """
    by_name = {metric.name: metric for metric in metrics}
    rulings = [meets_threshold(by_name[name], limit) for name, limit in gate.thresholds.items()]
    primary = by_name[gate.primary]
    if primary.candidate is None or (gate.compare and primary.champion is not None):
        rulings.append(not_worse(primary, gate.margin))
    return rulings


def meets_threshold(metric: Metric, limit: float) -> Ruling:
    """Return whether the candidate is at least `limit`, or at most where less is better."""
    passed = metric.candidate is not None and _gain(metric, metric.candidate, limit) >= 0
    return Ruling(metric.name, passed, metric.candidate, None, limit)


def not_worse(metric: Metric, margin: float) -> Ruling:
    """Return whether the candidate is worse than the champion by no more than `margin`, in the metric's unit.

    This is the one seam for statistics: it sees one metric of both models and says whether the difference passes.
    """
    candidate, champion = metric.candidate, metric.champion
    passed = candidate is not None and (champion is None or _gain(metric, candidate, champion) >= -margin)
    return Ruling(metric.name, passed, candidate, champion, margin)


def _gain(metric: Metric, value: float, reference: float) -> float:
    return value - reference if metric.greater_is_better else reference - value
