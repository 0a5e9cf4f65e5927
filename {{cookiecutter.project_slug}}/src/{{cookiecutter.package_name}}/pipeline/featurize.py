"""Stage 3: the table that the model sees, made by the same function for training and for prediction."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ..config import Config
from ..errors import UserError
from ..features import add_features
from ..history import join_batches
from ..outputs import TEST_FEATURES, TEST_ROWS, TRAIN_FEATURES, TRAIN_ROWS
from ..stream import in_order, in_pieces, write_groups
from ..table import KIND, kinds_of, read_groups
from ..values import MISSING_CATEGORY

ALONE = 10  # rows of a table whose features are made again without the others


class InfiniteError(UserError):
    """add_features makes an infinite number of a row."""


def run(config: Config) -> None:
    """Writes the features and the target of the train and the test rows, batch by batch."""
    weight = config.data.weight  # of the rows to train on only
    train = _featurize(config, config.path(TRAIN_ROWS), weight)
    first = next(train)
    types = _with_kinds(first.schema, kinds_of(config.path(TRAIN_ROWS)))
    write_groups(config.path(TRAIN_FEATURES), types, _check_types(chain([first], train), types))
    types = types.remove(types.get_field_index(weight)) if weight else types
    test = _featurize(config, config.path(TEST_ROWS), None)
    write_groups(config.path(TEST_FEATURES), types, _check_types(test, types))
    numbers = types.types.count(pa.float32())
    print(f"featurize: {numbers} numbers and {len(types) - 1 - numbers} categories")


def make_features(rows: pd.DataFrame, config: Config, first: int = 0) -> pd.DataFrame:
    """What the model sees of typed rows: float32 numbers (missing: NaN), then text (missing: a constant).

    `first` says how many rows lie before these, for the row that an error names.
    """
    seen = rows.drop(columns=[config.data.target, *config.data.unseen], errors="ignore").reset_index(drop=True)
    table = _add_features(seen)
    if not isinstance(table, pd.DataFrame) or len(table) != len(seen):
        raise UserError("features.py: add_features must return a DataFrame with one row for each row it gets.")
    if not table.index.equals(seen.index):
        raise UserError("features.py: add_features must keep the order of the rows and their index.")
    if table.columns.has_duplicates or table.empty or not {config.data.target, config.data.weight}.isdisjoint(table):
        raise UserError(
            "features.py: add_features must return one column or more, no name twice, and never the target or weight."
        )
    typed = {str(name): _as_input(str(name), values, first) for name, values in table.items()}
    ordered = sorted(typed, key=lambda name: typed[name].dtype != np.float32)
    return pd.DataFrame({name: typed[name] for name in ordered})


def check_alone(rows: pd.DataFrame, features: pd.DataFrame, config: Config) -> None:
    """Refuses features that a row has among others only: some rows, made alone, must get the same bits.

    Args:
        rows: what `make_features` was given, at least one row.
        features: what it made of them.
        config: the project.
    """
    for number in np.unique(np.linspace(0, len(rows) - 1, ALONE, dtype=int)):
        alone = make_features(rows.iloc[[number]], config)
        for name in features:
            values = features[name].iloc[number], alone[name].iloc[0] if name in alone else "absent"
            if values[0] != values[1] and not (pd.isna(values[0]) and pd.isna(values[1])):
                raise UserError(
                    f"features.py: {name!r} of a row is {values[0]} among others and {values[1]} alone; compute each "
                    "row from that row alone, and move what is learned from all rows into model.py."
                )


def _add_features(rows: pd.DataFrame) -> Any:
    step: Any = add_features
    if hasattr(step, "fit_transform"):
        from sklearn.base import clone

        return clone(step).set_output(transform="pandas").fit_transform(rows)
    return step(rows)


def _featurize(config: Config, path: Path, weight: str | None) -> Iterator[pa.Table]:
    """The features, the target and the weight, if there is one, of the rows in a file, batch by batch."""

    def featurize(batch: tuple[int, pd.DataFrame]) -> pa.Table:
        first, rows = batch
        features = make_features(rows, config, first)
        if not first:
            check_alone(rows, features, config)
        features[config.data.target] = rows[config.data.target]
        if weight:
            features[weight] = rows[weight]
        return pa.Table.from_pandas(features, preserve_index=False).replace_schema_metadata(None)

    # One thread beside the one that writes: add_features is the user's, and need not know of threads.
    return in_order(featurize, in_pieces(join_batches(read_groups(path), path, config)), threads=1)


def _with_kinds(types: pa.Schema, kinds: dict[str, str]) -> pa.Schema:
    """The schema, with what the contract says of each text in it that has kept its column's name."""
    for number, field in enumerate(types):
        kind = kinds.get(field.name)
        if kind in ("category", "text") and field.type != pa.float32():
            types = types.set(number, field.with_metadata({KIND: kind}))
    return types


def _check_types(tables: Iterable[pa.Table], types: pa.Schema) -> Iterator[pa.Table]:
    there = {field.name: field.type for field in types}
    for table in tables:
        here = {field.name: field.type for field in table.schema}
        if here.keys() != there.keys():
            name = min(here.keys() ^ there.keys())
            raise UserError(f"features.py: add_features returns {name!r} for some rows only; return it for every row.")
        if here != there:
            name = next(name for name in there if here[name] != there[name])
            raise UserError(
                f"features.py: add_features returns {name!r} as numbers for some rows and as text for others; convert "
                "it to one of them, such as with astype('float64')."
            )
        yield table.select(types.names)


def _as_input(name: str, values: pd.Series, first: int) -> pd.Series:
    kind = values.dtype
    if pd.api.types.is_bool_dtype(kind) or pd.api.types.is_numeric_dtype(kind):
        with np.errstate(over="ignore"):
            numbers = values.to_numpy("float64", na_value=np.nan).astype("float32") + np.float32(0)  # there is one zero
        infinite = np.isinf(numbers)
        if infinite.any():
            row = first + int(infinite.argmax()) + 1
            raise InfiniteError(
                f"features.py: {name!r} is infinite in some rows (first: row {row}); make it missing there."
            )
        return pd.Series(numbers, index=values.index)
    if isinstance(kind, pd.StringDtype | pd.CategoricalDtype) or kind is np.dtype(object):
        text = values if isinstance(kind, pd.StringDtype) else values.map(str, na_action="ignore")
        return text.astype("str").fillna(MISSING_CATEGORY)
    raise UserError(f"features.py: {name!r} is {kind}; add_features must return numbers, booleans and text.")
