"""Runs in a trained project: its model, a dummy and a tuned plain pipeline, fitted and scored on the same rows.

The plain pipeline is what a data scientist writes in an afternoon: one-hot or ordinal encoding, the best of a linear
model, a forest and histogram gradient boosting with a few parameters each, by cross-validation on the training rows.
"""

import json
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    log_loss,
    make_scorer,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

RESAMPLES = 300
SEARCHED = 20_000  # rows that the plain pipeline's parameters are searched on
SCORERS = {
    "roc_auc": "roc_auc_ovr", "average_precision": "average_precision", "accuracy": "accuracy", "f1": "f1_macro",
    "log_loss": "neg_log_loss", "r2": "r2", "rmse": "neg_root_mean_squared_error", "mae": "neg_mean_absolute_error",
}  # fmt: skip


def main() -> None:
    """Print one JSON object."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    data, metric = params["data"], params["gate"]["primary"]
    train, test = (pd.read_parquet(f"data/prepared/{part}.parquet") for part in ("train", "test"))
    hidden = [name for name in (data["target"], data["weight"], *data["drop"]) if name]
    inputs, rows = (expand(part.drop(columns=hidden)) for part in (train, test))
    truth = test[data["target"]].to_numpy()
    classes = None
    if data["task"] == "classification":  # the one that the project is about last
        classes = sorted(set(train[data["target"]]), key=lambda name: (name == data["positive"], name))
    plain, choice = fit_plain(inputs, train[data["target"]].to_numpy(), classes, metric)
    dummy = (DummyRegressor() if classes is None else DummyClassifier()).fit(inputs, train[data["target"]])
    answers = {
        "dummy": answer(dummy, rows, classes),
        "plain": answer(plain, rows, classes),
        "default": project(classes),
    }
    scores = {name: score(metric, truth, values, classes) for name, values in answers.items()}
    sign = -1 if metric in ("log_loss", "rmse", "mae") else 1
    chance = np.random.default_rng(0)
    differences = []
    for _ in range(RESAMPLES):
        some = chance.integers(len(truth), size=len(truth))
        ours, theirs = (score(metric, truth[some], answers[name][some], classes) for name in ("default", "plain"))
        differences.append(sign * (ours - theirs))
    with zipfile.ZipFile("models/bundle.zip") as bundle:
        format = json.loads(bundle.read("manifest.json"))["format"]
    shown = {
        "rows": len(train) + len(test), "columns": train.shape[1], "task": data["task"], "metric": metric, **scores,
        "choice": choice, "better": sign * (scores["default"] - scores["plain"]),
        "interval": np.nanpercentile(differences, [2.5, 97.5]).tolist(), "format": format,
    }  # fmt: skip
    print(json.dumps(shown))


def expand(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with dates as numbers and everything else as numbers or text."""
    rows = rows.reset_index(drop=True)
    for name in rows.select_dtypes("datetime"):
        moment = rows.pop(name)
        parts = {"year": moment.dt.year, "month": moment.dt.month, "weekday": moment.dt.weekday, "hour": moment.dt.hour}
        rows = rows.assign(**{f"{name}_{part}": values for part, values in parts.items()})
        rows[f"{name}_day"] = (moment - pd.Timestamp("2000-01-01")).dt.days
    for name, values in rows.items():
        if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
            rows[name] = values.astype("float64")
        else:
            rows[name] = values.astype(object).where(values.notna(), "missing")
    return rows


def fit_plain(
    rows: pd.DataFrame, target: np.ndarray, classes: list[Any] | None, metric: str
) -> tuple[BaseEstimator, str]:
    """Return the best plain pipeline by cross-validation, and its name."""
    scorer: Any = SCORERS[metric]
    if metric == "average_precision":
        scorer = make_scorer(average_precision_score, response_method="predict_proba", pos_label=classes[-1])
    some = np.random.default_rng(0).permutation(len(rows))[:SEARCHED]
    folds = 3 if len(some) > 5000 else 5
    best: tuple[float, str, Any] | None = None
    for name, pipeline, grid in candidates(rows, classes is not None):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search = GridSearchCV(pipeline, grid, scoring=scorer, cv=folds, refit=False, n_jobs=2)
            search.fit(rows.iloc[some], target[some])
        if best is None or search.best_score_ > best[0]:
            best = search.best_score_, name, pipeline.set_params(**search.best_params_)
    assert best is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return best[2].fit(rows, target), best[1]


