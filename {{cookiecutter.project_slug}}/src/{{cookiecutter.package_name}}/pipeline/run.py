"""Retraining: find what is out of date, fetch only that, and let DVC run it."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo

from .. import github, store
from ..cli import STAGE_TIMES
from ..errors import UserError
from ..git import show_file
from ..objects import wanted
from ..outputs import LOCK
from ..versions import newest_version


def train(run_cache: bool = True) -> None:
    """Rerun the stages that changed; with `run_cache=False` even those whose result for the same inputs is cached.

    Raises:
        UserError: a stage failed, or an object that it needs is in no store.
    """
    shutil.rmtree(STAGE_TIMES, ignore_errors=True)
    if not start_from_best_lock():
        print("Nothing to retrain: every stage is up to date.")
        return
    store.fetch(wanted(), sources=["origin", "upstream", *forks()], missing_ok=True)
    command = ["dvc", "repro", "--pull", "--allow-missing"]
    command += [] if run_cache else ["--no-run-cache"]
    if subprocess.run(command).returncode:
        raise UserError("a stage failed: its own message is above")


def start_from_best_lock() -> list[str]:
    """Return the stages that are out of date, starting from this tree's dvc.lock or the newest version's.

    Where main is protected, release commits stay on their tags and main's dvc.lock falls behind; what a release
    trained need not be trained again, so its lock is taken when it leaves less to run.
    """
    outdated = outdated_stages()
    version = newest_version() if outdated else None
    released = show_file(version.commit, LOCK) if version else None
    if not released:
        return outdated
    lock = Path(LOCK)
    own = lock.read_bytes() if lock.exists() else None
    lock.write_bytes(released)
    with_released = outdated_stages()
    if len(with_released) < len(outdated):
        print(f"Starting from what {version} trained.")
        return with_released
    if own is None:
        lock.unlink()
    else:
        lock.write_bytes(own)
    return outdated


def outdated_stages() -> list[str]:
    """Return the names of the stages that dvc.lock does not describe as they are now, without needing their data."""
    with readable_errors():
        repo = Repo()
        with repo.lock:
            return [stage.addressing for stage in repo.index.stages if stage.changed(allow_missing=True)]


def forks() -> list[str]:
    """Return the repository that a pull request comes from, when it is a fork: new data is in its store."""
    head = github.event().get("pull_request", {}).get("head", {}).get("repo") or {}
    return [head["clone_url"]] if head.get("fork") else []


@contextlib.contextmanager
def readable_errors() -> Iterator[None]:
    """Turn DVC's exceptions into the one sentence that a user sees."""
    try:
        yield
    except DvcException as error:
        raise UserError(f"DVC: {error}") from error
