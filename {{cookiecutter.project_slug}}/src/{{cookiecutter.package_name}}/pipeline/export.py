"""Stage 6: the bundle to release: ONNX where it agrees with scikit-learn on every row, skops otherwise."""

import copy
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.pipeline import Pipeline

from ..config import Config
from ..errors import need
from ..metrics import Predictions
from ..outputs import BUNDLE, PIPELINE, TEST_FEATURES
from ..schema import SCHEMA, load_schema
from ..table import columns_of, read_typed
from ..values import MISSING_CATEGORY
from .bundle import answer_of, classes_of, dump_model, onnx_answer, read_model, types_of, write_bundle

PROBABILITY_TOLERANCE = 1e-6
# Of the larger of a prediction and the predictions' spread: float32 keeps 1.2e-7 of a number, sums of trees
# lose two digits of it, and an error of 1e-5 of the spread is far below any model's own.
NUMBER_TOLERANCE = 1e-5
SINGLE_ROWS = 20


def run(config: Config) -> None:
    """Writes the bundle, and says which format it has and why."""
    features = read_typed(config.path(TEST_FEATURES)).drop(columns=config.data.target)
    manifest = build_bundle(config, read_model(config.path(PIPELINE)), features, config.path(BUNDLE))
    print(f"export: {manifest['format']} ({manifest['why']})")


def build_bundle(config: Config, pipeline: Any, features: pd.DataFrame, path: Path) -> dict[str, Any]:
    """Writes the bundle of a fitted pipeline, checked on these features; what comes back is its manifest."""
    numbers, categories = columns_of(features)
    parity: dict[str, Any] | None = None
    onnx, why = _convert(pipeline, numbers, categories)
    if onnx is not None:
        rows = with_edges(features, numbers, categories)
        parity, why = compare(pipeline, onnx, rows, numbers, categories)
    agrees = onnx is not None and parity is not None and parity["agrees"]
    model = onnx if agrees and onnx else dump_model(pipeline)
    libraries = ("scikit-learn", "numpy", "skl2onnx", "onnx", "onnxruntime", "skops")
    manifest = {
        "format": "onnx" if agrees else "skops",
        "why": why,
        "task": config.data.task,
        "target": config.data.target,
        "classes": classes_of(pipeline),
        "positive": config.data.positive,
        "inputs": {"numbers": numbers, "categories": categories, "missing_category": MISSING_CATEGORY},
        "parity": parity,
        "trusted": [] if agrees else types_of(model),
        "libraries": {name: version(name) for name in libraries},
    }
    schema = load_schema(config.path(SCHEMA)).without(config.unneeded([]))
    write_bundle(path, model, manifest, schema.to_yaml())
    return manifest


def with_edges(features: pd.DataFrame, numbers: list[str], categories: list[str]) -> pd.DataFrame:
    """The test rows, and what production will send one day: everything missing, categories never seen."""
    edges = features.iloc[np.arange(4) % len(features)].copy().reset_index(drop=True)
    for name in numbers:
        edges.loc[[0, 1], name] = np.float32("nan")
    for name in categories:
        edges.loc[[0, 2], name] = MISSING_CATEGORY
        edges.loc[[1, 3], name] = "(a category never seen)"
    return pd.concat([edges, features], ignore_index=True)


def compare(
    pipeline: Any, onnx: bytes, rows: pd.DataFrame, numbers: list[str], categories: list[str]
) -> tuple[dict[str, Any] | None, str]:
    """How far ONNX is from scikit-learn on these rows, in a batch and one by one, and that as a sentence."""
    classes = classes_of(pipeline)
    expected = answer_of(pipeline, rows)
    try:
        answer = onnx_answer(onnx, numbers, categories, classes is not None)
        batch = answer(rows)
        single = np.concatenate([answer(rows.iloc[[number]]) for number in range(min(SINGLE_ROWS, len(rows)))])
    except Exception as error:  # onnxruntime raises its own classes, which share no base but this one
        return None, f"the ONNX model does not run: {str(error).splitlines()[0][:200]}"
    if classes is not None:
        scale, tolerance = np.ones(1), PROBABILITY_TOLERANCE
        labels_differ = int((Predictions(expected, classes).labels != Predictions(batch, classes).labels).sum())
    else:
        scale, tolerance = np.maximum(np.abs(expected), np.std(expected) or 1.0), NUMBER_TOLERANCE
        labels_differ = 0
    gaps = [np.abs(batch - expected) / scale, np.abs(single - expected[: len(single)]) / scale[: len(single)]]
    worst = max(float(np.max(gap)) for gap in gaps)
    agrees = bool(worst <= tolerance and labels_differ == 0)
    parity = {
        "rows": len(rows),
        "max_difference": float(f"{worst:.3g}"),
        "tolerance": tolerance,
        "agrees": agrees,
    }
    if agrees:
        return parity, f"agrees with scikit-learn on {len(rows)} rows, largest difference {worst:.1e}"
    problem = (
        f"{labels_differ} labels differ" if labels_differ else f"differs by {worst:.1e}, more than {tolerance:.0e}"
    )
    return parity, f"ONNX {problem} on {len(rows)} rows"


