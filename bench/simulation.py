"""The gate by simulation: how often its intervals hold the truth, what it blocks, what it catches, how long it takes.

Run by `bench/verdict.py` with the Python of a generated project: `simulation.py FOLDER ROUNDS`. Two models of
different kinds are trained on real rows; the rest of the rows, with both models' predictions, are the population. Test
sets are drawn from it with replacement, so the true difference is known exactly: it is the population's.
"""

import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlops_actions.stats import intervals as engine
from mlops_actions.stats.metrics import Predictions, find_metric, metrics_of
from mlops_actions.stats.verdict import passes, verdict
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDER, ROUNDS = Path(sys.argv[1]), int(sys.argv[2])

# Test sets of each size in one round: fewer where each takes long.
SETS = {200: 1000, 1_000: 700, 5_000: 500, 20_000: 200, 50_000: 130}
# The gate takes 2,000 resamples; with these, bounds move by some 0.1 standard errors more, and it takes minutes.
RESAMPLES = 400
MARGIN = 0.01  # what a generated params.yaml says
USELESS = 0.05  # a size that needs a wider margin does not allow to catch a drop: the bar for that is not asked of it
COVERAGE = 0.93, 0.97
BLOCKED, CAUGHT = 0.05, 0.90
SECONDS, MEGABYTES = 10.0, 300.0
# The metrics that decide in (b) and (c), in units for which a margin of 0.01 has a meaning.
DECIDING = {"late": ["roc_auc", "accuracy"], "color": ["roc_auc", "balanced_accuracy"], "price": ["r2", "mape"]}
PRIMARY = {"late": "roc_auc", "color": "roc_auc", "price": "r2"}


@dataclass(frozen=True)
class Population:
    """Rows with a truth, and what two models of different kinds predict for them."""

    truth: np.ndarray
    champion: Any
    candidate: Any

    @property
    def task(self) -> str:
        """Return classification or regression."""
        return "regression" if self.champion.classes is None else "classification"

    def draw(self, rows: int, random: np.random.Generator) -> tuple[np.ndarray, Any, Any]:
        """Return a test set: the truth and both models' predictions."""
        chosen = random.integers(len(self.truth), size=rows)
        return self.truth[chosen], self.champion.take(chosen), self.candidate.take(chosen)

    def gain(self, metric: Any) -> float:
        """Return the true gain: how much better the candidate is."""
        sign = 1 if metric.greater_is_better else -1
        return sign * (metric.compute(self.truth, self.candidate) - metric.compute(self.truth, self.champion))


@dataclass(frozen=True)
class Coverage:
    """The shares of intervals that hold the truth, and of those that lie above it.

    The latter is how often a model that is worse by exactly the margin would be called not worse.
    """

    held: float
    above: float


def main() -> int:
    """Print every figure; return 1 where one misses its bar."""
    missed = 0
    with ProcessPoolExecutor(os.cpu_count() or 1) as workers:
        for name in DECIDING:
            population(name)  # trained once, read back by the workers
        cells = [(name, rows) for rows in reversed(SETS) for name in DECIDING]
        deciding = [(name, metric, rows) for name, rows in cells for metric in DECIDING[name]]
        covered = [workers.submit(coverage, *cell) for cell in cells]
        decided = [workers.submit(decisions, *cell) for cell in deciding]
        limits = [workers.submit(coverage, name, 1_000) for name in LIMITS]
        missed += show_coverage(dict(zip(cells, (one.result() for one in covered), strict=True)))
        missed += show_decisions(dict(zip(deciding, (one.result() for one in decided), strict=True)))
        show_limits(dict(zip(LIMITS, (one.result() for one in limits), strict=True)))
    missed += show_costs()
    print(f"\n{missed} figures miss their bar." if missed else "\nEvery figure meets its bar.")
    return int(missed > 0)


@cache
def population(name: str) -> Population:
    """Return a population by name, its models trained the first time that it is asked for."""
    file = FOLDER / f"{name}.npz"
    if not file.exists():
        make_population(name, file)
    held = np.load(file, allow_pickle=True)
    classes = held["classes"].tolist() or None
    models = (Predictions(held[model], classes) for model in ("champion", "candidate"))
    return Population(held["truth"], *models)


