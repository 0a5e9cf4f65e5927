"""Tables in and out of files: CSV and Parquet in, Parquet out."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from .config import Read
from .errors import UserError
from .files import write_file

BATCH = 2**16  # rows


def read_table(path: Path) -> pd.DataFrame:
    """The rows of a CSV (every cell as text) or a Parquet file (as typed there), nothing interpreted."""
    if not path.is_file():
        raise UserError(
            f"{path}: not found; put the dataset there, run `mlops pull`, or correct its path in params.yaml."
        )
    if path.suffix not in (".csv", ".parquet"):
        raise UserError(f"{path}: neither .csv nor .parquet; save the dataset as one of them.")
    table = _read_csv(path) if path.suffix == ".csv" else _read_parquet(path)
    names = table.column_names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{path}: the column {twice[0]!r} appears {names.count(twice[0])} times; rename or remove one.")
    if table.num_rows == 0:
        raise UserError(f"{path}: has a header but no rows; add data below it.")
    nested = [field.name for field in table.schema if pa.types.is_nested(field.type)]
    if nested:
        raise UserError(f"{path}: column {nested[0]!r} holds lists or records; spread it over plain columns.")
    return _to_pandas(table)


def read_batches(path: Path, read: Read) -> Iterator[pd.DataFrame]:
    """The rows of the data in order, nothing interpreted, in frames of BATCH rows; only the last may have fewer."""
    if path.suffix == ".parquet" and path.is_file():
        for batch in pa.parquet.ParquetFile(path, pre_buffer=False).iter_batches(BATCH):
            yield _to_pandas(pa.Table.from_batches([batch]))
        return
    rows = read_table(path)
    for start in range(0, len(rows), BATCH):
        yield rows.iloc[start : start + BATCH].reset_index(drop=True)


def read_typed(path: Path, rows: int | None = None) -> pd.DataFrame:
    """The rows that an earlier stage wrote, with the types it gave them; with `rows`, the first so many, read alone."""
    file = _open(path)
    if rows is None or rows >= file.metadata.num_rows:
        return _to_pandas(file.read())
    batches, kept = [], 0
    for batch in file.iter_batches(BATCH):
        batches.append(batch[: rows - kept])
        kept += len(batches[-1])
        if kept == rows:
            break
    return _to_pandas(pa.Table.from_batches(batches))


def read_groups(path: Path) -> Iterator[pd.DataFrame]:
    """The rows that an earlier stage wrote, in frames of BATCH rows; only the last may have fewer."""
    for batch in _open(path).iter_batches(BATCH):
        yield _to_pandas(pa.Table.from_batches([batch]))


def _open(path: Path) -> pyarrow.parquet.ParquetFile:
    if not path.is_file():
        raise UserError(f"{path}: not found; run `mlops train`, which makes it.")
    return pa.parquet.ParquetFile(path, pre_buffer=False)


def columns_of(features: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The names of the number columns (float32) and of the category columns (all others) of a feature table."""
    numbers = [str(name) for name in features if features[name].dtype == "float32"]
    return numbers, [str(name) for name in features if str(name) not in numbers]


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Writes the frame, in one step and always with the same bytes for the same rows."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(table, sink, compression="zstd")
    write_file(path, sink.getvalue().to_pybytes())


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas(ignore_metadata=True, date_as_object=False, types_mapper={pa.bool_(): pd.BooleanDtype()}.get)


def _read_csv(path: Path) -> pa.Table:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8 text; save the file with UTF-8 encoding.") from None
    except csv.Error as error:
        raise UserError(f"{path}: the header cannot be read as CSV ({error}).") from None
    if not header:
        raise UserError(f"{path}: is empty; put a header and rows into it.")
    unnamed = [number for number, name in enumerate(header, 1) if not name.strip()]
    if unnamed:
        raise UserError(f"{path}: column {unnamed[0]} has no name in the header; name it or remove it.")
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise UserError(f"{path}: has a single column, {header[0][:40]!r}; save the file with commas between columns.")
    try:
        return pa.csv.read_csv(
            path,
            pa.csv.ReadOptions(use_threads=False),
            pa.csv.ParseOptions(newlines_in_values=True),
            pa.csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: {_explain(str(error), len(header))}") from None


def _explain(problem: str, width: int) -> str:
    row = re.search(r"Row #(\d+)", problem)
    where = f"row {int(row[1]) - 1}" if row else "a row"
    ragged = re.search(r"Expected \d+ columns, got (\d+)", problem)
    if ragged:
        return f"{where} has {ragged[1]} values where the header has {width}; correct its commas and quotes."
    if "UTF8" in problem:
        return f"{where} is not UTF-8 text; save the file with UTF-8 encoding."
    return f"cannot be read as CSV ({problem.splitlines()[0]})."


def _read_parquet(path: Path) -> pa.Table:
    try:
        table = pa.parquet.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: cannot be read as Parquet ({str(error).splitlines()[0]}); write it again.") from None
    columns = []
    for field in table.schema:
        if pa.types.is_decimal(field.type):
            field = field.with_type(pa.float64())
        elif pa.types.is_dictionary(field.type):
            field = field.with_type(field.type.value_type)
        columns.append(field)
    table = table.cast(pa.schema(columns))
    return table.select([name for name in table.column_names if not re.fullmatch(r"__index_level_\d+__", name)])
