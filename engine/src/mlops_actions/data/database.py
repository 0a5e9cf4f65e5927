"""DuckDB as this project uses it: within the memory that params.yaml allows, the same in every time zone."""

import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from ..core.config import Resources
from ..core.errors import UserError
from .batches import BATCH

# What Python holds beside DuckDB, as measured: its libraries, and so many batches on their way, 8 bytes a value.
PYTHON = 380_000_000
ON_THEIR_WAY = 5
LEAST = 50_000_000  # bytes that DuckDB can work with
A_THREAD = 250_000_000  # bytes below which another thread of DuckDB slows it down


def connect(
    resources: Resources,
    share: float = 1,
    threads: int | None = None,
    spill: Path | None = None,
    columns: int = 0,
) -> duckdb.DuckDBPyConnection:
    """Return a new database, which writes to a disk what exceeds its part of the memory.

    Args:
        resources: the memory of the whole process.
        share: of what DuckDB may hold, what this database may.
        threads: None is as many as pay. With one, a query gives the same bits on every machine.
        spill: a folder on a disk with room for the data; None is the machine's for temporary files.
        columns: how many columns the batches have that pass between DuckDB and Python.

    Raises:
        UserError: the memory does not suffice for so many columns.
    """
    database = duckdb.connect()
    settings: dict[str, str | int] = {"temp_directory": str(spill or tempfile.gettempdir()), "TimeZone": "UTC"}
    if resources.memory:
        beside = PYTHON + ON_THEIR_WAY * 8 * BATCH * columns
        limit = (resources.memory_bytes - beside) * share
        if limit < LEAST * share:
            raise UserError(
                f"params.yaml: resources.memory {resources.memory} is too little for {columns} columns; give at "
                f"least {math.ceil((beside + LEAST) / 1e8) * 100}MB."
            )
        settings["memory_limit"] = f"{limit // 1000:.0f}KB"
        settings["threads"] = max(1, min(os.cpu_count() or 1, int(limit // A_THREAD)))
    if threads:
        settings["threads"] = threads
    for name, value in settings.items():
        database.execute(f"SET {name} = {literal(value)}")
    return database


@contextmanager
def open_database(resources: Resources, spill: Path, columns: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a database for queries that all say their order, and that hand over tables.

    Raises:
        UserError: the memory does not suffice for what is done with it.
    """
    with connect(resources, spill=spill, columns=columns) as database:
        database.execute("SET preserve_insertion_order = false")
        database.execute("SET arrow_large_buffer_size = true")
        with bounded():
            yield database


@contextmanager
def bounded() -> Iterator[None]:
    """Turn what DuckDB says when memory, disk or a file fails it into one sentence."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise UserError(f"DuckDB: {first_line(error)}; raise resources.memory in params.yaml.") from None
    except duckdb.IOException as error:
        raise UserError(f"DuckDB: {first_line(error)}; free disk space, or have the file made again.") from None


def first_line(error: duckdb.Error) -> str:
    """Return what DuckDB says, without the query and the advice below it."""
    return str(error).splitlines()[0].rstrip(".!")


def quote(*names: str) -> str:
    """Return the names of columns as SQL takes them, with commas between them."""
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(value: str | int | Path) -> str:
    """Return a text or whole number as SQL takes it."""
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"
