"""A sheet of a workbook as Arrow, on standard output: a process of its own, which may take so much memory and no more.

What reads workbooks holds a sheet whole, with every cell up to its last row and column, and ends its process where the
memory does not suffice.
"""

import datetime as dt
import resource
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...core.errors import UserError, need
from .kinds import check_names

REFUSED = 3  # the exit code behind a sentence on standard error


def read_sheet(file: Path, sheet: str | None) -> pa.Table:
    """Return the rows of a sheet, None being the first, below its header, without empty ones; every cell as text.

    Raises:
        UserError: there is no such sheet, or it is no table.
    """
    calamine = need("python_calamine", f"{file}: a workbook")
    try:
        with calamine.CalamineWorkbook.from_path(file) as workbook:
            names = workbook.sheet_names
            if sheet is not None and sheet not in names:
                raise UserError(f"{file}: has no sheet {sheet!r}; set data.read.sheet to one of {', '.join(names)}.")
            header, *rows = workbook.get_sheet_by_name(sheet or names[0]).to_python() or [[]]
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
    check_names(file, [named[number] for number in kept])
    arrays = [pa.array(columns.get(number, []), pa.string()) for number in kept]
    return pa.table(arrays, [named[number] for number in kept])


def _as_text(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return str(int(cell))
    if isinstance(cell, dt.datetime):
        return cell.isoformat(" ") if cell.time() != dt.time() else cell.date().isoformat()
    return str(cell)


def main() -> int:
    """Write the sheet that the command line names, within the memory that it allows; return the exit code."""
    file, sheet, memory = sys.argv[1:]
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = int(memory) if most == resource.RLIM_INFINITY else min(int(memory), most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    try:
        table = read_sheet(Path(file), sheet or None)
        with pa.ipc.new_stream(sys.stdout.buffer, table.schema) as stream:
            stream.write_table(table)
    except UserError as error:
        print(error, file=sys.stderr)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