def make_population(name: str, file: Path) -> None:
    """Train both models of a population and write what they predict for the rows that neither saw."""
    features, target, models = (DATA | LIMITS)[name]()
    random = np.random.default_rng(0)
    order = random.permutation(len(target))[:120_000]
    train, test = order[:6_000], order[6_000:]
    said: dict[str, Any] = {"truth": target[test], "classes": np.array([])}
    for role, model in zip(("champion", "candidate"), models, strict=True):
        model.fit(features.iloc[train], target[train])
        rows = features.iloc[test]
        said[role] = np.asarray(model.predict_proba(rows) if hasattr(model, "classes_") else model.predict(rows), float)
        said["classes"] = np.array(getattr(model, "classes_", []), dtype=object)
    np.savez(file, **said)


def read(table: str) -> pd.DataFrame:
    """Return a table whose words are numbers, as trees take them."""
    rows = pd.read_csv(FOLDER / f"{table}.csv")
    for column in rows.select_dtypes(exclude="number"):
        rows[f"{column}_"] = rows[column].astype("category").cat.codes
    return rows


def late() -> tuple[pd.DataFrame, np.ndarray, list[Any]]:
    """Return flights of New York in 2013: is one late by more than a quarter of an hour?"""
    rows = read("flights")
    columns = ["month", "day", "sched_dep_time", "sched_arr_time", "carrier_", "origin_", "dest_", "distance"]
    target = np.where(rows["arr_delay"] > 15, "yes", "no").astype(object)
    return rows[columns], target, classifiers()


def color() -> tuple[pd.DataFrame, np.ndarray, list[Any]]:
    """Diamonds: which of seven colors?"""
    rows = read("diamonds")
    target = rows["color"].to_numpy(object)
    return rows.select_dtypes("number").drop(columns="color_"), target, classifiers()


def price() -> tuple[pd.DataFrame, np.ndarray, list[Any]]:
    """Diamonds: what do they cost?"""
    rows = read("diamonds")
    models = [HistGradientBoostingRegressor(random_state=0, max_iter=60), forest(RandomForestRegressor)]
    return rows.select_dtypes("number").drop(columns="price"), rows["price"].to_numpy(float), models


def rare() -> tuple[pd.DataFrame, np.ndarray, list[Any]]:
    """Diamonds: is the cut fair, as three in a hundred are?"""
    rows = read("diamonds")
    target = np.where(rows["cut"] == "Fair", "yes", "no").astype(object)
    return rows.select_dtypes("number").drop(columns="cut_"), target, classifiers()


def tails() -> tuple[pd.DataFrame, np.ndarray, list[Any]]:
    """Flights: by how much are they late? A few are by a day, and a linear model is far off for those alone."""
    rows = read("flights")
    columns = ["month", "sched_dep_time", "carrier_", "origin_", "dest_", "distance", "dep_delay"]
    models = [HistGradientBoostingRegressor(random_state=0, max_iter=60), make_pipeline(StandardScaler(), Ridge())]
    return rows[columns], rows["arr_delay"].to_numpy(float), models


def classifiers() -> list[Any]:
    """Return two classifiers of different kinds."""
    return [HistGradientBoostingClassifier(random_state=0, max_iter=60), forest(RandomForestClassifier)]


def forest(kind: Callable[..., Any]) -> Any:
    """Return a forest that is quick to train and to ask."""
    return kind(60, min_samples_leaf=5, random_state=0, n_jobs=2)


DATA = {"late": late, "color": color, "price": price}
LIMITS = {"rare": rare, "tails": tails}


def coverage(name: str, rows: int) -> dict[str, Coverage]:
    """Return, by metric, what its interval did to the truth."""
    engine.RESAMPLES = RESAMPLES
    whole = population(name)
    metrics = {key: one for key, one in metrics_of(whole.task).items() if np.isfinite(whole.gain(one))}
    truth = {key: whole.gain(metric) for key, metric in metrics.items()}
    random = np.random.default_rng(1)
    intervals: dict[str, list[Any]] = {key: [] for key in metrics}
    for _ in range(sets_of(rows)):
        found = engine.paired_intervals(list(metrics.values()), *whole.draw(rows, random), confidence=0.95)
        for key, one in found.items():
            intervals[key].append(one)
    return {
        key: Coverage(
            held=float(np.mean([one.low <= truth[key] <= one.high for one in drawn])),
            above=float(np.mean([truth[key] < one.low for one in drawn])),
        )
        for key, drawn in intervals.items()
        if drawn
    }


