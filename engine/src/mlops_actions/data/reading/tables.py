"""The rows of a file or folder of any kind, as a stream of tables that all have the same columns."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from ...core.config import Read
from ...core.errors import UserError
from .kinds import check_names, find_files, kind_of
from .lines import read_lines
from .parquet import read_parquet
from .text import read_text
from .workbook import read_workbook


def read_tables(path: Path, read: Read) -> Iterator[pa.Table]:
    """Yield the rows in order, in tables of any size with the columns of the first.

    Raises:
        UserError: there are no rows, or a file cannot be read or has other columns than the first.
    """
    files = find_files(path)
    names: list[str] = []
    rows = 0
    for file, table in _read_files(files, read):
        if not names:
            names = table.column_names
            check_names(file, names)
        elif table.column_names != names:
            _check_agree(table.column_names, names, file, files[0])
            table = table.select(names)
        rows += table.num_rows
        if table.num_rows:
            yield table
    if not rows:
        raise UserError(f"{path}: has a header but no rows; add data below it.")


def _read_files(files: list[Path], read: Read) -> Iterator[tuple[Path, pa.Table]]:
    kind = kind_of(files[0])
    if kind == "parquet":
        yield from read_parquet(files)
        return
    for file in files:
        if kind == "text":
            tables = read_text(file, read)
        else:
            tables = read_lines(file) if kind == "lines" else read_workbook(file, read)
        for table in tables:
            yield file, table


def _check_agree(names: list[str], wanted: list[str], file: Path, first: Path) -> None:
    check_names(file, names)
    lacking = [name for name in wanted if name not in names]
    if lacking:
        raise UserError(f"{file}: lacks the column {lacking[0]!r}, which {first.name} has; add it, or move one away.")
    new = [name for name in names if name not in wanted]
    if new:
        raise UserError(f"{file}: has the column {new[0]!r}, which {first.name} lacks; add it, or move one away.")
