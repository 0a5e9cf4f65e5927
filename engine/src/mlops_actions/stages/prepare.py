"""Stage 1: rows that keep the contract, divided into train and test for good.

Typed rows go to scratch files batch by batch; from there DuckDB sorts, joins and counts them, in the memory that it may
use. A small dataset takes the same way as a large one.
"""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pandera.pandas  # noqa: F401 - for rules.py: threads that import it at once wait for each other for good
import pyarrow as pa
import pyarrow.parquet
from duckdb import DuckDBPyConnection

from ..core.config import Config
from ..core.errors import UserError
from ..core.files import scratch, write_file
from ..core.nearest import did_you_mean
from ..core.paths import SUMMARY, TEST_ROWS, TRAIN_ROWS
from ..data.batches import BATCH, regroup
from ..data.database import open_database
from ..data.schema import SCHEMA, Schema, load_schema
from ..data.stream import in_order, in_pieces, write_groups
from ..data.table import KIND, read_batches
from .split import NEITHER, TEST, TRAIN, combine, parts_of, words_of
from .summary import Tally, summarize

SCRATCH = ".dvc/tmp/prepare"
WORKERS = min(4, os.cpu_count() or 1)  # more would wait for each other, and each holds a batch
_OUTPUTS = {"train": TRAIN_ROWS, "test": TEST_ROWS}
_ARROW = {
    "number": pa.float64(), "boolean": pa.bool_(), "datetime": pa.timestamp("us"),
    "category": pa.large_string(), "text": pa.large_string(),
}  # fmt: skip


def run(config: Config) -> None:
    """Write the train and test rows, and a summary of the data that Git can compare."""
    schema = load_schema(config.path(SCHEMA))
    _check_names(config, schema)
    schema = schema.weighing(config.data.weight)
    types = _arrow_schema(schema)
    tally = Tally(types)
    with (
        scratch(config.path(SCRATCH)) as folder,
        open_database(config.resources, folder / "spill", columns=len(types)) as database,
    ):
        in_gap, unlabelled = stage_rows(config, schema, folder)
        pa.default_memory_pool().release_unused()
        of_test_keys = open_parts(config, database, folder)
        _check_parts(config, database, types, in_gap, of_test_keys)
        _check_unique(config, database, schema)
        for part, path in _OUTPUTS.items():
            write_groups(config.path(path), types, tally.watch(part, sort_rows(database, part, types)))
        summary = summarize(database, schema, tally)
    left_out = {"unlabelled": unlabelled, "in_gap": in_gap, "of_test_keys": of_test_keys}
    summary |= {name: rows for name, rows in left_out.items() if rows}
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    write_file(config.path(SUMMARY), f"{text}\n".encode())
    print(
        f"prepare: {summary['rows']:,} rows of {len(types)} columns, "
        f"{summary['train_rows']:,} to train and {summary['test_rows']:,} to test"
    )
    if unlabelled:
        print(f"prepare: {unlabelled:,} rows without {config.data.target!r} are left out")
    if in_gap:
        print(f"prepare: {in_gap:,} rows in split.gap are neither")
    if of_test_keys:
        print(f"prepare: {of_test_keys:,} rows before split.cutoff are neither: test rows have the same split.key")


