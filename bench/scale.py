"""Time and memory by the number of rows: a project against plain pandas and scikit-learn, and against DuckDB alone."""

import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from mlops_actions.core.params_file import edit_params

from bench.generation import TEMPLATE, generator
from bench.measure import in_turn

SCRIPTS = Path(__file__).parent / "scripts"
SIZES = {10_000: 5, 100_000: 3, 1_000_000: 2, 10_000_000: 1}  # rows, and rounds at most
TRAINED = 1_000_000  # rows that a model is fitted on at most, on both sides
LARGE, MEMORY = 20_000_000, 1_000_000_000
TIME_BAR = 1.5  # at most: prepare and featurize, against DuckDB's own time
SCHEMA = """
target: {name: churn, type: category, values: ["no", "yes"]}
columns:
  amount: {type: number}
  age: {type: number, missing: true}
  distance: {type: number}
  region: {type: category}
  plan: {type: category}
  since: {type: datetime}
  customer: {type: category}
"""


@dataclass(frozen=True)
class Cost:
    """What processes took: seconds one after the other, and the most bytes that one of them held."""

    seconds: float
    memory: int


@dataclass(frozen=True)
class Scale:
    """A generated project on made-up rows, and the scripts that it is compared with."""

    project: Path
    params: str

    @property
    def rows(self) -> Path:
        """The project's dataset."""
        return self.project / "data/raw/dataset.parquet"

    def make_rows(self, number: int) -> None:
        """Give the project so many rows."""
        self.run("python", SCRIPTS / "rows.py", number, self.rows)

    def set_params(self, drop: list[str], memory: str | None) -> None:
        """Write params for these rows: a short training of so many rows at most, without the columns in `drop`."""
        knobs = {
            "data.path": "data/raw/dataset.parquet",
            "data.task": "classification",
            "data.drop": drop,
            "model.params": {"max_iter": 20},
            "model.rows": TRAINED,
            "gate.primary": "roc_auc",
            "resources.memory": memory,
        }
        (self.project / "params.yaml").write_text(edit_params(self.params, knobs))

    def stages(self, *names: str) -> Callable[[], Cost]:
        """Return what runs stages of the project, each in a process of its own."""

        def measure() -> Cost:
            costs = [self.run("mlops", "stage", name) for name in names]
            return Cost(sum(cost.seconds for cost in costs), max(cost.memory for cost in costs))

        return measure

    def script(self, name: str, *arguments: object) -> Callable[[], Cost]:
        """Return what runs a script on the rows, its results into a folder that is gone afterwards."""

        def measure() -> Cost:
            with tempfile.TemporaryDirectory(dir=self.project.parent) as folder:
                return self.run("python", SCRIPTS / name, self.rows, folder, *arguments)

        return measure

    def run(self, command: str, *arguments: object) -> Cost:
        """Run a command of the project's environment in a process that is measured alone."""
        started = time.perf_counter()
        process = subprocess.Popen(
            [self.project / ".venv/bin" / command, *map(str, arguments)],
            cwd=self.project,
            env=os.environ | {"PYTHONHASHSEED": "0"},
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{command} {' '.join(map(str, arguments))} ended with {process.returncode}")
        return Cost(time.perf_counter() - started, usage.ru_maxrss * 1024)


def measure_scale(repeats: int) -> bool:
    """Print every figure; return False where prepare and featurize miss a bar."""
    with tempfile.TemporaryDirectory() as name:
        project = generator(TEMPLATE, Path(name))()
        subprocess.run(["uv", "sync", "--locked", "--quiet"], cwd=project, env=outside(), check=True)
        (project / "schema.yaml").write_text(SCHEMA)
        scale = Scale(project, (project / "params.yaml").read_text())
        compare_plain(scale, repeats)
        return compare_duckdb(scale)


def compare_plain(scale: Scale, repeats: int) -> None:
    """Print a project against a plain script by the number of rows, and how fast each grows."""
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"prepare, featurize, train / plain pandas and scikit-learn ({load})", flush=True)
    scale.set_params(drop=["customer"], memory=None)
    taken: dict[int, list[Cost]] = {}
    for rows, rounds in SIZES.items():
        scale.make_rows(rows)
        tasks = {"ours": scale.stages("prepare", "featurize", "train"), "plain": scale.script("plain.py", TRAINED)}
        if not taken:
            in_turn(1, tasks)  # the first run compiles Python
        measured = in_turn(min(rounds, repeats), tasks)
        taken[rows] = [median(measured[name]) for name in tasks]
        show_costs(f"{rows:,} rows", *taken[rows])
    for side, title in enumerate(("ours", "plain")):
        steps = [
            f"{math.log(taken[most][side].seconds / taken[least][side].seconds) / math.log(most / least):.2f}"
            for least, most in pairwise(taken)
        ]
        print(f"  {title}: exponents of growth from size to size {', '.join(steps)}", flush=True)


def compare_duckdb(scale: Scale) -> bool:
    """Print prepare and featurize of many rows in little memory against SQL; return False where they miss a bar."""
    memory = f"{MEMORY // 10**6}MB"
    print(f"prepare, featurize with resources.memory {memory} / DuckDB's SQL with as much", flush=True)
    scale.set_params(drop=[], memory=memory)
    scale.make_rows(LARGE)
    tasks = {"ours": scale.stages("prepare", "featurize"), "theirs": scale.script("duck.py", memory)}
    measured = in_turn(1, tasks)
    ours, theirs = (median(measured[name]) for name in tasks)
    show_costs(f"{LARGE:,} rows", ours, theirs)
    met = ours.seconds / theirs.seconds <= TIME_BAR and ours.memory <= MEMORY
    print(f"  at most {TIME_BAR} of the time, and {memory}: {'PASS' if met else 'MISS'}", flush=True)
    return met


def median(costs: list[Cost]) -> Cost:
    """Return the median time, and the most memory."""
    return Cost(statistics.median(cost.seconds for cost in costs), max(cost.memory for cost in costs))


def show_costs(title: str, ours: Cost, theirs: Cost) -> None:
    """Print seconds and megabytes of both, and their ratios."""
    times = f"{ours.seconds:7.1f} s / {theirs.seconds:7.1f} s = {ours.seconds / theirs.seconds:5.2f}"
    sizes = f"{ours.memory / 1e6:6,.0f} MB / {theirs.memory / 1e6:6,.0f} MB = {ours.memory / theirs.memory:5.2f}"
    print(f"  {title:<16} {times}   {sizes}", flush=True)


def outside() -> dict[str, str]:
    """Return this process's environment without its own virtual environment, whose tools stay on PATH."""
    kept = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"}
