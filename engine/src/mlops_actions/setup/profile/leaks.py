"""Columns that alone predict the target almost perfectly: they are most likely known only after the outcome."""

import warnings

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ...core.config import Task
from ...stats.metrics import METRICS, Predictions

ROWS, FEWEST = 5_000, 100
FOLDS = 3
LEVELS = 50  # categories told apart, the most frequent first
AREA, SHARE = 0.995, 0.999  # of ROC AUC and of R²


def find_leaks(rows: pd.DataFrame, target: pd.Series, task: Task, groups: pd.Series | None = None) -> dict[str, str]:
    """For each suspected column of typed rows, how well a tree of it alone predicts rows that it was not fitted to.

    Rows of one group, if there are groups, are never on both sides: what identifies a customer would seem to predict
    all that is the same for a customer.
    """
    step = max(1, len(rows) // ROWS)
    rows, target = rows.iloc[::step], target.iloc[::step]
    fewest = target.value_counts().min() if task == "classification" else FOLDS
    if len(rows) < FEWEST or fewest < FOLDS:
        return {}
    by = groups.iloc[::step] if groups is not None and groups.iloc[::step].nunique() >= FOLDS else None
    folds = GroupKFold(FOLDS) if by is not None else KFold(FOLDS, shuffle=True, random_state=0)
    codes = None if by is None else pd.factorize(by)[0]
    truth = target.to_numpy(object if task == "classification" else "float64")
    leaks = {}
    for name, values in rows.items():
        score = _score(_as_matrix(values), truth, task, folds, codes)
        if score > (AREA if task == "classification" else SHARE):
            measure = "ROC AUC" if task == "classification" else "R²"
            leaks[str(name)] = f"a suspected leak: alone it predicts the target ({measure} {min(score, 1):.4f})"
    return leaks


def _score(matrix: np.ndarray, truth: np.ndarray, task: Task, folds: object, groups: np.ndarray | None) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if task == "classification":
            classes = sorted(set(truth))
            tree = DecisionTreeClassifier(min_samples_leaf=3, random_state=0)
            predicted = cross_val_predict(tree, matrix, truth, cv=folds, groups=groups, method="predict_proba")
            return METRICS["roc_auc"].compute(truth, Predictions(predicted, classes))
        tree = DecisionTreeRegressor(random_state=0)
        predicted = cross_val_predict(tree, matrix, truth, cv=folds, groups=groups)
        spread = np.sum((truth - truth.mean()) ** 2)
        # A tree is too coarse for a rising function of the target, such as its logarithm; ranks show it.
        ranks = np.corrcoef(pd.Series(matrix[:, 0]).rank(), pd.Series(truth).rank())[0, 1] ** 2
        return max(1 - np.sum((truth - predicted) ** 2) / spread, ranks if np.isfinite(ranks) else 0)


def _as_matrix(values: pd.Series) -> np.ndarray:
    if isinstance(values.dtype, pd.StringDtype):
        often = values.value_counts().index[:LEVELS]
        return often.get_indexer(pd.Index(values)).astype("float32")[:, None]
    if values.dtype.kind == "M":
        values = (values - pd.Timestamp("2000-01-01")) / pd.Timedelta(days=1)
    numbers = values.to_numpy("float64", na_value=np.nan)
    return np.nan_to_num(numbers, nan=np.nanmin(numbers, initial=0) - 1)[:, None]
