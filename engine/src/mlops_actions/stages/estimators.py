"""Estimators by the name that params.yaml gives them, with their parameters checked before anything runs."""

import importlib
import inspect
from typing import Any

from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier

from ..core.config import Model, Task
from ..core.errors import GROUPS, UserError, need
from ..core.nearest import did_you_mean
from ..core.owner import loaded_package

SHORT_NAMES = {
    ("classification", "logistic"): "sklearn.linear_model.LogisticRegression",
    ("classification", "random_forest"): "sklearn.ensemble.RandomForestClassifier",
    ("classification", "hist_gradient_boosting"): "sklearn.ensemble.HistGradientBoostingClassifier",
    ("classification", "xgboost"): "xgboost.XGBClassifier",
    ("classification", "xgboost_dask"): "xgboost.XGBClassifier",
    ("regression", "linear"): "sklearn.linear_model.Ridge",
    ("regression", "random_forest"): "sklearn.ensemble.RandomForestRegressor",
    ("regression", "hist_gradient_boosting"): "sklearn.ensemble.HistGradientBoostingRegressor",
    ("regression", "xgboost"): "xgboost.XGBRegressor",
    ("regression", "xgboost_dask"): "xgboost.XGBRegressor",
}


def make_estimator(settings: Model, task: Task, defaults: dict[str, dict[str, Any]]) -> BaseEstimator:
    """Return the estimator of params.yaml, unfitted: it takes class names and gives probabilities, where it classifies.

    Args:
        settings: the section `model` of params.yaml: its params win over the defaults, its seed is the random state.
        task: classification or regression.
        defaults: parameters by the estimator's name in params.yaml.

    Raises:
        UserError: there is no such estimator of this task, or it has no such parameter.

    Examples:
        >>> from mlops_actions.api import Model
        >>> settings = Model(estimator="logistic", params={"C": 0.5})
        >>> make_estimator(settings, "classification", {"logistic": {"max_iter": 900}})
        LogisticRegression(C=0.5, max_iter=900, random_state=0)
    """
    kind = _find(settings.estimator, task)
    known = parameters_of(kind)
    for name in settings.params:
        if name not in known:
            cure = did_you_mean(name, known, f"it takes {', '.join(known)}.")
            raise UserError(f"params.yaml: model.params.{name} is not a parameter of {kind.__name__}; {cure}")
    params = defaults.get(settings.estimator, {}) | settings.params
    if "random_state" in known:
        params = {"random_state": settings.seed} | params
    try:
        estimator = kind(**params)
    except TypeError as error:
        raise UserError(f"params.yaml: model.params: {error}.") from None
    fits = is_classifier(estimator) if task == "classification" else is_regressor(estimator)
    if not fits:
        raise UserError(f"params.yaml: model.estimator: {kind.__name__} does not do {task}; choose one that does.")
    if task == "classification" and not hasattr(estimator, "predict_proba"):
        return CalibratedClassifierCV(estimator, ensemble=False)
    if kind.__name__ == "XGBClassifier":  # it takes classes as numbers only: a vote of one numbers them
        return VotingClassifier([("xgboost", estimator)], voting="soft", flatten_transform=False)
    return estimator


def parameters_of(kind: type[BaseEstimator]) -> list[str]:
    """Return the names of an estimator's parameters, those that it passes on to the class it extends among them.

    Examples:
        >>> from sklearn.linear_model import Ridge
        >>> parameters_of(Ridge)[:2]
        ['alpha', 'fit_intercept']
    """
    names: list[str] = []
    for base in kind.__mro__:
        parameters = inspect.signature(base.__init__).parameters.values()  # type: ignore[misc]
        names += [
            parameter.name
            for parameter in parameters
            if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        ]
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return [name for name in dict.fromkeys(names) if name != "self"]


def _find(name: str, task: Task) -> type[BaseEstimator]:
    short = [key for kind, key in SHORT_NAMES if kind == task]
    path = SHORT_NAMES.get((task, name), name)
    if "." not in path:
        elsewhere = any(name == key for _, key in SHORT_NAMES)
        problem = f"{name!r} does not do {task}" if elsewhere else f"{name!r} is not known"
        raise UserError(
            f"params.yaml: model.estimator: {problem}; use {', '.join(short)}, or the dotted path of a "
            "scikit-learn class."
        )
    module, _, attribute = path.rpartition(".")
    if module.partition(".")[0] in GROUPS:
        need(module, f"params.yaml: model.estimator {name}")
    try:
        estimator = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"params.yaml: model.estimator: cannot import {name!r} ({error}); correct the path.") from None
    if not (inspect.isclass(estimator) and issubclass(estimator, BaseEstimator)):
        raise UserError(f"params.yaml: model.estimator: {name!r} is not a scikit-learn estimator; correct the path.")
    library = estimator.__module__.partition(".")[0]
    if library not in ("sklearn", "xgboost", loaded_package()):
        raise UserError(
            f"params.yaml: model.estimator: a model of {library} cannot be kept as a file that is safe to load; use "
            f"{', '.join(short)}, or a class of scikit-learn."
        )
    return estimator
