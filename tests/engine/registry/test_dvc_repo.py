"""The project as DVC reads it is read once, and anew where what it stands on changed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from baked import Project
from mlops_actions.registry.dvc_repo import open_repo


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A repository with a pipeline of one stage, whose command a param names."""
    project = Project(tmp_path)
    project.write("params.yaml", "word: one\n")
    project.write("dvc.yaml", "stages:\n  say:\n    cmd: echo ${word}\n    outs: [said]\n")
    project.run("git", "init", "--quiet")
    (project.path / ".dvc").mkdir()
    project.write(".dvc/config", "")
    monkeypatch.chdir(project.path)
    return project


LOCK = "schema: '2.0'\nstages: {say: {cmd: echo one, outs: [{path: said, md5: 0cc175b9c0f1b6a831c399e269772661}]}}\n"
DATA = "outs: [{path: rows.csv, md5: 0cc175b9c0f1b6a831c399e269772661}]\n"
CHANGES: dict[str, tuple[str, str, Callable[[], object], object]] = {
    "the pipeline": (
        "dvc.yaml",
        "stages:\n  shout: {cmd: echo ONE}\n",
        lambda: {stage.addressing for stage in open_repo().index.stages},
        {"shout"},
    ),
    "a param of it": ("params.yaml", "word: two\n", lambda: open_repo().index.stages[0].cmd, "echo two"),
    "its record": (
        "dvc.lock",
        LOCK,
        lambda: open_repo().index.stages[0].outs[0].hash_info.value,
        "0cc175b9c0f1b6a831c399e269772661",
    ),
    "data that is new": ("data/rows.csv.dvc", DATA, lambda: len(open_repo().index.stages), 2),
    "where DVC's cache is": (
        ".dvc/config.local",
        "[cache]\n    dir = /elsewhere\n",
        lambda: open_repo().cache.local.path.startswith("/elsewhere"),
        True,
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_pipeline_is_read_anew_where_it_changed_alone(pipeline: Project, change: str) -> None:
    file, content, ask, expected = CHANGES[change]
    before = open_repo()
    assert open_repo() is before and ask() != expected
    (pipeline.path / file).parent.mkdir(exist_ok=True)
    pipeline.write(file, content)
    assert ask() == expected


def test_another_project_is_another_one(pipeline: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = open_repo()
    other = pipeline.copy(tmp_path / "other")
    monkeypatch.chdir(other.path)
    assert open_repo().root_dir == str(other.path) != here.root_dir
