"""Which files hold the rows, of what kind they are, and their bytes as they were before compression.

The standard library is enough to tell kinds: generating a project does so where nothing is installed.
"""

import io
import lzma
from collections import Counter
from pathlib import Path
from typing import IO, Any, Literal

from ...core.errors import UserError

FileKind = Literal["text", "lines", "parquet", "workbook"]
KINDS: dict[str, FileKind] = {
    ".csv": "text", ".tsv": "text", ".txt": "text",
    ".jsonl": "lines", ".ndjson": "lines",
    ".parquet": "parquet",
    ".xlsx": "workbook", ".xlsm": "workbook", ".xlsb": "workbook", ".xls": "workbook", ".ods": "workbook",
}  # fmt: skip
UNREADABLE = (OSError, EOFError, lzma.LZMAError)  # what damaged files raise
COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".xz": "xz"}
# A file that is packed may become this many bytes, or so many times its size, whichever is more.
UNPACKED, TIMES = 2**30, 200
COLUMNS = 20_000  # of a table: the stages work on all columns of some rows at once
# What begins so is no text, whatever its name says.
NO_TEXT = {
    b"PK\x03\x04": "a workbook or an archive",
    b"\xd0\xcf\x11\xe0": "an .xls workbook",
    b"PAR1": "a .parquet file",
    b"\x1f\x8b": "compressed (.gz)",
    b"SQLite ": "a database, which a .sql file with a query may name",
}


def find_files(path: Path) -> list[Path]:
    """Return the files that hold the rows of a path, itself or those of the folder by name, all of one kind.

    Raises:
        UserError: there is none, or they are of several kinds.
    """
    if not path.is_dir():
        if not path.exists():
            raise UserError(
                f"{path}: not found; put the dataset there, run `mlops pull`, or correct its path in params.yaml."
            )
        check_alike([path])
        return [path]
    files = sorted(file for file in path.iterdir() if is_data(file))
    if not files:
        raise UserError(f"{path}: is an empty folder; put the dataset's files into it.")
    check_alike(files)
    return files


def is_data(file: Path) -> bool:
    """Return whether a file in a folder of data is part of it, by its name: what tools leave there is not."""
    return not file.name.startswith((".", "_")) and file.suffix != ".crc"


def check_alike(files: list[Path]) -> None:
    """Refuse files of several kinds, folders among them, and what is no file.

    Raises:
        UserError: there is one.
    """
    for file in files:
        if file.is_dir():
            raise UserError(f"{file}: is a folder in a folder of data; move its files up, or remove it.")
        if not file.is_file():
            raise UserError(f"{file}: is a pipe or a device, whose end nobody knows; write what it gives into a file.")
        if kind_of(file) != kind_of(files[0]):
            raise UserError(f"{file}: is of another kind than {files[0].name}; a folder holds files of one kind.")


def kind_of(file: Path) -> FileKind:
    """Return what a file holds, as its name says."""
    kind = KINDS.get(suffix_of(file))
    if kind is None or (compression_of(file) and kind in ("parquet", "workbook")):
        raise UserError(f"{file}: its name says no kind of table; save it as one of {', '.join(KINDS)}.")
    return kind


def check_names(file: Path, names: list[str]) -> None:
    """Refuse a table in which a column cannot be told from another, or that has too many of them to work on.

    Raises:
        UserError: it is so.
    """
    if len(names) > COLUMNS:
        raise UserError(
            f"{file}: has {len(names):,} columns, and a table may have {COLUMNS:,}; leave out those that do not matter."
        )
    twice = sorted((name, count) for name, count in Counter(names).items() if count > 1)
    if twice:
        raise UserError(f"{file}: the column {twice[0][0]!r} appears {twice[0][1]} times; rename or remove one.")


def check_unpacked(file: Path, size: int) -> None:
    """Refuse a packed file that is far larger once it is unpacked: it would take the machine's memory, or its day.

    Args:
        file: where it is.
        size: how many bytes it becomes, or has become so far.

    Raises:
        UserError: they are too many.
    """
    packed = file.stat().st_size
    if size > max(UNPACKED, TIMES * packed):
        raise UserError(
            f"{file}: unpacks to more than {TIMES} times its {packed:,} bytes; if that is meant, unpack it, save it as "
            "text, and use that."
        )


def check_text(file: Path, head: bytes) -> None:
    """Refuse bytes that are of another kind than the text that the file's name promises.

    Args:
        file: where they are.
        head: the first of them, decompressed.

    Raises:
        UserError: they are.
    """
    for mark, what in NO_TEXT.items():
        if head.startswith(mark):
            raise UserError(f"{file}: is not what its name says, but {what}; give it the suffix of what it is.")


def suffixes_of(file: Path) -> str:
    """Return the suffix of a file's name in lower case, with that of its compression."""
    return suffix_of(file) + (file.suffix.lower() if compression_of(file) else "")


def suffix_of(file: Path) -> str:
    """Return the suffix of a file's name in lower case, without that of its compression."""
    return (Path(file.stem) if compression_of(file) else file).suffix.lower()


def compression_of(file: Path) -> str | None:
    """Return how a file is compressed, as its name says."""
    return COMPRESSED.get(file.suffix.lower())


def open_bytes(file: Path) -> IO[bytes]:
    """Return the file's bytes, decompressed; reading more of them than `check_unpacked` allows is a UserError."""
    import pyarrow as pa

    compression = compression_of(file)
    if compression == "xz":
        return _Unpacked(lzma.open(file), file)
    stream = pa.input_stream(str(file), compression=compression)
    return _Unpacked(stream, file) if compression else stream


class _Unpacked(io.RawIOBase, IO[bytes]):
    """The bytes of a compressed file, counted while they are read."""

    def __init__(self, stream: IO[bytes], file: Path) -> None:
        self._stream, self._file, self._count = stream, file, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._stream.read(len(buffer))
        self._count += len(chunk)
        check_unpacked(self._file, self._count)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self._stream.close()
        super().close()
