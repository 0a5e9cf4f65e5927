"""Ground truth that comes back: what turned out to be true of a prediction, by its id."""

import re
from typing import Any

from .http import Refused
from .worker import ServedVersions

# The shorter one is of predictions of before ids were random, whose truths may still come.
ID = re.compile(r"(?:[0-9a-f]{32}|[0-9a-f]{22})-[0-9]{1,7}")


def read_truths(content: Any, engine: ServedVersions) -> list[tuple[str, str]]:
    """Return the id and the truth of each of a list of {"id": …, "truth": …}, or of one.

    Raises:
        Refused: one of them is something else.
    """
    truths = content if isinstance(content, list) else [content]
    return [
        _read(truth, f"truth {number}: " if content is truths else "", engine) for number, truth in enumerate(truths)
    ]


def _read(one: Any, where: str, engine: ServedVersions) -> tuple[str, str]:
    if not isinstance(one, dict) or not {"id", "truth"} <= one.keys():
        raise Refused(422, f"{where}must be an object with `id`, of a prediction, and `truth`")
    id, truth = one["id"], one["truth"]
    if not isinstance(id, str) or not ID.fullmatch(id):
        raise Refused(422, f"{where}id must be the id of a prediction, such as 8f14e45fceea167a5a36dedd4bea2543-0")
    classes = engine.champion.classes if engine.champion else None
    if isinstance(truth, bool | list | dict | None) and not (isinstance(truth, bool) and classes):
        raise Refused(422, f"{where}truth must be what the target turned out to be")
    text = truth if isinstance(truth, str) else str(truth).removesuffix(".0")
    if classes and text not in classes:
        raise Refused(422, f"{where}truth must be one of {', '.join(classes[:20])}, not {text[:60]!r}")
    if not classes and not isinstance(truth, int | float):
        raise Refused(422, f"{where}truth must be a number")
    return id, text
