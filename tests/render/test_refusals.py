"""A bad answer is refused in one sentence, and nothing is left behind."""

import contextlib
import gzip
import sqlite3
from pathlib import Path

import pyarrow
import pytest
from baked import Bake, copy_template, run
from cookiecutter.exceptions import FailedHookException
from pyarrow import parquet

LONG = "x" * 101
ANSWERS = [
    ({"project_slug": "-x"}, "project_slug '-x' is no repository name"),
    ({"project_slug": ".x"}, "project_slug '.x' is no repository name"),
    ({"project_slug": "a b"}, "project_slug 'a b' is no repository name"),
    ({"project_slug": "größe", "package_name": "groesse"}, "project_slug 'größe' is no repository name"),
    ({"project_slug": LONG}, "is no repository name"),
    ({"project_slug": "x.git"}, "project_slug 'x.git' ends in a suffix that GitHub keeps"),
    ({"project_slug": "Requests", "package_name": "mine"}, "'requests' is the name of a package"),
    ({"project_slug": "scikit.learn", "package_name": "mine"}, "'scikit-learn' is the name of a package"),
    ({"project_name": "2025"}, "package_name '2025' is no Python name"),
    ({"package_name": "a-b"}, "package_name 'a-b' is no Python name"),
    ({"package_name": "class"}, "package_name 'class' is no Python name"),
    ({"package_name": "test"}, "package_name 'test' would hide a module"),
    ({"package_name": "json"}, "package_name 'json' would hide a module"),
    ({"package_name": "sklearn"}, "package_name 'sklearn' would hide a module"),
    ({"package_name": "dvc"}, "package_name 'dvc' would hide a module"),
    ({"github_owner": "-me"}, "github_owner '-me' is no GitHub login"),
    ({"github_owner": "me/you"}, "github_owner 'me/you' is no GitHub login"),
    ({"github_owner": "x" * 40}, "is no GitHub login"),
    ({"container_registry": "ghcr.io", "project_slug": "a..b"}, "project_slug 'a..b' is no name of a container image"),
    ({"container_registry": "ghcr.io", "project_slug": "a._b"}, "put single '.', '_' or '-' between letters"),
    ({"description": "one\ntwo"}, "description must be one line"),
    ({"author_name": " "}, "author_name is empty"),
    ({"description": "{{ '{{' }} x }}"}, "description must not contain template syntax"),
    ({"dataset": "nowhere.csv"}, "dataset 'nowhere.csv' is neither a file nor a folder"),
    ({"dataset": "nowhere/*.csv"}, "dataset 'nowhere/*.csv' is neither a file nor a folder or pattern with files"),
    ({"dataset": "nowhere.sql"}, "dataset 'nowhere.sql' is not a file: give the path of a query"),
    ({"dataset": "ftp://example.com/a.csv"}, "begins with ftp://: use http(s):// or s3://"),
    ({"dataset": "postgresql://example.com/shop"}, "begins with postgresql://: use http(s):// or s3://, a path, or"),
    ({"dataset": "https://example.com"}, "is no URL of a file: it needs a host, or bucket, and a path"),
    ({"dataset": "https://[example/a.csv"}, "is no URL (Invalid IPv6 URL)"),
    ({"dataset": "https://example.com/my data.csv"}, "a path without spaces"),
    ({"dataset": "https://example.com/export"}, "export is none of .csv, .tsv"),
    ({"dataset": "https://ada:secret@example.com/a.csv"}, "the URL holds a password or token"),
    ({"dataset": "https://example.com/a.csv?access_token=x"}, "the URL holds a password or token"),
    ({"dataset": "s3://bucket/a.csv?X-Amz-Signature=x"}, "the URL holds a password or token"),
    ({"target": "chrun"}, "the example has no column 'chrun' to predict: did you mean 'churn'?"),
    (
        {"task": "classification", "target": "total_day_charge"},
        "column 'total_day_charge' holds numbers, which is regression",
    ),
    ({"target": "churn", "task": "regression"}, "column 'churn' holds classes, which is classification"),
]
WORKBOOK = b"PK\x03\x04 and no more"
DATASETS = [
    ("data.docx", b"a,b\n1,2\n", "data.docx is none of .csv, .tsv"),
    ("data.parquet.gz", b"a,b\n1,2\n", "data.parquet.gz is none of .csv, .tsv"),
    ("data.csv", b"", "data.csv is empty"),
    ("data.csv", b"a,price\n", "data.csv has a header and no rows"),
    ("data.csv", b"a,price\n\n\n", "data.csv has a header and no rows"),
    ("data.csv", b"a,,price\n1,2,3\n", "data.csv: column 2 has no name"),
    ("data.csv", b"a,price,a\n1,2,3\n", "data.csv: 2 columns are named 'a'"),
    ("data.csv", b"a,Price\n1,2\n", "data.csv has no column 'price' to predict: did you mean 'Price'?"),
    ("data.csv", b"a,b\n1,2\n", "data.csv has no column 'price' to predict: its columns are a, b."),
    ("data.csv", b"a;b\n1;2\n", "data.csv has no column 'price' to predict: its columns are a, b."),
    ("data.csv", b"price\n1\n", "data.csv has no column but the target"),
    ("data.csv", b"a,price\n1,2,3\n", "data.csv, line 2: 3 values for 2 columns: quote the one with ','"),
    ("data.csv", b"a;price\n1;2\n1\n", "data.csv, line 3: 1 values for 2 columns"),
    ("data.csv", b"a,price\n1,2\n1,cheap\n", "data.csv, line 3: the target 'price' is 'cheap', and regression"),
    ("data.csv", b"a;price\n1;2,5\n1;2,5,5\n", "data.csv, line 3: the target 'price' is '2,5,5'"),
    ("data.csv", b"a,price\n1,\x002\n", "the dataset is not text, although its name says so"),
    ("data.csv", "a,price\n1,2\n".encode("utf-16")[:-1], "data.csv begins as utf-16 text and does not go on so"),
    ("data.csv", WORKBOOK, "data.csv is not what its name says, but a workbook or an archive"),
    ("data.csv", b"PAR1 and more", "data.csv is not what its name says, but a .parquet file"),
    ("data.csv", gzip.compress(b"a,price\n1,2\n", mtime=0), "data.csv is not what its name says, but compressed (.gz)"),
    ("data.csv", b"SQLite format 3\0", "data.csv is not what its name says, but a database"),
    ("data.csv.gz", b"a,price\n1,2\n", "data.csv.gz is damaged, or not compressed as its name says"),
    ("data.csv.gz", gzip.compress(b"a,price\n1,2\n", mtime=0)[:-9], "data.csv.gz is damaged"),
    ("data.tsv.xz", b"a,price\n1,2\n", "data.tsv.xz is damaged"),
    ("data.csv.bz2", b"a,price\n1,2\n", "cannot be copied: Invalid data stream"),
    ("data.jsonl", b'{"a": 1, "price": 2}\n{"a": 1\n', "data.jsonl, line 2 is not JSON in UTF-8"),
    ("data.jsonl", b"[1, 2]\n", "data.jsonl, line 1 is no object"),
    ("data.jsonl", b'{"a": [1], "price": 2}\n', "data.jsonl, line 1: 'a' holds a list or a record"),
    ("data.jsonl", b'{"a": 1, "Price": 2}\n', "data.jsonl has no column 'price' to predict: did you mean 'Price'?"),
    ("data.jsonl", b'{"a": 1, "price": "cheap"}\n', "data.jsonl, line 1: the target 'price' is 'cheap'"),
    ("data.jsonl.bz2", b"x", "JSON lines are read from .gz and .zst only"),
    ("data.parquet", b"PAR1 cut short", "data.parquet is not a Parquet file, or not a whole one"),
    ("data.xlsx", WORKBOOK, "data.xlsx is not a workbook, or not a whole one"),
    ("data.xls", WORKBOOK, "data.xls is not a workbook, or not a whole one"),
    ("data.sql", b"SELECT 1\n", "data.sql: the first line must name the database, such as `-- sqlite:///shop.db`"),
    ("data.sql", b"-- sqlite:///no.db\nSELECT 1\n", "data.sql: there is no database /"),
    (
        "data.sql",
        b"-- postgresql://ada:secret@host/shop\nSELECT 1\n",
        "data.sql holds a password, which git would keep",
    ),
    ("data.sql", b"-- mysql:host=h password=secret\nSELECT 1\n", "data.sql holds a password, which git would keep"),
    ("data.sql", b"-- postgresql:shop\nSELECT 1\n", "write the database as `-- postgresql://host/name`"),
    ("data.sql", b"-- postgresql://host/shop\n-- nothing;\n", "data.sql has no query below its first line"),
    ("data.sql", b"-- sqlite:///shop.db\nSELECT * FROM nowhere\n", "SQLite says: no such table: nowhere"),
    ("data.sql", b"-- sqlite:///shop.db\nDELETE FROM sales\n", "SQLite says: attempt to write a readonly database"),
    ("data.sql", b"-- sqlite:///shop.db\nSELECT a, price AS Price FROM sales\n", "did you mean 'Price'?"),
    ("data.sql", b"-- sqlite:///shop.db\nSELECT a, a, price FROM sales\n", "2 columns are named 'a'"),
    ("data.sql", b"-- sqlite:///shop.db\nSELECT a, price FROM sales WHERE a > 9\n", "data.sql gives no rows"),
    (
        "data.sql",
        b"-- sqlite:///shop.db\nSELECT a, 'cheap' AS price FROM sales\n",
        "row 1: the target 'price' is 'cheap'",
    ),
]
FOLDERS = [
    ({}, "is neither a file nor a folder or pattern with files"),
    ({"1.csv": "a,price\n1,2\n", "2.jsonl": "{}"}, "are of two kinds: name files of one"),
    ({"1.csv": "a,price\n1,2\n", "2.csv": "b,price\n1,2\n"}, "1.csv and 2.csv differ in the column 'a'"),
    ({"1.csv": "a,price\n1,2\n", "2.csv": ""}, "2.csv is empty"),
    ({"1.csv": "a,price\n1,2\n", "more/2.csv": "a,price\n1,2\n"}, "more is a folder in a folder of data"),
]


