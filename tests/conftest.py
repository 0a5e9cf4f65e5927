import fcntl
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from baked import Bake, Project, Share, copy_template
from cookiecutter.main import cookiecutter


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Share a clean copy of the template: read it only."""
    return copy_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def bake(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """Generate a project: `bake(task="regression")`."""
    settings = tmp_path_factory.mktemp("cookiecutter") / "config.yaml"
    settings.write_text(f"replay_dir: {settings.parent}\ncookiecutters_dir: {settings.parent}\n")

    def bake_project(output: Path | None = None, **answers: str) -> Project:
        output = output or tmp_path_factory.mktemp("baked")
        path = cookiecutter(
            str(template),
            no_input=True,
            extra_context=answers,
            output_dir=str(output),
            config_file=str(settings),
        )
        return Project(Path(path))

    return bake_project


def pytest_configure() -> None:
    """Refuse to begin where stages that run in this process would not give the bytes that `mlops stage` gives."""
    # A job in the background ignores Ctrl-C, and what it starts would as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ.get("PYTHONHASHSEED") != "0":
        raise pytest.UsageError("the order of sets must be fixed: run `make test`, or set PYTHONHASHSEED=0.")


@pytest.fixture(scope="session", autouse=True)
def thrift(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Spare every process the threads that would wait for a core, and mypy the libraries that it has read before."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["MYPY_CACHE_DIR"] = str(tmp_path_factory.getbasetemp() / "mypy")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Share:
    """`shared("name", make)`: a folder that `make(folder)` fills, once for all of xdist's workers: read it only."""
    own = tmp_path_factory.getbasetemp()
    root = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def share(name: str, make: Callable[[Path], object]) -> Path:
        folder = root / name
        with (root / f"{name}.made").open("a+") as made:
            fcntl.flock(made, fcntl.LOCK_EX)
            made.seek(0)
            if not made.read():
                shutil.rmtree(folder, ignore_errors=True)  # what a worker left that failed
                folder.mkdir()
                make(folder)
                made.write("made")
        return folder

    return share


@pytest.fixture(scope="session")
def project(bake: Bake, shared: Share) -> Project:
    """Share one project of the example, set up and committed: read it, or modify a `copy()`."""

    def make(folder: Path) -> None:
        generated = bake(folder)
        generated.run("make", "setup")
        generated.commit("Begin")

    return Project(shared("project", make) / "customer-churn")
