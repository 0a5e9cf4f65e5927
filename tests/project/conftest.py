import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import inside as actions
import pytest
from baked import Bake


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
