"""The canary report by simulation: what somebody finds who looks at a canary every day, and what a look costs.

Run by `bench/verdict.py` with the Python of a generated project, as `simulation.py` is, whose populations it takes: two
models of different kinds, one of them made worse until their true difference is the one that is asked for.
"""

import json
import os
import resource
import sys
import tempfile
import time
import warnings
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlops_actions.core.config import load_config
from mlops_actions.data.prediction_log.log import read_predictions, read_truths
from mlops_actions.monitoring.canary_report import COLUMNS, make_report
from mlops_actions.registry.versions import Assignment
from mlops_actions.stats import intervals, sequential
from mlops_actions.stats.metrics import find_metric
from mlops_actions.stats.verdict import verdict
from simulation import ROUNDS, Population, population, shifted

RUNS = 150  # of each case in one round
DAYS, TRUTHS, CHAMPIONS = 40, 150, 3  # how long, how many truths of the canary a day, and so many times of the champion
WAITED_FOR = 100  # as in a generated params.yaml
CONFIDENCE = 0.95
FALSE, RIGHT = 0.05, 0.90
SECONDS, MEGABYTES, ROWS = 30.0, 1500.0, 1_000_000
CANARIES = {
    "late": ["precision", "roc_auc", "average_precision", "log_loss"],
    "color": ["accuracy", "f1", "roc_auc"],
    "price": ["rmse", "mae", "median_absolute_error", "r2"],
}
SHADOWS = {"late": ["roc_auc", "log_loss"], "color": ["accuracy"], "price": ["rmse"]}
# In margins: worse by exactly the margin, which must not pass; as good; better; a harm that must be found.
GAINS = {"worse": -1, "equal": 0, "better": 1, "harm": -2}

Cell = tuple[str, str, bool]  # the population, the metric, whether the canary is a shadow
LEGEND = """
{runs} canaries of each kind, looked at on each of {days} days that bring {truths} truths each, and {champions} times as
many of the champion; a shadow has the champion's own rows. In percent of the canaries:
- worse by exactly the margin and promoted on some day (at most 5), so by the plain interval for one look (no bar), and
  the interval lost the truth on some day (at most 5);
- equal and promoted, equal and stopped (at most 5);
- better by the margin and promoted (at least 90), worse by two margins and stopped (at least 90).
In brackets the canary's truths by which half of those that were promoted or stopped had been."""


@dataclass(frozen=True)
class Found:
    """The shares of canaries that pass, are stopped, pass by a plain interval; whose interval loses the truth once.

    `passes` and `stops` are the truths of the canary at which half of those that do so have done it.
    """

    margin: float
    passed: float
    stopped: float
    peeked: float
    lost: float
    passes: float
    stops: float


def main() -> int:
    """Print every figure; return 1 where one misses its bar."""
    cells = [(name, metric, False) for name, metrics in CANARIES.items() for metric in metrics]
    cells += [(name, metric, True) for name, metrics in SHADOWS.items() for metric in metrics]
    with ProcessPoolExecutor(os.cpu_count() or 1) as workers:
        for name in CANARIES:
            population(name)  # trained once, read back by the workers
        started = {(cell, case): workers.submit(watch, *cell, case) for cell in cells for case in GAINS}
        missed = show(started, cells)
    with ProcessPoolExecutor(1) as worker:
        missed += show_cost(*worker.submit(cost).result())
    print(f"\n{missed} figures miss their bar." if missed else "\nEvery figure meets its bar.")
    return int(missed > 0)


def watch(name: str, metric_name: str, paired: bool, case: str) -> Found:
    """Return what looking every day finds of canaries whose true gain is that of the case."""
    metric = find_metric(metric_name, population(name).task)
    margin = margin_of(population(name), metric)
    whole = shifted(name, metric, GAINS[case] * margin, near=margin / 50)
    assert whole is not None, f"{name}: no blend of these models differs by so much in {metric_name}"
    truth = whole.gain(metric)
    margin = -truth if case == "worse" else margin
    random = np.random.default_rng(6)
    runs = [follow(whole, metric, paired, margin, truth, case, random) for _ in range(ROUNDS * RUNS)]
    passes, stops, peeks, losses = np.array(runs).T
    shares = [float(np.isfinite(days).mean()) for days in (passes, stops, peeks, losses)]
    return Found(margin, *shares, *(TRUTHS * median(days[np.isfinite(days)]) for days in (passes, stops)))


def median(days: np.ndarray) -> float:
    """Return the day by which half of them were over, NaN of none."""
    return float(np.median(days)) if len(days) else float("nan")


def margin_of(whole: Population, metric: Any) -> float:
    """Return a margin that so much traffic can tell: five standard errors of its last day, to two digits."""
    some = np.random.default_rng(7).integers(len(whole.truth), size=DAYS * TRUTHS)
    error = intervals.estimate(metric, whole.truth[some], whole.champion.take(some))[1]
    return float(f"{5 * error * np.sqrt(1 + 1 / CHAMPIONS):.2g}")


