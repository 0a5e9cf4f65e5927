"""Data is read as people have it: any delimiter, encoding, compression, kind; what cannot be is one sentence."""

import bz2
import datetime as dt
import decimal
import gzip
import lzma
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from mlops_actions.core.config import Read
from mlops_actions.core.errors import UserError
from mlops_actions.data.reading.sniff import sniff
from mlops_actions.data.table import read_batches, read_table
from pyarrow import parquet

ROWS = [["id", "text", "price"], ["1", "größe, 1", "0.5"], ["2", 'say "no"; | now', "-12345.25"], ["3", "", "7"]]
PRICES = {"0.5": "0,5", "-12345.25": "-12.345,25"}


def write(delimiter: str = ",", encoding: str = "utf-8", decimal_comma: bool = False, newline: str = "\n") -> bytes:
    """ROWS as delimited text, each cell in quotes that needs them."""
    lines = []
    for row in ROWS:
        cells = [PRICES.get(cell, cell) if decimal_comma else cell for cell in row]
        quoted = [f'"{cell.replace(chr(34), chr(34) * 2)}"' if set(cell) & set('",;|') else cell for cell in cells]
        lines.append(delimiter.join(quoted) + newline)
    return "".join(lines).encode(encoding)


def zstd(data: bytes) -> bytes:
    return pa.compress(data, "zstd", asbytes=True)


def read_rows(path: Path, read: Read | None = None) -> list[list[Any]]:
    """Return the header and the rows of a file, its cells as Python's own values."""
    table = read_table(path, read)
    return [[*table.columns], *([plain(cell) for cell in row] for row in table.itertuples(index=False))]


def plain(cell: Any) -> Any:
    if pd.isna(cell):
        return None
    cell = getattr(cell, "item", lambda: cell)()  # NumPy's numbers
    return cell if isinstance(cell, bool | int | float | str) else str(cell)


LINES = (
    '{"id": 1, "text": "größe, 1", "price": 0.5}\n\n'
    '{"price": -12345.25, "id": 2, "text": "say \\"no\\"; | now"}\n{"id": 3, "text": "", "price": 7}\n'
).encode()
# A file, its bytes, and what is guessed of how they are written.
TEXTS: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "commas": ("a.csv", write(), {}),
    "semicolons": ("a.csv", write(";"), {"delimiter": ";"}),
    "pipes": ("a.txt", write("|"), {"delimiter": "|"}),
    "tabs": ("a.tsv", write("\t"), {}),
    "tabs under another name": ("a.csv", write("\t"), {"delimiter": "\t"}),
    "commas under another name": ("a.tsv", write(","), {"delimiter": ","}),
    "decimal commas": ("a.csv", write(";", decimal_comma=True), {"delimiter": ";", "decimal": ","}),
    "decimal commas between commas": ("a.csv", write(decimal_comma=True), {"decimal": ","}),
    "a BOM": ("a.csv", write(encoding="utf-8-sig"), {}),
    "Windows": ("a.csv", write(";", "cp1252", True, "\r\n"), {"delimiter": ";", "decimal": ",", "encoding": "cp1252"}),
    "UTF-16": ("a.csv", write("\t", "utf-16"), {"delimiter": "\t", "encoding": "utf-16"}),
    "UTF-16 without a mark": ("a.csv", write(encoding="utf-16-le"), {"encoding": "utf-16-le"}),
    "UTF-16, the other way": ("a.csv", write(encoding="utf-16-be"), {"encoding": "utf-16-be"}),
    "old line ends": ("a.csv", write(newline="\r"), {}),
    "gzip": ("a.csv.gz", gzip.compress(write()), {}),
    "bzip2": ("a.CSV.BZ2", bz2.compress(write(";")), {"delimiter": ";"}),
    "xz": ("a.tsv.xz", lzma.compress(write("\t", "utf-16")), {"encoding": "utf-16"}),
    "zstd": ("a.csv.zst", zstd(write()), {}),
    "JSON lines": ("a.jsonl", LINES, {}),
    "JSON lines, gzip": ("a.ndjson.gz", gzip.compress(LINES), {}),
    "JSON lines, zstd, odd name": ("a [1]*.jsonl.zst", zstd(LINES), {}),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_read_as_it_seems_to_be_written(tmp_path: Path, name: str) -> None:
    file, content, guess = TEXTS[name]
    (tmp_path / file).write_bytes(content)
    read = sniff(tmp_path / file)
    assert read == Read(**guess)
    assert read_rows(tmp_path / file, read) == ROWS


