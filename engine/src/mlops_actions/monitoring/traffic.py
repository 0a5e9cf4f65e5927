"""Live traffic: which of the log's rows are compared, and what each version did with its own."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd

from ..registry.versions import Assignment
from ..stats.sequential import rate_interval
from .logged_answers import LoggedAnswers, find_contradicted, read_answers

Role = Literal["champion", "canary", "shadow"]
Challenger = Literal["canary", "shadow"]  # the role of what is compared with the champion
ROLES: tuple[Role, ...] = get_args(Role)
KEPT = ["id", "time", "version", "role", "key", "error", "latency_ms"]
QUANTILES = (0.5, 0.95, 0.99)
SAME = 1e-6  # of a number, relative: the last bits depend on the library that adds up


@dataclass(frozen=True)
class Window:
    """The rows that are comparable, what was answered to them, and the positions of each role's rows.

    `rescued` are the champion's answers to what the canary failed, which are not the champion's share of the traffic.
    `contradicted` counts the predictions whose truths contradict each other.
    """

    rows: pd.DataFrame
    answers: LoggedAnswers
    roles: dict[Role, np.ndarray]
    rescued: np.ndarray
    contradicted: int

    def match(self, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of the rows that two sets of rows have in common by their id, as either set has them."""
        ids = self.rows["id"]
        left, right = (pd.DataFrame({"id": ids.iloc[some].array, "at": some}) for some in (one, other))
        both = left.merge(right, on="id", suffixes=("", "_other"))
        return both["at"].to_numpy(), both["at_other"].to_numpy()

    def answered(self, rows: np.ndarray) -> np.ndarray:
        """Return which of some rows have an answer."""
        return self.answers.said.iloc[rows].notna().to_numpy()

    def told(self, rows: np.ndarray) -> np.ndarray:
        """Return of which of some rows the truth arrived."""
        return self.rows["truth"].iloc[rows].notna().to_numpy()


@dataclass(frozen=True)
class Answered:
    """A name that answers have, a class or a quantile of numbers, and its share or value."""

    name: str
    value: float


@dataclass(frozen=True)
class Traffic:
    """What one version did with its requests; the bounds of its error rate hold at every look."""

    role: Role
    version: str
    requests: int
    errors: int
    error_rate: float
    error_low: float
    error_high: float
    latency_p50: float | None
    latency_p95: float | None
    latency_p99: float | None
    truths: int
    answers: list[Answered]


@dataclass(frozen=True)
class Agreement:
    """How alike the shadow's and the champion's answers to the same rows are."""

    version: str
    rows: int
    equal: float
    largest_gap: float


def find_window(predictions: pd.DataFrame, truths: pd.DataFrame, assignment: Assignment, task: str) -> Window:
    """Return the rows since an assignment began that are comparable, with their truths.

    Like is compared with like, a Monday with a Monday and one champion: rows count from the version's first to its last
    one, and since the champion is the one that it is. Of several truths of a row the first counts.
    """
    time, role, version = (predictions[name] for name in ("time", "role", "version"))
    own = time[(role == assignment.role) & (version == assignment.version) & (time >= assignment.time)]
    inside = time.between(own.min(), own.max())
    versions: dict[str, str | None] = {name: _newest(predictions, inside & (role == name)) for name in ROLES}
    versions[assignment.role] = assignment.version
    changed = time[inside & (role == "champion") & (version != versions["champion"])]
    if len(changed):
        inside &= time > changed.max()
    inside &= np.any([(role == name) & (version == versions[name]) for name in ROLES], axis=0)
    answers = read_answers(predictions.loc[inside, "answer"], task)
    first = truths.sort_values("time", kind="stable").drop_duplicates("id")[["id", "truth"]]
    rows = predictions.loc[inside, KEPT].reset_index(drop=True)
    rows["truth"] = rows[["id"]].merge(first, on="id", how="left")["truth"].array
    roles = {name: np.flatnonzero(rows["role"] == name) for name in ROLES}
    contradicted = rows["id"][rows["id"].isin(find_contradicted(truths, task))].nunique()
    window = Window(rows, answers, roles, np.array([], int), contradicted)
    rescued, _ = window.match(roles["champion"], roles["canary"][rows["error"].iloc[roles["canary"]].notna()])
    champion = roles["champion"][~np.isin(roles["champion"], rescued)]
    return replace(window, roles=roles | {"champion": champion}, rescued=rescued)


def _newest(predictions: pd.DataFrame, some: pd.Series) -> str | None:
    """Return the version that was the last to answer, of some of the rows."""
    return next(iter(predictions.loc[some, ["time", "version"]].nlargest(1, "time")["version"]), None)


def describe(window: Window, role: Role, confidence: float) -> Traffic | None:
    """Return what the version in a role did with its rows, None where it had none."""
    rows = window.rows.iloc[window.roles[role]]
    if rows.empty:
        return None
    errors = int(rows["error"].notna().sum())
    low, high = rate_interval(errors, len(rows), confidence)
    times = rows["latency_ms"].dropna().to_numpy()
    latencies = [float(value) for value in np.quantile(times, QUANTILES)] if len(times) else [None] * len(QUANTILES)
    return Traffic(
        role=role,
        version=str(rows["version"].iloc[0]),
        requests=len(rows),
        errors=errors,
        error_rate=errors / len(rows),
        error_low=low,
        error_high=high,
        latency_p50=latencies[0],
        latency_p95=latencies[1],
        latency_p99=latencies[2],
        truths=int(rows["truth"].notna().sum()),
        answers=_spread(window.answers.take(window.roles[role])),
    )


def _spread(answers: LoggedAnswers) -> list[Answered]:
    """Return the share of each class, the most frequent first, or quantiles of the numbers."""
    said = answers.said.dropna()
    if answers.classes is not None:
        return [Answered(str(name), float(share)) for name, share in said.value_counts(normalize=True).items()]
    return [Answered(f"p{100 * at:.0f}", float(said.quantile(at))) for at in (0.1, 0.5, 0.9)] if len(said) else []


def agree(window: Window) -> Agreement | None:
    """Return how alike champion and shadow answer the same rows, None where there are none."""
    pairs = window.match(window.roles["champion"], window.roles["shadow"])
    both = window.answered(pairs[0]) & window.answered(pairs[1])
    if not both.any():
        return None
    one, other = (window.answers.take(side[both]) for side in pairs)
    same = one.said.to_numpy(), other.said.to_numpy()
    equal = same[0] == same[1] if one.classes is not None else np.isclose(*same, rtol=SAME, atol=0)
    gap = np.abs(np.nan_to_num(one.values) - np.nan_to_num(other.values)).max(initial=0)
    version = str(window.rows["version"].iloc[pairs[1][0]])
    return Agreement(version, int(both.sum()), float(equal.mean()), float(gap))
