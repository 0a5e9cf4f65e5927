import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from baked import TEMPLATE, Bake, Project, Share
from desk import OWNER, Desk, Runner, forge_model, pack_handover
from local_github import LocalGitHub, Repository, start_github
from records import train_here

ROWS = 1500
NUMBERS = itertools.count(1)
FOLDER = Path(__file__).parent
FIRST = [
    "test_pull_request.py",
    "test_release.py",
    "test_publish_interrupted.py",
    "test_verdict.py",
    "test_github_dot_com.py",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin the workflows with the longest files, so that no process is left alone with one of them at the end."""
    items.sort(key=lambda item: FIRST.index(item.path.name) - len(FIRST) if item.path.name in FIRST else 0)
    items.sort(key=lambda item: item.path.parent == FOLDER)


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGitHub]:
    """One local GitHub for all stories; each has a repository of its own."""
    with start_github(tmp_path_factory.mktemp("github"), (OWNER, "contributor", "mallory")) as started:
        yield started


@pytest.fixture(scope="session")
def small(
    hub: LocalGitHub, bake: Bake, project: Project, shared: Share, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """A project that its author trained: a part of the example and a linear model, so that it trains in a moment.

    Its environment begins as a copy of the example's. Its branch `tuned` changes a param, and is trained as well. Each
    worker pushes a copy of its own to its own GitHub; the environment is one.
    """

    def train(folder: Path) -> None:
        (example,) = TEMPLATE.glob("{{*/data/raw/*dataset.csv*")
        rows = example.read_text().splitlines(keepends=True)
        data = folder / "churn.csv"
        data.write_text("".join(rows[: ROWS + 1]))
        part = bake(folder, dataset=str(data), github_owner=OWNER)
        part.write("params.yaml", part.read("params.yaml").replace("hist_gradient_boosting\n", "logistic\n"))
        part.take_environment(project)
        part.run("make", "setup")
        part.run("make", "train")
        part.commit("First model")
        part.run("git", "switch", "--quiet", "--create", "tuned")
        part.set(**{"model.params": {"C": 0.5}})
        train_here(part, "train", "evaluate", "export")
        part.commit("Regularise more")
        part.run("git", "switch", "--quiet", "main")
        part.run("mlops", "checkout")

    trained = shared("small", train) / "customer-churn"
    hub.keep_bytecode(trained / ".venv")
    path = tmp_path_factory.mktemp("small") / trained.name
    shutil.copytree(trained, path, symlinks=True, ignore=shutil.ignore_patterns(".venv"))
    (path / ".venv").symlink_to(trained / ".venv")
    return Project(path)


@pytest.fixture(scope="session")
def first(hub: LocalGitHub, small: Project, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The repository after its first push: v1.0.0. Read it, or take `published`.

    Publishing its branch `tuned` trains nothing: its author has.
    """
    repository = hub.create_repository(f"{OWNER}/churn")
    repository.disabled = {"checks", "deploy", "keep"}
    repository.connect(small.path)
    (run,) = repository.push(small.path)
    run.expect("success")
    desk = Desk(repository, tmp_path_factory.mktemp("author") / "churn", OWNER)
    shutil.copytree(small.path, desk.path, symlinks=True)
    desk.run("git", "switch", "--quiet", "tuned")
    desk.run("mlops", "push")
    desk.push_quietly("tuned")
    return repository


@pytest.fixture
def published(first: Repository) -> Repository:
    """A repository of one's own in which v1.0.0 is released."""
    return first.copy(f"{OWNER}/churn-{next(NUMBERS)}")


@pytest.fixture
def clone(small: Project, tmp_path: Path) -> Callable[..., Desk]:
    """`clone(repository, user="contributor")`: somebody's fresh clone."""

    def clone_for(repository: Repository, user: str = OWNER) -> Desk:
        return Desk.clone(repository, tmp_path / f"{user}-{next(NUMBERS)}", small.path / ".venv", user)

    return clone_for


@pytest.fixture(scope="session")
def merged_tree(first: Repository, small: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of a merge that changes a param, as its publish run has it once it took what was trained."""
    folder = tmp_path_factory.mktemp("merged")
    author = Desk.clone(first, folder / "author", small.path / ".venv")
    author.run("git", "switch", "--quiet", "tuned")
    forge_model(author.path)
    (folder / "trained.zip").write_bytes(pack_handover(author))
    desk = Desk.clone(first, folder / "churn", small.path / ".venv")
    desk.run("git", "checkout", "--quiet", "origin/tuned", "params.yaml")
    desk.commit("Merge pull request #1")
    desk.run("mlops", "handover", "take", str(folder / "trained.zip"))
    return desk.path


@pytest.fixture
def runner(
    hub: LocalGitHub, published: Repository, merged_tree: Path, small: Project, tmp_path: Path
) -> Callable[..., Runner]:
    """`runner()`: a fresh machine at the end of a publish run's training, its merge pushed to `published`."""

    def make(tree: Path = merged_tree) -> Runner:
        copied = tmp_path / f"runner-{next(NUMBERS)}"
        shutil.copytree(tree, copied, symlinks=True)
        desk = Desk(published, copied, OWNER)
        desk.run("git", "remote", "set-url", "origin", published.url)
        if published.bare.resolve("main") == published.bare.resolve("model@v1.0.0"):
            desk.push_quietly()
        return Runner(hub, published, copied, small.path / ".venv")

    return make
