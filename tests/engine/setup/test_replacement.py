"""`mlops setup --data` puts another dataset in the place of the one that a project has, or changes nothing."""

import contextlib
import gzip
import shutil
import sqlite3
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked import NO_CML, Bake
from mlops_actions.core.config import load_config
from mlops_actions.core.errors import UserError
from mlops_actions.core.files import remove
from mlops_actions.core.params_file import update_params
from mlops_actions.setup import replacement
from mlops_actions.setup.project import setup
from mlops_actions.setup.replacement import PENDING, finish_replacement, replace_dataset
from mlops_actions.stages.transfer import checkout

HOUSES = "rooms,price,town\n" + "".join(f"{n % 7},{n % 7 * 50 + n % 3},{'ab'[n % 2]}\n" for n in range(80))
# What setup writes into params.yaml, and what its owner does.
GUESSES = {
    "data.read.delimiter": (";", "guess: from the file"),
    "data.task": ("classification", "guess: the target holds no numbers"),
    "data.drop": [("day", "guess: one value in all rows"), ("mine", None)],
    "split.column": ("day", "guess: see split.method"),
    "gate.primary": ("roc_auc", "guess: two classes"),
}
CHOICES = {"data.positive": "no", "model.seed": 7}
# As little as a project's params.yaml may have, for it is read often.
SHORT = """\
data:
  source: null
  path: data/raw/dataset.csv
  target: churn
  task: classification # guess: the target holds no numbers
split: {}
history: {}
model: {estimator: linear}
tune: {}
gate: {primary: guess}
serving: {}
resources: {}
"""


class Killed(BaseException):
    """Stands for `kill -9`: nothing catches it."""


@pytest.fixture(scope="module")
def bare(bake: Bake) -> Path:
    """What of a generated project has to do with its data: read it only."""
    path = bake().path
    for other in path.iterdir():
        if other.name not in ("params.yaml", "data", ".git", ".dvc", ".gitignore"):
            remove(other)
    remove(path / ".git/hooks")
    (path / "data/raw/dataset.csv").write_text("state,churn\nKS,no\nOH,yes\n")
    return path


