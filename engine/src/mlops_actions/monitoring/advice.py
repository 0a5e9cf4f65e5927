"""What follows from live traffic: promote, watch on or stop."""

from collections.abc import Iterator, Sequence
from typing import Literal

from ..core.config import CanaryLimits
from .live_metrics import Judged
from .traffic import Traffic

Advice = Literal["promote", "watch", "stop"]


def advise(
    canary: Traffic | None,
    champion: Traffic | None,
    metrics: Sequence[Judged],
    limits: CanaryLimits,
    cut_off: str | None,
) -> tuple[Advice, str]:
    """Return what to do with the canary, and why in half a sentence; the first metric is the primary one."""
    if cut_off is not None:
        return "stop", f"the server cut it off: {cut_off}"
    for reason in _harms(canary, champion, metrics, limits):
        return "stop", reason
    for reason in _doubts(canary, champion, metrics, limits):
        return "watch", reason
    return "promote", f"{_bounded(metrics[0])}: {metrics[0].verdict}, and errors and latency are within their limits"


def _harms(
    canary: Traffic | None, champion: Traffic | None, metrics: Sequence[Judged], limits: CanaryLimits
) -> Iterator[str]:
    """Yield what is surely wrong with the canary."""
    if canary and canary.error_low > limits.max_error_rate:
        yield f"{_failed(canary)}, surely more than {limits.max_error_rate:g} of them may"
    if canary and champion and canary.latency_p95 and champion.latency_p95:
        ratio = canary.latency_p95 / champion.latency_p95
        if ratio > limits.max_latency_ratio and min(canary.requests, champion.requests) >= limits.requests:
            yield f"it takes {ratio:.3g} times as long as the champion (p95), where {limits.max_latency_ratio:g} may be"
    for metric in metrics:
        if metric.verdict == "worse":
            yield f"{_bounded(metric)}: worse by more than the margin of {metric.margin:g}"


def _doubts(
    canary: Traffic | None, champion: Traffic | None, metrics: Sequence[Judged], limits: CanaryLimits
) -> Iterator[str]:
    """Yield what is not known yet, or not good enough."""
    for side, name in ((canary, "it"), (champion, "the champion beside it")):
        if (requests := side.requests if side else 0) < limits.requests:
            yield f"{requests} of the {limits.requests} requests that are waited for have reached {name}"
    if canary and canary.error_rate > limits.max_error_rate:
        yield f"{_failed(canary)}, where {limits.max_error_rate:g} of them may"
    for metric in metrics:
        if metric.why:
            yield metric.why
    if metrics[0].verdict == "undecided":
        yield f"{_bounded(metrics[0])}: more truths will tell whether it is within the margin of {metrics[0].margin:g}"


def _failed(canary: Traffic) -> str:
    return f"{canary.errors:,} of its {canary.requests:,} requests failed"


def _bounded(metric: Judged) -> str:
    return f"the gain in {metric.name} is between {metric.low:+.4g} and {metric.high:+.4g}"
