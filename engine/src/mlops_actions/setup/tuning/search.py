"""`mlops tune`: better parameters for the estimator, by cross-validation, wherever COMPUTE says."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from rich.progress import track

from ...core.config import PARAMS, Config, Model
from ...core.errors import UserError
from ...core.files import write_file
from ...core.params_file import update_params
from ...core.paths import TRAIN_FEATURES, TRAIN_ROWS
from ...data.feature_columns import Columns, sort_columns
from ...data.table import kinds_of, read_typed
from ...stages.compute import Pool, Work, open_pool
from ...stages.evaluate import as_decided, truth_of
from ...stages.target_scale import check_weighable, on_scale, weigh_rows
from ...stages.train import unfitted
from ...stats.metrics import Metric, find_metric
from ...stats.own_metrics import own_metrics
from .folds import Fold, make_folds
from .halving import Candidate, halve, rungs_of
from .spaces import draw_candidates

RESULT = "tuning/metrics.json"
CANDIDATES = "tuning/candidates.csv"
LISTING = "tuning/dvc.yaml"  # from which `dvc metrics diff` knows of the result
SAMPLE = 2**20  # rows that are searched on where all of them fit no single machine


def tune(config: Config) -> None:
    """Search, write what was found, and put the best parameters into params.yaml if they beat the present ones.

    Raises:
        UserError: there is nothing to search, no candidate fits, or COMPUTE does not work.
    """
    metric = find_metric(config.gate.primary, config.data.task, own_metrics(config))
    rungs = search(config, metric)
    rows, ranked = rungs[-1]
    best, present = ranked[0], next(candidate for candidate in ranked if not candidate.params)
    failed = [candidate for candidate in rungs[0][1] if candidate.problem]
    if failed:
        print(f"tune: of the candidates {len(failed)} fail, such as {_words(failed[0])}: {failed[0].problem}")
    wins = sum(np.greater(best.scores[rows], present.scores[rows])) if not present.problem else len(best.scores[rows])
    new, old = value_of(metric, best.score(rows)), value_of(metric, present.score(rows))
    result = {
        "best": {metric.name: new},
        "present": {metric.name: old},
        "folds": len(best.scores[rows]),
        "folds_better": int(wins),
        "candidates": len(rungs[0][1]) - 1,
        "rows": rows,
    }
    table = pd.DataFrame(
        [_line(metric, number, count, candidate) for number, (count, left) in enumerate(rungs, 1) for candidate in left]
    )
    write_file(config.path(CANDIDATES), table.to_csv(index=False, lineterminator="\n").encode())
    write_file(config.path(RESULT), (json.dumps(result, indent=2) + "\n").encode())
    write_file(config.path(LISTING), b"metrics:\n  - metrics.json\n")
    if best is present:
        print(f"tune: nothing beats the present params; {PARAMS} stays as it is")
        return
    update_params(config.path(PARAMS), {"model.params": {**config.model.params, **best.params}})
    print(
        f"tune: {metric.name} {new:.6g} instead of {old:.6g}, better in {wins} of {result['folds']} folds; {PARAMS} "
        "has the params now, and `mlops train` and `mlops compare` judge them"
    )


def search(config: Config, metric: Metric) -> list[tuple[int, list[Candidate]]]:
    """Return the rows and the candidates, best first, of each rung; one without params has the present ones."""
    limit = config.model.rows or (SAMPLE if config.model.estimator == "xgboost_dask" else None)
    features = read_typed(config.path(TRAIN_FEATURES), limit)
    target = features.pop(config.data.target)
    weights = weigh_rows(config, target, features.pop(config.data.weight) if config.data.weight else None)
    truth, rows = truth_of(config, target), read_typed(config.path(TRAIN_ROWS), limit)
    candidates = make_candidates(config, features, target)
    counts = rungs_of(len(target), len(candidates) - 1)
    folds = {count: make_folds(config, rows.head(count), target.head(count)) for count in counts}

    rungs = []
    for count, ranked in run_rungs(config, candidates, metric, features, truth, weights, folds):
        rungs.append((count, ranked))
        print(
            f"tune: rung {len(rungs)} of {len(counts)}: {len(ranked)} candidates on {count:,} rows; best "
            f"{metric.name} {value_of(metric, ranked[0].score(count)):.6g} with {_words(ranked[0])}",
            flush=True,
        )
    return rungs


def run_rungs(
    config: Config,
    candidates: list[Candidate],
    metric: Metric,
    features: pd.DataFrame,
    truth: np.ndarray,
    weights: np.ndarray | None,
    folds: dict[int, list[Fold]],
) -> Iterator[tuple[int, list[Candidate]]]:
    """Yield the rows and the candidates, best first, of each rung, computed where COMPUTE says; see `halve`.

    Args:
        config: which class is positive, and from which probability on.
        candidates: what is tried; the first one stays until the end.
        metric: what decides.
        features: what the model sees of the rows.
        truth: the target as metrics take it.
        weights: how much each row counts, if not all the same.
        folds: for each rung's number of rows, the first of all, the positions to fit and to judge on.
    """

    def judge(answer: tuple[np.ndarray, list[str] | None], count: int, fold: int) -> float:
        known = truth[folds[count][fold][1]]
        value = metric.compute(known, as_decided(config, *answer).with_classes_of(known))
        return value if metric.greater_is_better else -value

    data = {"features": features, "target": truth, "weights": weights, "folds": folds}
    with open_pool(data) as pool:
        yield from halve(candidates, {count: len(of) for count, of in folds.items()}, _shown(pool), judge)


def make_candidates(config: Config, features: pd.DataFrame, target: pd.Series) -> list[Candidate]:
    """Return the candidates of a search; the first one has the present params."""
    columns, model = sort_columns(features, kinds_of(config.path(TRAIN_FEATURES))), config.model
    made = []
    for params in draw_candidates(config):
        settings = model.model_copy(update={"params": {**model.params, **params}})
        try:
            made.append(make_candidate(config, settings, columns, target, params))
        except UserError as error:
            raise UserError(str(error).replace("model.params", "tune.params") if params else str(error)) from None
    return made


def make_candidate(
    config: Config, settings: Model, columns: Columns, target: pd.Series, params: dict[str, Any]
) -> Candidate:
    """Return a candidate with its pipeline, unfitted and on one thread, of which `params` are what sets it apart."""
    alone = {"n_jobs": 1} if settings.estimator.startswith("xgboost") else {}
    there = settings.model_copy(update={"params": {**settings.params, **alone}})
    pipeline = unfitted(config.model_copy(update={"model": there}), columns, target)
    if config.data.weight or settings.class_weight:
        check_weighable(pipeline[-1], settings)
    return Candidate(params, pipeline.set_params(estimator=on_scale(pipeline[-1], settings.transform, target)))


def _shown(pool: Pool) -> Pool:
    def run(work: Work, tasks: list[Any]) -> Iterator[Any]:
        answers = pool(work, tasks)
        return iter(track(answers, "tune", len(tasks), transient=True, disable=not sys.stdout.isatty()))

    return run


def _line(metric: Metric, rung: int, rows: int, candidate: Candidate) -> dict[str, Any]:
    scores = candidate.scores.get(rows)
    mean = value_of(metric, candidate.score(rows)) if not candidate.problem else None
    spread = float(f"{np.std(scores):.6g}") if scores else None
    return {"rung": rung, "rows": rows, metric.name: mean, "spread": spread, "params": json.dumps(candidate.params)}


def value_of(metric: Metric, score: float) -> float:
    """Return the metric whose score this is: of one that should be small, the score is its negative."""
    return float(f"{score if metric.greater_is_better else -score:.10g}")


def _words(candidate: Candidate) -> str:
    return ", ".join(f"{name}={value}" for name, value in candidate.params.items()) or "the present params"
