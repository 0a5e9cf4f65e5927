"""Delimited text: CSV and its relatives, every cell as text."""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from ...core.config import Read
from ...core.errors import UserError
from .kinds import UNREADABLE, check_names, check_text, open_bytes, suffix_of

BLOCK = 2**23  # bytes: the longest row that can be read
HEAD = 2**20  # bytes: the longest header
THOUSANDS = r"((\.\d{3})+|([ '\x{a0}\x{202f}]\d{3})+)"
DECIMAL_COMMA = rf"^\s*[+-]?(\d+|[1-9]\d{{0,2}}{THOUSANDS})(,\d*)?([eE][+-]?\d+)?\s*$"


def read_text(file: Path, read: Read) -> Iterator[pa.Table]:
    """Yield the rows of a file in order, in tables of any size, the first of which may be empty."""
    delimiter, encoding = delimiter_of(file, read), _find_encoding(read.encoding)
    header = _read_header(file, delimiter, encoding)
    text = dict.fromkeys(header, pa.string())
    try:
        with (
            open_bytes(file) as stream,
            pa.csv.open_csv(
                stream,
                pa.csv.ReadOptions(use_threads=False, block_size=BLOCK, encoding=encoding),
                pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                pa.csv.ConvertOptions(column_types=text, strings_can_be_null=False),
            ) as batches,
        ):
            yield batches.schema.empty_table()
            last = ""
            for batch in batches:
                table = pa.Table.from_batches([batch])
                yield _with_points(table) if read.decimal == "," else table
                last = table.column(-1)[-1].as_py() if table.num_rows else last
        if "\n" in last and not _ends_in_quote(file, encoding):
            raise UserError(f"{file}: its last row goes over lines; close the quote that it leaves open.")
    except pa.ArrowInvalid as error:
        raise UserError(f"{file}: {_explain(str(error), len(header))}") from None
    except UnicodeDecodeError:
        raise UserError(
            f"{file}: is not {_shown(encoding)} text throughout; save it as UTF-8, or correct data.read.encoding."
        ) from None
    except UNREADABLE as error:
        raise _damaged(file, error) from None


def delimiter_of(file: Path, read: Read) -> str:
    """Return what separates the columns of a file."""
    return read.delimiter or ("\t" if suffix_of(file) == ".tsv" else ",")


def read_head(file: Path, size: int) -> bytes:
    """Return the first bytes of a file, decompressed.

    Raises:
        UserError: it is damaged, or no text.
    """
    try:
        with open_bytes(file) as stream:
            head = stream.read(size)
    except UNREADABLE as error:
        raise _damaged(file, error) from None
    check_text(file, head)
    return head


def _read_header(file: Path, delimiter: str, encoding: str) -> list[str]:
    head = read_head(file, HEAD)
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head).removeprefix("\ufeff")
        header: list[str] = next(filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)), [])
    except UnicodeDecodeError:
        raise UserError(
            f"{file}: is not {_shown(encoding)} text; save the file with UTF-8 encoding, or set data.read.encoding."
        ) from None
    except csv.Error as error:
        raise UserError(f"{file}: the header cannot be read as CSV ({error}).") from None
    if "\0" in text:
        raise UserError(
            f"{file}: has NUL bytes, so it is no {_shown(encoding)} text; save it as UTF-8, correct data.read.encoding,"
            " or give it the suffix of what it is."
        )
    if len(head) == HEAD and not re.search(r"[\r\n]", text):
        raise UserError(f"{file}: its first line is longer than {HEAD // 2**20} MiB, which is no header; correct it.")
    check_names(file, header)
    if not header:
        raise UserError(f"{file}: is empty; put a header and rows into it.")
    unnamed = [number for number, name in enumerate(header, 1) if not name.strip()]
    if unnamed:
        raise UserError(f"{file}: column {unnamed[0]} has no name in the header; name it or remove it.")
    if len(header) == 1 and (separator := re.search(r"[,;\t|]", header[0])):
        raise UserError(
            f"{file}: has a single column, {header[0][:40]!r}; save the file with commas between columns, or set "
            f"data.read.delimiter, to {separator[0]!r} perhaps."
        )
    return header


def _ends_in_quote(file: Path, encoding: str) -> bool:
    end = b""
    with open_bytes(file) as stream:
        while chunk := stream.read(HEAD):
            end = end[-HEAD:] + chunk
    return codecs.decode(end, encoding, "replace").rstrip().endswith('"')


def _find_encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name.replace("utf-8-sig", "utf-8")
    except LookupError:
        raise UserError(
            f"params.yaml: data.read.encoding {name!r} is not known; use utf-8, utf-16 or cp1252."
        ) from None


def _with_points(table: pa.Table) -> pa.Table:
    """Return the table with numbers such as 1.234,5 written as 1234.5."""
    columns = []
    for column in table.columns:
        number = pc.match_substring_regex(column, DECIMAL_COMMA)
        if pc.any(number).as_py():
            plain = pc.replace_substring_regex(column, r"[.\s'\x{a0}\x{202f}]", "")
            column = pc.if_else(number, pc.replace_substring(plain, ",", "."), column)
        columns.append(column)
    return pa.table(columns, schema=table.schema)


def _explain(problem: str, width: int) -> str:
    row = re.search(r"Row #(\d+)", problem)
    where = f"row {int(row[1]) - 1}" if row else "a row"
    ragged = re.search(r"Expected \d+ columns, got (\d+)", problem)
    if ragged:
        return f"{where} has {ragged[1]} values where the header has {width}; correct its commas and quotes."
    if "UTF8" in problem:
        return f"{where} is not UTF-8 text; save the file with UTF-8 encoding, or set data.read.encoding."
    if "cannot infer number of columns" in problem:
        return "has a header but no rows; add data below it."
    if "straddling" in problem:
        return f"a row is longer than {BLOCK // 2**20} MiB; close the quote that it leaves open."
    return f"cannot be read as CSV ({problem.splitlines()[0]})."


def _damaged(file: Path, error: Exception) -> UserError:
    return UserError(f"{file}: cannot be read ({str(error).splitlines()[0]}); copy or compress it again.")


def _shown(encoding: str) -> str:
    return encoding.upper() if encoding.startswith("utf") else encoding
