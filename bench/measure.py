"""Measuring one thing against another: in turn, more than once, by medians."""

import statistics
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_turn(repeats: int, tasks: dict[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Return what each task measures, all of them once a round, so that a busy moment hits every one alike."""
    taken: dict[str, list[T]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            taken[name].append(task())
    return taken


def timed(task: Callable[[], object]) -> Callable[[], float]:
    """Return a task that measures its own wall time."""

    def measure() -> float:
        started = time.perf_counter()
        task()
        return time.perf_counter() - started

    return measure


def show(title: str, ours: list[float], theirs: list[float], bar: float | None = None) -> bool:
    """Print two medians, their ratio and, where there is a bar, whether it is met; return False where it is not."""
    mine, other = statistics.median(ours), statistics.median(theirs)
    met = bar is None or mine / other <= bar
    verdict = "" if bar is None else f"  at most {bar:.2f}  {'PASS' if met else 'MISS'}"
    print(f"  {title:<66} {mine:6.2f} s / {other:6.2f} s = {mine / other:5.2f}{verdict}", flush=True)
    return met