def stage_rows(config: Config, schema: Schema, folder: Path) -> tuple[int, int]:
    """Write typed rows to train.parquet and test.parquet in the folder, in the data's order.

    Returns how many rows are neither, and how many were left out because they have no target.

    Columns are called by their number, since DuckDB does not tell `a` from `A`; `hash` is that of the whole row, and
    with a time split `key` that of its split.key.
    """
    types = _arrow_schema(schema)
    keyed = config.split.method == "time" and bool(config.split.key)
    staged = pa.schema(
        [*(field.with_name(f"c{number}") for number, field in enumerate(types)), ("hash", pa.uint64())]
        + [("key", pa.uint64())] * keyed
    )

    def divide(task: tuple[int, pd.DataFrame]) -> tuple[dict[int, pa.Table], int, int]:
        first, frame = task
        typed = schema.apply(frame, source=config.data.path, first=first)
        labelled = typed[schema.target.name].notna()
        rows = typed if labelled.all() else typed[labelled].reset_index(drop=True)
        words = words_of(rows)
        columns = [_to_arrow(rows[field.name], field.type) for field in types] + [pa.array(combine(words))]
        if keyed:
            columns.append(pa.array(combine({name: words[name] for name in config.split.key})))
        parts = parts_of(config, rows, words)
        table = pa.Table.from_arrays(columns, schema=staged)
        divided = {part: table.filter(pa.array(parts == part)) for part in (TRAIN, TEST)}
        return divided, int((parts == NEITHER).sum()), len(typed) - len(rows)

    neither = unlabelled = 0
    batches = read_batches(config.path(config.data.path), config.data.read)
    with ExitStack() as stack:
        writers = {
            part: stack.enter_context(
                pa.parquet.ParquetWriter(folder / f"{name}.parquet", staged, compression="lz4", use_dictionary=False)
            )
            for part, name in ((TRAIN, "train"), (TEST, "test"))
        }
        for tables, between, without in in_order(divide, in_pieces(batches), WORKERS):
            neither, unlabelled = neither + between, unlabelled + without
            for part, table in tables.items():
                writers[part].write_table(table)
    return neither, unlabelled


def open_parts(config: Config, database: DuckDBPyConnection, folder: Path) -> int:
    """Make the views `train` and `test` of the scratch files; return how many rows train lacks for a key in test."""
    for part in _OUTPUTS:
        database.read_parquet(str(folder / f"{part}.parquet"), file_row_number=True).create_view(f"staged_{part}")
    database.execute("CREATE VIEW test AS FROM staged_test")
    if config.split.method == "hash" or not config.split.key:
        database.execute("CREATE VIEW train AS FROM staged_train")
        return 0
    database.execute(
        "CREATE VIEW train AS FROM staged_train ANTI JOIN (SELECT DISTINCT key FROM staged_test) USING (key)"
    )
    return _count(database, "staged_train") - _count(database, "train")


def sort_rows(database: DuckDBPyConnection, part: str, types: pa.Schema) -> Iterator[pa.Table]:
    """Return the rows of a part in tables of BATCH rows, in an order that their values decide.

    Sorting the dataset differently then retrains nothing. Rows of one hash are the same rows, or else come as the
    dataset has them.
    """
    columns = ", ".join(f"c{number}" for number in range(len(types)))
    sorted_rows = database.sql(f"SELECT {columns} FROM {part} ORDER BY hash, file_row_number").to_arrow_reader(BATCH)
    return regroup(pa.Table.from_batches([batch]).rename_columns(types.names).cast(types) for batch in sorted_rows)


def _arrow_schema(schema: Schema) -> pa.Schema:
    columns = [
        pa.field(name, _ARROW[column.type], metadata={KIND: column.type}) for name, column in schema.columns.items()
    ]
    target = "category" if schema.target.values is not None else schema.target.type
    return pa.schema([*columns, pa.field(schema.target.name, _ARROW[target])])


def _to_arrow(values: pd.Series, kind: pa.DataType) -> pa.Array:
    # -0.0 is 0.0 to the hash, so that it must be in the file as well.
    return pa.array(values.to_numpy() + 0.0 if kind == pa.float64() else values, kind, from_pandas=True)


def _check_names(config: Config, schema: Schema) -> None:
    if schema.target.name != config.data.target:
        raise UserError(
            f"schema.yaml: its target is {schema.target.name!r} but data.target in params.yaml is "
            f"{config.data.target!r}; remove schema.yaml and run `mlops setup` to infer it again."
        )
    if (schema.target.values is None) != (config.data.task == "regression"):
        raise UserError(
            f"schema.yaml: its target does not fit data.task {config.data.task} in params.yaml; remove it "
            "and run `mlops setup` to infer it again."
        )
    column = [config.split.column] if config.split.method == "time" and config.split.column else []
    for section, names in (
        ("data.drop", config.data.drop),
        ("split.key", config.split.key),
        ("split.column", column),
        ("data.weight", [config.data.weight] if config.data.weight else []),
    ):
        for name in names:
            if name not in schema.columns:
                raise UserError(
                    f"params.yaml: {section} names {name!r}, which is no column of schema.yaml; correct it."
                )
    if not schema.without(config.data.unseen).columns:
        raise UserError("params.yaml: data.drop leaves no column to predict from; keep at least one.")
    if config.data.weight and (kind := schema.columns[config.data.weight].type) != "number":
        raise UserError(f"params.yaml: data.weight names {config.data.weight!r}, which is a {kind}; name a number.")
    _check_positive(config.data.positive, schema.target.values or [])


