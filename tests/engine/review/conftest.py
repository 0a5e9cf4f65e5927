from collections.abc import Callable
from pathlib import Path

import pytest
from baked import Project
from duels import begin
from pipeline import train_project
from wheels import patched, small, upstream, wheel

__all__ = ["patched", "small", "upstream", "wheel"]


@pytest.fixture(scope="session")
def opening(fresh: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Share a repository whose champion is a linear model of 1,500 rows: read it only."""
    project = fresh(1500)
    project.set(**{"model.estimator": "logistic"})
    train_project(project.path)
    return begin(project, tmp_path_factory.mktemp("opening"))


@pytest.fixture
def duel(opening: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of it, where the test works."""
    duel = opening.copy(tmp_path / opening.path.name)
    monkeypatch.chdir(duel.path)
    return duel
