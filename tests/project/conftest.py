import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from baked import Bake, Project, environment
from tables import shorten


class Inside:
    """The code of a generated project in one process for all tests: `inside("train", project.path)`."""

    def __init__(self, project: Project, log: Path) -> None:
        self.log = log
        self.process = subprocess.Popen(
            [project.path / ".venv/bin/python", "-W", "error::FutureWarning", Path(__file__).with_name("inside.py")],
            env=environment(PYTHONHASHSEED="0"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
            text=True,
        )

    def __call__(self, name: str, root: Path, **options: Any) -> Any:
        assert self.process.stdin and self.process.stdout
        print(json.dumps([name, str(root), options]), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline() or "{}")
        if "answer" not in answer:
            pytest.fail(answer.get("traceback") or self.log.read_text())
        return answer["answer"]

    def stop(self) -> None:
        self.process.communicate(timeout=60)


@pytest.fixture(scope="session")
def inside(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    process = Inside(project, tmp_path_factory.mktemp("inside") / "log")
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
