"""Which estimator learns, and what its columns go through. Yours to edit."""

import difflib
import importlib
import inspect

from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.utils import get_tags

from .config import Model, Task
from .errors import UserError

SHORT_NAMES = {
    ("classification", "logistic"): "sklearn.linear_model.LogisticRegression",
    ("classification", "random_forest"): "sklearn.ensemble.RandomForestClassifier",
    ("classification", "hist_gradient_boosting"): "sklearn.ensemble.HistGradientBoostingClassifier",
    ("regression", "linear"): "sklearn.linear_model.LinearRegression",
    ("regression", "random_forest"): "sklearn.ensemble.RandomForestRegressor",
    ("regression", "hist_gradient_boosting"): "sklearn.ensemble.HistGradientBoostingRegressor",
}
DEFAULTS = {"logistic": {"max_iter": 1000}}


def build_model(settings: Model, numeric: list[str], categorical: list[str], task: Task) -> Pipeline:
    """The unfitted pipeline: columns prepared the way the estimator needs, then the estimator.

    Trees see raw float32 numbers and category codes: scaling before them, or the native categories of
    histogram gradient boosting, would make the ONNX model answer differently. Everything else sees scaled
    numbers and one-hot categories.
    """
    estimator = make_estimator(settings, task)
    path = type(estimator).__module__
    boosting = "hist_gradient_boosting" in path
    if path.startswith(("sklearn.ensemble", "sklearn.tree")):
        numbers = "passthrough" if boosting else _impute()
        categories = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, dtype="float32")
    else:
        numbers = make_pipeline(_impute(), StandardScaler())
        categories = OneHotEncoder(handle_unknown="ignore", dtype="float32")
    # Sparse where the estimator can take it, so that a category of many values does not fill the memory.
    sparse = 0.3 if get_tags(estimator).input_tags.sparse else 0.0
    columns = ColumnTransformer(
        [("numbers", numbers, numeric), ("categories", categories, categorical)], sparse_threshold=sparse
    )
    return Pipeline([("columns", columns), ("estimator", estimator)])


def make_estimator(settings: Model, task: Task) -> BaseEstimator:
    """The estimator of params.yaml with its parameters and the seed; a classifier gives probabilities."""
    kind = _find(settings.estimator, task)
    known = list(inspect.signature(kind).parameters)
    for name in settings.params:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            cure = f"did you mean {close[0]}?" if close else f"it takes {', '.join(known)}."
            raise UserError(f"params.yaml: model.params.{name} is not a parameter of {kind.__name__}; {cure}")
    params = DEFAULTS.get(settings.estimator, {}) | settings.params
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
    return estimator


def _impute() -> SimpleImputer:
    return SimpleImputer(strategy="median", keep_empty_features=True)


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
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"params.yaml: model.estimator: cannot import {name!r} ({error}); correct the path.") from None
    if not (inspect.isclass(found) and issubclass(found, BaseEstimator)):
        raise UserError(f"params.yaml: model.estimator: {name!r} is not a scikit-learn estimator; correct the path.")
    return found
