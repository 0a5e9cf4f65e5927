"""Batches of one size, in which all rows are read, worked on and written."""

from collections.abc import Iterable, Iterator

import pyarrow as pa

BATCH = 2**16  # rows
WIDEST = 2**26  # values of a batch that is read: beyond 1,024 columns it has fewer rows, and takes no more memory


def rows_to_read(columns: int, most: int = BATCH) -> int:
    """Return how many rows of so many columns are read at once."""
    return max(1, min(most, WIDEST // max(1, columns)))


def regroup(tables: Iterable[pa.Table], size: int = BATCH) -> Iterator[pa.Table]:
    """Yield the same rows in tables of `size` rows; only the last may have fewer."""
    held: list[pa.Table] = []
    rows = 0
    for table in tables:
        held.append(table)
        rows += table.num_rows
        if rows >= size:
            joined = pa.concat_tables(held)
            whole = rows - rows % size
            for start in range(0, whole, size):
                yield joined.slice(start, size)
            held, rows = [joined.slice(whole)], rows - whole
    if rows:
        yield pa.concat_tables(held)