def _check_positive(positive: str | None, classes: list[str]) -> None:
    if positive is None:
        return
    if positive not in classes:
        cure = did_you_mean(repr(positive), map(repr, classes), f"the classes are {', '.join(classes[:20])}.")
        raise UserError(f"params.yaml: data.positive is {positive!r}, which is no class of schema.yaml; {cure}")
    if len(classes) != 2:
        raise UserError(
            f"params.yaml: data.positive is one class of two, but schema.yaml has {len(classes)}; set it to null."
        )


def _check_parts(
    config: Config, database: DuckDBPyConnection, types: pa.Schema, in_gap: int, of_test_keys: int
) -> None:
    split, target = config.split, f"c{len(types) - 1}"
    time = f"c{types.names.index(split.column)}" if split.method == "time" else None
    # Rows without a time are in no later part.
    if time and (missing := _count(database, "staged_train", f"{time} IS NULL")):
        raise UserError(
            f"params.yaml: split.column {split.column!r} is missing in {missing} rows; fill them or choose another."
        )
    counts = {part: _count(database, part) for part in _OUTPUTS}
    rows = sum(counts.values()) + in_gap + of_test_keys
    if not rows:
        raise UserError(f"{config.data.path}: the target {config.data.target!r} is missing in every row; fill it.")
    if not counts["train"] and of_test_keys:
        raise UserError(
            f"params.yaml: split.key leaves none of the {rows} rows for train: each before split.cutoff has the key "
            "of a test row; change one of them."
        )
    if not counts["train"] and in_gap:
        raise UserError(f"params.yaml: split.gap leaves none of the {rows} rows for train; shorten it or add data.")
    for part in ("test", "train"):
        if not counts[part]:
            knob, seen = ("split.cutoff", _range(database, time, split.column)) if time else ("split.test_size", "")
            raise UserError(
                f"params.yaml: {knob} puts none of the {rows} rows into {part}{seen}; change it or add data."
            )
    spread = "DISTINCT {0}" if config.data.task == "classification" else "UNNEST([min({0}), max({0})])"
    train, test = (
        {value for (value,) in database.sql(f"SELECT {spread.format(target)} FROM {part}").fetchall()}
        for part in _OUTPUTS
    )
    if len(train | test) < 2:
        raise UserError(
            f"{config.data.path}: the target {config.data.target!r} is {min(train)} in every row; "
            "add rows where it differs."
        )
    if config.data.task == "classification" and (absent := sorted(test - train)):
        raise UserError(
            f"{config.data.path}: no row of class {absent[0]!r} falls into train; "
            "add rows of it or merge it with another."
        )


def _check_unique(config: Config, database: DuckDBPyConnection, schema: Schema) -> None:
    for number, (name, column) in enumerate(schema.columns.items()):
        if column.unique:
            values = f"(SELECT c{number} AS value FROM staged_train UNION ALL SELECT c{number} FROM staged_test)"
            again = f"SELECT value FROM {values} WHERE value IS NOT NULL GROUP BY value HAVING count(*) > 1"
            many, value = database.sql(f"SELECT count(*), min(value)::VARCHAR FROM ({again})").fetchall()[0]
            if many:
                raise UserError(
                    f"{config.data.path}: column {name!r} must be unique, but {many:,} of its values repeat, such as "
                    f"{value[:40]!r}; remove what repeats, or unique from its line in schema.yaml."
                )


def _range(database: DuckDBPyConnection, column: str, name: str | None) -> str:
    everything = "(FROM staged_train UNION ALL FROM staged_test)"
    least, most = database.sql(f"SELECT min({column})::VARCHAR, max({column})::VARCHAR FROM {everything}").fetchall()[0]
    first, last = (text.removesuffix(" 00:00:00") for text in (least, most))
    return f", for {name!r} goes from {first} to {last}"


def _count(database: DuckDBPyConnection, table: str, condition: str = "true") -> int:
    return int(database.sql(f"SELECT count(*) FROM {table} WHERE {condition}").fetchall()[0][0])
