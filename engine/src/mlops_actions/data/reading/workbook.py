"""A sheet of a workbook (Excel, OpenDocument), every cell as text."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...core.config import Read
from ...core.errors import UserError, need


def read_workbook(file: Path, read: Read) -> Iterator[pa.Table]:
    """Yield the rows of the sheet below its header, without empty ones, as one table."""
    calamine = need("python_calamine", f"{file}: a workbook")
    try:
        with calamine.CalamineWorkbook.from_path(file) as workbook:
            names = workbook.sheet_names
            if read.sheet is not None and read.sheet not in names:
                raise UserError(
                    f"{file}: has no sheet {read.sheet!r}; set data.read.sheet to one of {', '.join(names)}."
                )
            header, *rows = workbook.get_sheet_by_name(read.sheet or names[0]).to_python() or [[]]
    except (calamine.CalamineError, OSError) as error:
        raise UserError(f"{file}: cannot be read as a workbook ({error}); save it again.") from None
    cells = [[_as_text(cell) for cell in row] for row in rows]
    columns = dict(enumerate(zip(*(row for row in cells if any(row)), strict=True)))
    named = {number: _as_text(name).strip() for number, name in enumerate(header)}
    kept = [number for number, name in named.items() if name or any(columns.get(number, []))]
    if not kept:
        raise UserError(f"{file}: its sheet is empty; put a header and rows into it.")
    for number in kept:
        if not named[number]:
            raise UserError(f"{file}: column {number + 1} has no name in the header; name it or remove it.")
    arrays = [pa.array(columns.get(number, []), pa.string()) for number in kept]
    yield pa.table(arrays, [named[number] for number in kept])


def _as_text(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return str(int(cell))
    if isinstance(cell, dt.datetime):
        return cell.isoformat(" ") if cell.time() != dt.time() else cell.date().isoformat()
    return str(cell)
