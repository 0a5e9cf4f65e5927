"""The project on a laptop: set it up, test it, check it, and move its data."""

from pathlib import Path

from ..core import git_hooks
from ..core.config import load_config
from ..core.engine import check_engine
from ..core.errors import UserError
from ..core.git import list_files
from ..core.paths import HISTORY
from ..core.repository import ensure_repository
from ..core.tools import run_tool
from ..core.trust import trust_cml_within
from ..registry.outputs import locked


def setup(data: str = "", target: str = "", task: str = "") -> None:
    """Describe the data in schema.yaml, track it with DVC and install the git hooks; what is there already stays.

    Args:
        data: a file, folder or pattern, a URL or a `.sql` file, to take the place of the dataset that is there.
        target: the column to predict, instead of the present one.
        task: as data.task has it, instead of the present one.

    Raises:
        UserError: the project cannot be a repository of its own, the dataset cannot be read, a module of the owner's
            cannot be compared, or a tool failed.
    """
    ensure_repository()
    from ..stages.recipes import write_recipes
    from ..stats.own_metrics import named_metrics
    from .describe import ensure_schema
    from .replacement import finish_replacement, replace_dataset

    finish_replacement()
    if data or target or task:
        replace_dataset(data, target, task)
    config = load_config(guesses=True)
    named_metrics(config)
    tracked = locked(config.data.path) is not None
    here = config.path(config.data.path).exists()
    if config.data.source and not tracked:  # a killed run may have left a snapshot that no record names
        ingest()
        here = tracked = True
    if not (here or tracked):
        raise UserError(
            f"{config.data.path} is not there: `make setup DATA=FILE TARGET=COLUMN` puts a dataset in its place, which "
            "may be a file, a folder, a URL or a .sql file with a query."
        )
    if here and ensure_schema(config, choose=True):
        print("setup: wrote schema.yaml, the contract, and fitted params.yaml; read both, and correct wrong guesses")
    if not tracked:
        _run("dvc", "add", "--quiet", config.data.path)
        print(f"setup: {config.data.path} is tracked by DVC")
    write_recipes(load_config())  # so that DVC sees from the start what its record and this clone differ in
    git_hooks.install()
    trust_cml_within(seconds=10)


def ingest() -> None:
    """Fetch what the source has now as the new snapshot, and record it for DVC.

    Raises:
        UserError: the source cannot be read, or gives no table, or the snapshot here was edited.
    """
    from ..stages.ingest import STAGE_FILE, run, write_stage
    from ..stages.workspace import place_sources

    config = load_config(guesses=True)
    place_sources()
    run(config)
    write_stage(config)
    Path(f"{config.data.path}.dvc").unlink(missing_ok=True)  # from when the snapshot was a file of its own
    _run("dvc", "commit", "--quiet", "--force", f"{STAGE_FILE}:ingest")


def test(arguments: list[str]) -> int:
    """Return pytest's exit code; what the tests look at is made first: the dataset is fetched, its history computed."""
    from ..stages.retrain import make
    from ..stages.transfer import pull

    config = load_config()
    if not Path(config.data.path).exists():
        pull(only=[config.data.path])
    if config.history.entity:
        make("history", HISTORY)
    return run_tool("pytest", *arguments)


def check() -> int:
    """Return pre-commit's exit code for every file that git does not ignore, committed or not.

    Raises:
        UserError: the engine's version and digest do not agree; the files were looked at nevertheless.
    """
    code = run_tool("pre-commit", "run", "--show-diff-on-failure", "--files", *list_files())
    check_engine()
    return code


def _run(*command: str) -> None:
    if run_tool(*command):
        raise UserError(f"`{' '.join(command)}` failed: its own message is above.")
