import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import drawing
import figures
import inside as actions
import pytest
import reviewing
from baked import Bake, Project, Share
from shops import SQL, Shop, open_shop
from tables import shorten


@pytest.fixture(scope="session")
def inside(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """`inside("train", path)`: what a function of inside.py does to a project.

    A folder with params.yaml alone gets the rest of a generated project first.
    """
    generated = bake().path

    def call(name: str, root: Path, **options: Any) -> Any:
        if (root / "params.yaml").exists() and not (root / "pyproject.toml").exists():
            shutil.copytree(generated / "src", root / "src")
            for file in ("pyproject.toml", "uv.lock"):
                shutil.copy(generated / file, root)
        return actions.as_json(getattr(actions, f"do_{name}")(root, **options))

    return call


@pytest.fixture(scope="session")
def statistics() -> Callable[..., Any]:
    """`statistics("interval", metric="f1")`: what a function of figures.py says of made-up models."""
    return lambda name, **options: actions.as_json(getattr(figures, f"do_{name}")(Path(), **options))


@pytest.fixture(scope="session")
def review() -> Callable[..., Any]:
    """`review("rows.compare_rows", …)`: what a function of the review says; a refusal as its sentence."""
    return lambda name, *arguments, **options: reviewing.call(name, arguments, options)


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
def trained(inside: Callable[..., Any], fresh: Callable[..., Project]) -> Project:
    """A project of 400 rows whose model was trained; not a repository. Read it only."""
    project = fresh(400)
    inside("train", project.path)
    return project


@pytest.fixture(scope="session")
def shop(fresh: Callable[..., Project]) -> Shop:
    """`shop(rows, sql, change)`: a project of orders, not set up, with this features.sql and changed params."""
    return lambda rows=None, sql=SQL, *changes: open_shop(fresh(1), rows, sql, *changes)


@pytest.fixture(scope="session")
def mlops() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`mlops(there, "stage", "train")`: a verb of a project that need not be set up."""
    return lambda there, *words, check=True, **changes: there.run("mlops", *words, check=check, **changes)


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
def drawn(shared: Share) -> Path:
    """The reports, pages and pictures of made-up models: see drawing.py."""
    return shared("drawn", drawing.main)
