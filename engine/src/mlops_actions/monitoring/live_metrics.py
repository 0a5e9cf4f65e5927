"""The metrics of champion and canary, on the live rows whose truth arrived."""

from dataclasses import dataclass, replace

import numpy as np

from ..core.config import Config
from ..stats.metrics import find_metric
from ..stats.own_metrics import own_metrics
from ..stats.sequential import Sample, compare_independent, compare_paired, why_not
from ..stats.verdict import Verdict, verdict
from .logged_answers import number_groups, read_truths
from .traffic import Challenger, Window


@dataclass(frozen=True)
class Judged:
    """One metric of both versions; `gain` is how much better the canary is, None where `why` says why it is not known.

    `low` and `high` bound it at every look at once, with this metric's `confidence`.
    """

    name: str
    greater_is_better: bool
    margin: float
    confidence: float
    champion: float | None = None
    canary: float | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    method: str | None = None
    verdict: Verdict = "undefined"
    why: str | None = None


def judge_metrics(config: Config, window: Window, role: Challenger, paired: bool) -> tuple[list[Judged], int]:
    """Return the primary metric and then the guards, and how many truths say nothing.

    Args:
        config: the project.
        window: the rows that are comparable.
        role: what the version that is not the champion is.
        paired: whether to judge it on the champion's own rows, as a shadow, instead of on its own.
    """
    champion, canary, unusable = _sample(config, window, paired)
    gate = config.gate
    asked = [Judged(gate.primary, _rises(config, gate.primary), gate.margin, gate.confidence)]
    shared = 1 - (1 - gate.confidence) / max(1, len(gate.guards))  # Bonferroni's: each guard may raise the alarm
    asked += [Judged(name, _rises(config, name), margin, shared) for name, margin in gate.guards.items()]
    return [_judge(config, metric, champion, canary, role, paired) for metric in asked], unusable


def _sample(config: Config, window: Window, paired: bool) -> tuple[Sample, Sample, int]:
    """Return both samples of the rows that have an answer and a truth, and how many truths say nothing.

    Those are no number, or no class that either version knows.
    """
    sides = [side[window.told(side) & window.answered(side)] for side in (_pair(window) if paired else _part(window))]
    rows, cut = np.concatenate(sides), len(sides[0])
    predictions = window.answers.take(rows).predictions(config.data.positive)
    truth = read_truths(window.rows["truth"].iloc[rows], predictions.classes)
    if predictions.classes is None:
        usable = np.isfinite(predictions.values) & np.isfinite(truth)
    else:
        usable = np.isfinite(predictions.values.sum(axis=1)) & (truth != "")
    if paired:
        usable = np.tile(usable[:cut] & usable[cut:], 2)
    keys = window.rows["key"].iloc[rows]

    def take(some: np.ndarray) -> Sample:
        return Sample(truth[some], predictions.take(some), number_groups(keys.iloc[some]))

    champion, canary = take(np.flatnonzero(usable[:cut])), take(cut + np.flatnonzero(usable[cut:]))
    return champion, canary, int((~usable).sum()) // (2 if paired else 1)


def _part(window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Return the answers that the champion's users received, and those that the canary's did.

    Where the canary failed it is the champion's answer: else a canary would look good by failing on what is hard.
    """
    canary = window.roles["canary"]
    _, rescued = window.match(canary, window.rescued)
    return window.roles["champion"], np.concatenate([canary[window.answered(canary)], rescued])


def _pair(window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Return the champion's and the shadow's answers to the same rows; the champion's where the shadow failed."""
    champion, shadow = window.match(window.roles["champion"], window.roles["shadow"])
    answered = window.answered(champion)
    champion, shadow = champion[answered], shadow[answered]
    return champion, np.where(window.answered(shadow), shadow, champion)


def _rises(config: Config, name: str) -> bool:
    return find_metric(name, config.data.task, own_metrics(config)).greater_is_better


def _judge(config: Config, asked: Judged, champion: Sample, canary: Sample, role: Challenger, paired: bool) -> Judged:
    metric, waited_for = find_metric(asked.name, config.data.task, own_metrics(config)), config.serving.canary.truths
    if why := why_not(metric, champion, canary, waited_for, role):
        return replace(asked, why=why)
    values = [float(metric.compute(sample.truth, sample.said)) for sample in (champion, canary)]
    compare = compare_paired if paired else compare_independent
    comparison = compare(metric, champion, canary, asked.confidence, waited_for) if np.isfinite(values).all() else None
    if comparison is None:
        return replace(asked, why=f"{asked.name} or its error is not defined on the rows whose truth arrived")
    return replace(
        asked,
        champion=values[0],
        canary=values[1],
        gain=comparison.gain,
        low=comparison.low,
        high=comparison.high,
        method=comparison.method,
        verdict=verdict(comparison.low, comparison.high, asked.margin),
    )
