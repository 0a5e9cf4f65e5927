"""A generated project, and how tests run commands in it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlops_actions.core.params_file import update_params

from engine import build

TEMPLATE = Path(__file__).parents[1]
# What would reach into a project or its make, and what would make every process compile its imports again.
DROPPED = ("GIT_", "MAKE", "MFLAGS", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
# Setup finds no network there at once: a test that wants CML's binaries serves them.
NO_CML = {"CML_RELEASES": "https://127.0.0.1:1"}
IDENTITY = {"NAME": "Ada Tester", "EMAIL": "ada@example.com"}


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment without its virtual environment or the person's own git settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(DROPPED)}
    who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in IDENTITY.items()}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return {**kept, **who, **NO_CML, "GIT_CONFIG_GLOBAL": os.devnull, "PATH": path, **changes}


def run(*command: str | Path, cwd: Path, check: bool = True, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a command and return what it said; fail the test with its output if it fails and `check` is on."""
    done = subprocess.run(command, cwd=cwd, env=environment(**changes), capture_output=True, text=True)
    if check and done.returncode:
        pytest.fail(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def copy_template(folder: Path) -> Path:
    """Copy the template as a clone would have it, with the engine as its source is now."""
    listing = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=TEMPLATE).stdout
    for name in filter(None, listing.split("\0")):
        if (TEMPLATE / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TEMPLATE / name, folder / name)
    build.renew(folder)
    return folder


@dataclass(frozen=True)
class Project:
    """A generated project."""

    path: Path

    def has_file(self, name: str) -> bool:
        return (self.path / name).is_file()

    def read(self, name: str) -> str:
        return (self.path / name).read_text("utf-8")

    def write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text, "utf-8")

    def set(self, **values: Any) -> None:
        """Give knobs of params.yaml their values: `set(**{"serving.limits.seconds": 4})`."""
        update_params(self.path / "params.yaml", values)

    def files(self) -> list[str]:
        """Return every file's path, those of .git aside."""
        paths = (path for path in self.path.rglob("*") if path.is_file())
        return sorted(name for path in paths if not (name := str(path.relative_to(self.path))).startswith(".git/"))

    def run(self, *command: str | Path, check: bool = True, **changes: str) -> subprocess.CompletedProcess[str]:
        return run(*command, cwd=self.path, check=check, **changes)

    def commit(self, message: str) -> str:
        """Commit everything, past the hooks, and return the commit."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--no-verify", "--message", message)
        return self.run("git", "rev-parse", "HEAD").stdout.strip()

    def copy(self, path: Path) -> "Project":
        """Return a copy to modify, as `cp --archive` makes it, but that the bytes of the environment are shared."""
        shutil.copytree(self.path, path, symlinks=True, ignore=lambda _, names: {".venv"} & set(names))
        copy = Project(path)
        if (self.path / ".venv").is_dir():
            copy.take_environment(self)
        return copy

    def take_environment(self, other: "Project") -> None:
        """Begin with the environment of another project: a copy, whose bytes are shared."""
        run("cp", "--archive", "--link", other.path / ".venv", self.path / ".venv", cwd=self.path)


@contextmanager
def another_engine(project: Project, folder: Path, *changes: tuple[str, str, str]) -> Iterator[Path]:
    """Give a project the wheel of an engine with other source meanwhile: a module, what it says, and what instead."""
    source = folder / "engine"
    shutil.copytree(TEMPLATE / "engine", source, ignore=shutil.ignore_patterns("__pycache__"))
    for module, old, new in changes:
        file = source / "src/mlops_actions" / module
        text = file.read_text()
        assert old in text, f"{module} does not say {old!r}"
        file.write_text(text.replace(old, new))
    (own,) = (project.path / "vendor").glob("*.whl")
    kept = own.rename(folder / own.name)
    wheel = build.build(project.path / "vendor", source)
    try:
        yield wheel
    finally:
        wheel.unlink()
        shutil.move(kept, own)


def bare_project(folder: Path, params: str = "") -> Project:
    """Return a project of an empty package and these params, without data, engine or repository."""
    (folder / "src/shop").mkdir(parents=True)
    (folder / "src/shop/__init__.py").touch()
    project = Project(folder)
    project.write("pyproject.toml", '[tool.mlops]\npackage = "shop"\n')
    project.write("params.yaml", params)
    return project


Bake = Callable[..., Project]
Share = Callable[[str, Callable[[Path], object]], Path]
