"""Made-up live traffic: what two versions answer, the log that a server keeps of it, and the truths that come true."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from mlops_actions.data.prediction_log.log import PREDICTIONS
from mlops_actions.data.prediction_log.log import TRUTHS as NOW
from mlops_actions.stats.metrics import Predictions
from pyarrow import Schema, Table, parquet, schema

TRUTHS = schema([NOW.field(name) for name in ("id", "time", "truth")])
BEGIN = datetime(2026, 11, 2, tzinfo=UTC)
Population = tuple[np.ndarray, Predictions, Predictions]


@cache
def make_population(task: str) -> Population:
    """Return the truth about 200,000 requests, and what a good and a worse model answer."""
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
    """Return the log of two versions, the canary the worse one unless `swapped`, and the truths that arrived."""
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
        answers = answers_of(model.take(rows[some]))
        part = {
            "id": [f"r{number}" for number in some],
            "time": times[some],
            "version": name,
            "role": role,
            "key": None,
            "row": "{}",
            "answer": [None if bad else answer for bad, answer in zip(failed, answers, strict=True)],
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


def answers_of(said: Predictions) -> list[str]:
    """Return answers as the server writes them."""
    if said.classes is None:
        return [json.dumps({"prediction": value}) for value in said.values.tolist()]
    chances = (dict(zip(said.classes, row, strict=True)) for row in said.values.tolist())
    pairs = zip(said.labels, chances, strict=True)
    return [json.dumps({"prediction": label, "probabilities": chance}) for label, chance in pairs]


def write_log(folder: Path, log: pd.DataFrame, truths: pd.DataFrame) -> None:
    """Write the files of a log, the predictions in two segments."""
    folder.mkdir(parents=True)
    half = len(log) // 2
    for name, frame, columns in (
        ("log-1", log[:half], PREDICTIONS),
        ("log-2", log[half:], PREDICTIONS),
        ("feedback-1", truths, TRUTHS),
    ):
        parquet.write_table(Table.from_pandas(frame, columns, preserve_index=False), folder / f"{name}.parquet")
