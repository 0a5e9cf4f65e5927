"""Wheels of the engine, and a small project that has one: fixtures, for the conftest.py of who needs them."""

import hashlib
import os
import re
import shutil
import sys
import tempfile
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from baked import TEMPLATE, Project, Share, run

VERSION = tomllib.loads((TEMPLATE / "engine/pyproject.toml").read_text())["project"]["version"]
OTHER = "99.0.1"  # the version of an engine that is patched

PYPROJECT = """\
[project]
name = "churn"
version = "0.0.0"
requires-python = ">=3.11,<3.14"
dependencies = [
    "mlops-actions", # the engine
]

[tool.uv]
package = false

[tool.uv.sources]
mlops-actions = {{ path = "vendor/{wheel}" }}

[tool.mlops]
package = "churn"
"""


INDEX = '\n[[tool.uv.index]]\nname = "local"\nurl = "{url}"\ndefault = true\n'


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and writes no log."""

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serve(*wheels: Path) -> Iterator[str]:
    """Serve wheels as a package index on this machine."""
    digests = {wheel: hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels}
    with tempfile.TemporaryDirectory() as root:
        page = Path(root) / "simple/mlops-actions"
        page.mkdir(parents=True)
        for wheel in wheels:
            shutil.copy(wheel, page)
        links = [f'<a href="{wheel.name}#sha256={digest}">{wheel.name}</a>' for wheel, digest in digests.items()]
        (page / "index.html").write_text("\n".join(links))
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=root))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()
        server.server_close()


def build_wheel(engine: Path, folder: Path) -> Path:
    """Build an engine's wheel into a folder, and return it."""
    run(sys.executable, "-m", "uv", "build", "--quiet", "--wheel", "--out-dir", folder, engine, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def patch_engine(template: Path, folder: Path, version: str, *patches: tuple[str, str]) -> Path:
    """Build an engine of another version whose modules have more lines at their end, and return its wheel."""
    engine = folder / "engine"
    shutil.copytree(template / "engine", engine)
    pyproject = engine / "pyproject.toml"
    pyproject.write_text(re.sub(r'^version = "[^"]*"', f'version = "{version}"', pyproject.read_text(), flags=re.M))
    for module, lines in patches:
        with (engine / "src/mlops_actions" / module).open("a") as file:
            file.write(lines)
    return build_wheel(engine, folder)


@pytest.fixture(scope="session")
def wheel(template: Path) -> Path:
    """The wheel of the engine as its source is now."""
    (wheel,) = (template / "{{cookiecutter.project_slug}}/vendor").glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def patched(template: Path, shared: Share) -> Path:
    """The wheel of a patched engine of another version."""

    def make(folder: Path) -> None:
        patch_engine(template, folder, OTHER, ("core/errors.py", '\nPATCHED = "yes"\n'))

    return next(shared("patched", make).glob("*.whl"))


def begin_project(wheel: Path, folder: Path) -> None:
    """Commit a project that requires the engine and nothing else, so that uv locks it without a network."""
    project = Project(folder)
    (project.path / "vendor").mkdir()
    shutil.copy(wheel, project.path / "vendor")
    project.write("pyproject.toml", PYPROJECT.format(wheel=wheel.name))
    project.write("params.yaml", "")
    project.write(".gitignore", "__pycache__/\n/.dvc/tmp/\n")
    project.run("uv", "lock", "--quiet", "--offline")
    project.run("git", "init", "--quiet", "--initial-branch=main")
    project.commit("Begin")


@pytest.fixture
def small(wheel: Path, shared: Share, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of such a project, in which this process works."""
    project = Project(shared("begun", partial(begin_project, wheel))).copy(tmp_path / "churn")
    monkeypatch.chdir(project.path)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV", str(Path(sys.executable).with_name("uv")))
    for name in [name for name in os.environ if name.startswith(("GIT_", "GITHUB_", "GH_"))]:
        monkeypatch.delenv(name)
    return project


@pytest.fixture
def upstream(template: Path, tmp_path: Path) -> Path:
    """A repository of the template whose tag of the engine's version has it as it is."""
    folder = tmp_path / "upstream"
    shutil.copytree(template / "engine", folder / "engine")
    run("git", "init", "--quiet", "--initial-branch=main", cwd=folder)
    run("git", "add", "--all", cwd=folder)
    run("git", "commit", "--quiet", "--message", "Release", cwd=folder)
    run("git", "tag", f"v{VERSION}", cwd=folder)
    return folder