def decisions(name: str, metric_name: str, rows: int) -> dict[str, float]:
    """Return what the gate does to an equally good model and to one that is worse by twice the margin.

    `blocked` and `caught` are with `margin`: the default, or what reports on test sets of this size advise where that
    is more (by the mean of their squares);
    `blocked_default` and `caught_default` are with the default.
    """
    metric = find_metric(metric_name, population(name).task)
    random = np.random.default_rng(2)
    equal = shifted(name, metric, 0.0)
    assert equal is not None
    sure = [engine.paired_estimate(metric, *equal.draw(rows, random))[1:] for _ in range(100)]
    advised = [engine.enough_margin(*one, BLOCKED) for one in sure]
    margin = max(MARGIN, float(f"{np.sqrt(np.mean(np.square(advised))):.2g}"))
    found = {"margin": margin, "blocked": blocks(equal, metric, rows, margin)}
    found["caught"] = blocks(shifted(name, metric, -2 * margin), metric, rows, margin)
    if margin == MARGIN:
        return found | {"blocked_default": found["blocked"], "caught_default": found["caught"]}
    found["blocked_default"] = blocks(equal, metric, rows, MARGIN)
    found["caught_default"] = blocks(shifted(name, metric, -2 * MARGIN), metric, rows, MARGIN)
    return found


def blocks(whole: Population | None, metric: Any, rows: int, margin: float) -> float:
    """Return the share of test sets on which the gate blocks the candidate, by the policy `estimate`."""
    if whole is None:
        return float("nan")
    random, blocked = np.random.default_rng(3), 0
    for _ in range(sets_of(rows)):
        gain, error, df = engine.paired_estimate(metric, *whole.draw(rows, random))
        reach = engine.quantile(0.95, df) * error
        found = verdict(gain - reach, gain + reach, margin)
        blocked += not passes(found, gain, margin, "estimate")
    return blocked / sets_of(rows)


def sets_of(rows: int) -> int:
    """Return how many test sets of a size are drawn."""
    return ROUNDS * SETS[rows]


def shifted(name: str, metric: Any, gain: float, near: float = 1e-3) -> Population | None:
    """Return a population in which the candidate's true gain is `gain`, None where these models cannot be made so bad.

    The two models stay different: the better one is made worse until the population's difference is `gain`. A
    classifier gives some rows the answer to another row, which is a drop in any metric; numbers are blended with those
    of others.
    """
    whole = population(name)
    random = np.random.default_rng(4)
    shuffled, order = random.permutation(len(whole.truth)), random.random(len(whole.truth))

    def worse(model: Any, by: float) -> Any:
        share = by if model.classes is None else (order < by)[:, None]
        return Predictions((1 - share) * model.values + share * model.values[shuffled], model.classes)

    def at(by: float) -> Population:
        if whole.gain(metric) < gain:
            return Population(whole.truth, worse(whole.champion, by), whole.candidate)
        return Population(whole.truth, whole.champion, worse(whole.candidate, by))

    low, high = 0.0, 0.9
    rising = whole.gain(metric) < gain
    for _ in range(18):
        middle = (low + high) / 2
        low, high = (middle, high) if (at(middle).gain(metric) < gain) == rising else (low, middle)
    found = at(low)
    return found if abs(found.gain(metric) - gain) < near else None