GUESSES: dict[str, tuple[str, dict[str, str]]] = {
    "one column": ("price\n1\n2\n", {}),
    "commas in texts": ("id;text\n" + "".join(f"{n};a, b, c\n" for n in range(9)), {"delimiter": ";"}),
    "other delimiters in quotes": ('a,b\n1,"x;y;z"\n2,"|;|"\n', {}),
    "a comma in the header": ('"Size, m2";"Price, EUR"\n1,5;2,5\n', {"delimiter": ";", "decimal": ","}),
    "rows over lines": ('a;b\n1;"one, two\nthree; four"\n2;"x"\n', {"delimiter": ";"}),
    "JSON in cells": ('id;doc\n1;"{""a"": 1, ""b"": 2}"\n', {"delimiter": ";"}),
    "moments": ("when;v\n2026-01-01 10:00:00;1\n", {"delimiter": ";"}),
    "thousands between commas": ('a,b\n"1,234",x\n"12,345",y\n', {}),
    "American prices": ('a;b\n"1,234.50";x\n', {"delimiter": ";"}),
    "points and commas": ("a;b\n1,5;1.25\n", {"delimiter": ";"}),
    "three decimals": ("a;b\n1,234;x\n", {"delimiter": ";", "decimal": ","}),
    "dates with points": ("a;b\n31.01.2026;1,5\n", {"delimiter": ";", "decimal": ","}),
    "a quote that stays open": ('a;b\n1;"x\n2;y\n3;z\n', {"delimiter": ";"}),
    "bytes that cp1252 lacks": ("a,b\n\x81,2\n", {"encoding": "latin-1"}),
}  # fmt: skip


@pytest.mark.parametrize("name", GUESSES)
def test_a_guess_is_right_for_messy_text(tmp_path: Path, name: str) -> None:
    text, guess = GUESSES[name]
    (tmp_path / "a.csv").write_bytes(text.encode("latin-1"))
    assert sniff(tmp_path / "a.csv") == Read(**guess)


def test_decimal_commas_become_points_in_numbers_only(tmp_path: Path) -> None:
    cells = {
        "1,5": "1.5", "-0,25": "-0.25", "1.234": "1234", "1.234.567,8": "1234567.8", "1 234,5": "1234.5",
        "1\u202f234": "1234", "2,": "2.", "1e5": "1e5", " 7,5 ": "7.5", "31.01.2026": "31.01.2026",
        "10.0.0.1": "10.0.0.1", "a,b": "a,b", "1,2,3": "1,2,3", "0.123": "0.123", "": "",
    }  # fmt: skip
    (tmp_path / "a.csv").write_text("n;x\n" + "".join(f"{cell};1\n" for cell in cells))
    read = Read(delimiter=";", decimal=",")
    assert read_table(tmp_path / "a.csv", read)["n"].tolist() == list(cells.values())


