"""A dataset that cannot be learnt from is refused by `mlops setup`, in one sentence; another one takes its place."""

import contextlib
import gzip
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest
from baked import Bake
from mlops_actions.core.errors import UserError
from mlops_actions.setup.project import setup
from pyarrow import parquet

WORKBOOK = b"PK\x03\x04 and no more"
CSV_GZ = gzip.compress(b"a,price\n1,2\n", mtime=0)
FILES: list[tuple[str, bytes, str]] = [
    ("data.docx", b"a,b\n1,2\n", "data.docx: its name says no kind of table; save it as one of .csv, .tsv"),
    ("data.parquet.gz", b"a,b\n1,2\n", "data.parquet.gz: its name says no kind of table; save it as one of .csv"),
    ("data.csv", b"", "data.csv: is empty; put a header and rows into it"),
    ("data.csv", b"a,price\n", "data.csv: has a header but no rows; add data below it"),
    ("data.csv", b"a,price\n\n\n", "data.csv: has a header but no rows"),
    ("data.csv", b"a,,price\n1,2,3\n", "data.csv: column 2 has no name in the header; name it or remove it"),
    ("data.csv", b"a,price,a\n1,2,3\n", "data.csv: the column 'a' appears 2 times; rename or remove one"),
    ("data.csv", b"a,Price\n1,2\n", "the dataset has no column 'price'; did you mean 'Price'?"),
    ("data.csv", b"a,b\n1,2\n", "the dataset has no column 'price'; use one of a, b."),
    ("data.csv", b"a;b\n1;2\n", "the dataset has no column 'price'; use one of a, b."),
    ("data.csv", b"price\n1\n", "the dataset has no column but the target 'price'; add columns to predict from"),
    ("data.csv", b"a,price\n1,2,3\n", "data.csv: row 1 has 3 values where the header has 2; correct its commas"),
    ("data.csv", b"a;price\n1;2\n1\n", "data.csv: row 2 has 1 values where the header has 2"),
    ("data.csv", b"a,price\n1,2\n1,cheap\n", "'price' holds text, such as 'cheap', which a regression cannot predict"),
    ("data.csv", b"a;price\n1;2,5\n1;2,5,5\n", "'price' holds text, such as '2,5,5', which a regression"),
    ("data.csv", b"a,price\n1,\x002\n", "data.csv: is not text, although its name says so; give it the suffix of"),
    ("data.csv", "a,price\n1,2\n".encode("utf-16")[:-1], "data.csv: is not UTF-16 text throughout; save"),
    ("data.csv", WORKBOOK, "data.csv: is not what its name says, but a workbook or an archive; give it the suffix"),
    ("data.csv", b"PAR1 and more", "data.csv: is not what its name says, but a .parquet file"),
    ("data.csv", CSV_GZ, "data.csv: is not what its name says, but compressed (.gz)"),
    ("data.csv", b"SQLite format 3\0", "data.csv: is not what its name says, but a database, which a .sql file"),
    ("data.csv.gz", b"a,price\n1,2\n", "data.csv.gz: cannot be read ("),
    ("data.csv.gz", CSV_GZ[:-9], "data.csv.gz: cannot be read ("),
    ("data.tsv.xz", b"a,price\n1,2\n", "data.tsv.xz: cannot be read ("),
    ("data.csv.bz2", b"a,price\n1,2\n", "data.csv.bz2: cannot be read ("),
    ("data.jsonl", b'{"a": 1, "price": 2}\n{"a": 1\n', "data.jsonl: line 2 is not JSON in UTF-8; correct it"),
    ("data.jsonl", b"[1, 2]\n", "data.jsonl: line 1 must be an object with keys"),
    ("data.jsonl", b'{"a": [1], "price": 2}\n', "data.jsonl: column 'a' holds lists or records; spread it"),
    ("data.jsonl", b'{"a": 1, "Price": 2}\n', "the dataset has no column 'price'; did you mean 'Price'?"),
    ("data.jsonl", b'{"a": 1, "price": "cheap"}\n', "'price' holds text, such as 'cheap', which a regression"),
    ("data.jsonl", WORKBOOK, "data.jsonl: is not what its name says, but a workbook"),
    ("data.jsonl.bz2", b"x", "data.jsonl.bz2: JSON lines are read from .gz and .zst only"),
    ("data.parquet", b"PAR1 cut short", "data.parquet: cannot be read as Parquet ("),
    ("data.xlsx", WORKBOOK, "data.xlsx: cannot be read as a workbook ("),
    ("data.xls", WORKBOOK, "data.xls: cannot be read as a workbook ("),
]
QUERIES: list[tuple[bytes, str]] = [
    (b"SELECT 1\n", "data.sql: its first line must name the database in a comment, such as `-- sqlite:///shop.db`"),
    (b"-- sqlite:///no.db\nSELECT 1\n", "data.sql: there is no database /"),
    (
        b"-- postgresql://ada:secret@host/shop\nSELECT 1\n",
        "data.sql: holds a password, which git would keep; use PGPAS",
    ),
    (b"\n-- postgresql://ada:secret@host/shop\nSELECT 1\n", "data.sql: holds a password, which git would keep"),
    (b"-- mysql:host=h password=secret\nSELECT 1\n", "data.sql: holds a password, which git would keep"),
    (b"-- postgresql:shop\nSELECT 1\n", "data.sql: write the database as `-- postgresql://host/name`"),
    (b"-- postgresql://host/shop\n-- nothing;\n", "data.sql: has no query below its first line; write one"),
    ("-- sqlite:///größe.db\nSELECT 1\n".encode("utf-16"), "data.sql: is not UTF-8 text; save it as UTF-8"),
    (
        b"-- sqlite:///shop.db\nSELECT * FROM nowhere\n",
        "ingest.sql: the database says: Failed to prepare query: no such",
    ),
    (b"-- sqlite:///shop.db\nDELETE FROM sales\n", "attempt to write a readonly database"),
    (b"-- sqlite:///shop.db\nSELECT a, a, price FROM sales\n", "ingest.sql: the column 'a' appears 2 times"),
    (b"-- sqlite:///shop.db\nSELECT a, price FROM sales WHERE a > 9\n", "ingest.sql: the query gives no rows"),
]
URLS: list[tuple[str, str]] = [
    ("ftp://example.com/a.csv", "is no http(s):// or s3:// URL and no .sql file; use one"),
    ("postgresql://example.com/shop", "is no http(s):// or s3:// URL and no .sql file; use one"),
    ("https://example.com", "is no URL of a file; it needs a host, or bucket, and a path without spaces"),
    ("https://[example/a.csv", "is no URL (Invalid IPv6 URL); correct it"),
    ("https://example.com/my data.csv", "a path without spaces"),
    (
        "https://example.com/export",
        "says no kind of table; put a name behind it that does, as in https://example.com/e",
    ),
    ("https://ada:secret@example.com/a.csv", "holds a password or token, which git would keep; use ~/.netrc or AWS"),
    ("https://example.com/a.csv?access_token=x", "holds a password or token"),
    ("s3://bucket/a.csv?X-Amz-Signature=x", "holds a password or token"),
]
FOLDERS: list[tuple[dict[str, str], str, str]] = [
    ({}, "rows", "rows: is an empty folder; put the dataset's files into it"),
    ({}, "rows/*.csv", "is neither a file nor a folder or pattern with files, nor a URL"),
    (
        {"1.csv": "a,price\n1,2\n", "2.jsonl": "{}"},
        "rows",
        "2.jsonl: is of another kind than 1.csv; a folder holds fil",
    ),
    ({"1.csv": "a,price\n1,2\n", "2.jsonl": "{}"}, "rows/*", "2.jsonl: is of another kind than 1.csv"),
    (
        {"1.csv": "a,price\n1,2\n", "2.csv": "b,price\n1,2\n"},
        "rows",
        "rows/2.csv: lacks the column 'a', which 1.csv ",
    ),
    ({"1.csv": "a,price\n1,2\n", "2.csv": ""}, "rows", "rows/2.csv: is empty"),
    ({"1.csv": "a,price\n1,2\n", "b/2.csv": "a,price\n1,2\n"}, "rows", "b: is a folder in a folder of data; move its"),
    (
        {"b/1.csv": "a,price\n1,2\n", "c/1.csv": "a,price\n1,2\n"},
        "rows/*/1.csv",
        "two files are named 1.csv; rename one",
    ),
]


