"""A fitted pipeline as an ONNX graph that answers like scikit-learn, float32 thresholds included."""

import copy
import warnings
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.pipeline import Pipeline

from ..core.errors import need
from .fitted import classes_of


def convert(pipeline: Any, numbers: list[str], categories: list[str]) -> tuple[bytes | None, str]:
    """Return the pipeline as ONNX with the matrices `numbers` and `categories` as inputs, or why not."""
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
    """Return the pipeline that answers on the scale it learnt on, and what led there, None if nothing did."""
    last = pipeline[-1]
    if not isinstance(last, TransformedTargetRegressor):
        return pipeline, None
    return Pipeline([*pipeline.steps[:-1], ("estimator", last.regressor_)]), last.func or last.transformer


def _answer_expm1(model: Any) -> None:
    """Let an ONNX model answer e to the power of what it says, less one: the inverse of log1p."""
    from onnx import helper, numpy_helper

    output = model.graph.output[0].name
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1, 1), "float32"), "one"))
    model.graph.node.extend(
        [helper.make_node("Exp", [output], ["raised"]), helper.make_node("Sub", ["raised", "one"], ["answer"])]
    )
    model.graph.output[0].name = "answer"


def _for_onnx(pipeline: Any, names: list[str]) -> Any:
    """Return a copy that converts faithfully: columns by number (matrices have no names), float32 thresholds."""
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
