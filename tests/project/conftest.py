import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import drawing
import figures
import inside as actions
import pytest
import reviewing
from baked import Bake, Share


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
def drawn(shared: Share) -> Path:
    """The reports, pages and pictures of made-up models: see drawing.py."""
    return shared("drawn", drawing.main)
