"""What one use of the model costs: its size, its answer to a single row, its training."""

import time
from pathlib import Path
from statistics import median

import pandas as pd

from ..bundle.archive import Bundle
from ..core.paths import STAGE_TIMES
from .report import Cost

CALLS = 50
MEGABYTE = 1e6  # bytes


def measure_costs(candidate: Path, champion: Path | None, bundle: Bundle, features: pd.DataFrame) -> list[Cost]:
    """Return the model's size in MB, the median time to answer one row in ms, and what training took in s.

    Args:
        candidate: the candidate's bundle.
        champion: the champion's bundle, if there is one; only its size can be measured here.
        bundle: the candidate's bundle, loaded.
        features: rows as the candidate's model takes them.
    """
    size = champion.stat().st_size / MEGABYTE if champion else None
    trained = STAGE_TIMES / "train"
    return [
        Cost("model_mb", size, candidate.stat().st_size / MEGABYTE),
        Cost("latency_ms", None, single_row_ms(bundle, features)),
        Cost("training_seconds", None, float(trained.read_text()) if trained.exists() else None),
    ]


def single_row_ms(bundle: Bundle, features: pd.DataFrame) -> float:
    """Return the median milliseconds of an answer to one row of `features`, after one to warm up."""
    rows = [features.iloc[[number % len(features)]] for number in range(CALLS + 1)]
    taken = []
    for row in rows:
        start = time.perf_counter()
        bundle.predict(row)
        taken.append(1e3 * (time.perf_counter() - start))
    return median(taken[1:])
