"""What the target asks for: the task, the class that counts, and the metric with what a constant answer reaches."""

from dataclasses import dataclass, field

import pandas as pd

from ...core.config import Task
from ...core.errors import UserError
from ...core.nearest import did_you_mean
from ...data.rules import Column

MANY_CLASSES = 50
FEW_NUMBERS = 10  # whole numbers, up to which a target is taken for classes
RARE = 0.05  # share of rows
_YES = {"yes", "y", "true", "t", "1", "positive", "pos", "default", "fraud", "churn", "churned", "bad", "died", "dead",
        "failed", "failure", "spam", "malignant", "sick", "disease", "case", "event", "success", "won"}  # fmt: skip


@dataclass(frozen=True)
class Aim:
    """What is to be predicted; each `why` is the reason of a guess."""

    task: Task
    why_task: str
    classes: dict[str, int] | None
    positive: str | None
    why_positive: str
    primary: str
    why_primary: str
    threshold: float
    why_threshold: str
    hints: list[str] = field(default_factory=list)


def find_column(name: str, columns: list[str]) -> None:
    """Refuse a target that no column is, with the nearest name."""
    if name in columns:
        return
    shown = ", ".join(columns[:30]) + (", …" if len(columns) > 30 else "")
    cure = did_you_mean(repr(name), map(repr, columns), f"use one of {shown}.")
    raise UserError(f"data.target: the dataset has no column {name!r}; {cure}")


def guess_task(column: Column, values: pd.Series) -> tuple[Task, str]:
    """Return the task for a target of typed values, and why."""
    if column.type != "number":
        return "classification", "the target holds no numbers"
    distinct = values.nunique()
    if distinct <= FEW_NUMBERS and (values.dropna() % 1 == 0).all():
        return "classification", f"the target has {distinct} different whole numbers"
    return "regression", f"the target has {distinct:,} different numbers"


def check_target(name: str, column: Column, labels: pd.Series, task: Task) -> None:
    """Refuse a target of one value or none, one that is no number for regression, or of too many classes.

    Args:
        name: the target.
        column: how its cells are read.
        labels: its values as text.
        task: what it is to be predicted as.
    """
    known = labels.dropna()
    if known.empty:
        raise UserError(f"data.target: {name!r} has no value in any row; choose another column, or fill it.")
    if task == "regression":
        if column.type != "number":
            kind = {"boolean": "true or false", "datetime": "dates"}.get(column.type, "")
            kind = kind or f"text, such as {_least_like_number(known)!r:.60}"
            cure = "set data.task to classification"
            cure = "predict a number of days instead" if column.type == "datetime" else cure
            raise UserError(f"data.target: {name!r} holds {kind}, which a regression cannot predict; {cure}.")
        if known.nunique() < 2:
            raise UserError(f"data.target: {name!r} is {known.iloc[0]} in every row; add rows where it differs.")
        return
    classes = known.nunique()
    if classes > MANY_CLASSES:
        what, cure = "too many for classes", "choose another column, or merge rare classes"
        if column.type == "number":
            cure = "set data.task to regression"
        elif classes > 0.9 * len(known):
            what = "so it identifies rows" if column.type == "category" else "so it is free text"
            cure = "choose another column"
        raise UserError(f"data.target: {name!r} has {classes:,} different values, {what}; {cure}.")
    if classes < 2:
        raise UserError(f"data.target: {name!r} is {known.iloc[0]!s:.40} in every row; add rows where it differs.")


def _least_like_number(labels: pd.Series) -> str:
    """Return the first label that is no number; of codes such as 007, which are no numbers either, the first."""
    others = labels[pd.to_numeric(labels, errors="coerce").isna()]
    return str((labels if others.empty else others).iloc[0])


def aim_at(task: Task, why: str, values: pd.Series) -> Aim:
    """Return what suits these target values, which are classes or numbers."""
    if task == "regression":
        return _aim_at_number(why, values)
    counts = values.value_counts().sort_index()
    shares = counts / counts.sum()
    classes = {str(name): int(count) for name, count in counts.items()}
    single = [name for name, count in classes.items() if count == 1]
    hints = [f"the class {name!r} has a single row: add rows of it or merge it" for name in single]
    if len(classes) > 2:
        primary, why_primary, constant = _several(shares)
        threshold = constant + 0.1 * (1 - constant)
        because = f"the most frequent class, always answered, has {constant:.2f}"
        return Aim(task, why, classes, None, "", primary, why_primary, round(threshold, 2), because, hints)
    positive, why_positive = _positive(shares)
    share = float(shares[positive or str(shares.index[1])])
    if share < RARE:
        primary, why_primary = "average_precision", f"the positive class is rare ({share:.1%})"
        threshold, because = round(2 * share, 3), f"chance has {share:.3f}"
    else:
        primary, why_primary = "roc_auc", "two classes, and no probability to act at is given"
        threshold, because = 0.6, "chance has 0.5"
    return Aim(task, why, classes, positive, why_positive, primary, why_primary, threshold, because, hints)


def _several(shares: pd.Series) -> tuple[str, str, float]:
    """Return the metric for more than two classes, why, and what always answering the most frequent one reaches."""
    top = float(shares.max())
    if top <= 2 * shares.min():
        return "accuracy", "several classes of similar size", top
    return "f1", "several classes, of which rare ones count as much", 2 * top / (1 + top) / len(shares)


def _positive(shares: pd.Series) -> tuple[str | None, str]:
    """Return the class of two that precision and recall are about, where it is not the later one, and why."""
    first, later = (str(name) for name in shares.index)
    affirmed = [name for name in (first, later) if name.casefold() in _YES]
    if len(affirmed) == 1:
        return (first, "so its name says") if affirmed == [first] else (None, "")
    if float(shares[first]) < 0.4:
        return first, f"the rarer of two ({shares[first]:.0%})"
    return None, ""


def _aim_at_number(why: str, numbers: pd.Series) -> Aim:
    hints = []
    if numbers.min() >= 0 and numbers.max() > 100 * max(float(numbers.median()), 1e-9):
        hints.append("it spans orders of magnitude: try model.transform: log1p")
    why_primary = "it has no unit, so that gate.margin fits; mae and rmse have the target's"
    return Aim("regression", why, None, None, "", "r2", why_primary, 0.05, "the mean, always answered, has 0", hints)
