"""What tests of the canary report compute inside a generated project, on made-up live traffic; see inside.py."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import inside
import numpy as np
import pandas as pd
from mlops_actions.core.config import Config, load_config
from mlops_actions.data.prediction_log.log import PREDICTIONS, TRUTHS
from mlops_actions.monitoring.canary_report import make_report
from mlops_actions.monitoring.canary_text import render
from mlops_actions.registry.versions import Assignment
from mlops_actions.stats import sequential
from mlops_actions.stats.intervals import estimate, quantile
from mlops_actions.stats.metrics import Predictions, find_metric
from mlops_actions.stats.sequential import Sample, compare_independent, compare_paired
from pyarrow import Schema, Table, parquet

BEGIN = datetime(2026, 11, 2, tzinfo=UTC)
WAITED_FOR = 100
Population = tuple[np.ndarray, Predictions, Predictions]


@cache
def make_population(task: str) -> Population:
    """The truth about 200,000 requests, and what a good and a worse model say to them."""
    random = np.random.default_rng(0)
    rows = 200_000
    if task == "regression":
        truth = random.gamma(2, 10, rows)
        good, worse = (Predictions(truth + spread * random.standard_t(5, rows)) for spread in (5.0, 6.5))
        return truth, good, worse
    hit = random.random(rows) < 0.3
    shared = random.normal(size=rows)
    models = []
    for spread in (1.3, 1.8):
        score = 2 * hit - 1 + spread * (0.8 * shared + 0.6 * random.normal(size=rows))
        probability = 1 / (1 + np.exp(np.log(7 / 3) - 2 * score / spread**2))
        models.append(Predictions(np.column_stack([1 - probability, probability]), ["no", "yes"]))
    return np.where(hit, "yes", "no").astype(object), *models


def do_watch(root: Path, metric: str, task: str, case: str, runs: int, looks: list[int]) -> dict[str, Any]:
    """What somebody finds who looks at a canary after each batch of truths, again and again.

    The margin is the difference between two models. In the case `bad` the canary is worse by exactly it, in `good`
    better by it, and in `awful` worse by it where the margin is an eighth of that; `shadow` is `bad` on the same rows.

    Returns:
        The shares of runs that found the canary not worse at any look, by the interval that allows to look, by one that
        does not, and by the first at the last look alone; the share whose interval lost the truth at any look; the
        share that found what is the case; and at how many truths half of them had found it.
    """
    truth, good, worse = make_population(task)
    measure = find_metric(metric, task)
    before, now = (worse, good) if case == "good" else (good, worse)
    gain = estimate(measure, truth, now)[0] - estimate(measure, truth, before)[0]
    margin = abs(gain) / (8 if case == "awful" else 1)
    random = np.random.default_rng(1)
    found: dict[str, list[float]] = {"passed": [], "peeked": [], "lost": [], "found": [], "truths": []}
    for _ in range(runs):
        rows = random.integers(len(truth), size=(2, looks[-1]))
        passed = peeked = lost = False
        when = np.inf
        for look in looks:
            one, other = rows[0, :look], rows[0 if case == "shadow" else 1, :look]
            compare = compare_paired if case == "shadow" else compare_independent
            samples = Sample(truth[one], before.take(one)), Sample(truth[other], now.take(other))
            interval = compare(measure, *samples, 0.95, WAITED_FOR)
            assert interval is not None
            passed |= interval.low >= -margin
            peeked |= interval.gain - quantile(0.95, interval.df) * interval.error >= -margin
            lost |= not interval.low <= gain <= interval.high
            if interval.low > 0 if case == "good" else interval.high < -margin:
                when = min(when, look)
            if case in ("good", "awful") and np.isfinite(when):
                break
        for name, value in (("passed", passed), ("peeked", peeked), ("lost", lost), ("found", np.isfinite(when))):
            found[name].append(value)
        found["truths"].append(when)
    return {name: float(np.mean(values)) for name, values in found.items() if name != "truths"} | {
        "truths": float(np.median(found["truths"]))
    }


def do_interval(root: Path, metric: str, case: str, rows: int = 300) -> list[float] | None:
    """Gain, bounds and error where the two samples are odd."""
    random = np.random.default_rng(2)
    if case == "exact numbers":
        samples = [Sample(values := random.normal(size=rows), Predictions(values)) for _ in range(2)]
        found = compare_independent(find_metric(metric, "regression"), *samples, 0.95, WAITED_FOR)
        return None if found is None else [found.gain, found.low, found.high, found.error]
    truth, good, worse = make_population("classification")
    chosen = random.integers(len(truth), size=(2, rows))
    samples = [Sample(truth[some], said.take(some)) for some, said in zip(chosen, (good, worse), strict=True)]
    if case == "all right":
        hits = [np.column_stack([one.truth == "no", one.truth == "yes"]) * 0.8 + 0.1 for one in samples]
        samples = [Sample(one.truth, Predictions(hit, ["no", "yes"])) for one, hit in zip(samples, hits, strict=True)]
    if case in ("repeated", "grouped"):
        again = np.repeat(np.arange(rows), 5)
        groups = again if case == "grouped" else None
        samples = [Sample(one.truth[again], one.said.take(again), groups) for one in samples]
    measure = find_metric(metric, "classification")
    found = compare_independent(measure, *samples, 0.95, WAITED_FOR)
    return None if found is None else [found.gain, found.low, found.high, found.error]


def do_quantiles(root: Path) -> dict[str, Any]:
    """The quantile by age, and what simulation finds of the rate's bounds at every look at once."""
    ages = [0.1, 0.5, 1, 2, 10, 100]
    random = np.random.default_rng(3)
    looks = np.unique(np.geomspace(1, 3000, 60).astype(int))
    lost = []
    for _ in range(300):
        counts = np.cumsum(random.random(looks[-1]) < 0.02)[looks - 1]
        bounds = [
            sequential.rate_interval(int(count), int(total), 0.95) for count, total in zip(counts, looks, strict=True)
        ]
        lost.append(any(not low <= 0.02 <= high for low, high in bounds))
    return {
        "ages": ages,
        "normal": [sequential.always_valid_quantile(age, 1e9, 0.95) for age in ages],
        "student": [sequential.always_valid_quantile(age, 10, 0.95) for age in ages],
        "lost": float(np.mean(lost)),
        "none": sequential.rate_interval(0, 0, 0.95),
        "never": sequential.rate_interval(0, 1000, 0.95),
        "always": sequential.rate_interval(50, 50, 0.95),
    }


