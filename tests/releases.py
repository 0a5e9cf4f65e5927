"""A project whose models are versions: trained in this process, and recorded as `mlops train` does it with DVC."""

import hashlib
import shutil
import sys
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from unittest import mock

import pytest
import yaml
from baked import Project, Share
from clones import give_version
from mlops_actions import cli
from mlops_actions.core.config import load_config
from mlops_actions.core.paths import BUNDLE, LOCK
from mlops_actions.registry.objects import CACHE, place
from pipeline import run_stages, train_project


def record_bundle(project: Project) -> None:
    """Let dvc.lock name the bundle that is there, and DVC's cache have it."""
    content = (project.path / BUNDLE).read_bytes()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    out = {"path": BUNDLE, "hash": "md5", "md5": md5, "size": len(content)}
    project.write(LOCK, yaml.safe_dump({"schema": "2.0", "stages": {"export": {"cmd": "export", "outs": [out]}}}))
    kept = place(project.path / CACHE, md5)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(content)


def tag_version(project: Project, version: str) -> None:
    """Give what is there a version, here alone."""
    project.commit(version)
    give_version(project.path, version)


def retrain(project: Project) -> None:
    """Train what is there, and record the bundle."""
    run_stages(load_config(project.path))
    record_bundle(project)


def mlops_in(project: Project, *words: str) -> None:
    """Run `mlops WORDS` in a project, in this process; it must succeed."""
    with chdir(project.path), mock.patch.object(sys, "argv", ["mlops", *words]):
        assert cli.main() == 0


@pytest.fixture(scope="session")
def versioned(fresh: Callable[..., Project], shared: Share) -> Project:
    """Share a project of 400 rows whose model, a linear one, is version v1.0.0: copy it to change it."""

    def make(folder: Path) -> None:
        project = fresh(400)
        project.write("params.yaml", project.read("params.yaml").replace("hist_gradient_boosting\n", "logistic\n"))
        train_project(project.path)
        record_bundle(project)
        for name, value in (("user.name", "Ada Tester"), ("user.email", "ada@example.com")):
            project.run("git", "config", name, value)
        tag_version(project, "v1.0.0")
        shutil.copytree(project.path, folder / project.path.name, symlinks=True)

    return Project(shared("versioned", make) / "customer-churn")


@pytest.fixture
def own(versioned: Project, tmp_path: Path) -> Project:
    """A copy of the project whose model is v1.0.0."""
    return Project(Path(shutil.copytree(versioned.path, tmp_path / versioned.path.name, symlinks=True)))
