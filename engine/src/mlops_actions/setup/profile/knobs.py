"""params.yaml fitted to the data: each knob that is still as generated gets its guess, with the reason as a comment."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.config import Config
from ...core.params_file import update_params
from ...data.schema import remark
from .target import Aim

Guesses = dict[str, tuple[Any, str]]  # by dotted name: the value, or a list's items with a reason each; the reason

# What setup may guess, as it is before.
UNSET: dict[str, Any] = {
    "data.read.delimiter": None,
    "data.read.decimal": ".",
    "data.read.encoding": "utf-8",
    "data.task": "guess",
    "data.positive": None,
    "data.drop": [],
    "split.method": "hash",
    "split.key": [],
    "split.column": None,
    "split.cutoff": None,
    "model.estimator": "hist_gradient_boosting",
    "model.params": {},
    "gate.primary": "guess",
    "gate.thresholds": {},
}


@dataclass(frozen=True)
class TimeOrder:
    """A column of moments, one of them, after which a fifth of the rows lies, and whether the rows are in its order."""

    column: str
    cutoff: str
    sorted: bool


def choose_knobs(
    config: Config, aim: Aim, dropped: dict[str, str], group: str | None, time: TimeOrder | None
) -> Guesses:
    """Return what to write: only what nobody has set.

    Args:
        config: what is set.
        aim: what the target asks for.
        dropped: the columns to drop, each with its reason.
        group: the column that names what rows are about.
        time: what could split the rows by time.
    """
    knobs: Guesses = {}
    if config.data.task == "guess":
        knobs["data.task"] = aim.task, aim.why_task
    if config.data.positive is None and aim.positive is not None:
        knobs["data.positive"] = aim.positive, aim.why_positive
    if new := {name: reason for name, reason in dropped.items() if name not in config.data.drop}:
        knobs["data.drop"] = {**dict.fromkeys(config.data.drop, ""), **new}, ""
    if config.gate.primary == "guess":
        knobs["gate.primary"] = aim.primary, aim.why_primary
        if not config.gate.thresholds:
            knobs["gate.thresholds"] = {aim.primary: aim.threshold}, aim.why_threshold
    if config.split.method == "hash" and not config.split.key:
        if time and time.sorted:
            knobs["split.method"] = "time", f"the rows are in the order of {time.column}"
            knobs["split.column"] = time.column, "see split.method"
            knobs["split.cutoff"] = time.cutoff, "the newest fifth of the rows is the test"
        elif group is not None:
            knobs["split.key"] = [group], "several rows each are about one of them"
        elif time:
            why = f"time, with column {time.column} and cutoff {time.cutoff}, if the model will predict the future"
            knobs["split.method"] = "hash", why
    return knobs


def write_knobs(path: Path, knobs: Guesses) -> None:
    """Write the values into params.yaml, each with its reason, and leave every other line as it is."""
    update_params(path, {name: _with_reason(value, why) for name, (value, why) in knobs.items()})


def forget_guesses(text: str) -> Guesses:
    """Return what takes the guesses out of params.yaml: each that is marked as one as it was before, without a reason.

    Args:
        text: what params.yaml has.
    """
    above: list[tuple[int, str]] = []  # the indent and the key of each section around a line
    guessed = []
    for line in text.splitlines():
        if label := re.match(r"( *)(\w+):", line):
            indent = len(label[1])
            above = [(column, key) for column, key in above if column < indent] + [(indent, label[2])]
        if " # guess:" in line:
            guessed.append(".".join(key for _, key in above))
    return {key: (UNSET[key], "") for key in guessed if key in UNSET}


def _with_reason(value: Any, why: str) -> tuple[Any, str | None]:
    """Return a value and its comment; of columns to drop, each has its own."""
    if isinstance(value, dict) and not why:
        return [(name, f"guess: {remark(reason)}" if reason else None) for name, reason in value.items()], None
    return value, f"guess: {remark(why)}"
