"""Tables that need not fit into memory: worked on batch by batch, written in row groups of one size."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from ..core.files import replacing
from .batches import BATCH, regroup

CELLS = 16 * BATCH  # values that are worked on at once: columns do not multiply the memory

T = TypeVar("T")
R = TypeVar("R")


def in_order(function: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """Yield what the function makes of each item, in the items' order, while later ones are worked on by the threads.

    No more than `threads` + 1 results wait, so that the memory does not depend on how many items there are.
    """
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def in_pieces(batches: Iterable[pd.DataFrame]) -> Iterator[tuple[int, pd.DataFrame]]:
    """Yield the batches, those of many columns in pieces of CELLS values, each with the number of rows before it."""
    before = 0
    for batch in batches:
        step = max(1, CELLS // batch.shape[1])
        for start in range(0, len(batch), step):
            yield before + start, batch.iloc[start : start + step].reset_index(drop=True)
        before += len(batch)


def write_groups(path: Path, schema: pa.Schema, batches: Iterable[pa.Table]) -> int:
    """Write the tables one after the other, in one step, and return how many rows they have.

    The bytes depend on the rows alone and not on how they were divided: every row group has BATCH rows, and the last
    one the rest.
    """
    rows = 0
    # Without dictionaries: to look for values that repeat takes longer than to compress them.
    with (
        replacing(path) as partial,
        pa.parquet.ParquetWriter(partial, schema, compression="zstd", use_dictionary=False) as writer,
    ):
        for group in regroup(batches):
            writer.write_table(group)
            rows += group.num_rows
    return rows
