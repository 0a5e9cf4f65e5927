"""Rows of a query, asked of the database that its `.sql` file names."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
from rich.console import Console
from rich.progress import track

from ...core.errors import UserError, need
from ..batches import regroup
from ..reading.kinds import check_names
from ..reading.parquet import make_plain, plain_schema
from .queries import Query, database_file

ROWS = 2**16  # of a row group, whatever pieces the database sends
DRIVERS = {"sqlite": "adbc_driver_sqlite.dbapi", "postgres": "adbc_driver_postgresql.dbapi"}  # DuckDB asks all others


def load_driver(query: Query) -> Any:
    """Return the module that asks a query's database, or None where that is DuckDB.

    Raises:
        UserError: it is not installed.
    """
    driver = DRIVERS.get(query.scheme)
    return need(driver, f"{query.file}: {query.scheme}") if driver else None


def write_query(query: Query, target: Path) -> None:
    """Write the rows of a query as Parquet: the same rows in the same order always make the same bytes.

    Never more than a row group of them is held.

    Raises:
        UserError: the database is not there, or refuses; or a column has no plain form.
    """
    where, shown = query.file.name, Console(stderr=True)
    opener = {"sqlite": _from_sqlite, "postgres": _from_postgres}.get(query.scheme, _from_duckdb)
    with ExitStack() as stack:
        with _sentences(query):
            batches = stack.enter_context(opener(query))
        check_names(query.file, batches.schema.names)
        schema = plain_schema(batches.schema, where)
        tables = (make_plain(table, schema, where) for table in _read(query, batches))
        pieces = track(regroup(tables, ROWS), "ingest", console=shown, transient=True, disable=not shown.is_terminal)
        rows = 0
        with pa.parquet.ParquetWriter(target, schema, compression="zstd") as writer:
            for table in pieces:
                writer.write_table(table)
                rows += table.num_rows
    if not rows:
        raise UserError(f"{query.file}: the query gives no rows; correct it.")


def _read(query: Query, batches: pa.RecordBatchReader) -> Iterator[pa.Table]:
    with _sentences(query):
        for batch in batches:
            yield pa.Table.from_batches([batch])


@contextmanager
def _sentences(query: Query) -> Iterator[None]:
    """Turn what drivers raise into what a user sees."""
    try:
        yield
    except Exception as error:
        driver = type(error).__module__.split(".")[0] in ("adbc_driver_manager", "duckdb", "_duckdb", "pyarrow")
        if not driver and not isinstance(error, OSError):
            raise
        raise UserError(f"{query.file}: {_explain(query, error)}") from None


@contextmanager
def _from_sqlite(query: Query) -> Iterator[pa.RecordBatchReader]:
    dbapi = load_driver(query)
    place = database_file(query).as_uri().replace("file://", "file:", 1)
    with dbapi.connect(f"{place}?mode=ro") as connection, connection.cursor() as cursor:
        # SQLite's columns have no types: those of so many rows decide.
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(ROWS)})
        cursor.execute(query.text)
        yield cursor.fetch_record_batch()


@contextmanager
def _from_postgres(query: Query) -> Iterator[pa.RecordBatchReader]:
    dbapi = load_driver(query)
    with dbapi.connect(query.database) as connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute(query.text)
        yield cursor.fetch_record_batch()


@contextmanager
def _from_duckdb(query: Query) -> Iterator[pa.RecordBatchReader]:
    import duckdb

    if query.scheme == "duckdb":
        with duckdb.connect(str(database_file(query)), read_only=True) as database:
            yield database.sql(query.text).to_arrow_reader(ROWS)
        return
    with duckdb.connect() as database:
        place = query.database.replace("'", "''")
        database.execute(f"ATTACH '{place}' AS source (READ_ONLY)")
        database.execute("USE source")
        yield database.sql(query.text).to_arrow_reader(ROWS)


def _explain(query: Query, error: Exception) -> str:
    problem = re.sub(r"^[A-Z_ ]+: (\[\w+\] )?", "", str(error).strip().splitlines()[0]).rstrip(". ")
    if 'xtension "' in problem:
        return f"DuckDB's extension for {query.scheme} is not here and cannot be fetched ({problem}); install it once."
    if "Type mismatch" in problem:
        return f"a column holds values of several types ({problem}); CAST it to one in the query."
    return f"the database says: {problem}; correct the query or the first line."
