"""What `mlops train` leaves in a project, made in this process: what the stages make, and DVC's record of it."""

import contextlib
import shutil

from baked import Project
from dvc.repo import Repo
from mlops_actions.core.paths import STAGE_TIMES, STAGES
from verbs import call_verb


def train_here(project: Project, *stages: str) -> None:
    """Run a project's stages, or only those that are named, and let DVC record what they read and made."""
    shutil.rmtree(project.path / STAGE_TIMES, ignore_errors=True)
    for stage in ("recipes", *(stages or STAGES)):
        answer = call_verb(project.path, "stage", stage)
        assert answer.code == 0, answer.err
    with contextlib.chdir(project.path), Repo() as repo:
        for target in stages or (None,):
            repo.commit(target, force=True)
