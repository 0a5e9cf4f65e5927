"""An engine from an index is the engine of the wheel in vendor/."""

import re
from pathlib import Path

from baked import Project
from mlops_actions.core.paths import RECIPES
from wheels import VERSION, serve

INDEX = """
[[tool.uv.index]]
name = "local"
url = "{url}"
"""


def installed(project: Project) -> dict[str, bytes]:
    """Return the files of the engine that a project's environment has."""
    (package,) = project.path.glob(".venv/lib/*/site-packages/mlops_actions")
    files = (file for file in package.rglob("*") if file.is_file() and file.parent.name != "__pycache__")
    return {file.relative_to(package).as_posix(): file.read_bytes() for file in files}


def recipes(project: Project) -> str:
    """Return what each stage computes with, as the engine of a project's environment says."""
    project.run(".venv/bin/mlops", "stage", "recipes")
    return project.read(RECIPES)


def names_its_wheel(project: Project) -> bool:
    """Return whether the engine of a project's environment came from a file."""
    return bool(list(project.path.glob(".venv/lib/*/site-packages/mlops_actions-*.dist-info/direct_url.json")))


def require_training_alone(project: Project) -> None:
    """Drop the further groups of libraries, of each of which uv would ask every index."""
    text = project.read("pyproject.toml")
    text = re.sub(r"(?s)\[dependency-groups\]\n.*?\n\[", "[dependency-groups]\ndev = []\n\n[", text, count=1)
    project.write("pyproject.toml", re.sub(r"default-groups = .*", 'default-groups = ["dev"]', text))


def test_its_files_and_what_they_decide_are_the_same_byte_for_byte(project: Project, tmp_path: Path) -> None:
    """From the same files and recipes comes the same model: tests/engine/stages/test_goldens.py asks."""
    copied = project.copy(tmp_path / "project")
    vendored, decided = installed(copied), recipes(copied)
    assert names_its_wheel(copied) and "stages/train.py" in vendored
    require_training_alone(copied)
    (wheel,) = (project.path / "vendor").glob("*.whl")
    with serve(wheel) as url:
        copied.write("pyproject.toml", copied.read("pyproject.toml") + INDEX.format(url=url))
        copied.run(".venv/bin/mlops", "engine", "use", VERSION)
        assert not list((copied.path / "vendor").glob("*.whl"))
        copied.run("uv", "sync", "--quiet", "--inexact", "--reinstall-package", "mlops-actions")
        assert url in copied.run("uv", "run", "--no-sync", "mlops", "engine").stdout
    assert not names_its_wheel(copied)
    assert installed(copied) == vendored and recipes(copied) == decided
