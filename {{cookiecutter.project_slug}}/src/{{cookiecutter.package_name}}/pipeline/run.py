"""Retraining: find what is out of date, fetch only that, and let DVC run it."""

import shutil
from pathlib import Path

from .. import store
from ..cli import STAGE_TIMES
from ..errors import UserError
from ..objects import wanted
from ..tools import run_tool
from .lock import start_from_best_lock
from .stages import inputs


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
    absent = {path for path in inputs(outdated) if not Path(path).exists()}
    store.fetch(wanted(only=absent))
    command = ["dvc", "repro", "--pull", "--allow-missing"]
    command += [] if run_cache else ["--no-run-cache"]
    if run_tool(*command):
        raise UserError("a stage failed: its own message is above.")
