"""params.yaml fitted to the data: each knob that is still as generated gets its guess, with the reason as a comment."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import PARAMS, Config
from ..errors import UserError
from ..files import write_file
from ..schema import as_word, remark
from .target import Aim

Knobs = dict[str, tuple[Any, str]]  # by dotted name: the value, or a list's items with a reason each; the reason


@dataclass(frozen=True)
class TimeOrder:
    """A column of moments, one of them, after which a fifth of the rows lies, and whether the rows are in its order."""

    column: str
    cutoff: str
    sorted: bool


def choose_knobs(config: Config, aim: Aim, dropped: dict[str, str], group: str | None, time: TimeOrder | None) -> Knobs:
    """What to write: only what nobody has set.

    Args:
        config: what is set.
        aim: what the target asks for.
        dropped: the columns to drop, each with its reason.
        group: the column that names what rows are about.
        time: what could split the rows by time.
    """
    knobs: Knobs = {}
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


def write_knobs(path: Path, knobs: Knobs) -> None:
    """Writes the values into params.yaml, each with its reason, and leaves every other line as it is.

    Raises:
        UserError: a knob is not on a line of its own, as generated.
    """
    lines = path.read_text("utf-8").rstrip("\n").split("\n")
    for name, (value, why) in knobs.items():
        section, key = name.split(".")
        first, last = _find(lines, section, key)
        lines[first:last] = _lines(key, value, f"  # guess: {remark(why)}" if why else "")
    write_file(path, ("\n".join(lines) + "\n").encode())


def _find(lines: list[str], section: str, key: str) -> tuple[int, int]:
    """The lines of a key and of its value."""
    start = next((number for number, line in enumerate(lines) if line.rstrip() == f"{section}:"), len(lines))
    for first in range(start + 1, len(lines)):
        if re.match(rf"  {key}:(\s|$)", lines[first]):
            rest = range(first + 1, len(lines))
            return first, next((n for n in rest if not re.match(r"  ( |- )", lines[n])), len(lines))
        if re.match(r"\S", lines[first]) and not lines[first].startswith("#"):
            break
    raise UserError(
        f"{PARAMS}: {section}.{key} is not on a line of its own, indented by two spaces, where setup would write it; "
        "put it there."
    )


def _lines(key: str, value: Any, reason: str) -> list[str]:
    if isinstance(value, dict) and key == "drop":
        items = [f"    - {as_word(name)}{f'  # guess: {remark(why)}' if why else ''}" for name, why in value.items()]
        return [f"  {key}:", *items]
    if isinstance(value, dict):
        return [f"  {key}:", *(f"    {name}: {number}{reason}" for name, number in value.items())]
    shown = f"[{', '.join(map(as_word, value))}]" if isinstance(value, list) else as_word(value)
    return [f"  {key}: {shown}{reason}"]
