"""Two models in one repository, without DVC's processes: what `mlops train` leaves, and the lock that names it."""

import hashlib
import shutil
from pathlib import Path

from baked import Project
from mlops_actions.core.paths import BUNDLE, LOCK, TEST_ROWS, TRAIN_ROWS
from mlops_actions.registry.objects import CACHE

OUTPUT = "    - {{path: {path}, hash: md5, md5: {md5}, size: {size}}}\n"


def record(project: Project) -> None:
    """Write the lock file that names the project's outputs, and keep their bytes where DVC does."""
    lock = "schema: '2.0'\nstages:\n"
    for stage, outputs in {"prepare": (TRAIN_ROWS, TEST_ROWS), "export": (BUNDLE,)}.items():
        lock += f"  {stage}:\n    cmd: mlops stage {stage}\n    outs:\n"
        for path in outputs:
            md5 = hashlib.md5((project.path / path).read_bytes()).hexdigest()
            lock += OUTPUT.format(path=path, md5=md5, size=(project.path / path).stat().st_size)
            kept = project.path / CACHE / md5[:2] / md5[2:]
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(project.path / path, kept)
    project.write(LOCK, lock)


def begin(trained: Project, folder: Path) -> Project:
    """Return a repository whose only commit, the champion, has the model of a trained project."""
    project = Project(folder / trained.path.name)
    shutil.copytree(trained.path, project.path)
    project.run("git", "init", "--quiet")
    record(project)
    project.commit("First model")
    return project
