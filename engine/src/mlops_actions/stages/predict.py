"""Predictions for rows: the contract, the history, the features and the bundle, in that order."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ..bundle.archive import Bundle
from ..bundle.features import make_features
from ..core.config import Config
from ..core.errors import RowsRefused, UserError
from ..data.history_table import join_history
from ..data.schema import SCHEMA, Schema, load_schema
from ..data.table import read_table


def predict(config: Config, rows: Path | pd.DataFrame, bundle: Bundle, enforce: bool = True) -> pd.DataFrame:
    """Return a `prediction` for each row, and a `probability_<class>` for each class.

    Args:
        config: the project that trained the bundle.
        rows: a file of any kind, or a frame, raw or prepared, with or without target and dropped columns.
        bundle: the model.
        enforce: whether missing values and limits of schema.yaml are errors; types always are.

    Raises:
        RowsRefused: the rows are not as schema.yaml asks.
        UserError: there is no schema.yaml, or the model does not go with features.py.
    """
    source = "the rows" if isinstance(rows, pd.DataFrame) else str(rows)
    frame = rows if isinstance(rows, pd.DataFrame) else read_table(rows, config.data.read)
    schema = load_schema(config.path(SCHEMA)).without(config.unneeded(frame.columns))
    try:
        typed = schema.apply(frame, with_target=False, source=source, enforce=enforce, new=True)
    except UserError as error:
        raise RowsRefused(str(error)) from None
    predictions = bundle.predict(make_features(join_history(typed, config), config))
    result = pd.DataFrame({"prediction": predictions.labels})
    for index, name in enumerate(predictions.classes or []):
        result[f"probability_{name}"] = predictions.values[:, index]
    return result


def lookup(config: Config, keys: Mapping[str, Any], time: Any = None) -> dict[str, Any]:
    """Return what is known of the entity with these `keys` before `time`, by now where it is None; missing: None.

    Raises:
        UserError: the project has no history, or `keys` are not its entity's columns, or not of their type.
    """
    history = config.history
    if not history.entity:
        raise UserError(
            "params.yaml: history.entity is empty, so there is no history; name who and when, and run `mlops train`."
        )
    if set(keys) != set(history.entity):
        raise UserError(f"the entity has the keys {', '.join(history.entity)}, not {', '.join(keys)}; name these.")
    asked = {**keys} if time is None else {**keys, str(history.time): time}
    schema = load_schema(config.path(SCHEMA))
    columns = {name: schema.columns[name] for name in asked}
    row = Schema(schema.target, columns).apply(
        pd.DataFrame([asked]), with_target=False, source="the key", enforce=False
    )
    known = join_history(row, config).drop(columns=list(asked)).iloc[0]
    return {str(name): None if pd.isna(value) else value for name, value in known.items()}