def assert_refused(bake: Bake, output: Path, capfd: pytest.CaptureFixture[str], sentence: str, **answers: str) -> None:
    output.mkdir()
    with pytest.raises(FailedHookException):
        bake(output, **answers)
    said = capfd.readouterr().err.strip().splitlines()
    assert sentence in said[0], said
    assert len(said) == 1, said
    assert not list(output.iterdir())


@pytest.mark.parametrize(("answers", "sentence"), ANSWERS)
def test_an_answer_is_refused(
    bake: Bake, tmp_path: Path, capfd: pytest.CaptureFixture[str], answers: dict[str, str], sentence: str
) -> None:
    assert_refused(bake, tmp_path / "output", capfd, sentence, **answers)


@pytest.mark.parametrize(("name", "content", "sentence"), DATASETS)
def test_a_dataset_is_refused(
    bake: Bake, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.executescript("CREATE TABLE sales (a, price); INSERT INTO sales VALUES (1, 2);")
    answers = {"dataset": str(tmp_path / name), "target": "price", "task": "regression"}
    assert_refused(bake, tmp_path / "output", capfd, sentence, **answers)


@pytest.mark.parametrize(("files", "sentence"), FOLDERS)
def test_a_folder_is_refused(
    bake: Bake, tmp_path: Path, capfd: pytest.CaptureFixture[str], files: dict[str, str], sentence: str
) -> None:
    (tmp_path / "rows").mkdir()
    for name, text in files.items():
        (tmp_path / "rows" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "rows" / name).write_text(text)
    answers = {"dataset": str(tmp_path / "rows"), "target": "price", "task": "regression"}
    assert_refused(bake, tmp_path / "output", capfd, sentence, **answers)


def test_files_of_one_name_in_a_pattern_are_refused(
    bake: Bake, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for folder in ("1", "2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.csv").write_text("a,price\n1,2\n")
    answers = {"dataset": str(tmp_path / "*/a.csv"), "target": "price", "task": "regression"}
    assert_refused(bake, tmp_path / "output", capfd, "two files are named a.csv: rename one", **answers)


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"a": [1], "Price": [2]}, "data.parquet has no column 'price' to predict: did you mean 'Price'?"),
        ({"a": [], "price": []}, "data.parquet has no rows"),
        ({"a": [1], "price": ["cheap"]}, "data.parquet: the target 'price' is of type string, and regression"),
    ],
)
def test_a_parquet_file_is_looked_into(
    bake: Bake, tmp_path: Path, capfd: pytest.CaptureFixture[str], columns: dict[str, list[object]], sentence: str
) -> None:
    parquet.write_table(pyarrow.table(columns), tmp_path / "data.parquet")
    answers = {"dataset": str(tmp_path / "data.parquet"), "target": "price", "task": "regression"}
    assert_refused(bake, tmp_path / "output", capfd, sentence, **answers)


