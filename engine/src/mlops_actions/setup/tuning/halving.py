"""Successive halving: all candidates on few rows, the better third on three times as many, the best on all.

K. Jamieson and A. Talwalkar, Non-stochastic best arm identification and hyperparameter optimization (2016).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from ...core.errors import UserError
from ...stages.compute import Pool

FACTOR = 3
LEAST = 500  # rows, below which a score is mostly luck


@dataclass
class Candidate:
    """A pipeline with the parameters that it tries, and its score on each fold of each rung."""

    params: dict[str, Any]
    pipeline: Pipeline
    scores: dict[int, list[float]] = field(default_factory=dict)
    problem: str = ""

    def score(self, rows: int) -> float:
        """Return the mean over the folds that define the metric, the greater the better; -inf for one that fails."""
        known = [value for value in self.scores.get(rows, []) if np.isfinite(value)]
        return float(np.mean(known)) if known and not self.problem else -np.inf


def rungs_of(rows: int, candidates: int) -> list[int]:
    """Return how many rows each rung has: all in the last one, a third of the next one's in each before."""
    rungs = [rows]
    while FACTOR ** len(rungs) <= candidates and rungs[0] // FACTOR >= LEAST:
        rungs.insert(0, rungs[0] // FACTOR)
    return rungs


def halve(
    candidates: list[Candidate], folds: dict[int, int], run: Pool, judge: Callable[[Any, int, int], float]
) -> Iterator[tuple[int, list[Candidate]]]:
    """Yield each rung's rows and its candidates, best first; the first candidate stays until the end.

    `folds` has the number of folds for each rung's rows; `judge(answer, rows, fold)` scores what `answer_fold` gives.
    """
    present, left = candidates[0], list(candidates)
    for rows, count in folds.items():
        judged = [(candidate, fold) for candidate in left for fold in range(count)]
        tasks = [(candidate.pipeline, rows, fold) for candidate, fold in judged]
        # To the answers' end: a Ctrl-C in a generator that is left to Python to end is lost.
        for (candidate, fold), answer in zip(judged, run(answer_fold, tasks), strict=True):
            if isinstance(answer, str):
                candidate.problem = candidate.problem or answer
            else:
                candidate.scores.setdefault(rows, []).append(judge(answer, rows, fold))
        left.sort(key=lambda candidate: -candidate.score(rows))  # stable: of equals the earlier
        if left[0].score(rows) == -np.inf:
            raise UserError(f"params.yaml: every candidate fails: {left[0].problem or 'the metric is not defined'}")
        yield rows, list(left)
        left = left[: -(-len(left) // FACTOR)]
        left = left if any(candidate is present for candidate in left) else [*left, present]


def answer_fold(data: Any, task: tuple[Pipeline, int, int]) -> tuple[np.ndarray, list[str] | None] | str:
    """Return what a pipeline, fitted on a part of the first rows, says of the other, and its classes; or why it fails.

    It runs in other processes, of which Dask's may lack this package: it needs scikit-learn and what it is given.
    """
    from sklearn.base import clone
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    pipeline, rows, fold = task
    train, test = data["folds"][rows][fold]
    # One thread, for the same last bits everywhere; not undone, since other threads of a Dask worker are at the same.
    threadpool_limits(1)
    try:
        weights = {} if data["weights"] is None else {"estimator__sample_weight": data["weights"][train]}
        fitted = clone(pipeline).fit(data["features"].iloc[train], data["target"][train], **weights)
        if hasattr(fitted, "classes_"):
            return fitted.predict_proba(data["features"].iloc[test]), [str(name) for name in fitted.classes_]
        return fitted.predict(data["features"].iloc[test]).reshape(-1), None
    except (ValueError, TypeError) as error:
        return " ".join(str(error).split())[:300]
