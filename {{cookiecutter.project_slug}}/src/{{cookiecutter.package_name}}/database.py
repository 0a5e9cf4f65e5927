"""DuckDB as this project uses it: within the memory that params.yaml allows, the same in every time zone."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from .config import Resources
from .errors import UserError

PYTHON = 400_000_000  # bytes that Python, its libraries and the batches in flight hold beside DuckDB: measured
A_THREAD = 250_000_000  # bytes below which another thread of DuckDB slows it down


def connect(
    resources: Resources, share: float = 1, threads: int | None = None, spill: Path | None = None
) -> duckdb.DuckDBPyConnection:
    """A new database, which writes to the folder `spill` what exceeds its `share` of what DuckDB may hold.

    With one thread, a query gives the same bits on every machine; without `threads` there are as many as pay.
    """
    database = duckdb.connect()
    settings: dict[str, str | int] = {"temp_directory": str(spill or tempfile.gettempdir()), "TimeZone": "UTC"}
    if resources.memory:
        limit = (resources.memory_bytes - PYTHON) * share
        cores = int(database.sql("SELECT current_setting('threads')").fetchall()[0][0])
        settings["memory_limit"] = f"{limit // 1000:.0f}KB"
        settings["threads"] = max(1, min(cores, int(limit // A_THREAD)))
    if threads:
        settings["threads"] = threads
    for name, value in settings.items():
        database.execute(f"SET {name} = {literal(value)}")
    return database


@contextmanager
def open_database(resources: Resources, spill: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database for queries that all say their order, and that hand over tables.

    Raises:
        UserError: the memory does not suffice for what is done with it.
    """
    with connect(resources, spill=spill) as database:
        database.execute("SET preserve_insertion_order = false")
        database.execute("SET arrow_large_buffer_size = true")
        with bounded():
            yield database


@contextmanager
def bounded() -> Iterator[None]:
    """Turns what DuckDB says when memory, disk or a file fails it into one sentence."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise UserError(f"DuckDB: {first_line(error)}; raise resources.memory in params.yaml.") from None
    except duckdb.IOException as error:
        raise UserError(f"DuckDB: {first_line(error)}; free disk space, or have the file made again.") from None


def first_line(error: duckdb.Error) -> str:
    """What DuckDB says, without the query and the advice below it."""
    return str(error).splitlines()[0].rstrip(".!")


def quote(*names: str) -> str:
    """The names of columns as SQL takes them, with commas between them."""
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(value: str | int | Path) -> str:
    """A text or whole number as SQL takes it."""
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"
