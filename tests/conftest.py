import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from baked import Bake, Project, Share, copy_template
from clones import give_version
from cookiecutter.main import cookiecutter
from pipeline import train_project
from records import set_up_here, train_here
from shops import SQL, Shop, open_shop
from tables import shorten


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Share a clean copy of the template: read it only."""
    return copy_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def bake(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """Generate a project, of the same answers a copy of the first one: `bake(task="regression")`."""
    settings = tmp_path_factory.mktemp("cookiecutter") / "config.yaml"
    settings.write_text(f"replay_dir: {settings.parent}\ncookiecutters_dir: {settings.parent}\n")

    def generate(output: Path, answers: dict[str, str]) -> Path:
        path = cookiecutter(
            str(template),
            no_input=True,
            extra_context=answers,
            output_dir=str(output),
            config_file=str(settings),
        )
        return Path(path)

    @cache
    def generate_once(*answers: tuple[str, str]) -> Path:
        return generate(tmp_path_factory.mktemp("generated"), dict(answers))

    def bake_project(output: Path | None = None, **answers: str) -> Project:
        if output or "dataset" in answers:  # which may be another one under the same name
            return Project(generate(output or tmp_path_factory.mktemp("baked"), answers))
        first = generate_once(*sorted(answers.items()))
        return Project(first).copy(tmp_path_factory.mktemp("baked") / first.name)

    return bake_project


def pytest_configure() -> None:
    """Refuse to begin where stages that run in this process would not give the bytes that `mlops stage` gives."""
    # A job in the background ignores Ctrl-C, and what it starts would as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ.get("PYTHONHASHSEED") != "0":
        raise pytest.UsageError("the order of sets must be fixed: run `make test`, or set PYTHONHASHSEED=0.")


@pytest.fixture(scope="session", autouse=True)
def thrift(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Spare processes threads that would wait for a core, libraries to check again, and the folders of other runs."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["MYPY_CACHE_DIR"] = str(common_folder(tmp_path_factory) / "mypy")
    # A project's own pytest deletes what runs before it left where its folders are.
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(tmp_path_factory.mktemp("pytest"))


def common_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of this run of the tests, which all of xdist's workers have."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Share:
    """`shared("name", make)`: a folder that `make(folder)` fills, once for all of xdist's workers: read it only."""
    root = common_folder(tmp_path_factory)

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
        generated = bake(folder, github_owner="acme")
        generated.run("make", "setup")
        generated.commit("Begin")

    return Project(shared("project", make) / "customer-churn")


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
def trained(fresh: Callable[..., Project]) -> Project:
    """A project of 400 rows whose model was trained; not a repository. Read it only."""
    project = fresh(400)
    train_project(project.path)
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
def released(fresh: Callable[..., Project], shared: Share) -> Project:
    """Share a project whose model, a linear one, is version v1.0.0: read it, or change a copy."""

    def make(folder: Path) -> None:
        small = fresh(400)
        small.write("params.yaml", small.read("params.yaml").replace("hist_gradient_boosting\n", "logistic\n"))
        set_up_here(small)
        train_here(small)
        small.commit("First model")
        give_version(small.path, "v1.0.0")
        shutil.copytree(small.path, folder / small.path.name, symlinks=True)

    return Project(shared("released", make) / "customer-churn")
