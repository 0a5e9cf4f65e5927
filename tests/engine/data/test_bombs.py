"""A dataset that would take the machine's memory, or its day, is refused in one sentence before it does."""

import bz2
import gzip
import json
import lzma
import weakref
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pytest
from mlops_actions.core.config import Read
from mlops_actions.core.errors import UserError
from mlops_actions.data import batches
from mlops_actions.data.reading import kinds, parquet, workbook
from mlops_actions.data.reading.sniff import sniff
from mlops_actions.data.reading.tables import read_tables
from mlops_actions.data.table import read_batches

ROWS = b"a,b\n" + b"1,2\n" * 2**20
OBJECTS = b'{"a": 1}\n' * 2**19
PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: bytes(pa.compress(content, "zstd", asbytes=True)),
}
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
CELL = '<c r="{}" t="inlineStr"><is><t>{}</t></is></c>'
HEADER = '<row r="1">' + CELL.format("A1", "x") + CELL.format("B1", "y") + "</row>"


def refusal_of(file: Path) -> str:
    """Return the one sentence in which reading a file is refused."""
    with pytest.raises(UserError) as refusal:
        for _ in read_tables(file, sniff(file)):
            pass
    sentence = str(refusal.value)
    assert "\n" not in sentence and sentence.startswith(str(file)) and sentence.endswith(".")
    return sentence


@pytest.mark.parametrize("suffix", [*(f".csv{suffix}" for suffix in PACK), ".jsonl.gz", ".jsonl.zst"])
def test_what_unpacks_without_end_is_refused_while_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    file = tmp_path / f"a{suffix}"
    content = OBJECTS if "jsonl" in suffix else ROWS
    file.write_bytes(PACK[file.suffix](content))
    assert len(content) > kinds.TIMES * file.stat().st_size, "it would be no bomb"
    assert sum(table.num_rows for table in read_tables(file, sniff(file))) >= 2**19, "as small a one harms nobody"
    monkeypatch.setattr(kinds, "UNPACKED", 2**21)
    packed = f"{file.stat().st_size:,}"
    assert f"unpacks to more than 200 times its {packed} bytes; if that is meant, unpack it" in refusal_of(file)


def test_what_does_not_pack_so_well_may_be_as_large_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "UNPACKED", 2**10)
    lines = "".join(f"{number},{number * 7919 % 10007}\n" for number in range(9999))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(f"a,b\n{lines}".encode()))
    assert sum(table.num_rows for table in read_tables(tmp_path / "a.csv.gz", sniff(tmp_path / "a.csv.gz"))) == 9999


def save_workbook(file: Path, rows: str, **others: str) -> None:
    """Write a workbook by hand, with rows as no program would write them."""
    sheets = '<sheets><sheet name="a" sheetId="1" r:id="rId1"/></sheets>'
    parts = {"worksheet": "worksheets/sheet1.xml", "sharedStrings": "sharedStrings.xml"}
    links = "".join(
        f'<Relationship Id="rId{number}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(parts.items(), 1)
    )
    texts = {
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}"><Relationship Id="rId1" Type="{OFFICE}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{SHEET}" xmlns:r="{OFFICE}">{sheets}</workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}">{links}</Relationships>',
        "xl/sharedStrings.xml": others.get("texts", f'<sst xmlns="{SHEET}"/>'),
        "xl/worksheets/sheet1.xml": others.get("before", "")
        + f'<worksheet xmlns="{SHEET}"><sheetData>{rows}</sheetData></worksheet>',
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(name, text)


