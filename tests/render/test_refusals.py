"""A bad answer is refused in one sentence, and nothing is left behind."""

from pathlib import Path

import pyarrow
import pytest
from baked import Bake, run
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
    ({"description": "one\ntwo"}, "description must be one line"),
    ({"author_name": " "}, "author_name is empty"),
    ({"description": "{{ '{{' }} x }}"}, "description must not contain template syntax"),
    ({"dataset": "nowhere.csv"}, "dataset 'nowhere.csv' is not a file"),
    ({"target": "chrun"}, "the example has no column 'chrun' to predict: did you mean 'churn'?"),
    ({"target": "total_day_charge"}, "column 'total_day_charge' holds numbers, which is regression"),
    ({"target": "churn", "task": "regression"}, "column 'churn' holds classes, which is classification"),
]
DATASETS = [
    ("data.txt", b"a,b\n1,2\n", "must be a .csv or .parquet file"),
    ("data.csv", b"", "is empty"),
    ("data.csv", b"a,price\n", "data.csv has a header and no rows"),
    ("data.csv", b"a,price\n\n\n", "data.csv has a header and no rows"),
    ("data.csv", b"a,,price\n1,2,3\n", "data.csv: column 2 has no name"),
    ("data.csv", b"a,price,a\n1,2,3\n", "data.csv: 2 columns are named 'a'"),
    ("data.csv", b"a,Price\n1,2\n", "data.csv has no column 'price' to predict: did you mean 'Price'?"),
    ("data.csv", b"a,b\n1,2\n", "data.csv has no column 'price' to predict: its columns are a, b."),
    ("data.csv", b"price\n1\n", "data.csv has no column but the target"),
    ("data.csv", b"a;price\n1;2\n", "separates its columns by something else than commas"),
    ("data.csv", b"a,price\n1,2,3\n", "data.csv, line 2: 3 values for 2 columns"),
    (
        "data.csv",
        b"a,price\n1,2\n1,cheap\n",
        "data.csv, line 3: the target 'price' is 'cheap', and regression",
    ),
    ("data.csv", "größe,price\n1,2\n".encode("latin-1"), "data.csv is not UTF-8 text"),
    ("data.parquet", b"PAR1 cut short", "data.parquet is not a Parquet file, or not a whole one"),
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
    answers = {"dataset": str(tmp_path / name), "target": "price", "task": "regression"}
    assert_refused(bake, tmp_path / "output", capfd, sentence, **answers)


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
