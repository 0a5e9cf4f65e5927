"""The gate: absolute thresholds, and not worse than the champion. Nothing but params.yaml loosens it."""

from ..config import Gate
from .report import Metric, Ruling


def rule(metrics: list[Metric], gate: Gate, compared: bool) -> list[Ruling]:
    """Return one ruling for each threshold and, when there was a champion to compare with, one for the primary metric.

    A metric that is undefined fails: an unknown value is not a good one.
    """
    by_name = {metric.name: metric for metric in metrics}
    rulings = [meets_threshold(by_name[name], limit) for name, limit in gate.thresholds.items()]
    if compared and gate.compare:
        rulings.append(not_worse(by_name[gate.primary], gate.margin))
    return rulings


def meets_threshold(metric: Metric, limit: float) -> Ruling:
    """Return whether the candidate is at least `limit`, or at most where less is better."""
    passed = metric.candidate is not None and _gain(metric.candidate, limit, metric) >= 0
    return Ruling(metric.name, passed, metric.candidate, None, limit)


def not_worse(metric: Metric, margin: float) -> Ruling:
    """Return whether the candidate is worse than the champion by no more than `margin`, in the metric's unit.

    This is the one seam for statistics: it sees one metric of both models and says whether the difference passes.
    A champion whose metric is undefined sets no bar.
    """
    champion = metric.champion
    passed = metric.candidate is not None and (champion is None or _gain(metric.candidate, champion, metric) >= -margin)
    return Ruling(metric.name, passed, metric.candidate, champion, margin)


def _gain(value: float, reference: float, metric: Metric) -> float:
    return value - reference if metric.greater_is_better else reference - value
