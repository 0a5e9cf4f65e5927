import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from baked import Bake, Project, Share
from process import Inside
from reviewing import Review
from shops import SQL, Shop, open_shop
from tables import shorten


@pytest.fixture(scope="session")
def every_group(project: Project) -> None:
    """The shared project with what workbooks and databases need."""
    project.run("uv", "sync", "--locked", "--quiet", "--inexact", "--group", "excel", "--group", "databases")


@pytest.fixture(scope="session")
def inside(project: Project, every_group: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    process = Inside(project, tmp_path_factory.mktemp("inside") / "log")
    yield process
    process.stop()


@pytest.fixture(scope="session")
def statistics(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """`statistics("interval", metric="f1")`: what a function of figures.py says of made-up models."""
    process = Inside(project, tmp_path_factory.mktemp("figures") / "log", "figures.py")
    yield lambda name, **options: process(name, project.path, **options)
    process.stop()


@pytest.fixture(scope="session")
def review(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Review]:
    process = Review(project, tmp_path_factory.mktemp("review") / "log")
    yield process
    process.stop()


@pytest.fixture(scope="session")
def fresh(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Project]:
    """`fresh(400, task="regression")`: a copy of a generated project, not set up, with the example's first rows."""
    generated: dict[str, Project] = {}

    def copy(rows: int, task: str = "classification") -> Project:
        if task not in generated:
            generated[task] = bake(task=task)
        path = tmp_path_factory.mktemp("fresh") / generated[task].path.name
        shutil.copytree(generated[task].path, path)
        return shorten(Project(path), rows)

    return copy


@pytest.fixture(scope="session")
def trained(inside: Inside, fresh: Callable[..., Project]) -> Project:
    """A project of 400 rows whose model was trained; not a repository. Read it only."""
    project = fresh(400)
    inside("train", project.path)
    return project


@pytest.fixture(scope="session")
def shop(fresh: Callable[..., Project]) -> Shop:
    """`shop(rows, sql, change)`: a project of orders, not set up, with this features.sql and changed params."""
    return lambda rows=None, sql=SQL, *changes: open_shop(fresh(1), rows, sql, *changes)


@pytest.fixture(scope="session")
def borrowed(project: Project) -> Callable[[Project], dict[str, str]]:
    """The variables that run another project's code in the shared project's environment."""
    bin = project.path / ".venv/bin"
    return lambda there: {"PATH": f"{bin}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(there.path / "src")}


@pytest.fixture(scope="session")
def mlops(borrowed: Callable[[Project], dict[str, str]]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`mlops(there, "stage", "train")`: a verb of a project that need not be set up."""
    return lambda there, *words, check=True, **changes: there.run(
        "mlops", *words, check=check, **borrowed(there), **changes
    )


@pytest.fixture(scope="session")
def released(fresh: Callable[..., Project], mlops: Callable[..., Any], shared: Share) -> Project:
    """Share a project whose model, a linear one, is version v1.0.0: read it, or change a copy."""

    def make(folder: Path) -> None:
        small = fresh(400)
        small.write("params.yaml", small.read("params.yaml").replace("hist_gradient_boosting\n", "logistic\n"))
        mlops(small, "setup")
        mlops(small, "train")
        small.commit("First model")
        small.run("git", "tag", "--annotate", "--message=First", "model@v1.0.0")
        shutil.copytree(small.path, folder / small.path.name, symlinks=True)

    return Project(shared("released", make) / "customer-churn")


@pytest.fixture(scope="session")
def drawn(project: Project, shared: Share) -> Path:
    """The reports, pages and pictures of made-up models: see drawing.py."""
    python = [project.path / ".venv/bin/python", "-W", "error::RuntimeWarning"]
    return shared("drawn", lambda folder: project.run(*python, Path(__file__).with_name("drawing.py"), folder))
