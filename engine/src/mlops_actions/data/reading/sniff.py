"""A guess at how a text file is written: its encoding, its delimiter, its decimal sign."""

import codecs
import csv
import io
import re
from pathlib import Path
from typing import Literal

from ...core.config import Read
from ...core.errors import UserError
from .kinds import find_files, kind_of, open_bytes, suffix_of
from .text import read_head

SAMPLE = 2**19  # bytes that the delimiter and the decimal sign are guessed from,
ROWS = 2000  # and rows of them
DELIMITERS = "\t|;^~,"  # a comma last: with as many columns, it is a decimal sign
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_UNDEFINED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")  # in cp1252


def sniff(path: Path) -> Read:
    """Return how the text files at a path are written, as all bytes and the first rows show; else the defaults."""
    files = find_files(path)
    if kind_of(files[0]) != "text":
        return Read()
    head = read_head(files[0], SAMPLE)
    encoding = guess_encoding(head, files)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head).removeprefix("\ufeff")
    if len(head) == SAMPLE:
        text = text[: text.rfind("\n") + 1] or text
    delimiter = guess_delimiter(text)
    expected = "\t" if suffix_of(files[0]) == ".tsv" else ","
    decimal = guess_decimal(text, delimiter or expected)
    return Read(delimiter=None if delimiter == expected else delimiter, decimal=decimal, encoding=encoding)


def guess_encoding(head: bytes, files: list[Path]) -> str:
    """Return the encoding that the first bytes mark or show, else UTF-8 where all bytes are it, else cp1252."""
    for mark, name in MARKS.items():
        if head.startswith(mark):
            return name
    pairs = len(head) // 2
    for start, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if pairs and head[start::2].count(0) > 0.6 * pairs:
            return name
    if 0 in head:
        raise UserError(f"{files[0]}: is not text, although its name says so; give it the suffix of what it is.")
    if all(_is_utf8(file) for file in files):
        return "utf-8"
    return "latin-1" if _UNDEFINED.search(head) else "cp1252"


def guess_delimiter(text: str) -> str | None:
    """Return the character that cuts most rows into as many cells as the header has; None where the header has one."""
    for strict in (True, False):
        best: tuple[float, int, str | None] = (0, 0, None)
        for delimiter in DELIMITERS:
            rows = _split(text, delimiter, strict)
            width = len(rows[0]) if rows else 0
            if width > 1:
                agreeing = round(sum(len(row) == width for row in rows) / len(rows), 2)
                best = max(best, (agreeing, width, delimiter), key=lambda guess: guess[:2])
        if best[2]:
            return best[2]
    return None


def guess_decimal(text: str, delimiter: str) -> Literal[".", ","]:
    """Return a comma where numbers have one and none has a point that is not for thousands; else a point."""
    cells = [cell.strip() for row in _split(text, delimiter, strict=False)[1:] for cell in row]
    point = re.compile(r"[+-]?(\d+\.(\d{1,2}|\d{4,})|0\.\d+|\.\d+|\d{1,3}(,\d{3})+\.\d+)([eE][+-]?\d+)?")
    comma = re.compile(r"[+-]?(\d+,(\d{1,2}|\d{4,})|0,\d+|\d{1,3}([. '\xa0\u202f]\d{3})+,\d+)([eE][+-]?\d+)?")
    either = re.compile(r"[+-]?\d{1,3},\d{3}")
    if any(point.fullmatch(cell) for cell in cells):
        return "."
    # Between commas, 1,234 is a thousand; between others, more likely one and a bit.
    sure = any(comma.fullmatch(cell) for cell in cells)
    return "," if sure or (delimiter != "," and any(either.fullmatch(cell) for cell in cells)) else "."


def _split(text: str, delimiter: str, strict: bool) -> list[list[str]]:
    """Return the first rows; none where quotes do not fit the delimiter, apart from one that the sample cuts."""
    csv.field_size_limit(2**31 - 1)
    reader, rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict), []
    try:
        for row in reader:
            rows += [row] if row else []
            if len(rows) > ROWS:
                break
    except csv.Error:
        if reader.line_num < text.count("\n"):
            return []
    return rows


def _is_utf8(file: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_bytes(file) as stream:
        try:
            while chunk := stream.read(2**20):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True
