"""What tests ask of a generated project's serving code, next to what pandas says of the same: see inside.py."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
from mlops_actions.bundle import features as features_of_rows
from mlops_actions.bundle.contract import Contract
from mlops_actions.bundle.program import Program
from mlops_actions.bundle.trace import Untraceable, trace
from mlops_actions.core.config import load_config
from mlops_actions.core.errors import UserError
from mlops_actions.data.rules import Column, Target
from mlops_actions.data.schema import Schema
from mlops_actions.data.table import columns_of
from mlops_actions.data.values import MISSING_CATEGORY
from mlops_actions.stages.proof import as_json


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
    with mock.patch.object(features_of_rows, "features_module", lambda config: SimpleNamespace(**namespace)):
        features = features_of_rows.make_features(typed, load_config(root))
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
