"""Any table that pandas can hold gives a project that trains and predicts, or one sentence."""

import contextlib
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow
import pytest
from anything import tables
from baked import Bake, Project
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlops_actions.core.errors import UserError
from pipeline import predict_own_rows, train_project

UNNEEDED = shutil.ignore_patterns("vendor", ".git", ".github", "deploy")
# More than the suite has time for: EXAMPLES=2000 pytest tests/engine/stages/test_any_table.py
EXAMPLES = int(os.environ.get("EXAMPLES", "45"))


@pytest.fixture(scope="module")
def generated(bake: Bake) -> Project:
    return bake(task="guess")


def test_any_table_gives_a_project_or_a_sentence(generated: Project) -> None:
    sentences: list[str] = []
    trained = 0

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize="EXAMPLES" not in os.environ,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(tables(), st.sampled_from(["guess", "classification", "regression"]), st.booleans())
    def check(frame: pd.DataFrame, task: str, typed: bool) -> None:
        nonlocal trained
        with TemporaryDirectory() as folder:
            root = write_project(generated, Path(folder), frame, task, typed)
            try:
                train_project(root)
                predict_own_rows(root)
                trained += 1
            except UserError as error:
                sentences.append(str(error))
                assert "\n" not in sentences[-1] and sentences[-1].endswith((".", "?")), sentences[-1]

    check()
    assert min(trained, len(set(sentences))) > EXAMPLES / 10, "the tables are neither all too easy nor all hopeless"


def write_project(generated: Project, folder: Path, frame: pd.DataFrame, task: str, typed: bool) -> Path:
    """Write a project that is not set up, of the table as Parquet where that can hold it, or as CSV."""
    root = Path(shutil.copytree(generated.path, folder / "project", ignore=UNNEEDED))
    params = generated.read("params.yaml")
    file = "dataset.csv"
    frame.to_csv(root / "data/raw" / file, index=False)
    if typed:
        with contextlib.suppress(pyarrow.ArrowException, ValueError, TypeError, OverflowError):
            frame.to_parquet(root / "data/raw/dataset.parquet")
            file = "dataset.parquet"
    names = [name for name in frame.columns if isinstance(name, str) and name.isprintable() and name.strip()]
    target = "target" if "target" in names else (names or ["target"])[0]
    quoted = target.replace("\\", "\\\\").replace('"', '\\"')
    text = params.replace("task: guess", f"task: {task}").replace('target: "churn"', f'target: "{quoted}"')
    text = text.replace("  params: {}\n", "  params: {max_iter: 5}\n")  # few trees: what they learn is not the point
    (root / "params.yaml").write_text(text.replace("dataset.csv", file), "utf-8")
    return root