def test_a_place_in_another_repository_is_refused(
    bake: Bake, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run("git", "init", "--quiet", cwd=tmp_path)
    sentence = f"/output/customer-churn would lie in another one, {tmp_path}: generate it elsewhere (--output-dir)"
    assert_refused(bake, tmp_path / "output", capfd, sentence)


def test_cruft_refuses_it_too(template: Path, tmp_path: Path) -> None:
    run("git", "init", "--quiet", cwd=tmp_path)
    begun = copy_template(tmp_path / "template")
    run("git", "init", "--quiet", cwd=begun)
    run("git", "add", "--all", cwd=begun)
    run("git", "commit", "--quiet", "--message=Begin", cwd=begun)
    (tmp_path / "here").mkdir()
    done = run("cruft", "create", begun, "--no-input", cwd=tmp_path / "here", check=False, HOME=str(tmp_path / "home"))
    assert done.returncode and "here/customer-churn would lie in another one" in done.stderr
    assert not list((tmp_path / "here").iterdir())


def test_the_command_line_says_it_and_fails(template: Path, tmp_path: Path) -> None:
    command = ("cookiecutter", "--no-input", "--default-config", template, "package_name=json")
    done = run(*command, cwd=tmp_path, check=False, HOME=str(tmp_path / "home"))
    assert done.returncode == 1
    assert "package_name 'json' would hide a module" in done.stderr
    assert not (tmp_path / "customer-churn").exists()


def test_a_machine_without_git_is_told_so(template: Path, tmp_path: Path) -> None:
    command = ("cookiecutter", "--no-input", "--default-config", template)
    where = run("sh", "-c", "command -v cookiecutter", cwd=tmp_path).stdout.strip()
    done = run(where, *command[1:], cwd=tmp_path, check=False, HOME=str(tmp_path / "home"), PATH=str(tmp_path))
    assert done.returncode == 1
    assert "git could not start a repository" in done.stderr
    assert not (tmp_path / "customer-churn").exists()
