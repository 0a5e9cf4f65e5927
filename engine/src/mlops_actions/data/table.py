"""Tables in and out of files: any kind in, Parquet out."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from ..core.config import Read
from ..core.errors import UserError
from ..core.files import write_file
from .batches import BATCH, regroup, rows_to_read
from .reading.tables import read_tables

KIND = "kind"  # of a column by the contract: Arrow's types do not tell a category from text


def read_table(path: Path, read: Read | None = None) -> pd.DataFrame:
    """Return the rows of a file or folder, nothing interpreted: every cell as text, those of Parquet as typed there."""
    return to_frame(pa.concat_tables(read_tables(path, read or Read())))


def read_batches(path: Path, read: Read) -> Iterator[pd.DataFrame]:
    """Yield the same rows in order, in frames of BATCH rows, of very many columns fewer; one is held at a time."""
    tables = read_tables(path, read)
    first = next(tables)
    for table in regroup(chain([first], tables), rows_to_read(first.num_columns)):
        yield to_frame(table)


def read_typed(path: Path, rows: int | None = None) -> pd.DataFrame:
    """Return the rows that an earlier stage wrote, with its types; with `rows`, the first so many, read alone."""
    file = _open(path)
    if rows is None or rows >= file.metadata.num_rows:
        return to_frame(file.read())
    needed, begin = 0, 0
    while begin < rows:
        begin, needed = begin + file.metadata.row_group(needed).num_rows, needed + 1
    batches, kept = [], 0
    for batch in file.iter_batches(BATCH, row_groups=range(needed)):
        batches.append(batch[: rows - kept])
        kept += len(batches[-1])
    return to_frame(pa.Table.from_batches(batches))


def read_groups(path: Path) -> Iterator[pd.DataFrame]:
    """Yield the rows that an earlier stage wrote, in frames of BATCH rows; only the last may have fewer."""
    for batch in _open(path).iter_batches(BATCH):
        yield to_frame(pa.Table.from_batches([batch]))


def kinds_of(path: Path) -> dict[str, str]:
    """Return what the contract says of the columns in a file of an earlier stage; those it does not know lack."""
    key = KIND.encode()
    fields = _open(path).schema_arrow
    return {field.name: field.metadata[key].decode() for field in fields if key in (field.metadata or {})}


def _open(path: Path) -> pyarrow.parquet.ParquetFile:
    if not path.is_file():
        raise UserError(f"{path}: not found; run `mlops train`, which makes it.")
    return pa.parquet.ParquetFile(path, pre_buffer=False)


def columns_of(features: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the names of the number columns (float32) and of the category columns (all others) of a feature table."""
    numbers = [str(name) for name in features if features[name].dtype == "float32"]
    return numbers, [str(name) for name in features if str(name) not in numbers]


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write the frame, in one step and always with the same bytes for the same rows."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(table, sink, compression="zstd")
    write_file(path, sink.getvalue().to_pybytes())


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return the frame of an Arrow table, with the types that every stage uses."""
    return table.to_pandas(ignore_metadata=True, date_as_object=False, types_mapper={pa.bool_(): pd.BooleanDtype()}.get)
