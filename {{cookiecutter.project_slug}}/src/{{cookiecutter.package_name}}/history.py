"""The history of a row: what features.sql knew of its entity before its time, out of the table that the stage makes."""

import contextlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa

from .config import Config, Resources
from .database import connect, literal, quote
from .errors import UserError
from .outputs import HISTORY
from .table import to_frame

BUCKETS = 64
ABOUT = "table.json"  # beside the buckets: whose hash says which entities each holds, and what is known of them


def join_history(rows: pd.DataFrame, config: Config) -> pd.DataFrame:
    """The typed rows with a column for each feature of features.sql, as known before the row's time.

    A row without a column for the time gets what is known by now. Missing where the entity is, or had no event before.
    """
    if not config.history.entity:
        return rows
    names = [name for name in _keys(config) if name in rows]
    absent = [name for name in config.history.entity if name not in rows]
    if absent:
        raise UserError(f"the rows lack {absent[0]!r}, which history.entity in params.yaml names; add that column.")
    keys = pa.Table.from_pandas(rows[names], preserve_index=False)
    cursor = _shared(config.resources).cursor()
    cursor.register("keys", keys.append_column("__row", pa.array(range(len(rows)), pa.int64())))
    held = {
        bucket
        for (bucket,) in cursor.execute(f"SELECT DISTINCT {bucket_of(config.history.entity)} FROM keys").fetchall()
    }
    known = cursor.sql(_as_of("keys", names, config, held)).to_arrow_table()
    return pd.concat([rows.reset_index(drop=True), to_frame(known)], axis=1)


def join_batches(batches: Iterable[pd.DataFrame], path: Path, config: Config) -> Iterator[pd.DataFrame]:
    """The same for all rows of a Parquet file, which come as consecutive `batches`, with one join for all of them."""
    if not config.history.entity:
        yield from batches
        return
    names = _keys(config)
    columns = ", ".join(map(quote, names))
    keys = f"(SELECT {columns}, file_row_number AS __row FROM read_parquet({literal(path)}, file_row_number = true))"
    cursor = _shared(config.resources).cursor()
    reader = cursor.sql(_as_of(keys, names, config)).to_arrow_reader()
    known = reader.schema.empty_table()
    for rows in batches:
        while len(known) < len(rows):
            known = pa.concat_tables([known, pa.Table.from_batches([reader.read_next_batch()])])
        yield pd.concat([rows.reset_index(drop=True), to_frame(known.slice(0, len(rows)))], axis=1)
        known = known.slice(len(rows))


def unneeded(config: Config, given: Iterable[str]) -> list[str]:
    """Those columns of data.drop, and data.weight, that rows with the columns `given` need not have.

    Whose history is meant must be said; the time may be lacking.
    """
    needed = {*config.history.entity, *({config.history.time} & set(given))} if config.history.entity else set()
    return [name for name in config.data.unseen if name not in needed]


def wait(config: Config, moments: bool) -> str:
    """How long after an event it is known, as SQL that can be added to its time, which holds `moments` or numbers."""
    delay = config.history.delay
    if moments and isinstance(delay, str | None):
        with contextlib.suppress(ValueError):
            length = pd.Timedelta(delay or 0)
            if length >= pd.Timedelta(0):
                return f"to_microseconds({length // pd.Timedelta(microseconds=1)})"
    elif not moments and isinstance(delay, float | None) and (delay or 0.0) >= 0:
        return repr(delay or 0.0)
    example = "a length of time such as 1d or 12h" if moments else "a number, not below zero"
    raise UserError(f"params.yaml: history.delay must be {example}, as history.time holds such, not {delay!r}.")


def bucket_of(entity: list[str]) -> str:
    """The number of the bucket that holds an entity, as SQL."""
    return f"hash({', '.join(map(quote, entity))}) % {BUCKETS}"


def _keys(config: Config) -> list[str]:
    return [*config.history.entity, config.history.time or ""]


def _as_of(keys: str, names: list[str], config: Config, held: set[int] | None = None) -> str:
    """The query for the features of each of the `keys`, a relation with the columns `names` and __row; it reads the
    buckets `held`, or all."""
    *entity, time = _keys(config)
    directory = config.path(HISTORY)
    try:
        about = json.loads((directory / ABOUT).read_bytes())
    except FileNotFoundError:
        raise UserError(f"{directory}: not found; run `mlops train`, which makes it, or `mlops pull`.") from None
    if (about["entity"], about["time"], about["duckdb"]) != (entity, time, duckdb.__version__):
        raise UserError(f"{directory}: was made with other params or another DuckDB; run `mlops train` to renew it.")
    files = sorted(directory.glob("*.parquet"))
    files = [file for file in files if held is None or int(file.stem) in held] or files[:1]
    moments = about["moments"]
    now = "'infinity'::TIMESTAMP" if moments else "'infinity'::DOUBLE"
    same = " AND ".join(f"keys.{quote(name)} = past.{quote(name)}" for name in entity)
    return f"""
        SELECT {", ".join(f"past.{quote(name)}" for name in about["features"])}
        FROM (SELECT *, {quote(time) if time in names else now} AS __moment FROM {keys}) AS keys
        ASOF LEFT JOIN (
            SELECT *, {quote(time)} + {wait(config, moments)} AS __known
            FROM read_parquet([{", ".join(map(literal, files))}])
        ) AS past ON {same} AND keys.__moment > past.__known
        ORDER BY keys.__row
    """


@cache
def _shared(resources: Resources) -> duckdb.DuckDBPyConnection:
    """One database for all joins of a process: opening one takes longer than looking a row up."""
    return connect(resources)
