"""Retraining: find what is out of date, fetch only that, and let DVC run it."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import networkx
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage import Stage

from .. import store
from ..cli import STAGE_TIMES
from ..errors import UserError
from ..git import show_file
from ..objects import wanted
from ..outputs import LOCK, RECORDED
from ..tools import run_tool
from ..versions import newest_version


def train(run_cache: bool = True) -> None:
    """Rerun the stages that changed; with `run_cache=False` even those whose result for the same inputs is cached.

    Raises:
        UserError: a stage failed, or an object that it needs is in no store.
    """
    shutil.rmtree(STAGE_TIMES, ignore_errors=True)
    outdated = start_from_best_lock()
    if not outdated:
        print("Nothing to retrain: every stage is up to date.")
        return
    store.fetch(wanted(only=inputs(outdated)))
    command = ["dvc", "repro", "--pull", "--allow-missing"]
    command += [] if run_cache else ["--no-run-cache"]
    if run_tool(*command):
        raise UserError("a stage failed: its own message is above.")


def start_from_best_lock() -> list[Stage]:
    """Return the stages that are out of date, starting from this tree's dvc.lock or the newest version's.

    Where main is protected, release commits stay on their tags and main's dvc.lock falls behind; what a release
    trained need not be trained again, so its lock is taken when it leaves less to run.
    """
    lock, kept = Path(LOCK), Path(".dvc/tmp/dvc.lock")
    if kept.exists():  # a run was killed while it tried the other lock
        kept.replace(lock)
    outdated = outdated_stages()
    version = newest_version() if outdated else None
    released = show_file(version.commit, LOCK) if version else None
    if version is None or not released or (lock.exists() and lock.read_bytes() == released):
        return outdated
    if lock.exists():
        lock.replace(kept)
    lock.write_bytes(released)
    others = {path: path.read_bytes() for path in map(Path, RECORDED) if path != lock and path.exists()}
    for path in others:  # DVC compares them with the lock
        path.write_bytes(show_file(version.commit, path) or b"")
    with_released = outdated_stages()
    if len(with_released) < len(outdated):
        print(f"Starting from what {version} trained.")
        kept.unlink(missing_ok=True)
        return with_released
    for path, content in others.items():
        path.write_bytes(content)
    if kept.exists():
        kept.replace(lock)
    else:
        lock.unlink()
    return outdated


def outdated_stages() -> list[Stage]:
    """Return the stages that would run, in no order: changed since dvc.lock, or fed by one that is.

    Their data need not be here.
    """
    with readable_errors():
        repo = Repo()
        graph = repo.index.graph  # from a stage to those that feed it
        with repo.lock:
            changed = {stage for stage in graph if stage.changed(allow_missing=True)}
        return list(changed.union(*(networkx.ancestors(graph, stage) for stage in changed)))


def inputs(stages: list[Stage]) -> set[str]:
    """Return the paths of what feeds stages and is made by none of them."""
    feeding = {source for stage in stages for source in stage.repo.index.graph.successors(stage)}
    return {out.def_path for source in feeding.difference(stages) for out in source.outs}


@contextlib.contextmanager
def readable_errors() -> Iterator[None]:
    """Turn DVC's exceptions into the one sentence that a user sees."""
    try:
        yield
    except DvcException as error:
        raise UserError(f"DVC: {error}") from error
