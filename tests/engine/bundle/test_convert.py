"""A pipeline becomes an ONNX graph that answers like it, or the reason is said."""

from typing import Any

import numpy as np
import pytest
from mlops_actions.bundle.archive import onnx_answer
from mlops_actions.bundle.convert import convert
from mlops_actions.bundle.fitted import answer_of
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, PowerTransformer
from small_bundles import CATEGORIES, NUMBERS, features_of, fit, labels, requests
from xgboost import XGBRegressor

ROWS = 60
TARGET = np.arange(ROWS, dtype=float) * 13 % 31
ESTIMATORS: dict[str, tuple[Any, bool]] = {
    "logistic": (LogisticRegression(), True),
    "random forest": (RandomForestClassifier(5, random_state=0), True),
    "boosting of classes": (HistGradientBoostingClassifier(max_iter=9, random_state=0), True),
    "boosting of numbers": (HistGradientBoostingRegressor(max_iter=9, random_state=0), False),
    "XGBoost of numbers": (XGBRegressor(n_estimators=9, random_state=0, n_jobs=1), False),
    "on a logarithmic scale": (
        TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1),
        False,
    ),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_graph_answers_like_its_pipeline_alone_and_in_a_batch(name: str) -> None:
    estimator, classifies = ESTIMATORS[name]
    pipeline = fit(estimator, None if classifies else TARGET)
    model, why = convert(pipeline, NUMBERS, CATEGORIES)
    assert model is not None and why == ""
    answer = onnx_answer(model, NUMBERS, CATEGORIES)
    features = features_of([*requests(), {"age": 1e-3, "minutes": 9e9, "plan": "never seen"}])
    expected = answer_of(pipeline, features)
    np.testing.assert_allclose(answer(features), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(answer(features.iloc[[3]]), expected[[3]], rtol=1e-5, atol=1e-6)


def test_a_value_at_a_threshold_that_float32_does_not_hold_goes_the_same_way() -> None:
    luck = np.random.default_rng(0)
    rows = [{"age": age, "minutes": minutes, "plan": "basic"} for age, minutes in luck.uniform(1, 2, (400, 2))]
    columns = ColumnTransformer([("numbers", "passthrough", NUMBERS), ("plan", "drop", CATEGORIES)])
    boosting = HistGradientBoostingClassifier(max_iter=40, min_samples_leaf=1, random_state=0)
    pipeline = Pipeline([("columns", columns), ("estimator", boosting)])
    pipeline.fit(features := features_of(rows), luck.choice(["no", "yes"], 400))
    model, _ = convert(pipeline, NUMBERS, CATEGORIES)
    assert model
    trees = [tree.nodes[tree.nodes["is_leaf"] == 0] for stage in boosting._predictors for tree in stage]
    nodes = np.concatenate(trees)
    rounded = nodes["num_threshold"].astype("float32")
    assert (rounded > nodes["num_threshold"]).any(), "all of them are held"
    near = features.iloc[np.arange(len(nodes)) % len(features)].reset_index(drop=True)
    for row, feature in enumerate(nodes["feature_idx"]):
        near.iat[row, feature] = rounded[row]
    np.testing.assert_allclose(onnx_answer(model, NUMBERS, CATEGORIES)(near), answer_of(pipeline, near), atol=1e-6)


def test_a_pipeline_of_numbers_alone_or_of_text_alone_converts() -> None:
    features, target = features_of(requests()), labels(requests())
    numbers = Pipeline(
        [
            ("columns", ColumnTransformer([("numbers", "passthrough", ["minutes"])])),
            ("estimator", LogisticRegression()),
        ]
    ).fit(features[["minutes"]], target)
    model, _ = convert(numbers, ["minutes"], [])
    assert model
    answer = onnx_answer(model, ["minutes"], [])
    np.testing.assert_allclose(answer(features), numbers.predict_proba(features[["minutes"]]), atol=1e-6)


def test_what_has_no_counterpart_is_named() -> None:
    features, target = features_of(requests()), labels(requests())
    words = Pipeline(
        [
            ("columns", ColumnTransformer([("text", TfidfVectorizer(), "plan")])),
            ("estimator", LogisticRegression()),
        ]
    ).fit(features, target)
    assert convert(words, [], CATEGORIES) == (
        None,
        "ONNX Runtime splits text into words by the locale of the machine that serves",
    )
    scaled = fit(TransformedTargetRegressor(LinearRegression(), transformer=PowerTransformer()), TARGET)
    assert convert(scaled, NUMBERS, CATEGORIES) == (
        None,
        "a target transformed by yeo-johnson has no counterpart in ONNX",
    )
    odd = Pipeline(
        [
            ("columns", ColumnTransformer([("numbers", FunctionTransformer(np.nan_to_num), NUMBERS)])),
            ("estimator", LogisticRegression()),
        ]
    ).fit(features, target)
    model, why = convert(odd, NUMBERS, [])
    assert model is None and why.startswith("does not convert to ONNX: ") and "\n" not in why and len(why) < 250
