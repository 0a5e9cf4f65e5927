"""What an estimator is told of the target: how much each row counts, and the scale on which it learns numbers."""

import inspect
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.preprocessing import PowerTransformer

from ..core.config import Config, Model
from ..core.errors import UserError
from ..core.nearest import did_you_mean


def weigh_rows(config: Config, target: pd.Series, given: pd.Series | None) -> np.ndarray | None:
    """Return how much each row to train on counts: data.weight times what its class weighs; None where all are 1.

    A class's weight multiplies the rows' own, as scikit-learn's estimators do it that know class weights. `balanced`
    gives every class the same sum: rows / (classes × rows of the class).
    """
    classes = _class_weights(config.model, target)
    if classes is None and given is None:
        return None
    weights = np.ones(len(target)) if given is None else given.to_numpy("float64")
    if classes is not None:
        weights = weights * target.map(classes).to_numpy("float64")
    if not weights.sum() > 0:
        raise UserError(f"{config.data.path}: data.weight is 0 in every row to train on; give some of them a weight.")
    return weights


def check_weighable(estimator: BaseEstimator, settings: Model) -> None:
    """Refuse weights for an estimator that takes none, itself or what it wraps."""
    inner: Any = estimator
    while inner is not None:
        if "sample_weight" not in inspect.signature(inner.fit).parameters and not _wrapped(inner):
            knob = "data.weight" if settings.class_weight is None else "model.class_weight"
            raise UserError(
                f"params.yaml: {knob}: {type(inner).__name__} takes no weights; set it to null, or choose another "
                "model.estimator."
            )
        inner = _wrapped(inner)


def check_plain(config: Config) -> None:
    """Refuse weights and transforms for training on Dask, which has none of them."""
    model = config.model
    knobs = {"data.weight": config.data.weight, "class_weight": model.class_weight, "transform": model.transform}
    for knob, value in knobs.items():
        if value is not None:
            where = knob if "." in knob else f"model.{knob}"
            raise UserError(f"params.yaml: {where} is not for {model.estimator}; set it to null, or use xgboost.")


def on_scale(estimator: BaseEstimator, transform: str | None, target: pd.Series) -> BaseEstimator:
    """Return the estimator, learning and answering through a transform of the target if there is one."""
    if transform is None:
        return estimator
    if transform == "yeo-johnson":
        return TransformedTargetRegressor(estimator, transformer=PowerTransformer("yeo-johnson"))
    if (low := target <= -1).any():
        raise UserError(
            f"params.yaml: model.transform log1p needs a target above -1, but {int(low.sum()):,} rows to train on have "
            f"less, such as {target[low].iloc[0]:g}; use yeo-johnson."
        )
    return TransformedTargetRegressor(estimator, func=np.log1p, inverse_func=np.expm1, check_inverse=False)


def check_scale(estimator: BaseEstimator) -> None:
    """Refuse a fitted transform whose inverse has an end, unless trees use it: they answer what they saw."""
    lambdas = getattr(getattr(estimator, "transformer_", None), "lambdas_", None)
    trees = type(getattr(estimator, "regressor_", None)).__module__.startswith(("sklearn.ensemble", "sklearn.tree"))
    if lambdas is not None and not 0 <= lambdas[0] <= 2 and not trees:
        raise UserError(
            f"params.yaml: model.transform yeo-johnson (lambda {lambdas[0]:.2f}) cannot be undone for every answer of "
            f"{type(estimator.regressor_).__name__}; use log1p, or an estimator of trees."
        )


def _class_weights(settings: Model, target: pd.Series) -> dict[str, float] | None:
    if settings.class_weight is None:
        return None
    counts = target.value_counts()
    if settings.class_weight == "balanced":
        return {str(name): len(target) / (len(counts) * count) for name, count in counts.items()}
    names = [str(name) for name in counts.index]
    for name in settings.class_weight:
        if name not in names:
            cure = did_you_mean(repr(name), map(repr, names), f"the classes are {', '.join(sorted(names)[:20])}.")
            raise UserError(f"params.yaml: model.class_weight names {name!r}, which is no class; {cure}")
    return dict.fromkeys(names, 1.0) | settings.class_weight


def _wrapped(estimator: Any) -> Any:
    """Return the estimator inside a calibration, a vote or a transform; None if it is none of them."""
    several = getattr(estimator, "estimators", None)
    inner = several[0][1] if isinstance(several, list) and several else getattr(estimator, "estimator", None)
    return inner if hasattr(inner, "fit") else None