def _convert(pipeline: Any, numbers: list[str], categories: list[str]) -> tuple[bytes | None, str]:
    """The pipeline as ONNX with the matrices `numbers` and `categories` as inputs, or why not."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    inputs: list[tuple[str, Any]] = []
    if numbers:
        inputs.append(("numbers", FloatTensorType([None, len(numbers)])))
    if categories:
        inputs.append(("categories", StringTensorType([None, len(categories)])))
    options = {"zipmap": False} if classes_of(pipeline) is not None else None
    if any(isinstance(names, str) for _, _, names in getattr(pipeline[0], "transformers_", [])):
        return None, "ONNX Runtime splits text into words by the locale of the machine that serves"
    pipeline, scale = _without_scale(pipeline)
    if scale not in (None, np.log1p):
        return None, "a target transformed by yeo-johnson has no counterpart in ONNX"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opsets = _learn_xgboost() if "XGB" in repr(pipeline[-1]) else None
            copied = _for_onnx(pipeline, numbers + categories)
            model = convert_sklearn(copied, "model", inputs, options=options, target_opset=opsets)
        if scale is not None:
            _answer_expm1(model)
        return model.SerializeToString(deterministic=True), ""
    except Exception as error:  # a converter fails in any way: the model is then released as skops
        return None, f"does not convert to ONNX: {' '.join(str(error).split())[:200] or type(error).__name__}"


def _learn_xgboost() -> dict[str, int]:
    """Teach skl2onnx to convert XGBoost; what comes back are the operator sets that its converter speaks."""
    import xgboost
    from skl2onnx import update_registered_converter
    from skl2onnx.common import shape_calculator as shapes

    source = "params.yaml: model.estimator xgboost"
    convert = need("onnxmltools.convert.xgboost.operator_converters.XGBoost", source).convert_xgboost
    shape, options = shapes.calculate_linear_classifier_output_shapes, {"nocl": [True, False], "zipmap": [True, False]}
    update_registered_converter(xgboost.XGBClassifier, "XGBoostXGBClassifier", shape, convert, options=options)
    shape = shapes.calculate_linear_regressor_output_shapes
    update_registered_converter(xgboost.XGBRegressor, "XGBoostXGBRegressor", shape, convert)
    return {"": 18, "ai.onnx.ml": 3}


def _without_scale(pipeline: Any) -> tuple[Any, Any]:
    """The pipeline that answers on the scale it learnt on, and what led there, None if nothing did."""
    last = pipeline[-1]
    if not isinstance(last, TransformedTargetRegressor):
        return pipeline, None
    return Pipeline([*pipeline.steps[:-1], ("estimator", last.regressor_)]), last.func or last.transformer


def _answer_expm1(model: Any) -> None:
    """Lets an ONNX model answer e to the power of what it says, less one: the inverse of log1p."""
    from onnx import helper, numpy_helper

    said = model.graph.output[0].name
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1, 1), "float32"), "one"))
    model.graph.node.extend(
        [helper.make_node("Exp", [said], ["raised"]), helper.make_node("Sub", ["raised", "one"], ["answer"])]
    )
    model.graph.output[0].name = "answer"


def _for_onnx(pipeline: Any, names: list[str]) -> Any:
    """A copy that converts faithfully: columns by number (matrices have no names), float32 thresholds."""
    pipeline = copy.deepcopy(pipeline)
    for _, step in pipeline.steps:
        if isinstance(step, ColumnTransformer):
            step.transformers_ = [
                (
                    name,
                    part,
                    [names.index(column) if isinstance(column, str) else column for column in columns],
                )
                for name, part, columns in step.transformers_
                if len(columns) and not (isinstance(part, str) and part == "drop")
            ]
        # ONNX keeps thresholds as float32: one rounded up would send the value just above it the wrong way.
        for predictor in (tree for stage in getattr(step, "_predictors", []) for tree in stage):
            exact = predictor.nodes["num_threshold"]
            rounded = exact.astype("float32")
            below = np.nextafter(rounded, np.float32("-inf"))
            predictor.nodes["num_threshold"] = np.where(rounded > exact, below, rounded)
    return pipeline