def test_batches_are_of_one_size_and_hold_the_rows_in_order(tmp_path: Path) -> None:
    numbers = list(range(150_000))
    (tmp_path / "a.csv").write_text("n,x\n" + "".join(f"{n},{n % 7}\n" for n in numbers))
    (tmp_path / "a.jsonl").write_text("".join(f'{{"n": {n}, "x": "{n % 7}"}}\n' for n in numbers))
    table = pa.table({"n": numbers, "x": [n % 7 for n in numbers]})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=70_001)
    (tmp_path / "folder").mkdir()
    for number, start in enumerate(range(0, 150_000, 30_000)):
        parquet.write_table(table.slice(start, 30_000), tmp_path / f"folder/{number}.parquet")
    for name in ("a.csv", "a.jsonl", "a.parquet", "folder"):
        batches = list(read_batches(tmp_path / name, Read()))
        assert [len(batch) for batch in batches] == [65_536, 65_536, 18_928], name
        assert pd.concat(batches)["n"].astype(int).tolist() == numbers, name


def parquet_of(**columns: Any) -> Callable[[Path], object]:
    return lambda path: parquet.write_table(pa.table(columns), path)


def text_of(text: str | bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(text.encode() if isinstance(text, str) else text)


SOME = uuid.UUID(int=7)
TYPES: dict[str, tuple[pa.Array, object]] = {
    "decimal": (pa.array([decimal.Decimal("1.25")]), 1.25),
    "dictionary": (pa.array(["x"]).dictionary_encode(), "x"),
    "bytes that are text": (pa.array(["ä".encode()]), "ä"),
    "uuid": (pa.array([SOME.bytes], pa.uuid()), str(SOME)),
    "json": (pa.array(['{"a": 1}'], pa.json_()), '{"a": 1}'),
    "duration": (pa.array([dt.timedelta(minutes=1.5)]), 90.0),
    "date": (pa.array([dt.date(2026, 1, 31)]), "2026-01-31 00:00:00"),
    "zone": (pa.array([dt.datetime(2026, 1, 31)], pa.timestamp("us", "Europe/Berlin")), "2026-01-31 01:00:00+01:00"),
    "time": (pa.array([dt.time(10, 30)]), "10:30:00"),
    "string view": (pa.array(["x"], pa.string_view()), "x"),
    "boolean": (pa.array([True]), True),
}


@pytest.mark.parametrize("name", TYPES)
def test_types_of_parquet_become_plain(tmp_path: Path, name: str) -> None:
    values, wanted = TYPES[name]
    parquet_of(**{"a": values, "a.b": pa.array([0])})(tmp_path / "a.parquet")
    assert read_rows(tmp_path / "a.parquet") == [["a", "a.b"], [wanted, 0]]


def sheet(rows: list[list[object]], other: list[list[object]] | None = None) -> Callable[[Path], object]:
    def save(path: Path) -> None:
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        for row in other or []:
            (book["Other"] if "Other" in book.sheetnames else book.create_sheet("Other")).append(row)
        book.save(path)

    return save


def test_a_sheet_is_read_as_text(tmp_path: Path) -> None:
    moment = dt.datetime(2026, 1, 31, 10, 30)
    rows = [["id", "when", 2026, None], [1, moment, 1.5, None], [], ["007", dt.datetime(2026, 1, 31), "=1/0", None]]
    sheet(rows, [["a"], [True]])(tmp_path / "a.xlsx")
    assert read_rows(tmp_path / "a.xlsx") == [
        ["id", "when", "2026"],
        ["1", "2026-01-31 10:30:00", "1.5"],
        ["007", "2026-01-31", ""],
    ]
    assert read_rows(tmp_path / "a.xlsx", Read(sheet="Other")) == [["a"], ["True"]]


def test_the_files_of_a_folder_are_one_table(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "b.csv").write_text("price;a\n4;3\n")
    (folder / "a.csv").write_text("a;price\n1;2\n")
    (folder / "_SUCCESS").touch()
    assert read_rows(folder, sniff(folder)) == [["a", "price"], ["1", "2"], ["3", "4"]]
    for file in folder.iterdir():
        file.unlink()
    parquet_of(a=[1], b=pa.nulls(1))(folder / "1.parquet")
    parquet_of(b=["x"], a=[1.5])(folder / "2.parquet")
    assert read_rows(folder, sniff(folder)) == [["a", "b"], [1.0, None], [1.5, "x"]]


Files = dict[str, Callable[[Path], object]]
REFUSED: dict[str, tuple[Files, dict[str, str], str]] = {
    "not there": ({}, {}, "a.csv: not found; put the dataset there"),
    "another kind": ({"a.docx": text_of("x")}, {}, "a.docx: its name says no kind of table; save it as one of .csv"),
    "Parquet, compressed": ({"a.parquet.gz": text_of("x")}, {}, "its name says no kind of table"),
    "empty folder": ({"a/.hidden": text_of("")}, {}, "a: is an empty folder"),
    "folder in a folder": ({"a/b/c.csv": text_of("")}, {}, "a/b: is a folder in a folder of data"),
    "pipe": ({"a.csv": os.mkfifo}, {}, "a.csv: is a pipe or a device, whose end nobody knows"),
    "pipe in a folder": ({"a/1.csv": text_of("a\n1\n"), "a/2.csv": os.mkfifo}, {}, "a/2.csv: is a pipe or a device"),
    "device": ({"a.csv": lambda path: path.symlink_to("/dev/zero")}, {}, "a.csv: is a pipe or a device"),
    "kinds mixed": ({"a/1.csv": text_of("a\n1\n"), "a/2.jsonl": text_of("{}")}, {},
        "a/2.jsonl: is of another kind than 1.csv"),
    "column lacking in a file": ({"a/1.csv": text_of("a,b\n1,2\n"), "a/2.csv": text_of("a\n1\n")}, {},
        "a/2.csv: lacks the column 'b', which 1.csv has"),
    "column new in a file": ({"a/1.csv": text_of("a,b\n1,2\n"), "a/2.csv": text_of("a,c,b\n1,2,3\n")}, {},
        "a/2.csv: has the column 'c', which 1.csv lacks"),
    "row too long in a file": ({"a/1.csv": text_of("a,b\n1,2\n"), "a/2.csv": text_of("a,b\n1,2\n1,2,3\n")}, {},
        "a/2.csv: row 2 has 3 values where the header has 2"),
    "types that differ": ({"a/1.parquet": parquet_of(a=[1]), "a/2.parquet": parquet_of(a=["x"])}, {},
        "a/2.parquet: column 'a' is of type string, in 1.parquet of type int64"),
    "no rows in any file": ({"a/1.csv": text_of("a\n"), "a/2.csv": text_of("a\n")}, {}, "a: has a header but no rows"),
    "late row too short": ({"a.csv": text_of("a,b\n" + "1,2\n" * 3_000_000 + "1\n")}, {},
        "row 3000001 has 1 values where the header has 2"),
    "late byte": ({"a.csv": text_of(b"a,b\n" + b"1,2\n" * 3_000_000 + b"1,\xff\n")}, {"encoding": "utf-8"},
        "row 3000001 is not UTF-8 text; save the file with UTF-8 encoding, or set data.read.encoding"),
    "open quote": ({"a.csv": text_of('a,b\n1,2\n1,"2\n3,4\n')}, {}, "close the quote that it leaves open"),
    "open quote of a long file": ({"a.csv": text_of('a,b\n"1,2\n' + "1,2\n" * 5_000_000)}, {},
        "a row is longer than 8 MiB; close the quote"),
    "wrong delimiter": ({"a.csv": text_of("a;b\n1;2\n")}, {"delimiter": ","},
        "has a single column, 'a;b'; save the file with commas between columns, or set data.read.delimiter, to ';'"),
    "wrong encoding": ({"a.csv": text_of("a,b\n1,2\n")}, {"encoding": "utf-32"}, "is not UTF-32 text"),
    "unknown encoding": ({"a.csv": text_of("a,b\n1,2\n")}, {"encoding": "utf-6"},
        "params.yaml: data.read.encoding 'utf-6' is not known"),
    "cut UTF-16": ({"a.csv": text_of("a,b\n1,2\n".encode("utf-16")[:-1])}, {"encoding": "utf-16"},
        "is not UTF-16 text throughout; save it as UTF-8, or correct data.read.encoding"),
    "cut gzip": ({"a.csv.gz": text_of(gzip.compress(b"a,b\n" + bytes(range(256)) * 99)[:200])}, {},
        "a.csv.gz: cannot be read (Truncated compressed stream); copy or compress it again"),
    "no gzip": ({"a.csv.gz": text_of("a,b\n1,2\n")}, {}, "a.csv.gz: cannot be read (zlib inflate failed"),
    "no xz": ({"a.csv.xz": text_of("a,b\n1,2\n")}, {}, "a.csv.xz: cannot be read"),
    "no zstd": ({"a.csv.zst": text_of("a,b\n1,2\n")}, {}, "a.csv.zst: cannot be read"),
    "broken JSON": ({"a.jsonl": text_of('{"a": 1}\n{"a": 2\n')}, {}, "a.jsonl: line 2 is not JSON in UTF-8"),
    "JSON in latin-1": ({"a.jsonl": text_of('{"a": "ä"}\n'.encode("latin-1"))}, {}, "line 1 is not JSON in UTF-8"),
    "JSON without keys": ({"a.jsonl": text_of('{"a": 1}\n[1, 2]\n')}, {}, "line 2 must be an object with keys"),
    "JSON that is nested": ({"a.jsonl": text_of('{"a": 1}\n{"a": {"b": 1}}\n')}, {}, "'a' holds lists or records"),
    "no JSON at all": ({"a.jsonl": text_of("\n")}, {}, "a.jsonl: is empty; put an object a line into it"),
    "JSON, bzip2": ({"a.jsonl.bz2": text_of(b"")}, {}, "JSON lines are read from .gz and .zst only"),
    "cut JSON": ({"a.jsonl.gz": text_of(gzip.compress(LINES * 999)[:99])}, {}, "cannot be read as JSON lines"),
    "no Parquet": ({"a.parquet": text_of("x")}, {}, "cannot be read as Parquet"),
    "lists": ({"a.parquet": parquet_of(a=[[1]])}, {}, "'a' holds lists or records"),
    "records": ({"a.parquet": parquet_of(a=[{"b": 1}])}, {}, "'a' holds lists or records"),
    "bytes that are no text": ({"a.parquet": parquet_of(a=[b"\xff"])}, {}, "'a' holds values of type binary"),
    "bytes of one length": ({"a.parquet": parquet_of(a=pa.array([b"ab"], pa.binary(2)))}, {},
        "'a' is of type fixed_size_binary[2]"),
    "column twice": ({"a.parquet": lambda path: parquet.write_table(pa.table([[1], [2]], names=["a", "a"]), path)}, {},
        "the column 'a' appears 2 times"),
    "no workbook": ({"a.xlsx": text_of("x")}, {}, "a.xlsx: cannot be read as a workbook"),
    "no such sheet": ({"a.xlsx": sheet([["a"], [1]])}, {"sheet": "Data"}, "has no sheet 'Data'; set data.read.sheet"),
    "empty sheet": ({"a.xlsx": sheet([])}, {}, "its sheet is empty"),
    "a title above the header": ({"a.xlsx": sheet([["Report"], ["a", "b"], [1, 2]])}, {},
        "column 2 has no name in the header"),
    "column twice in a sheet": ({"a.xlsx": sheet([["a", "a"], [1, 2]])}, {}, "the column 'a' appears 2 times"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_gets_its_sentence(tmp_path: Path, name: str) -> None:
    files, read, sentence = REFUSED[name]
    for file, make in files.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        make(tmp_path / file)
    path = tmp_path / (next(iter(files), "a.csv").split("/")[0])
    with pytest.raises(UserError) as refusal:
        read_table(path, Read(**read) if read else sniff(path))
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value) and str(refusal.value).endswith(".")
