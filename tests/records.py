"""What `mlops setup`, `mlops train` and `dvc add` leave in a project, made in this process."""

import contextlib
import os
import shutil
from pathlib import Path
from unittest import mock

from baked import NO_CML, Project
from dvc.repo import Repo
from mlops_actions.core.paths import STAGE_TIMES, STAGES
from verbs import call_verb


def set_up_here(project: Project) -> str:
    """Set a project up, and return what `mlops setup` says; without workers, which would take longer to begin."""
    with mock.patch.dict(os.environ, {**NO_CML, "COMPUTE": "processes:1"}):
        answer = call_verb(project.path, "setup")
    assert answer.code == 0, answer.err
    return answer.out


def train_here(project: Project, *stages: str) -> None:
    """Run a project's stages, or only those that are named, and let DVC record what they read and made."""
    shutil.rmtree(project.path / STAGE_TIMES, ignore_errors=True)
    for stage in ("recipes", *(stages or STAGES)):
        answer = call_verb(project.path, "stage", stage)
        assert answer.code == 0, answer.err
    with contextlib.chdir(project.path), Repo() as repo:
        for target in stages or (None,):
            repo.commit(target, force=True)


def add_data(project: Project, path: str | Path) -> None:
    """Let DVC record what lies at a path of a project."""
    with contextlib.chdir(project.path), Repo() as repo:
        repo.add(str(path))
