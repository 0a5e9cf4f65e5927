"""The comparison: what is measured of both models, for the gate to rule on."""

from dataclasses import dataclass

import numpy as np

from ..core.config import Config
from ..core.paths import BUNDLE
from ..registry.outputs import output_file
from ..stages.evaluate import truth_of
from ..stats.intervals import Interval, p_not_below, paired_estimate, paired_intervals
from ..stats.metrics import Metric, align, metrics_of
from ..stats.own_metrics import named_metrics
from .champion import Champion
from .costs import measure_costs
from .plots import count_confusion, make_plots
from .redefined import redefined_metrics
from .report import ComparedRows, Confusion, Cost, MetricChange, Note, Plot, Redefined, Shift, Slice
from .rivals import Rivals, meet
from .slices import find_slices, judge_slices


@dataclass(frozen=True)
class Comparison:
    """What was measured of both models; `harms` has each guard metric's p-value, corrected with the slices'."""

    incomparable: str | None
    notes: list[Note]
    rows: ComparedRows
    metrics: list[MetricChange]
    intervals: dict[str, Interval]
    harms: dict[str, float]
    slices: list[Slice]
    costs: list[Cost]
    shifts: list[Shift]
    plots: list[Plot]
    confusion: Confusion | None
    redefined: list[Redefined] | None

    @property
    def compared(self) -> bool:
        """Whether there is a champion's answer to hold the candidate's against."""
        return any(metric.champion is not None for metric in self.metrics)


def compare_models(config: Config, champion: Champion | None) -> Comparison:
    """Return the working tree's model and the champion, measured on the test rows that neither was trained on.

    Raises:
        UserError: an object is in no store, or a metric or slice of params.yaml cannot be computed.
    """
    rivals = meet(config, champion)
    truth = truth_of(config, rivals.table[config.data.target])
    named = {metric.name: metric for metric in named_metrics(config)}
    measures = metrics_of(config.data.task) | named
    groups = groups_of(config, rivals)
    intervals: dict[str, Interval] = {}
    slices: list[Slice] = []
    harms: dict[str, float] = {}
    if rivals.champion is not None:
        pair = truth, rivals.champion, rivals.candidate
        intervals = paired_intervals(list(measures.values()), *pair, confidence=config.gate.confidence, groups=groups)
        guards = {name: (measures[name], margin) for name, margin in config.gate.guards.items()}
        harms = {
            name: p_not_below(*estimate, margin)
            for name, (measure, margin) in guards.items()
            if np.isfinite((estimate := paired_estimate(measure, *pair, groups))[0])
        }
        slices, harms = judge_slices(
            measures[config.gate.primary],
            *pair,
            find_slices(rivals.table, config.gate.slices, config.data.target),
            config.gate.slices.margin,
            config.gate.confidence,
            groups,
            harms,
        )
    return Comparison(
        incomparable=rivals.incomparable,
        notes=rivals.notes + notes_of(config, rivals, truth),
        rows=rivals.rows,
        metrics=_measured(list(measures.values()), truth, rivals, intervals),
        intervals=intervals,
        harms=harms,
        slices=slices,
        costs=costs_of(rivals, champion),
        shifts=rivals.shifts,
        plots=make_plots(truth, rivals.champion, rivals.candidate),
        confusion=count_confusion(truth, rivals.champion, rivals.candidate),
        redefined=redefined_metrics(config, champion, truth, rivals.champion),
    )


def groups_of(config: Config, rivals: Rivals) -> np.ndarray | None:
    """Return a number a row, the same for rows that are about the same thing by split.key; None where none is."""
    key = [name for name in config.split.key if name in rivals.table]
    if not key:
        return None
    groups = rivals.table.groupby(key, sort=False, dropna=False).ngroup().to_numpy()
    return groups if len(np.unique(groups)) < len(groups) else None


def notes_of(config: Config, rivals: Rivals, truth: np.ndarray) -> list[Note]:
    """Return what a reader must know of the rows and of the answers to trust the numbers."""
    ours, theirs = rivals.candidate, rivals.champion
    notes = []
    if ours.classes is not None:
        there = set(truth)
        known = set(ours.classes) if theirs is None or theirs.classes is None else set(theirs.classes)
        notes += [
            Note("absent_classes", [name for name in ours.classes if name not in there]),
            Note("new_classes", [name for name in ours.classes if name not in known]),
            Note("gone_classes", sorted(known - set(ours.classes))),
        ]
    models = [("candidate", ours), ("champion", theirs)]
    notes.append(
        Note(
            "constant",
            [name for name, predictions in models if predictions is not None and _is_constant(predictions.values)],
        )
    )
    return [note for note in notes if note.names]


def _is_constant(values: np.ndarray) -> bool:
    return len(values) > 1 and bool((values == values[0]).all())


def costs_of(rivals: Rivals, champion: Champion | None) -> list[Cost]:
    """Return what a use of each model costs."""
    theirs = output_file(BUNDLE, champion.commit) if champion else None
    return measure_costs(output_file(BUNDLE), theirs, rivals.bundle, rivals.features)


def _measured(
    measures: list[Metric], truth: np.ndarray, rivals: Rivals, intervals: dict[str, Interval]
) -> list[MetricChange]:
    models = align(truth, *filter(None, (rivals.champion, rivals.candidate)))
    changes = []
    for measure in measures:
        values = [_defined(measure.compute(truth, model)) for model in models]
        interval = intervals.get(measure.name)
        low, high = change_of(measure, interval) if interval else (None, None)
        champion = values[0] if len(models) == 2 else None
        changes.append(MetricChange(measure.name, measure.greater_is_better, champion, values[-1], low, high))
    return changes


def _defined(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def change_of(measure: Metric, interval: Interval) -> tuple[float, float]:
    """Return the interval of the change, candidate less champion, from that of the gain."""
    return (interval.low, interval.high) if measure.greater_is_better else (-interval.high, -interval.low)