def follow(
    whole: Population, metric: Any, paired: bool, margin: float, truth: float, case: str, random: np.random.Generator
) -> tuple[float, float, float, float]:
    """Return the day on which one canary first passes, is stopped, passes plainly, and its interval is off."""
    champions = random.integers(len(whole.truth), size=DAYS * TRUTHS * CHAMPIONS)
    canaries = champions if paired else random.integers(len(whole.truth), size=DAYS * TRUTHS)
    compare = sequential.compare_paired if paired else sequential.compare_independent
    first = dict.fromkeys(("passes", "stops", "peeks", "losses"), np.inf)
    for day in range(1, DAYS + 1):
        some = champions[: day * TRUTHS * (1 if paired else CHAMPIONS)], canaries[: day * TRUTHS]
        samples = [
            sequential.Sample(whole.truth[rows], model.take(rows))
            for rows, model in zip(some, (whole.champion, whole.candidate), strict=True)
        ]
        if sequential.why_not(metric, *samples, WAITED_FOR):
            continue
        found = compare(metric, *samples, CONFIDENCE, WAITED_FOR)
        if found is None:  # such as precision, where a version has not said yes yet
            continue
        plain = found.gain - intervals.quantile(CONFIDENCE, found.df) * found.error
        ruling = verdict(found.low, found.high, margin)
        seen = {
            "passes": ruling in ("better", "not worse"),
            "stops": ruling == "worse",
            "peeks": plain >= -margin,
            "losses": not found.low <= truth <= found.high,
        }
        first |= {name: day for name, is_so in seen.items() if is_so and first[name] == np.inf}
        if case != "worse" and np.isfinite(min(first["passes"], first["stops"])):
            break  # the canary is promoted, or gone
    return first["passes"], first["stops"], first["peeks"], first["losses"]


def show(started: dict[tuple[Cell, str], "Future[Found]"], cells: list[Cell]) -> int:
    """Print what is found as a table, a line as soon as it is known; return how many figures miss their bar."""
    false, right = (2 * np.sqrt(share * (1 - share) / (ROUNDS * RUNS)) for share in (FALSE, RIGHT))
    print(LEGEND.format(runs=ROUNDS * RUNS, days=DAYS, truths=TRUTHS, champions=CHAMPIONS))
    print(f"(* beyond it by more than luck explains: {100 * false:.1f} points at 5 %, {100 * right:.1f} at 90 %)\n")
    print("| | margin | worse | plain | lost | equal | stopped | better | harm |")
    print(f"|{9 * '---|'}")

    def at_most(share: float) -> str:
        return f"{100 * share:.1f}{'*' if share > FALSE + false else ''}"

    def at_least(share: float) -> str:
        return f"{100 * share:.1f}{'*' if share < RIGHT - right else ''}"

    missed = 0
    for cell in cells:
        worse, equal, better, harm = (started[cell, case].result() for case in GAINS)
        name, metric, paired = cell
        columns = [
            f"{name}: {metric}{', shadow' if paired else ''}",
            f"{worse.margin:.2g}",
            at_most(worse.passed),
            f"{100 * worse.peeked:.1f}",
            at_most(worse.lost),
            f"{100 * equal.passed:.1f} ({equal.passes:,.0f})",
            at_most(equal.stopped),
            f"{at_least(better.passed)} ({better.passes:,.0f})",
            f"{at_least(harm.stopped)} ({harm.stops:,.0f})",
        ]
        missed += sum("*" in column for column in columns)
        print(f"| {' | '.join(columns)} |", flush=True)
    return missed


def show_cost(seconds: float, megabytes: float) -> int:
    """Print what a report costs; return how many of its figures miss their bar."""
    print(
        f"\na report on {ROWS:,} logged rows, nine in ten with their truth: {seconds:.1f} s, {megabytes:.0f} MB in all"
    )
    return int(seconds > SECONDS) + int(megabytes > MEGABYTES)


def cost() -> tuple[float, float]:
    """Return the seconds and the peak of memory of one process that reads a log and reports on it."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    given = Assignment("canary", "v1.1.0", "model#canary#2", "", began, "Ada", "to try it")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ProcessPoolExecutor(1) as other:  # whose memory does not count
            other.submit(write_log, folder).result()
        started = time.perf_counter()
        made = make_report(load_config(), given, read_predictions(folder, COLUMNS, given.time), read_truths(folder))
    assert made.metrics[0].why is None
    return time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_log(folder: Path) -> None:
    """Write a log of as many rows, a tenth of them the canary's, and the truth about nine in ten."""
    random = np.random.default_rng(8)
    hit, canary = random.random(ROWS) < 0.2, random.random(ROWS) < 0.1
    chances = 1 / (1 + np.exp(1 - 2 * hit - 1.5 * random.normal(size=ROWS)))
    times = pd.Timestamp(2026, 1, 2, tz="UTC") + pd.to_timedelta(np.sort(20 * random.random(ROWS)), unit="D")
    ids = [f"{random.bytes(16).hex()}-0" for _ in range(ROWS)]
    rows = pd.DataFrame(
        {
            "id": ids,
            "time": times.as_unit("us"),
            "version": np.where(canary, "v1.1.0", "v1.0.0"),
            "role": np.where(canary, "canary", "champion"),
            "key": [f"customer {number}" for number in range(ROWS)],
            "row": json.dumps({f"column {number}": number / 7 for number in range(30)}),
            "answer": [
                json.dumps(
                    {"prediction": "yes" if chance > 0.5 else "no", "probabilities": {"no": 1 - chance, "yes": chance}}
                )
                for chance in chances.tolist()
            ],
            "error": pd.Series([None] * ROWS, dtype="str"),
            "latency_ms": random.gamma(2, 0.5, ROWS),
        }
    )
    for start in range(0, ROWS, 50_000):
        rows[start : start + 50_000].to_parquet(folder / f"log-{start:07d}.parquet")
    told = random.random(ROWS) < 0.9
    truths = rows.loc[told, ["id", "time"]].assign(truth=np.where(hit[told], "yes", "no"))
    truths.to_parquet(folder / "feedback-0.parquet")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    began = time.perf_counter()
    status = main()
    print(f"{time.perf_counter() - began:.0f} s")
    sys.exit(status)
