"""DuckDB within the memory that params.yaml allows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from .config import Resources
from .errors import UserError

PYTHON = 400_000_000  # bytes that Python, its libraries and the batches in flight hold beside DuckDB: measured
A_THREAD = 250_000_000  # bytes below which another thread of DuckDB slows it down


@contextmanager
def open_database(resources: Resources, spill: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory, which writes to the folder `spill` what exceeds its part of `resources.memory`.

    Raises:
        UserError: the memory does not suffice for what is done with it.
    """
    with duckdb.connect() as database:
        database.execute("SET temp_directory = ?", [str(spill)])
        database.execute("SET preserve_insertion_order = false")  # every query here says its order
        database.execute("SET arrow_large_buffer_size = true")
        if resources.memory:
            limit = resources.memory_bytes - PYTHON
            threads = min(int(database.sql("SELECT current_setting('threads')").fetchall()[0][0]), limit // A_THREAD)
            database.execute("SET memory_limit = ?", [f"{limit // 1000}KB"])
            database.execute("SET threads = ?", [max(1, threads)])
        try:
            yield database
        except duckdb.OutOfMemoryException:
            given = resources.memory or "null, which is what the machine has,"
            raise UserError(f"params.yaml: resources.memory {given} is too little for this data; raise it.") from None