@pytest.fixture(scope="module")
def bare(bake: Bake) -> Path:
    """A generated project: read it only."""
    return bake().path


@pytest.fixture
def root(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A generated project in which this process works."""
    unneeded = shutil.ignore_patterns("vendor", "deploy", ".github", "uv.lock", ".git")
    root = shutil.copytree(bare, tmp_path / "project", ignore=unneeded)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def refuse(root: Path) -> Callable[..., str]:
    """`refuse("rows.csv", "price", "regression")`: the sentence with which setup refuses a dataset."""

    def refused(data: str, target: str = "price", task: str = "regression") -> str:
        with pytest.raises(UserError) as refusal:
            setup(data, target, task)
        assert "\n" not in str(refusal.value)
        assert not (root / "schema.yaml").exists()
        assert not [*(root / "data/raw").glob("dataset*.dvc")]
        return str(refusal.value)

    return refused


@pytest.mark.parametrize(("name", "content", "sentence"), FILES)
def test_a_file_is_refused(
    refuse: Callable[..., str], tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert sentence in refuse(str(tmp_path / name))


@pytest.mark.parametrize(("content", "sentence"), QUERIES)
def test_a_query_is_refused(refuse: Callable[..., str], tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "data.sql").write_bytes(content)
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.executescript("CREATE TABLE sales (a, price); INSERT INTO sales VALUES (1, 2);")
    assert sentence in refuse(str(tmp_path / "data.sql"))


@pytest.mark.parametrize(("url", "sentence"), URLS)
def test_a_url_is_refused(refuse: Callable[..., str], url: str, sentence: str) -> None:
    assert sentence in refuse(url)


@pytest.mark.parametrize(("files", "answer", "sentence"), FOLDERS)
def test_a_folder_or_pattern_is_refused(
    refuse: Callable[..., str], tmp_path: Path, files: dict[str, str], answer: str, sentence: str
) -> None:
    (tmp_path / "rows").mkdir()
    for name, text in files.items():
        (tmp_path / "rows" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "rows" / name).write_text(text)
    assert sentence in refuse(str(tmp_path / answer))


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"a": [1], "Price": [2]}, "the dataset has no column 'price'; did you mean 'Price'?"),
        ({"a": [], "price": []}, "data.parquet: has a header but no rows"),
        ({"a\0b": [1, 2], "price": [1, 2]}, "the column name 'a\\x00b' has a zero byte in it; rename it"),
        ({"a": [1], "price": ["cheap"]}, "'price' holds text, such as 'cheap', which a regression cannot predict"),
    ],
)
def test_a_parquet_file_is_looked_into(
    refuse: Callable[..., str], tmp_path: Path, columns: dict[str, list[object]], sentence: str
) -> None:
    parquet.write_table(pyarrow.table(columns), tmp_path / "data.parquet")
    assert sentence in refuse(str(tmp_path / "data.parquet"))


@pytest.mark.parametrize(
    ("target", "task", "sentence"),
    [
        ("chrun", "guess", "the dataset has no column 'chrun'; did you mean 'churn'?"),
        (
            "churn",
            "regression",
            "'churn' holds text, such as 'no', which a regression cannot predict; set data.task to",
        ),
        ("total_day_charge", "classification", "different values, too many for classes; set data.task to regression"),
    ],
)
def test_a_target_of_the_example_is_refused(refuse: Callable[..., str], target: str, task: str, sentence: str) -> None:
    assert sentence in refuse("", target, task)


def test_a_project_without_a_dataset_is_told_how_to_get_one(refuse: Callable[..., str], root: Path) -> None:
    (root / "data/raw/dataset.csv").unlink()
    said = refuse("", "", "")
    assert "data/raw/dataset.csv is not there: `make setup DATA=FILE TARGET=COLUMN` puts a dataset in its" in said
