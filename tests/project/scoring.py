"""What tests ask of a generated project's serving code, next to what pandas says of the same: see inside.py."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from customer_churn.errors import UserError
from customer_churn.pipeline.featurize import make_features
from customer_churn.pipeline.proof import as_json
from customer_churn.pipeline.trace import Untraceable, trace
from customer_churn.rules import Column, Target
from customer_churn.schema import Schema
from customer_churn.scoring.contract import Contract
from customer_churn.scoring.program import Program
from customer_churn.table import columns_of
from customer_churn.values import MISSING_CATEGORY
from inside import load_config, main


def do_read(root: Path, column: dict[str, Any], values: list[Any]) -> list[list[Any]]:
    """Each value as the server and as pandas type it, None where they refuse it."""
    contract = Contract({"x": column})
    schema = Schema(Target(name="y", type="category"), {"x": Column(**column)})
    said = []
    for value in values:
        columns, problems = contract.read([{"x": value}])
        served = None if problems else [plain(columns["x"][0])]
        try:
            typed = schema.apply(pd.DataFrame({"x": [value]}), with_target=False, source="the rows")
            theirs = [plain(typed["x"].iloc[0])]
        except UserError:
            theirs = None
        said.append([served, theirs])
    together, problems = contract.read([{"x": value} for value in values])
    kept = [served[0] for number, (served, _) in enumerate(said) if number not in problems and served]
    assert [plain(value) for value in together["x"]] == kept
    return said


def plain(value: Any) -> Any:
    """A typed value as both ways can write it."""
    if value is None or pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return int(value.to_numpy().astype("datetime64[us]").astype(int))
    return float(value) if isinstance(value, bool | np.bool_) else value


def do_compile(root: Path, body: str, kinds: dict[str, str], rows: dict[str, list[Any]]) -> str:
    """What is wrong with a compiled add_features of this body, "" if it gives what pandas gives to the last bit."""
    namespace: dict[str, Any] = {"np": np, "pd": pd}
    exec("def add_features(rows):\n    " + body.replace("\n", "\n    "), namespace)  # noqa: S102
    schema = Schema(
        Target(name="y", type="category"), {name: Column(type=kind, missing=True) for name, kind in kinds.items()}
    )
    typed = schema.apply(pd.DataFrame(rows), with_target=False, enforce=False)
    from customer_churn.pipeline import featurize

    original, featurize.add_features = featurize.add_features, namespace["add_features"]
    try:
        features = make_features(typed, load_config(root))
    finally:
        featurize.add_features = original
    numbers, categories = columns_of(features)
    try:
        program = Program(trace(namespace["add_features"], kinds), numbers, categories, MISSING_CATEGORY)
    except Untraceable as error:
        return str(error)
    columns, problems = Contract({name: {"type": kind, "missing": True} for name, kind in kinds.items()}).read(
        as_json(typed)
    )
    assert not problems
    matrix, texts, _ = program.run(columns)
    np.testing.assert_array_equal(matrix, features[numbers].to_numpy("float32"))
    np.testing.assert_array_equal(texts, features[categories].to_numpy(object))
    return ""


if __name__ == "__main__":
    main(globals())
