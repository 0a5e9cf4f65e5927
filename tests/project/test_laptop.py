"""A generated project in its owner's hands, and in a colleague's: `make` from the first to the last target."""

import contextlib
import os
import pty
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from baked import Bake, Project, environment, run
from dvc.repo import Repo
from records import set_up_here, train_here
from tables import save, shorten
from verbs import Answer, call_verb


@pytest.fixture(scope="module")
def owned(bake: Bake, project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project generated on somebody's own data, set up and trained, with no edit but that the model is linear.

    Its environment begins as a copy of the example's, which `make setup` made of nothing. That `make train` trains
    from nothing what tests/workflows begin with shows.
    """
    owned = shorten(bake(**save("prices", tmp_path_factory.mktemp("own"), "csv")), 600)
    owned.set(**{"model.estimator": "linear"})
    owned.take_environment(project)
    owned.run("make", "setup")
    train_here(owned)
    owned.commit("Begin")
    return owned


def test_setup_again_changes_nothing(owned: Project) -> None:
    assert "setup:" not in set_up_here(owned)
    assert owned.run("git", "status", "--porcelain").stdout == ""


def test_a_colleagues_clone_passes_its_own_checks_and_they_change_nothing(owned: Project, tmp_path: Path) -> None:
    origin = tmp_path / "origin.git"
    run("git", "init", "--quiet", "--bare", "--initial-branch=main", origin, cwd=tmp_path)
    owned.run("git", "remote", "add", "origin", f"file://{origin}")
    owned.run("git", "push", "--quiet", "origin", "main")
    run("git", "clone", "--quiet", f"file://{origin}", tmp_path / "clone", cwd=tmp_path)
    clone = Project(tmp_path / "clone")
    clone.take_environment(owned)
    set_up_here(clone)
    clone.run("make", "pull")
    for name in ("data/raw/dataset.csv", "models/bundle.zip"):
        assert (clone.path / name).read_bytes() == (owned.path / name).read_bytes()
    with contextlib.chdir(clone.path), Repo() as repo:
        assert set(repo.status()) == {"recipes"}, "the stage that runs each time: DVC, too, sees that nothing changed"
    clone.run("make", "check")
    clone.run("make", "test")
    assert "Nothing to retrain" in clone.run("make", "train").stdout
    assert clone.run("git", "status", "--porcelain").stdout == ""


def test_three_classes_in_parquet_pass_the_gate_and_their_own_checks(
    bake: Bake,
    project: Project,
    mlops: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    owned = bake(**save("three classes", tmp_path, "parquet"))
    owned.set(**{"tune.folds": 2})  # which is quicker
    set_up_here(owned)
    train_here(owned)
    code, said, errors = call_verb(owned.path, "compare")
    assert code == 0 and "Passes" in said.splitlines()[0], errors
    owned.commit("Begin")
    mlops(owned, "test")
    (owned.path / ".venv").symlink_to(project.path / ".venv")
    (owned.path / ".git/info/exclude").write_text(".venv\n")
    owned.run(".venv/bin/mlops", "check", SKIP="mypy")  # the Python is that of the prices
    assert "Nothing to retrain" in call_verb(owned.path, "train").out
    assert owned.run("git", "status", "--porcelain").stdout == ""


def test_a_terminal_shows_tables_and_the_titles_of_what_the_comment_folds(owned: Project) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(["make", "compare"], cwd=owned.path, env=environment(COLUMNS="120"), stdout=theirs)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # Linux' word for the other end being closed
        while more := os.read(ours, 2**16):
            shown += more
    os.close(ours)
    assert process.wait() == 0
    lines = [line.strip() for line in re.sub(r"\x1b\[[\d;]*m", "", shown.decode()).splitlines()]
    assert lines[0].startswith("✅ Passes: nothing is released yet to compare it with")
    commit = owned.run("git", "rev-parse", "--short=7", "HEAD").stdout.strip()
    assert f"• Commit {commit} records this very model: nothing was compared." in lines
    assert "unchanged" not in shown.decode(), "nothing is said of what was not compared"
    assert {"Costs", "Reproduce it on a laptop"} <= set(lines)
    assert not [line for line in lines if re.search(r"details>|mermaid|\*\*|^\|", line)]


VERBS = (
    "setup",
    "train",
    "stage prepare",
    "compare",
    "predict rows.csv",
    "test",
    "check",
    "push",
    "pull",
    "version",
    "release",
)
BEFORE_SETUP = {
    "stage prepare": "schema.yaml: not found; run `mlops setup`",
    "stage train": "data/features/train.parquet: not found; run `mlops train`",
    "stage export": "models/pipeline.skops: not found; run `mlops train`",
    "compare": "run `mlops train` first",
    "predict data/raw/dataset.csv": "models/bundle.zip: not found; run `mlops train` or `mlops pull`",
}


@pytest.mark.parametrize("words", VERBS)
def test_a_verb_outside_a_project_says_so(tmp_path: Path, words: str) -> None:
    said = one_sentence(call_verb(tmp_path, *words.split()))
    assert said.endswith(f"params.yaml: not found in {tmp_path}; run this in the project.\n")


@pytest.mark.parametrize("words", BEFORE_SETUP)
def test_a_verb_before_its_turn_says_what_comes_first(fresh: Callable[..., Project], words: str) -> None:
    project = fresh(50)
    guesses = "gate.primary is still `guess`; run `mlops setup`, which finds it out from the data."
    assert guesses in one_sentence(call_verb(project.path, *words.split()))
    project.write("params.yaml", project.read("params.yaml").replace("primary: guess", "primary: roc_auc"))
    assert BEFORE_SETUP[words] in one_sentence(call_verb(project.path, *words.split()))


def one_sentence(answer: Answer) -> str:
    code, _, said = answer
    assert code == 1 and said.startswith("mlops ") and said.count("\n") == 1, said
    return said
