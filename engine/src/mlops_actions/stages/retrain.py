"""Retraining: find what is out of date, fetch only that, and let DVC run it."""

import os
import shutil
from pathlib import Path

from dvc.stage import Stage

from ..core.config import load_config
from ..core.errors import UserError
from ..core.paths import BUNDLE, HISTORY, LOCK, PIPELINE, STAGE_TIMES, STAGES
from ..core.tools import run_tool
from ..registry import store
from ..registry.objects import wanted
from ..registry.outputs import locked, place_output
from ..registry.versions import refresh_tags
from ..stats.own_metrics import named_metrics
from .lock import start_from_best_lock
from .outdated import frozen_and_changed, in_order, inputs
from .transfer import pull
from .workspace import place_outputs, settle_inputs


def train(run_cache: bool = True, lost: bool = False) -> None:
    """Rerun the stages that changed; with `run_cache=False` even those whose result for the same inputs is cached.

    With `lost`, bring every result here, and make again what is in no store.

    Raises:
        UserError: a stage failed, an object that it needs is in no store, or data was edited and not recorded.
    """
    config = load_config()
    named_metrics(config)
    shutil.rmtree(STAGE_TIMES, ignore_errors=True)
    settle_inputs(config)
    if frozen_and_changed():
        print("The source of the data was edited since the snapshot: `mlops ingest` fetches what it has now.")
    outdated = start_from_best_lock()
    again = _place_inputs(outdated, every=lost)
    if lost and not outdated and not again:
        print("Nothing to make again: every result is here.")
        return
    if not outdated and not again:
        refresh_tags()
        print(f"Nothing to retrain: every stage is up to date.{_where_results_are()}")
        return
    options = [] if run_cache else ["--no-run-cache"]
    _make_again(again, *options)
    _reproduce(outdated, *options)


def make(target: str, *paths: str) -> None:
    """Rerun a stage and what it stands on, where they changed, and fetch those of `paths` that are not here.

    Raises:
        UserError: a stage failed, an object that it needs is in no store, or data was edited and not recorded.
    """
    config = load_config()
    named_metrics(config)
    settle_inputs(config)
    outdated = start_from_best_lock()
    _make_again(_place_inputs(outdated))
    later = STAGES[STAGES.index(target) + 1 :]
    _reproduce([stage for stage in outdated if stage.addressing not in later], target)
    absent = [path for path in paths if not Path(path).exists()]
    if absent:
        pull(only=absent)


def _place_inputs(outdated: list[Stage], every: bool = False) -> list[Stage]:
    """Place what feeds stages that will run, or every result; return the stages that have to run before them.

    These are the stages whose results are nowhere. What feeds them may be nowhere as well.
    """
    lost: dict[str, Stage] = {}
    running = outdated
    while more := place_outputs(running, needed=inputs(running), every=every):
        lost |= {stage.addressing: stage for stage in more}
        running = [*outdated, *lost.values()]
    return in_order(lost.values())


def _where_results_are() -> str:
    """Return a sentence on results that are not here; empty where they are, and in CI, which needs none."""
    absent = [path for path in (BUNDLE, PIPELINE) if not Path(path).exists()]
    return " What they made is in the store: `mlops pull` fetches it." if absent and not os.environ.get("CI") else ""


def _make_again(lost: list[Stage], *options: str) -> None:
    """Run stages whose results are nowhere; DVC takes what is not here for what it was."""
    names = [stage.addressing for stage in lost]
    if names:
        print(f"What {LOCK} records of {', '.join(names)} is nowhere, so it is made again.", flush=True)
    _reproduce(lost, "--force", "--single-item", *options, *names)


def _reproduce(outdated: list[Stage], *options: str) -> None:
    if not outdated:
        return
    absent = {path for path in inputs(outdated) if not Path(path).exists()}
    store.fetch(wanted(only=absent))
    if load_config().history.entity and any(stage.addressing == "history" for stage in outdated):
        _bring_former_history()
    try:
        failed = run_tool("dvc", "repro", "--pull", "--allow-missing", *options)
    finally:
        place_outputs(fetch=False)  # DVC takes them away before a stage runs
    if failed:
        raise UserError("a stage failed: its own message is above.")


def _bring_former_history() -> None:
    """Place the table that the stage brings up to date; without it every bucket is computed, to the same bytes."""
    if Path(HISTORY).exists() or locked(HISTORY) is None:
        return
    try:
        place_output(HISTORY, None, Path())
    except UserError as error:
        print(f"The former history cannot be used, so all of it is computed: {error}")
