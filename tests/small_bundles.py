"""Small models and their released files, made without a project."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlops_actions.bundle.archive import write_bundle
from mlops_actions.bundle.convert import convert
from mlops_actions.bundle.fitted import answer_of, classes_of, dump_model, types_of
from mlops_actions.bundle.parts import Parts, read_parts
from mlops_actions.bundle.trace import trace
from mlops_actions.data.values import MISSING_CATEGORY
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

CONTRACT = {
    "age": {"type": "number", "missing": True},
    "minutes": {"type": "number"},
    "plan": {"type": "category", "missing": True},
}
NUMBERS, CATEGORIES = ["age", "minutes", "ratio"], ["plan"]
SCHEMA = """\
target: {name: churn, type: category, values: ["no", "yes"]}
columns:
  age: {type: number, missing: true}
  minutes: {type: number, missing: false}
  plan: {type: category, missing: true}
"""


def requests(count: int = 60) -> list[dict[str, Any]]:
    """Return rows as clients send them."""
    return [
        {
            "age": None if number % 11 == 5 else 18.0 + number % 37,
            "minutes": number * 7 % 40 + 0.1,
            "plan": ["basic", "premium", None][number % 3],
        }
        for number in range(count)
    ]


def add_features(rows: Any) -> Any:
    """Add what a features.py would, of a frame of pandas or of a stand-in."""
    return rows.assign(ratio=rows["minutes"] / rows["age"])


def features_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return what the model sees of the rows."""
    made = add_features(pd.DataFrame(rows))
    texts = {"plan": made["plan"].fillna(MISSING_CATEGORY).astype("str")}
    return pd.DataFrame({name: made[name].astype("float32") for name in NUMBERS} | texts)


def labels(rows: list[dict[str, Any]]) -> np.ndarray:
    return np.array(["yes" if row["minutes"] > 20 or row["plan"] is None else "no" for row in rows], object)


def fit(estimator: Any, target: np.ndarray | None = None) -> Pipeline:
    """Return a fitted pipeline of the rows' features: of classes, or of the numbers in `target`."""
    columns = ColumnTransformer(
        [
            ("numbers", SimpleImputer(), NUMBERS),
            ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), CATEGORIES),
        ]
    )
    rows = requests()
    return Pipeline([("columns", columns), ("estimator", estimator)]).fit(
        features_of(rows), labels(rows) if target is None else target
    )


def release(path: Path, pipeline: Pipeline, format: str = "onnx", **changes: Any) -> Parts:
    """Write the bundle of a pipeline, with changes to its manifest, and return its parts."""
    model, why = convert(pipeline, NUMBERS, CATEGORIES) if format == "onnx" else (dump_model(pipeline), "asked for")
    assert model, why
    manifest = {
        "format": format,
        "why": why,
        "classes": classes_of(pipeline),
        "positive": None,
        "threshold": None,
        "inputs": {"numbers": NUMBERS, "categories": CATEGORIES, "missing_category": MISSING_CATEGORY},
        "contract": CONTRACT,
        "features": trace(add_features, {name: column["type"] for name, column in CONTRACT.items()}),
        "compiled": "",
        "trusted": [] if format == "onnx" else types_of(model),
    }
    rows = requests(10)
    reference = {"rows": rows, "values": answer_of(pipeline, features_of(rows)).tolist(), "within": [1e-6] * len(rows)}
    write_bundle(path, model, manifest | changes, SCHEMA, reference)
    return read_parts(path)
