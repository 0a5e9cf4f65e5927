"""Any table that pandas can hold gives a project that trains and predicts, or one sentence."""

import contextlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow
import pytest
from anything import tables
from baked import Bake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inside import Inside

# More than the suite has time for: EXAMPLES=2000 pytest tests/project/test_any_table.py
EXAMPLES = int(os.environ.get("EXAMPLES", "60"))


@pytest.fixture(scope="module")
def params(bake: Bake) -> str:
    return bake(task="guess").read("params.yaml")


def test_any_table_gives_a_project_or_a_sentence(inside: Inside, params: str) -> None:
    said: list[str] = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize="EXAMPLES" not in os.environ,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(tables(), st.sampled_from(["guess", "classification", "regression"]), st.booleans())
    def check(frame: pd.DataFrame, task: str, typed: bool) -> None:
        with TemporaryDirectory() as folder:
            write_project(Path(folder), params, frame, task, typed)
            said.append(inside("try", Path(folder)))
        assert said[-1] == "" or ("\n" not in said[-1] and said[-1].endswith((".", "?"))), said[-1]

    check()
    trained, sentences = said.count(""), len(set(said)) - 1
    assert min(trained, sentences) > EXAMPLES / 10, "the tables are neither all too easy nor all hopeless"


def write_project(root: Path, params: str, frame: pd.DataFrame, task: str, typed: bool) -> None:
    """A project that is not set up, of the table as Parquet where that can hold it, or as CSV."""
    file = "dataset.csv"
    (root / "data/raw").mkdir(parents=True)
    frame.to_csv(root / "data/raw" / file, index=False)
    if typed:
        with contextlib.suppress(pyarrow.ArrowException, ValueError, TypeError, OverflowError):
            frame.to_parquet(root / "data/raw/dataset.parquet")
            file = "dataset.parquet"
    names = [name for name in frame.columns if isinstance(name, str) and name.isprintable() and name.strip()]
    target = "target" if "target" in names else (names or ["target"])[0]
    quoted = target.replace("\\", "\\\\").replace('"', '\\"')
    text = params.replace("task: guess", f"task: {task}").replace('target: "churn"', f'target: "{quoted}"')
    (root / "params.yaml").write_text(text.replace("dataset.csv", file), "utf-8")
