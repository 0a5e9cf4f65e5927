"""The estimator to begin with: of a few families, each with the defaults of model.py, the one that predicts best."""

from typing import Any

import numpy as np
import pandas as pd

from ...bundle.features import make_features
from ...core.config import PARAMS, Config, Model
from ...core.errors import UserError
from ...core.params_file import update_params
from ...data.feature_columns import sort_columns
from ...data.schema import Schema
from ...stages.evaluate import truth_of
from ...stages.split import TRAIN, combine, parts_of, words_of
from ...stages.target_scale import weigh_rows
from ...stats.metrics import Metric, find_metric
from ...stats.own_metrics import own_metrics
from ..profile.knobs import UNSET
from .folds import make_folds
from .halving import Candidate
from .search import make_candidate, run_rungs, value_of

USUAL: str = UNSET["model.estimator"]
CAREFUL = {"max_iter": 100, "max_leaf_nodes": 4}  # for a target of which little can be known
EAGER = {"max_iter": 400, "max_leaf_nodes": 31}  # for one of which nearly all can be
ROWS, CELLS = 10_000, 500_000  # that are looked at: enough to tell families apart in a minute


def choose_estimator(config: Config, schema: Schema, typed: pd.DataFrame) -> None:
    """Write another estimator into params.yaml if it beats the usual one by more than luck; print what was found.

    Only training rows are looked at, divided into tune.folds: of the differences between the two in each fold, the mean
    must be above its standard error, as in the rule for pruning trees of L. Breiman and others (Classification and
    Regression Trees, 1984). What somebody has set is left alone, and so is a project with a history, which is computed
    later.

    Args:
        config: what is set.
        schema: the contract.
        typed: rows as it types them, each with a target.
    """
    if config.model != Model(estimator=USUAL) or config.history.entity:
        return
    metric = find_metric(config.gate.primary, config.data.task, own_metrics(config))
    try:
        rows, usual, ranked = _rank(config, metric, schema, typed)
    except UserError as error:
        print(f"setup: model.estimator: {USUAL}, since families cannot be compared: {error}")
        return
    best = ranked[0]
    gains = np.subtract(best.scores[rows], usual.scores[rows])
    best = best if gains.mean() > gains.std(ddof=1) / len(gains) ** 0.5 else usual
    print(f"setup: {metric.name} by cross-validation on {rows:,} rows to train on:")
    for candidate in ranked:
        score = candidate.problem or f"{value_of(metric, candidate.score(rows)):.4f}"
        print(f"setup:   {score} {_words(candidate.params)}")
    if best is usual:
        print(f"setup: model.estimator: {USUAL} stays, for nothing beats it by more than luck")
        return
    params = dict(best.params)
    estimator = params.pop("estimator")
    new, old = (f"{value_of(metric, candidate.score(rows)):.4g}" for candidate in (best, usual))
    why = f"its {metric.name} is {new} by cross-validation, that of {USUAL} {old}"
    knobs = {"model.estimator": (estimator, f"guess: {why}")}
    if params:
        knobs["model.params"] = params, "guess: see model.estimator"
    update_params(config.path(PARAMS), knobs)
    print(f"setup: model.estimator: {_words(best.params)} (guess: {why})")


def _rank(
    config: Config, metric: Metric, schema: Schema, typed: pd.DataFrame
) -> tuple[int, Candidate, list[Candidate]]:
    """Return how many rows were looked at, the usual candidate, and all of them, best first."""
    words = words_of(typed)
    train = np.flatnonzero(parts_of(config, typed, words) == TRAIN)
    order = train[np.argsort(combine(words)[train], kind="stable")]
    rows = typed.iloc[order[: min(ROWS, CELLS // typed.shape[1])]].reset_index(drop=True)
    features, target = make_features(rows, config), rows[config.data.target]
    weights = weigh_rows(config, target, rows[config.data.weight] if config.data.weight else None)
    columns = sort_columns(features, schema.kinds)
    tried = [
        Model(estimator=USUAL),
        Model(estimator=USUAL, params=CAREFUL),
        Model(estimator=USUAL, params=EAGER),
        Model(estimator="random_forest"),
        Model(estimator="logistic" if config.data.task == "classification" else "linear"),
    ]
    candidates = [
        make_candidate(config, candidate, columns, target, {"estimator": candidate.estimator, **candidate.params})
        for candidate in tried
    ]
    folds = {len(rows): make_folds(config, rows, target)}
    count, ranked = next(run_rungs(config, candidates, metric, features, truth_of(config, target), weights, folds))
    if candidates[0].problem:
        raise UserError(candidates[0].problem)
    return count, candidates[0], ranked


def _words(params: dict[str, Any]) -> str:
    others = ", ".join(f"{name}={value}" for name, value in params.items() if name != "estimator")
    return f"{params['estimator']} with {others}" if others else str(params["estimator"])