def make_log(
    task: str,
    requests: int = 4000,
    share: float = 0.5,
    told: float = 1.0,
    failing: float = 0.0,
    slow: float = 1.0,
    swapped: bool = False,
    shadow: bool = False,
    version: str = "v1.1.0",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The log of two versions, of which the canary is the worse one unless `swapped`, and the truths that arrived."""
    truth, *models = make_population(task)
    random = np.random.default_rng(4)
    rows = random.integers(len(truth), size=requests)
    times = BEGIN + np.arange(requests) * timedelta(seconds=1)
    new = random.random(requests) < share
    fails = new & (random.random(requests) < failing)
    latency = random.gamma(4, 0.5, requests)
    parts = []
    for role, name, model, some in (
        ("champion", "v1.0.0", models[swapped], np.flatnonzero(~new | fails)),
        ("shadow" if shadow else "canary", version, models[not swapped], np.flatnonzero(new)),
        ("champion", "v1.0.0", models[swapped], np.flatnonzero(new & ~fails) if shadow else []),
    ):
        failed = fails[some] & (role != "champion")
        part = {
            "id": [f"r{number}" for number in some],
            "time": times[some],
            "version": name,
            "role": role,
            "key": None,
            "row": "{}",
            "answer": [None if bad else text for bad, text in zip(failed, write(model.take(rows[some])), strict=True)],
            "error": [("it raised" if bad else None) for bad in failed],
            "latency_ms": latency[some] * (1 if role == "champion" else slow),
        }
        parts.append(pd.DataFrame(part))
    arrived = np.flatnonzero(random.random(requests) < told)
    names = [f"r{number}" for number in arrived]
    told_of = {"id": names, "time": times[arrived], "truth": truth[rows[arrived]].astype(str)}
    return as_read(pd.concat(parts), PREDICTIONS), as_read(pd.DataFrame(told_of), TRUTHS)


def as_read(frame: pd.DataFrame, columns: Schema) -> pd.DataFrame:
    return Table.from_pandas(frame, columns, preserve_index=False).to_pandas()


def write(said: Predictions) -> list[str]:
    """Answers as the server writes them."""
    if said.classes is None:
        return [json.dumps({"prediction": value}) for value in said.values.tolist()]
    chances = (dict(zip(said.classes, row, strict=True)) for row in said.values.tolist())
    pairs = zip(said.labels, chances, strict=True)
    return [json.dumps({"prediction": label, "probabilities": chance}) for label, chance in pairs]


def configure(root: Path, task: str, gate: dict[str, Any], canary: dict[str, Any], data: dict[str, Any]) -> Config:
    config = load_config(root)
    primary = {"primary": "mae" if task == "regression" else "accuracy", "margin": 0.01, "guards": {}} | gate
    settings = config.serving.canary.model_copy(update=canary)
    return config.model_copy(
        update={
            "data": config.data.model_copy(update={"task": task, **data}),
            "gate": config.gate.model_copy(update=primary),
            "serving": config.serving.model_copy(update={"canary": settings}),
        }
    )


def do_report(
    root: Path,
    task: str = "classification",
    gate: dict[str, Any] | None = None,
    canary: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    change: str = "",
    role: str = "canary",
    paired: bool = False,
    since: int = 0,
    cut_off: str | None = None,
    **traffic: Any,
) -> dict[str, Any]:
    """The report on a made-up log, and its text; `change` is code that changes the frames `log` and `truths`."""
    log, truths = make_log(task, **traffic)
    frames = {"log": log, "truths": truths, "pd": pd, "np": np, "begin": pd.Timestamp(BEGIN)}
    exec(change, frames)
    config = configure(root, task, gate or {}, canary or {}, data or {})
    began = BEGIN + timedelta(seconds=since)
    assignment = Assignment(role, "v1.1.0", "model#canary#2", "", began, "Ada", "to try it")
    made = make_report(config, assignment, frames["log"], frames["truths"], paired, cut_off)
    return {**asdict(made), "text": render(made), "same": json.loads(made.to_json()).items() >= asdict(made).items()}


def do_hear(root: Path, there: str, words: list[str]) -> tuple[int, str, str]:
    """What `mlops WORDS` says in another project; see inside.py."""
    return inside.do_hear(Path(there), words)


def do_write(root: Path, folder: str, **traffic: Any) -> None:
    """A log's files, the predictions in two segments."""
    log, truths = make_log("classification", **traffic)
    Path(folder).mkdir(parents=True)
    half = len(log) // 2
    for name, frame, columns in (
        ("log-1", log[:half], PREDICTIONS),
        ("log-2", log[half:], PREDICTIONS),
        ("feedback-1", truths, TRUTHS),
    ):
        parquet.write_table(Table.from_pandas(frame, columns, preserve_index=False), Path(folder) / f"{name}.parquet")
