"""The history of a row: what features.sql knew of its entity before its time, out of the table that the stage makes."""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from ..core.config import Config, Resources
from ..core.errors import RowsRefused, UserError
from ..core.paths import HISTORY
from .database import bounded, connect, literal, quote
from .table import to_frame
from .values import as_span

ABOUT = "table.json"  # beside the buckets: how many there are, and what is in them


def join_history(rows: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Return the typed rows with a column for each feature of features.sql, as known before the row's time.

    A row without a column for the time gets what is known by now. Missing where the entity is, or had no event before.
    """
    entity = config.history.entity
    if not entity:
        return rows
    absent = [name for name in entity if name not in rows]
    if absent:
        raise RowsRefused(f"the rows lack {absent[0]!r}, which history.entity in params.yaml names; add that column.")
    names = [name for name in _keys(config) if name in rows]
    keys = pa.Table.from_pandas(rows[names], preserve_index=False)
    about = _read_about(config)
    cursor = _shared(config.resources).cursor()
    cursor.register("keys", keys.append_column("__row", pa.array(range(len(rows)), pa.int64())))
    with bounded():
        held = cursor.execute(f"SELECT DISTINCT {bucket_of(entity, about['buckets'])} FROM keys").fetchall()
        known = cursor.sql(_as_of("keys", names, config, about, {bucket for (bucket,) in held})).to_arrow_table()
    return pd.concat([rows.reset_index(drop=True), to_frame(known)], axis=1)


def join_batches(batches: Iterable[pd.DataFrame], path: Path, config: Config) -> Iterator[pd.DataFrame]:
    """Yield the same for all rows of a Parquet file, which come as consecutive `batches`, with one join for all."""
    if not config.history.entity:
        yield from batches
        return
    names = _keys(config)
    columns = quote(*names)
    keys = f"(SELECT {columns}, file_row_number AS __row FROM read_parquet({literal(path)}, file_row_number = true))"
    cursor = _shared(config.resources).cursor()
    with bounded():
        reader = cursor.sql(_as_of(keys, names, config, _read_about(config))).to_arrow_reader()
    known = reader.schema.empty_table()
    for rows in batches:
        with bounded():
            while len(known) < len(rows):
                known = pa.concat_tables([known, pa.Table.from_batches([reader.read_next_batch()])])
        yield pd.concat([rows.reset_index(drop=True), to_frame(known.slice(0, len(rows)))], axis=1)
        known = known.slice(len(rows))


def wait(config: Config, moments: bool) -> str:
    """Return how long after an event it is known, as SQL to add to its time, which holds `moments` or numbers."""
    delay = config.history.delay
    if moments and (span := as_span("0s" if delay is None else delay)) is not None:
        return f"to_microseconds({span // pd.Timedelta(microseconds=1)})"
    if not moments and isinstance(delay, float | None) and (delay or 0.0) >= 0:
        return repr(delay or 0.0)
    example = "a length of time such as 1d or 12h" if moments else "a number, not below zero"
    raise UserError(f"params.yaml: history.delay must be {example}, as history.time holds such, not {delay!r}.")


def bucket_of(entity: list[str], buckets: int) -> str:
    """Return the number of the bucket that holds an entity, as SQL; half as many buckets hold twice as much each."""
    return f"hash({quote(*entity)}) % {buckets}"


def _keys(config: Config) -> list[str]:
    return [*config.history.entity, config.history.time or ""]


def _read_about(config: Config) -> dict[str, Any]:
    directory = config.path(HISTORY)
    try:
        about = json.loads((directory / ABOUT).read_bytes())
    except FileNotFoundError:
        raise UserError(f"{directory}: not found; run `mlops train`, which makes it, or `mlops pull`.") from None
    made_for = [*about.get("entity", []), about.get("time")], about.get("duckdb")
    if made_for != (_keys(config), duckdb.__version__):
        raise UserError(f"{directory}: was made with other params or another DuckDB; run `mlops train` to renew it.")
    return about


def _as_of(keys: str, names: list[str], config: Config, about: dict[str, Any], held: set[int] | None = None) -> str:
    """Return the query for the features of the `keys`, which have the columns `names` and __row, in their order.

    It reads the buckets `held`, or all.
    """
    *entity, time = _keys(config)
    directory = config.path(HISTORY)
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
    """Return one database for all joins of a process: opening one takes longer than looking a row up."""
    return connect(resources)
