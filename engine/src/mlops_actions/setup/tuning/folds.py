"""Folds that keep the discipline of the split: groups stay together, and the past predicts the future."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, TimeSeriesSplit

from ...core.config import Config
from ...core.errors import UserError
from ...data.values import as_span
from ...stages.split import combine, words_of

Fold = tuple[np.ndarray, np.ndarray]


def make_folds(config: Config, rows: pd.DataFrame, target: pd.Series) -> list[Fold]:
    """Return the positions to fit and to judge on, for each of tune.folds; the same for the same rows.

    `rows` holds what the split looks at, split.key or split.column. Nothing is shuffled: rows lie in hash order.

    Raises:
        UserError: the rows do not give so many folds.
    """
    folds, split = config.tune.folds, config.split
    classifies = config.data.task == "classification"
    if split.method == "time":
        return _by_time(rows[split.column or ""], folds, split.gap)
    groups = combine(words_of(rows[split.key])) if split.key else None
    few = len(target) if groups is None else len(np.unique(groups))
    if few < folds:
        raise UserError(f"params.yaml: tune.folds is {folds}, but there are {few} rows or groups; lower it.")
    chosen: Any
    if groups is not None:
        rare = not classifies or target.value_counts().max() < folds
        chosen = GroupKFold(folds) if rare else StratifiedGroupKFold(folds)
    else:
        rare = not classifies or target.value_counts().min() < folds
        chosen = KFold(folds) if rare else StratifiedKFold(folds)
    return [*chosen.split(np.zeros(len(target)), target, groups)]


def _by_time(values: pd.Series, folds: int, gap: float | str | None) -> list[Fold]:
    """Return each fold's rows are judged by what was known before the first of them, less the gap."""
    width = as_span(gap) if isinstance(gap, str) else gap
    times = values.to_numpy()
    order = np.argsort(times, kind="stable")
    made = []
    for train, test in TimeSeriesSplit(folds).split(order) if len(order) > folds else ():
        start = values.iloc[order[test[0]]]
        limit = start if width is None else start - width
        known = order[train][(values.iloc[order[train]] < limit).to_numpy()]
        if len(known):
            made.append((known, order[test]))
    if len(made) < 2:
        raise UserError(
            f"params.yaml: tune.folds: {values.name!r} gives no {folds} folds with rows before each; lower it or "
            "shorten split.gap."
        )
    return made
