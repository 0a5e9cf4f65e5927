"""Retraining: find what is out of date, fetch only that, and let DVC run it."""

import shutil
from pathlib import Path

from dvc.stage import Stage

from .. import store
from ..cli import STAGE_TIMES
from ..config import load_config
from ..errors import UserError
from ..objects import wanted
from ..outputs import HISTORY, TRAIN_FEATURES, TRAIN_ROWS, locked, place_output
from ..project import pull
from ..tools import run_tool
from .lock import start_from_best_lock
from .stages import frozen_and_changed, inputs

AFTER_FEATURES = ("train", "evaluate", "export")


def train(run_cache: bool = True) -> None:
    """Rerun the stages that changed; with `run_cache=False` even those whose result for the same inputs is cached.

    Raises:
        UserError: a stage failed, or an object that it needs is in no store.
    """
    shutil.rmtree(STAGE_TIMES, ignore_errors=True)
    if frozen_and_changed():
        print("The source of the data was edited since the snapshot: `mlops ingest` fetches what it has now.")
    outdated = start_from_best_lock()
    if not outdated:
        print("Nothing to retrain: every stage is up to date.")
        return
    _reproduce(outdated, *([] if run_cache else ["--no-run-cache"]))


def make_features() -> None:
    """Rerun what the feature table stands on, where it changed, and fetch the table where it is not here.

    Raises:
        UserError: a stage failed, or an object that it needs is in no store.
    """
    outdated = [stage for stage in start_from_best_lock() if stage.addressing not in AFTER_FEATURES]
    if outdated:
        _reproduce(outdated, "featurize")
    absent = [path for path in (TRAIN_ROWS, TRAIN_FEATURES) if not Path(path).exists()]
    if absent:
        pull(only=absent)


def _reproduce(outdated: list[Stage], *options: str) -> None:
    absent = {path for path in inputs(outdated) if not Path(path).exists()}
    store.fetch(wanted(only=absent))
    if load_config().history.entity and any(stage.addressing == "history" for stage in outdated):
        _bring_former_history()
    if run_tool("dvc", "repro", "--pull", "--allow-missing", *options):
        raise UserError("a stage failed: its own message is above.")


def _bring_former_history() -> None:
    """Place the table that the stage brings up to date; without it every bucket is computed, to the same bytes."""
    if Path(HISTORY).exists() or locked(HISTORY) is None:
        return
    try:
        place_output(HISTORY, None, Path())
    except UserError as error:
        print(f"The former history cannot be used, so all of it is computed: {error}")
