"""Files that are written whole or not at all, and zip files that are the same for the same content."""

import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

from .errors import FULL, disk_full

LISTING = 2**24  # bytes of a zip file's list of what is in it: a hundred thousand files


@contextmanager
def disk_errors(where: str | Path) -> Iterator[None]:
    """Turn what a full disk, or quota, raises into the one sentence that names `where`.

    Raises:
        UserError: there is no room.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise disk_full(where) from error


def write_file(path: Path, content: bytes) -> None:
    """Write the file so that it is either the old or the new one, never a part."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write a large file to, which becomes `path` once it is whole, and overwrite a killed run's."""
    partial = path.with_name(f".{path.name}.partial")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; there may be none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that is gone afterwards; what a killed run left in it goes first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def pack(files: dict[str, bytes]) -> bytes:
    """Return the files as zip bytes that depend on their content only: no times, no compression, sorted names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            info.create_system = 3
            archive.writestr(info, files[name])
    return buffer.getvalue()


def open_zip(file: Path | IO[bytes]) -> zipfile.ZipFile:
    """Return a zip file, from wherever it is, whose list of files can be held.

    Raises:
        zipfile.BadZipFile: it is none, or lists too many files.
    """
    with open(file, "rb") if isinstance(file, Path) else nullcontext(file) as stream:
        end = zipfile._EndRecData(stream)  # type: ignore[attr-defined]  # by which ZipFile reads the whole list
    if end and end[5] > LISTING:
        raise zipfile.BadZipFile(f"its list of files has {end[5]:,} bytes")
    return zipfile.ZipFile(file)


def open_stored(content: bytes) -> zipfile.ZipFile:
    """Return a zip file that `pack` made: what is in it takes no more memory than it takes itself.

    Raises:
        zipfile.BadZipFile: it is none, or not so.
    """
    archive = open_zip(io.BytesIO(content))
    if sum(member.file_size for member in archive.infolist()) > len(content):
        raise zipfile.BadZipFile("it unpacks to more than its size")
    return archive
