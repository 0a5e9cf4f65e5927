"""What a merge brings runs nothing in a job that may write: neither as it installs nor as its verbs import."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked import Bake, Project

ACTION = ".github/actions/setup/action.yml"
INSTALL = "Install what uv.lock names and nothing else"
SAID = "mlops handover: there is no none.zip: name the artifact's zip file, or none to have it fetched.\n"
BACKEND = """
open({mark!r}, "a").write("the build backend")

def get_requires_for_build_editable(config=None):
    return []

get_requires_for_build_wheel = get_requires_for_build_editable
"""


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """The file that what was merged writes as soon as it runs."""
    return tmp_path / "mark"


@pytest.fixture
def merged(bake: Bake) -> Project:
    """A project, before something hostile is merged."""
    return bake()


def add_backend(project: Project, mark: Path) -> None:
    """Let the project say only through a build backend of its own which version it is."""
    text = project.read("pyproject.toml").replace('version = "0.0.0"', 'dynamic = ["version"]')
    project.write(
        "pyproject.toml", f'{text}\n[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'
    )
    project.write("own.py", BACKEND.format(mark=str(mark)))


def add_environment(project: Project, mark: Path) -> None:
    """Commit a virtual environment that git ignores, with a git of its own and a line that every Python runs."""
    project.run("uv", "venv", "--quiet", "--python", "3.11", ".venv")
    git = project.path / ".venv/bin/git"
    git.write_text(f"#!/bin/sh\necho its git >> {mark}\n")
    git.chmod(0o755)
    (packages,) = project.path.glob(".venv/lib/*/site-packages")
    (packages / "own.pth").write_text(f"import os; open({str(mark)!r}, 'a').write('its .pth')\n")


def add_settings(project: Project, mark: Path) -> None:
    """Let uv take what is committed as its cache, and Pythons from wherever a list says."""
    lines = f'cache-dir = "cache"\npython-downloads-json-url = "file://{mark}"\n'
    project.write("pyproject.toml", project.read("pyproject.toml").replace("[tool.uv]\n", f"[tool.uv]\n{lines}"))
    (project.path / "cache").mkdir()
    (project.path / "cache").chmod(0o500)


def add_own_settings(project: Project, mark: Path) -> None:
    """The same in the file that takes the place of those settings."""
    project.write("uv.toml", 'required-version = "==0.0.1"\n')


def add_modules(project: Project, mark: Path) -> None:
    """Name files at the top as modules are named that verbs import, and one as Python looks for by itself."""
    for name in ("argparse", "json", "zipfile", "tempfile", "sitecustomize", "ruamel", "mlops_actions"):
        project.write(f"{name}.py", f"open({str(mark)!r}, 'a').write({name!r})\n")


def install(project: Project, folder: Path) -> str:
    """Install as the job that publishes does; its PATH."""
    steps: list[dict[str, Any]] = yaml.safe_load(project.read(ACTION))["runs"]["steps"]
    (step,) = [step for step in steps if step.get("name") == INSTALL]
    added = folder / "added"
    project.run("bash", "-e", "-c", step["run"], GROUP="publish", GITHUB_PATH=str(added), UV_PYTHON="3.11")
    return f"{added.read_text().strip()}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize("hostile", [add_backend, add_environment, add_settings, add_own_settings, add_modules])
def test_the_job_that_publishes_runs_nothing_of_what_was_merged(
    merged: Project, mark: Path, tmp_path: Path, hostile: Callable[[Project, Path], None]
) -> None:
    hostile(merged, mark)
    path = install(merged, tmp_path)
    done = merged.run("mlops", "handover", "take", "none.zip", check=False, PATH=path)
    assert (done.returncode, done.stderr) == (1, SAID)
    verb = (".github/actions/setup/bin/mlops", "keep", "HEAD")
    assert "Traceback" not in merged.run(*verb, check=False, PATH=path).stderr
    assert not mark.exists(), mark.read_text()
    assert not list((merged.path / "cache").glob("*"))


@pytest.mark.parametrize(
    "config",
    [
        "[core]\n    remote = other\n['remote \"other\"']\n    url = /etc\n",
        "[core]\n    remote = store\n['remote \"store\"']\n    url = ../..\n",
        "[core]\n    remote = store\n['remote \"store\"']\n    url = s3://elsewhere/store\n    configpath = aws\n",
    ],
    ids=["another", "out of the project", "a cloud"],
)
def test_the_job_that_publishes_reaches_no_remote_but_the_store(merged: Project, tmp_path: Path, config: str) -> None:
    merged.run("git", "init", "--quiet")
    merged.write(".dvc/config", config)
    path = install(merged, tmp_path)
    done = merged.run("mlops", "push", check=False, PATH=path)
    assert done.returncode == 1
    assert done.stderr.startswith("mlops push: DVC, which reaches the remote of .dvc/config, is not installed here:")
