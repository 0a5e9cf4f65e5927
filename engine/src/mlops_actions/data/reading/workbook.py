"""A sheet of a workbook (Excel, OpenDocument), every cell as text."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from ...core.config import Read
from ...core.errors import UserError, need
from ...core.files import open_zip
from . import sheet
from .kinds import check_unpacked

MEMORY = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2  # bytes that reading a sheet may take
DIED = ("MemoryError", "PanicException")  # how it ends where the memory, or a lying file, did not let it go on


def read_workbook(file: Path, read: Read) -> Iterator[pa.Table]:
    """Yield the rows of the sheet below its header, without empty ones, as one table.

    Raises:
        UserError: there is no such sheet, it is no table, or it is larger than the memory.
    """
    need("python_calamine", f"{file}: a workbook")
    if zipfile.is_zipfile(file):
        try:
            with open_zip(file) as archive:
                check_unpacked(file, sum(member.file_size for member in archive.infolist()))
        except zipfile.BadZipFile as error:
            raise UserError(f"{file}: cannot be read as a workbook ({error}); save it again.") from None
    command = [sys.executable, "-P", "-m", sheet.__name__, str(file), read.sheet or "", str(MEMORY)]
    done = subprocess.run(command, capture_output=True)
    said = done.stderr.decode(errors="replace").strip().splitlines() or [""]
    if done.returncode == sheet.REFUSED:
        raise UserError(said[-1])
    if done.returncode < 0 or any(word in said[-1] for word in DIED):
        raise UserError(
            f"{file}: reading its sheet takes more than {MEMORY / 1e9:.1f} GB, half of this machine's memory; delete "
            "what stands far below or beside the rows, or save the sheet as .csv and use that."
        )
    if done.returncode:
        raise RuntimeError("\n".join(said))
    yield pa.ipc.open_stream(done.stdout).read_all()