@pytest.fixture
def root(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which this process works."""
    copy = shutil.copytree(bare, tmp_path / "project")
    monkeypatch.chdir(copy)
    return copy


def data_of(root: Path) -> dict[str, Any]:
    return yaml.safe_load((root / "params.yaml").read_text())["data"]


def files_of(root: Path) -> dict[str, bytes]:
    """Return the content of every file but git's and temporary ones."""
    paths = [path for path in root.rglob("*") if path.is_file()]
    names = [path.relative_to(root).as_posix() for path in paths]
    return {name: (root / name).read_bytes() for name in names if not name.startswith((".git/", ".dvc/tmp/"))}


def test_a_refused_dataset_gives_way_to_another(bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in NO_CML.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "ragged.csv").write_text(HOUSES + "1,2\n")
    (tmp_path / "my houses.tsv").write_text(HOUSES.replace(",", "\t"))
    project = bake(dataset=str(tmp_path / "ragged.csv"), target="cost")
    # An estimator that somebody chose: none is looked for, which takes its time.
    project.write("params.yaml", project.read("params.yaml").replace("hist_gradient_boosting\n", "random_forest\n"))
    before = project.read("params.yaml").splitlines()
    monkeypatch.chdir(project.path)
    with pytest.raises(UserError, match=r"data/raw/dataset\.csv: row 81 has 2 values where the header has 3"):
        setup()

    setup(f"{tmp_path}/my houses.tsv", "price")
    assert yaml.safe_load(project.read("schema.yaml"))["target"]["name"] == "price"
    assert project.has_file("data/raw/dataset.tsv.dvc")
    raw = sorted(file.name for file in (project.path / "data/raw").iterdir())
    assert raw == ["dataset.tsv", "dataset.tsv.dvc"]
    assert data_of(project.path)["path"] == "data/raw/dataset.tsv"
    changed = {line.split(":")[0].strip() for line in set(before) - set(project.read("params.yaml").splitlines())}
    assert changed == {"path", "target", "task", "primary", "thresholds"}

    project.commit("Begin")
    committed = files_of(project.path)
    with pytest.raises(UserError) as refusal:
        setup(str(tmp_path / "ragged.csv"))
    assert str(refusal.value) == (
        "schema.yaml is in git, the contract of data/raw/dataset.tsv: for new rows, edit "
        "data/raw/dataset.tsv and run `uv run dvc add data/raw/dataset.tsv`; to begin anew with other data, delete "
        "schema.yaml and run this again."
    )
    assert files_of(project.path) == committed

    (project.path / "schema.yaml").unlink()
    (tmp_path / "houses.csv").write_text(HOUSES)
    setup(str(tmp_path / "houses.csv"), "town", "classification")
    assert data_of(project.path)["task"] == "classification"
    assert project.run("git", "ls-files", "data/raw").stdout == "" and project.has_file("data/raw/dataset.csv.dvc")
    checkout(force=False)  # no record counts as lost


def test_a_file_folder_pattern_url_and_query_each_get_their_place(root: Path, tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    for name in ("1.CSV.GZ", "_SUCCESS", ".hidden"):
        (tmp_path / "rows" / name).write_bytes(gzip.compress(HOUSES.encode()))
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")):
        (tmp_path / "shop.sql").write_text("-- sqlite:///shop.db\nSELECT 1;\n")
    url = "https://example.com/export?id=7#sales.parquet"
    for given, source, path, files in (
        ("rows/1.CSV.GZ", None, "data/raw/dataset.csv.gz", ["data/raw/dataset.csv.gz"]),
        ("rows", None, "data/raw/dataset", ["data/raw/dataset/1.CSV.GZ"]),
        ("rows/*.GZ", None, "data/raw/dataset", ["data/raw/dataset/1.CSV.GZ"]),
        (url, url, "data/raw/dataset.parquet", []),
        ("shop.sql", "ingest.sql", "data/raw/dataset.parquet", ["ingest.sql"]),
        ("rows/1.CSV.GZ", None, "data/raw/dataset.csv.gz", ["data/raw/dataset.csv.gz"]),
    ):
        replace_dataset(given if given == url else f"../{given}", "price", "")
        data = data_of(root)
        assert (data["source"], data["path"], data["target"]) == (source, path, "price")
        assert [name for name in files_of(root) if name.startswith(("data/", "ingest.sql"))] == files
        if given == "shop.sql":
            assert (root / "ingest.sql").read_text() == f"-- sqlite:///{tmp_path}/shop.db\nSELECT 1\n"
        if given == "rows":  # whose copy may be given as well
            replace_dataset("data/raw/dataset/*.GZ", "", "")


def test_what_setup_had_guessed_is_to_be_guessed_anew_and_what_somebody_set_stays(root: Path, tmp_path: Path) -> None:
    update_params(root / "params.yaml", GUESSES | CHOICES)
    (root / "schema.yaml").write_text("columns: {}\n")
    replace_dataset("", "state", "")
    assert not (root / "schema.yaml").exists()
    assert " # guess:" not in (root / "params.yaml").read_text()
    config = load_config(root, guesses=True)
    assert (config.data.read.delimiter, config.data.task, config.data.drop) == (None, "guess", [])
    assert (config.split.column, config.gate.primary) == (None, "guess")
    assert (config.data.target, config.data.positive, config.model.seed) == ("state", "no", 7)
    assert (root / "data/raw/dataset.csv").exists()


def test_the_task_of_another_target_is_guessed_unless_it_is_told(root: Path) -> None:
    (root / "data/raw/dataset.csv").write_text(HOUSES)
    for target, task, expected in (("price", "regression", "regression"), ("town", "", "guess")):
        replace_dataset("", target, task)
        assert data_of(root)["task"] == expected


def test_what_cannot_be_learned_changes_nothing(root: Path, tmp_path: Path) -> None:
    (root / "schema.yaml").write_text("columns: {}\n")
    (tmp_path / "one.csv").write_text("state,churn\nKS,no\nOH,no\n")
    (tmp_path / "ragged.csv").write_text("state,churn\nKS,no\nOH\n")
    before = files_of(root)
    for data, target, sentence in (
        ("../one.csv", "churn", r"^data\.target: 'churn' is no in every row"),
        ("../one.csv", "chum", r"^data\.target: the dataset has no column 'chum'; did you mean 'churn'\?$"),
        ("../ragged.csv", "churn", r"^\.\./ragged\.csv: row 2 has 1 value"),
        ("", "state", r"^data\.target: 'state' holds text"),
    ):
        with pytest.raises(UserError, match=sentence):
            replace_dataset(data, target, "regression" if target == "state" else "")
        assert files_of(root) == before and not PENDING.exists()


def kill_at(number: int, patch: pytest.MonkeyPatch) -> None:
    """Let this process die before the step of this number."""
    steps = count(1)

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            if next(steps) == number:
                raise Killed
            return function(*arguments, **options)

        return step

    for name in ("remove", "git", "update_params", "write_file", "copy_dataset"):
        patch.setattr(replacement, name, dying(getattr(replacement, name)))
    for module, name in ((shutil, "copyfile"), (replacement.os, "replace"), (Path, "unlink")):
        patch.setattr(module, name, dying(getattr(module, name)))


def test_killed_at_any_step_a_rerun_ends_in_the_same_state(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows").mkdir()
    for name in ("1.csv", "2.csv"):
        (tmp_path / "rows" / name).write_text(HOUSES)
    begun = shutil.copytree(bare, tmp_path / "begun")
    (begun / "params.yaml").write_text(SHORT)
    (begun / "data/raw/dataset.csv.dvc").write_text("outs: []\n")
    (begun / "schema.yaml").write_text("columns: {}\n")

    def work_in(original: Path, name: str) -> Path:
        monkeypatch.chdir(shutil.copytree(original, tmp_path / name))
        return tmp_path / name

    def replace() -> None:
        replace_dataset("../rows", "price", "regression")

    before, done = files_of(begun), work_in(begun, "done")
    replace()
    after = files_of(done)
    for number in count(1):
        killed = work_in(begun, f"killed{number}")
        with monkeypatch.context() as patch:
            kill_at(number, patch)
            try:
                replace()
            except Killed:
                pass
            else:
                break
        noted = PENDING.exists()
        assert noted or files_of(killed) in (before, after), f"step {number} changed something before the note"
        again = work_in(killed, f"again{number}")
        replace()
        assert files_of(again) == after and not PENDING.exists(), f"`setup --data` after step {number}"
        plain = work_in(killed, f"plain{number}")
        finish_replacement()
        assert files_of(plain) == (after if noted else files_of(killed)), f"`setup` after step {number}"
    assert number > 12, "there are more steps than that"


def test_what_cannot_be_read_here_changes_nothing(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "houses.xlsx").write_bytes(b"PK\x03\x04")
    (tmp_path / "shop.sql").write_text("-- postgresql://host/shop\nSELECT 1\n")
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    before = files_of(root)
    for name, group in (("houses.xlsx", "excel"), ("shop.sql", "databases")):
        with pytest.raises(UserError) as refusal:
            replace_dataset(f"../{name}", "price", "")
        assert str(refusal.value).endswith(f'add "{group}" to default-groups in pyproject.toml, then `uv sync`.')
        assert files_of(root) == before and not PENDING.exists()


def test_make_passes_on_which_data_and_target(bake: Bake) -> None:
    project = bake()
    said = project.run("make", "setup", "UV=/bin/echo", "DATA=my houses*.csv", "TARGET=the price", "TASK=regression")
    assert said.stdout.splitlines()[-1] == "run mlops setup --data my houses*.csv --target the price --task regression"
    assert project.run("make", "setup", "UV=/bin/echo").stdout.splitlines()[-1] == "run mlops setup"
