"""The project on a laptop: set it up, test it, check it, and move its data."""

import sys
from pathlib import Path

from . import git_hooks, store
from .config import PARAMS, load_config, read_yaml
from .errors import UserError
from .git import list_files
from .objects import wanted
from .outputs import HISTORY, locked
from .repository import ensure_repository
from .tools import run_tool
from .trust import trust_cml_within


def setup() -> None:
    """Describe the data in schema.yaml, track it with DVC and install the git hooks; what is there already stays.

    Raises:
        UserError: the project cannot be a repository of its own, the dataset cannot be read, or a tool failed.
    """
    ensure_repository()
    from .describe import ensure_schema

    config = load_config(guesses=True)
    tracked = locked(config.data.path) is not None
    here = config.path(config.data.path).exists()
    if config.data.source and not here and not tracked:
        ingest()
        here = tracked = True
    if (here or not tracked) and ensure_schema(config, choose=True):
        print("setup: wrote schema.yaml, the contract, and fitted params.yaml; read both, and correct wrong guesses")
    if not tracked:
        _run("dvc", "add", "--quiet", config.data.path)
        print(f"setup: {config.data.path} is tracked by DVC")
    git_hooks.install()
    trust_cml_within(seconds=10)


def ingest() -> None:
    """Fetch what the source has now as the new snapshot, and record it for DVC.

    Raises:
        UserError: the source cannot be read, or gives no table, or the snapshot here was edited.
    """
    from .pipeline.ingest import STAGE_FILE, run, write_stage
    from .pipeline.workspace import place_sources

    config = load_config(guesses=True)
    place_sources()
    run(config)
    write_stage(config)
    Path(f"{config.data.path}.dvc").unlink(missing_ok=True)  # from when the snapshot was a file of its own
    _run("dvc", "commit", "--quiet", "--force", f"{STAGE_FILE}:ingest")


def test(arguments: list[str]) -> int:
    """Return pytest's exit code; what the tests look at is made first: the dataset is fetched, its history computed."""
    from .pipeline.run import make

    config = load_config()
    if not Path(config.data.path).exists():
        pull(only=[config.data.path])
    if config.history.entity:
        make("history", HISTORY)
    return run_tool("pytest", *arguments)


def check() -> int:
    """Return pre-commit's exit code for every file that git does not ignore, committed or not."""
    return run_tool("pre-commit", "run", "--show-diff-on-failure", "--files", *list_files())


def checkout(force: bool = False, hook: list[str] | None = None) -> None:
    """Place what the record names of data and results where something else lies; `force` replaces edited data too.

    `hook` is the name and the arguments of the git hook that asks: it fetches data alone, and never fails.

    Raises:
        UserError: data was edited and not recorded, or what is recorded is in no store.
    """
    if hook and not git_hooks.brings_records(*hook):
        return
    read_yaml(Path(PARAMS))  # which DVC reads too, and says less of
    from .pipeline.workspace import place_sources, require_outputs

    place_sources(force=force)
    require_outputs(fetch=hook is None)


def push(replace: bool = False) -> None:
    """Send every object that dvc.lock and the .dvc files name to the DVC remote; with `replace`, those it has as well.

    Raises:
        UserError: an object is neither here nor there, or the remote refused.
    """
    from .pipeline.workspace import edited_sources

    read_yaml(Path(PARAMS))
    for sentence in edited_sources():
        print(f"{sentence} What is recorded is pushed.", file=sys.stderr)
    if store.uses_store():
        store.push(replace=replace)
    else:
        _run("dvc", "push")


def pull(source: str | None = None, only: list[str] | None = None) -> None:
    """Fetch the objects that dvc.lock and the .dvc files name, all or those of the paths `only`, and place them.

    Raises:
        UserError: an object is in no store, or data was edited and not recorded.
    """
    from .pipeline.workspace import place_sources, require_outputs

    store.fetch(wanted(only=only), sources=[source] if source else None)
    if only is None:
        place_sources()
        require_outputs()
    _run("dvc", "pull", "--quiet", *(only or []))


def _run(*command: str) -> None:
    if run_tool(*command):
        raise UserError(f"`{' '.join(command)}` failed: its own message is above.")