def show_coverage(found: dict[tuple[str, int], dict[str, Coverage]]) -> int:
    """Print how often intervals hold the truth, by metric and size; return how many are outside their bar."""
    print(
        "\n(a) 95 % intervals that hold the truth, in percent: the bar is 93 to 97;"
        " and those that lie above it, nominally 2.5"
    )
    sets = ", ".join(f"{100 * chance(rows):.1f} of {sets_of(rows):,} at {rows:,} rows" for rows in SETS)
    print(f"    (* outside it by more than luck explains: two standard errors of so many test sets, {sets})")
    print(f"{'':32}" + "".join(f"{rows:>14,}" for rows in SETS))
    missed = 0
    for name in DECIDING:
        for metric in found[name, max(SETS)]:
            cells = ""
            for rows in SETS:
                one = found[name, rows].get(metric, Coverage(np.nan, np.nan))
                bad = not COVERAGE[0] - chance(rows) <= one.held <= COVERAGE[1] + chance(rows)
                missed += bad
                cells += f"{100 * one.held:8.1f}{'*' if bad else ' '}{100 * one.above:5.1f}"
            print(f"{name + ': ' + metric:32}{cells}", flush=True)
    return missed


def chance(rows: int, share: float = 0.95) -> float:
    """Return two standard errors of a share among the test sets of a size."""
    return 2 * float(np.sqrt(share * (1 - share) / sets_of(rows)))


def show_decisions(found: dict[tuple[str, str, int], dict[str, float]]) -> int:
    """Print what is blocked and caught, by metric and size; return how many figures miss their bar."""
    print(
        "\n(b, c) blocked though equally good (at most 5 %), and caught when worse by twice the margin (at least 90 %);"
        " * as above"
    )
    print(f"{'':40}{'margin':>8}{'blocked':>9}{'caught':>9}   with the default 0.01: blocked, caught")
    missed = 0
    for name, metrics in DECIDING.items():
        for metric in metrics:
            for rows in SETS:
                one = found[name, metric, rows]
                bad = one["blocked"] > BLOCKED + chance(rows, BLOCKED)
                lost = one["caught"] < CAUGHT - chance(rows, CAUGHT) and one["margin"] <= USELESS
                missed += bad + lost
                print(
                    f"{f'{name}: {metric}, {rows:,} rows':40}{one['margin']:8.3g}{100 * one['blocked']:8.1f}"
                    f"{'*' if bad else ' '}{100 * one['caught']:8.1f}{'*' if lost else ' '}"
                    f"{100 * one['blocked_default']:12.1f}{100 * one['caught_default']:8.1f}",
                    flush=True,
                )
    return missed


def show_limits(found: dict[str, dict[str, Coverage]]) -> None:
    """Print where intervals hold the truth less often, for which there is no bar."""
    print("\nWhere 1,000 rows are few: a class that three rows in a hundred have; errors that a few rows make up")
    for name, metrics in found.items():
        print(f"  {name}: " + ", ".join(f"{metric} {100 * one.held:.1f}" for metric, one in metrics.items()))


def show_costs() -> int:
    """Print the seconds and the memory of an interval of 100,000 rows; return how many metrics miss their bar."""
    print(f"\n(d) one interval of 100,000 rows, {GATES_RESAMPLES:,} resamples: at most 10 s and 300 MB more")
    missed = 0
    for name in ("late", "price"):
        whole = population(name)
        more = ["matthews_corrcoef"] if whole.task == "classification" else ["neg_mean_poisson_deviance"]
        names = [*metrics_of(whole.task), *more]
        for metric in names:
            with ProcessPoolExecutor(1) as worker:
                seconds, megabytes = worker.submit(cost, name, metric).result()
            bad = seconds > SECONDS or megabytes > MEGABYTES
            missed += bad
            print(f"{name + ': ' + metric:40}{seconds:7.2f} s{megabytes:7.0f} MB{' *' if bad else ''}", flush=True)
    return missed


def cost(name: str, metric: str) -> tuple[float, float]:
    """Return the seconds and the megabytes that one interval of 100,000 rows takes."""
    whole = population(name)
    rows = whole.draw(100_000, np.random.default_rng(5))
    wanted = find_metric(metric, whole.task)
    engine.paired_intervals([wanted], *whole.draw(100, np.random.default_rng(5)), confidence=0.95)  # imports
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    engine.paired_intervals([wanted], *rows, confidence=0.95)
    return time.perf_counter() - started, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


GATES_RESAMPLES = engine.RESAMPLES

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    started = time.perf_counter()
    status = main()
    print(f"{time.perf_counter() - started:.0f} s")
    sys.exit(status)
