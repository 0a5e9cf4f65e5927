"""Which estimator learns, and what its columns go through. Yours to edit."""

from typing import Any

from mlops_actions.api import Columns, Model, Task, make_estimator
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
from sklearn.utils import get_tags


def defaults(rows: int) -> dict[str, dict[str, Any]]:
    """Return what an estimator gets where model.params says nothing: the libraries' values fit too much on few rows."""
    size = 0 if rows < 3000 else 1 if rows < 10_000 else 2
    boosted = {"n_estimators": 200, "learning_rate": 0.05, "max_depth": (3, 4, 6)[size], "colsample_bynode": 0.5}
    return {
        "logistic": {"max_iter": 1000},
        "random_forest": {"min_samples_leaf": 3},
        "hist_gradient_boosting": {
            "max_iter": 200,
            "learning_rate": 0.05,
            "max_leaf_nodes": (8, 16, 31)[size],
            "min_samples_leaf": 5,
            "l2_regularization": 1.0,
            "max_features": 0.5,
        },
        "xgboost": boosted,
        "xgboost_dask": boosted,
    }


def build_model(settings: Model, columns: Columns, task: Task, classes: int = 2) -> Pipeline:
    """Return the unfitted pipeline: columns prepared the way the estimator needs, then the estimator.

    Trees see raw float32 numbers: scaling before them, or the native categories of histogram gradient boosting, would
    make the ONNX model answer differently. Everything else sees scaled numbers. The name of each part is what `mlops
    train` prints of it. A value that is not in a category's list, rare or never seen, is all zeros, the mean or -1.
    """
    estimator = make_estimator(settings, task, defaults(columns.rows))
    path = f"{settings.estimator} {type(estimator).__module__}"
    boosting = "hist_gradient_boosting" in path or "xgboost" in path
    parts: list[tuple[str, Any, Any]] = []
    if boosting:
        parts.append(("numbers as they are", "passthrough", columns.numbers))
    elif " sklearn.ensemble" in path or " sklearn.tree" in path:
        parts.append(("numbers with the median for missing", _impute(), columns.numbers))
    else:
        parts.append(("numbers scaled", make_pipeline(_impute(), StandardScaler()), columns.numbers))
    trees = parts[0][0] != "numbers scaled"
    one_hot = OneHotEncoder(categories=[*columns.few.values()], handle_unknown="ignore", dtype="float32")
    parts.append(("categories with a column for each value", one_hot, [*columns.few]))
    many, values = [*columns.many], [*columns.many.values()]
    if not trees:
        each = OneHotEncoder(categories=values, handle_unknown="ignore", dtype="float32")
        parts.append(("categories with a column for each frequent value", each, many))
    elif classes > 2:  # ONNX has no mean target of several classes
        codes = OrdinalEncoder(categories=values, handle_unknown="use_encoded_value", unknown_value=-1, dtype="float32")
        parts.append(("categories of many values as codes", codes, many))
    else:
        kind = "binary" if task == "classification" else "continuous"
        folds = KFold(5, shuffle=True, random_state=settings.seed)
        means = TargetEncoder(categories=values, target_type=kind, cv=folds)
        parts.append(("categories of many values by their mean target", means, many))
    for number, (name, words) in enumerate(columns.texts.items(), 1):
        parts.append((f"text {number} by its frequent words (TF-IDF)", TfidfVectorizer(vocabulary=words), name))
    # Sparse where the estimator can take it, so that a category of many values does not fill the memory.
    sparse = 0.3 if get_tags(estimator).input_tags.sparse else 0.0
    used = [part for part in parts if len(part[2])]
    return Pipeline([("columns", ColumnTransformer(used, sparse_threshold=sparse)), ("estimator", estimator)])


def _impute() -> SimpleImputer:
    return SimpleImputer(strategy="median", keep_empty_features=True)