def candidates(rows: pd.DataFrame, classifies: bool) -> list[tuple[str, BaseEstimator, dict[str, list[Any]]]]:
    """Return each family with the parameters that are tried."""
    text = [name for name in rows if rows[name].dtype == object or isinstance(rows[name].dtype, pd.StringDtype)]
    numbers = [name for name in rows if name not in text]
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5, sparse_output=False)
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    filled = SimpleImputer(strategy="median", keep_empty_features=True)
    scaled = ColumnTransformer([("n", make_pipeline(filled, StandardScaler()), numbers), ("t", one_hot, text)])
    dense = ColumnTransformer([("n", filled, numbers), ("t", one_hot, text)])
    coded = ColumnTransformer([("n", "passthrough", numbers), ("t", codes, text)])
    linear = LogisticRegression(max_iter=2000) if classifies else Ridge()
    forest = RandomForestClassifier if classifies else RandomForestRegressor
    boosting = HistGradientBoostingClassifier if classifies else HistGradientBoostingRegressor
    strength = {"logisticregression__C": [0.01, 0.1, 1]} if classifies else {"ridge__alpha": [0.1, 1, 10, 100]}
    steps = forest.__name__.lower(), boosting.__name__.lower()
    return [
        ("linear", make_pipeline(scaled, linear), strength),
        ("forest", make_pipeline(dense, forest(200, random_state=0)), {f"{steps[0]}__min_samples_leaf": [1, 5]}),
        (
            "boosting",
            make_pipeline(coded, boosting(random_state=0)),
            {f"{steps[1]}__learning_rate": [0.03, 0.1], f"{steps[1]}__max_leaf_nodes": [7, 31]},
        ),
    ]


def answer(model: BaseEstimator, rows: pd.DataFrame, classes: list[Any] | None) -> np.ndarray:
    """Return a number a row, or a probability a class."""
    if classes is None:
        return model.predict(rows)
    return model.predict_proba(rows)[:, [list(model.classes_).index(name) for name in classes]]


def project(classes: list[Any] | None) -> np.ndarray:
    """Return what the project's released bundle says of its test rows."""
    command = [
        Path(sys.executable).with_name("mlops"),
        "predict",
        "data/prepared/test.parquet",
        "--out",
        "said.parquet",
    ]
    subprocess.run(command, check=True, capture_output=True)
    said = pd.read_parquet("said.parquet")
    if classes is None:
        return said["prediction"].to_numpy()
    return said[[f"probability_{name}" for name in classes]].to_numpy("float64")


def score(metric: str, truth: np.ndarray, values: np.ndarray, classes: list[Any] | None) -> float:
    """Return a metric as scikit-learn computes it."""
    if classes is None:
        root = float(np.mean((truth - values) ** 2) ** 0.5)
        return {"r2": r2_score, "mae": mean_absolute_error}.get(metric, lambda *_: root)(truth, values)
    labels = np.array(classes, object)[values.argmax(axis=1)]
    if metric == "log_loss":
        return log_loss(truth, values / values.sum(axis=1, keepdims=True), labels=classes)
    if metric == "accuracy":
        return accuracy_score(truth, labels)
    if metric == "f1":
        return f1_score(truth, labels, average="macro", labels=sorted(set(truth)), zero_division=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if len(classes) == 2:  # the metric is the same whichever class is the positive one, but for average precision
            curve = average_precision_score if metric == "average_precision" else roc_auc_score
            return curve(truth == classes[1], values[:, 1])
        return roc_auc_score(truth, values / values.sum(axis=1, keepdims=True), multi_class="ovr", labels=classes)


if __name__ == "__main__":
    main()
