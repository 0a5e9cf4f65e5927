"""The project's own metrics where metrics.py is not the champion's: what the champion has by either file."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..core.config import Config
from ..core.errors import UserError
from ..core.git import check_out, run
from ..core.owner import module_path
from ..core.paths import METRICS
from ..stats.metrics import METRICS as BUILT_IN
from ..stats.metrics import Metric, Predictions
from ..stats.own_metrics import own_metrics
from .champion import Champion
from .changes import content_of
from .report import Redefined


def has_other_metrics(config: Config, champion: Champion) -> bool:
    """Return whether the champion's metrics.py is another file than this tree's."""
    file = module_path(config.root, "metrics")
    return run("diff", "--quiet", champion.commit, "--", file).returncode != 0


def redefined_metrics(
    config: Config, champion: Champion | None, truth: np.ndarray, predictions: Predictions | None
) -> list[Redefined] | None:
    """Return the champion's value of each own metric by its metrics.py and by this one; None where they are the same.

    Args:
        config: the project.
        champion: what the candidate is compared with.
        truth: the truth about the rows that decide.
        predictions: the champion's for these rows; None where it could not be run.
    """
    if champion is None or not has_other_metrics(config, champion):
        return None
    if predictions is None:
        return []
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        check_out(champion.commit, home)
        before = _values(config.model_copy(update={"root": home}), truth, predictions)
    now = _values(config, truth, predictions)
    return [Redefined(name, before.get(name), now.get(name)) for name in dict.fromkeys([*now, *before])]


def redefined_for_same_model(champion: Champion) -> list[Redefined]:
    """Return the same for a candidate of the champion's bytes, out of the metrics.json that each file gave."""
    now, before = (_own(content_of(METRICS, commit)) for commit in (None, champion.commit))
    return [Redefined(name, before.get(name), now.get(name)) for name in dict.fromkeys([*now, *before])]


def _own(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name not in BUILT_IN}


def _values(config: Config, truth: np.ndarray, predictions: Predictions) -> dict[str, float | None]:
    try:
        metrics = own_metrics(config)
    except UserError:  # the champion's file, under today's libraries
        return {}
    return {name: _value(metric, truth, predictions) for name, metric in metrics.items()}


def _value(metric: Metric, truth: np.ndarray, predictions: Predictions) -> float | None:
    try:
        value = metric.compute(truth, predictions.with_classes_of(truth))
    except UserError:
        return None
    return float(value) if np.isfinite(value) else None