LAUGHS = (
    '<!DOCTYPE l [<!ENTITY a "lol">'
    + "".join(f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)
WORKBOOKS: dict[str, tuple[str, dict[str, str], str]] = {
    "a cell in the last row and column": (
        HEADER + '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>', {}, "delete what stands far below or beside"),
    "texts that are not there": (
        HEADER, {"texts": f'<sst xmlns="{SHEET}" count="9" uniqueCount="1000000000000"/>'}, "takes more than 1.5 GB"),
    "a billion laughs": (
        HEADER + f'<row r="2">{CELL.format("A2", "&i;")}</row>', {"before": LAUGHS}, "cannot be read as a workbook"),
    "a file of this machine": (
        HEADER + f'<row r="2">{CELL.format("A2", "&x;")}</row>',
        {"before": '<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]>'}, "cannot be read as a workbook"),
    "elements in elements": ("<a>" * 10**5, {}, "its sheet is empty"),
}  # fmt: skip


@pytest.mark.parametrize("name", WORKBOOKS)
def test_a_workbook_takes_no_more_than_its_share_of_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(workbook, "MEMORY", 1_500_000_000)
    rows, others, sentence = WORKBOOKS[name]
    save_workbook(tmp_path / "a.xlsx", HEADER + f'<row r="2">{CELL.format("A2", 1)}{CELL.format("B2", 2)}</row>')
    (table,) = read_tables(tmp_path / "a.xlsx", sniff(tmp_path / "a.xlsx"))
    assert table.to_pylist() == [{"x": "1", "y": "2"}], "as written by hand it is read"
    save_workbook(tmp_path / "a.xlsx", rows, **others)
    assert sentence in refusal_of(tmp_path / "a.xlsx")


def test_a_sheet_that_unpacks_without_end_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_workbook(tmp_path / "a.xlsx", HEADER + " " * 2**22)
    monkeypatch.setattr(kinds, "UNPACKED", 2**21)
    assert "unpacks to more than 200 times" in refusal_of(tmp_path / "a.xlsx")


WIDE = [f"c{number}" for number in range(kinds.COLUMNS + 1)]
SAVE: dict[str, Callable[[Path], object]] = {
    "a.csv": lambda file: file.write_text(f"{','.join(WIDE)}\n{',' * (len(WIDE) - 1)}\n"),
    "a.jsonl": lambda file: file.write_text(json.dumps(dict.fromkeys(WIDE, 1)) + "\n"),
    "b.jsonl": lambda file: file.write_text("".join(f'{{"{name}": 1}}\n' for name in WIDE)),
    "a.parquet": lambda file: parquet.pyarrow.parquet.write_table(pa.table(dict.fromkeys(WIDE, [1])), file),
}


@pytest.mark.parametrize("name", SAVE)
def test_too_many_columns_are_counted_and_not_read(tmp_path: Path, name: str) -> None:
    SAVE[name](tmp_path / name)
    assert "has 20,001 columns, and a table may have 20,000; leave out those that do not matter" in refusal_of(
        tmp_path / name
    )


ODD: dict[str, tuple[str, bytes, str]] = {
    "a header without end": ("a.csv", b"x," * 2**20 + b"x\n1\n", "its first line is longer than 1 MiB"),
    "one line": ("a.csv", b"a,b\n" + b"x" * 2**24, "a row is longer than 8 MiB"),
    "records in records": ("a.jsonl", b'{"a":' * 10**5 + b"1" + b"}" * 10**5, "records in records without end"),
    "lists in lists": ("a.jsonl", b'{"a":' + b"[" * 10**5 + b"]" * 10**5 + b"}", "records in records without end"),
    "broken, and records in records": ("a.jsonl", b'{"a":1}\n' + b'{"a":' * 10**5, "line 2 is not JSON in UTF-8"),
    "NUL bytes": ("a.csv", b"a,b\n1,2\n\0\0\0\n", "is not text, although its name says so"),
    "zeros": ("a.csv", bytes(10**5), "has NUL bytes, so it is no UTF-16-LE text; save it as UTF-8, correct data.read"),
}


@pytest.mark.parametrize("name", ODD)
def test_lengths_and_depths_without_end_get_their_sentence(tmp_path: Path, name: str) -> None:
    file, content, sentence = ODD[name]
    (tmp_path / file).write_bytes(content)
    assert sentence in refusal_of(tmp_path / file)


def test_a_parquet_file_that_is_nothing_but_its_list_of_columns_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet.pyarrow.parquet.write_table(pa.table(dict.fromkeys(WIDE[:5000], [1])), tmp_path / "a.parquet")
    monkeypatch.setattr(parquet, "FOOTER", 2**18)
    assert "lists 0 MB of columns and row groups; write it in fewer files" in refusal_of(tmp_path / "a.parquet")


TALL: dict[str, Callable[[Path, pa.Table], object]] = {
    "a.csv": lambda file, table: pa.csv.write_csv(table, file),
    "a.jsonl": lambda file, table: file.write_text("".join(f"{json.dumps(row)}\n" for row in table.to_pylist())),
    "a.parquet": lambda file, table: parquet.pyarrow.parquet.write_table(table, file),
}


@pytest.mark.parametrize("name", TALL)
def test_no_more_values_are_read_at_once_however_many_columns_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    table = pa.table({f"c{number}": range(number, number + 100) for number in range(50)})
    TALL[name](tmp_path / name, table)
    monkeypatch.setattr(batches, "WIDEST", 50 * 7)
    frames = list(read_batches(tmp_path / name, Read()))
    assert [len(frame) for frame in frames] == [7] * 14 + [2]
    assert [int(value) for frame in frames for value in frame["c49"]] == [*range(49, 149)]
    if name != "a.csv":  # whose blocks have so many bytes
        assert max(part.num_rows for part in read_tables(tmp_path / name, Read())) == 7


def test_one_list_of_columns_and_row_groups_is_held_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, alive = parquet.pyarrow.parquet.ParquetFile, weakref.WeakSet[object]()

    def open_file(*words: object, **options: object) -> object:
        assert not alive, "each takes ten times the bytes of its list"
        file = real(*words, **options)
        alive.add(file)
        return file

    for name in "ab":
        parquet.pyarrow.parquet.write_table(pa.table({"a": [1, 2]}), tmp_path / f"{name}.parquet")
    monkeypatch.setattr(parquet.pyarrow.parquet, "ParquetFile", open_file)
    assert sum(table.num_rows for table in read_tables(tmp_path, Read())) == 4
