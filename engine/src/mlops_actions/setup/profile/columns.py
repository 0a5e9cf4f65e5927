"""What each column is for: to learn from, or to drop since it identifies rows, is constant or says nothing new."""

import re
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from ...data.rules import Column

ENOUGH = 20  # rows, before a column whose values all differ is taken for an identifier
GROUPS = 30  # before rows are split by them: fewer could all fall on one side
_NAMED_ID = re.compile(
    r"(?i:(?:^|[_\s.-])(?:id|uuid|guid|key|idx|index|rownames?|nr|no|number|num|code|serial)$)|^Unnamed: 0$"
    r"|[a-z](?:Id|ID|Key|Nr|No)$"
)
_NAMED_ENTITY = re.compile(
    r"(?i:(?:^|[_\s.-])(?:id|uuid|guid|key)$)|[a-z](?:Id|ID)$|^(?i:customer|client|user|patient|subject|person|account|"
    r"member|employee|student|pupil|household|device|machine|vehicle|player|athlete|driver|store|school|hospital|company)"
    r"(?i:[_\s.-]?(?:nr|no|number|code|name))?$"
)


@dataclass(frozen=True)
class Look:
    """What one column is taken for.

    `guesses` say how its cells are read where they do not say so themselves, `drop` why the model should not see it,
    `hints` what else a reader should know.
    """

    name: str
    column: Column
    distinct: int
    missing: float
    guesses: list[str] = field(default_factory=list)
    drop: str | None = None
    hints: list[str] = field(default_factory=list)


def find_dropped(looks: list[Look], rows: pd.DataFrame) -> list[Look]:
    """Return the looks with a reason to drop for each column of these typed rows that no model can learn from."""
    seen: dict[bytes, str] = {}
    dropped = []
    for look in looks:
        values = rows[look.name]
        content = pd.util.hash_pandas_object(values, index=False).to_numpy().tobytes()
        reason = why_useless(look, values)
        if reason is None and content in seen:
            reason = f"a copy of {seen[content]}"
        seen.setdefault(content, look.name)
        dropped.append(replace(look, drop=reason))
    return dropped


def why_useless(look: Look, values: pd.Series) -> str | None:
    """Return why no model learns from the column: it is empty, constant, or differs in every row; else None."""
    known = values.dropna()
    if known.empty:
        return "no value in any row"
    if look.distinct == 1 and len(known) == len(values):
        return "the same value in every row"
    if len(known) < ENOUGH or look.distinct < 0.9 * len(known):
        return None
    if look.column.type == "category":
        return f"an identifier: {look.distinct:,} values in {len(known):,} rows"
    if look.column.type == "number" and look.distinct == len(known) and (known % 1 == 0).all():
        counts = known.min() in (0, 1) and known.max() - known.min() == len(known) - 1
        if counts or _NAMED_ID.search(look.name):
            return "an identifier: it counts the rows" if counts else "an identifier: a number that never repeats"
    return None


def find_group(looks: list[Look], rows: pd.DataFrame) -> Look | None:
    """Return the column that names what several rows are about, such as a customer: the one with the most values."""
    entities = [
        look for look in looks if look.drop is None and _NAMED_ENTITY.search(look.name) and _repeats(look, rows)
    ]
    return max(entities, key=lambda look: look.distinct, default=None)


def find_time(looks: list[Look], rows: pd.DataFrame) -> tuple[Look | None, bool]:
    """Return the first column of moments that spans the rows, and whether the rows lie in its order, either way."""
    spans = [look for look in looks if look.column.type == "datetime" and not look.missing and look.distinct >= ENOUGH]
    for look in spans:
        values = rows[look.name]
        if values.is_monotonic_increasing or values.is_monotonic_decreasing:
            return look, True
    return (spans[0] if spans else None), False


def _repeats(look: Look, rows: pd.DataFrame) -> bool:
    values = rows[look.name].dropna()
    if look.column.type == "number" and (values % 1 != 0).any():
        return False
    if look.column.type not in ("number", "category") or not GROUPS <= look.distinct <= len(values) / 2:
        return False
    return bool(np.mean(values.duplicated(keep=False)) > 0.8)
