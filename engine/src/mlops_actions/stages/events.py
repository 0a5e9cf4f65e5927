"""The events that features.sql reads: the dataset's own rows, or a table of its own."""

from pathlib import Path

import duckdb

from ..core.config import Config
from ..core.errors import RowsRefused, UserError
from ..core.paths import TEST_ROWS, TRAIN_ROWS
from ..core.typed_yaml import read_yaml
from ..data.cells import MISSING_WORDS, WHOLE
from ..data.database import first_line, literal, quote
from ..data.history_table import bucket_of

BUCKETS = 64
PIPELINE = "dvc.yaml"
READERS = {".parquet": "read_parquet({})", ".csv": "read_csv({}, header = true, sample_size = -1, nullstr = {}{})"}


def open_events(connection: duckdb.DuckDBPyConnection, config: Config) -> tuple[dict[str, str], set[str]]:
    """Make the view `typed`: every event that says who and when, and the number of its entity's __bucket.

    What comes back are the data's columns with their DuckDB types, and the names of the events' columns.
    """
    history = config.history
    rows = f"read_parquet([{', '.join(literal(config.path(name)) for name in (TRAIN_ROWS, TEST_ROWS))}])"
    data = _columns(connection, rows, str(Path(TRAIN_ROWS).parent))
    for key, name in [*(("entity", name) for name in history.entity), ("time", history.time)]:
        if name not in data:
            raise RowsRefused(
                f"params.yaml: history.{key} names {name!r}, which is no column of schema.yaml; correct it."
            )
    keys = [*history.entity, str(history.time)]
    if data[keys[-1]] not in ("TIMESTAMP", "DOUBLE"):
        raise RowsRefused(
            f"params.yaml: history.time names {keys[-1]!r}, which has no order; choose a datetime or number column."
        )
    if history.events is None:
        source, columns = f"(SELECT * FROM {rows})", data
    else:
        source, columns = _open_file(connection, config, history.events, {name: data[name] for name in keys})
    given = " AND ".join(f"{quote(name)} IS NOT NULL" for name in keys)
    connection.execute(
        f"CREATE VIEW typed AS SELECT *, {bucket_of(history.entity, BUCKETS)} AS __bucket FROM {source} WHERE {given}"
    )
    return data, set(columns)


def _open_file(
    connection: duckdb.DuckDBPyConnection, config: Config, name: str, keys: dict[str, str]
) -> tuple[str, dict[str, str]]:
    """Return a table of its own, as SQL, whose key columns mean what they mean in the data, and its columns."""
    path = config.path(name)
    if path.suffix not in READERS:
        raise UserError(f"params.yaml: history.events {name!r} is neither .csv nor .parquet; save it as one of them.")
    if not path.is_file():
        raise UserError(f"{name}: not found; put the events there, or correct history.events in params.yaml.")
    stage = read_yaml(config.path(PIPELINE))["stages"]["history"]
    if name not in stage["deps"]:
        raise UserError(f"{PIPELINE}: add {name} to the deps of the stage history, so that new events rerun it.")
    words = f"[{', '.join(map(literal, MISSING_WORDS))}]"
    columns = _columns(connection, READERS[path.suffix].format(literal(path), words, ""), name)
    for key in keys:
        if key not in columns:
            raise RowsRefused(f"{name}: lacks the column {key!r}, which history in params.yaml names; add it.")
    # What looks like a number in a CSV need not be one in the data: 007.
    texts = ", ".join(f"{literal(key)}: 'VARCHAR'" for key in keys)
    source = READERS[path.suffix].format(literal(path), words, f", types = {{{texts}}}")
    casts = ", ".join(f"{_as_in_data(quote(key), kind, words)} AS {quote(key)}" for key, kind in keys.items())
    return f"(SELECT * REPLACE ({casts}) FROM {source})", columns


def _as_in_data(value: str, kind: str, missing: str) -> str:
    """Return a value of another table as the data has it: see data/cells.py."""
    if kind == "DOUBLE":
        return f"CASE WHEN NOT isnan(CAST({value} AS DOUBLE)) THEN CAST({value} AS DOUBLE) + 0.0 END"
    if kind != "VARCHAR":
        return f"CAST({value} AS {kind})"
    text = rf"regexp_replace(trim(CAST({value} AS VARCHAR)), '{WHOLE}', '\1')"
    return f"CASE WHEN NOT list_contains({missing}, {text}) THEN {text} END"


def _columns(connection: duckdb.DuckDBPyConnection, source: str, name: str) -> dict[str, str]:
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    except duckdb.Error as error:
        raise RowsRefused(f"{name}: cannot be read ({first_line(error)}); write it again.") from None
    return {str(column): str(kind) for column, kind, *_ in described}
