"""Stage 3: the table that the model sees, made by the same function for training and for prediction."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import pandas as pd
import pyarrow as pa

from ..bundle.features import check_alone, make_features
from ..core.config import Config
from ..core.errors import UserError
from ..core.paths import TEST_FEATURES, TEST_ROWS, TRAIN_FEATURES, TRAIN_ROWS
from ..data.history_table import join_batches
from ..data.stream import in_order, in_pieces, write_groups
from ..data.table import KIND, kinds_of, read_groups


def run(config: Config) -> None:
    """Write the features and the target of the train and the test rows, batch by batch."""
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


def _featurize(config: Config, path: Path, weight: str | None) -> Iterator[pa.Table]:
    """Return the features, the target and the weight, if there is one, of the rows in a file, batch by batch."""

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
    """Return the schema, with what the contract says of each text in it that has kept its column's name."""
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
