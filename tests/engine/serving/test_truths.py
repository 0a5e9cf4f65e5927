"""Truths that come as a file are kept beside the prediction log: all of them or none."""

import datetime as dt
from collections.abc import Callable

import pandas as pd
import pyarrow as pa
import pytest
from baked import Project
from mlops_actions.core.config import load_config
from mlops_actions.core.errors import UserError
from mlops_actions.data.prediction_log.log import PREDICTIONS, read_truths
from mlops_actions.serving.truths import Kept, keep_truths
from pyarrow import parquet
from tables import knob

IDS = [f"8f14e45fceea167a5a36dedd4bea2543-{number}" for number in range(3)]
EARLIER = "0192f3c1a4b7c2e9010000-0"  # of a version whose ids were shorter


@pytest.fixture
def known(fresh: Callable[..., Project], trained: Project) -> Project:
    """A project with a schema of its own."""
    project = fresh(1)
    for name in ("params.yaml", "schema.yaml"):
        project.write(name, trained.read(name))
    return project


def keep(project: Project, text: str, folder: str | None = None, replace: bool = False) -> Kept:
    project.write("truths.csv", text)
    return keep_truths(load_config(project.path), project.path / "truths.csv", folder, replace)


def kept(project: Project) -> pd.DataFrame:
    return read_truths(project.path / "predictions")


def test_truths_come_as_a_file_all_or_none(known: Project) -> None:
    assert keep(known, "id,truth\n" + "".join(f"{id},yes\n" for id in IDS)).truths == 3
    assert list(kept(known)["id"]) == IDS
    for text, said in (
        (f"id,truth\n{IDS[0]},no\n{IDS[1]},maybe\n", "truth in row 2 must be one of no, yes, not 'maybe'"),
        (f"id,truth\n{IDS[0]},\n", "truth in row 1 must be one of no, yes"),
        ("id,truth\n17,yes\n", "id in row 1 must be the id of a prediction, not '17'"),
        ("id,label\n17,yes\n", "lacks the column 'truth'"),
    ):
        with pytest.raises(UserError, match=said):
            keep(known, text)
    assert set(kept(known)["truth"]) == {"yes"}


def test_a_file_that_is_not_there_is_named(known: Project) -> None:
    with pytest.raises(UserError, match=r"none.csv: not found; name a file with the columns id and truth\."):
        keep_truths(load_config(known.path), known.path / "none.csv", None)


def test_a_truth_that_contradicts_another_stands_beside_it_unless_it_replaces_it(known: Project) -> None:
    keep(known, f"id,truth\n{IDS[0]},yes\n{EARLIER},yes\n")
    keep(known, f"id,truth\n{IDS[0]},no\n{EARLIER},yes\n")
    assert kept(known)[["id", "truth"]].to_numpy().tolist() == [[IDS[0], "yes"], [EARLIER, "yes"], [IDS[0], "no"]]
    keep(known, f"id,truth\n{IDS[0]},no\n", replace=True)
    assert kept(known)[["id", "truth"]].to_numpy().tolist() == [[EARLIER, "yes"], [IDS[0], "no"]]


def test_what_contradicts_and_what_names_no_prediction_is_told(known: Project) -> None:
    (known.path / "predictions").mkdir()
    answered = pa.Table.from_pylist([{"id": IDS[0], "role": "champion", "time": dt.datetime.now(dt.UTC)}], PREDICTIONS)
    parquet.write_table(answered, known.path / "predictions/log-1.parquet")
    assert str(keep(known, f"id,truth\n{IDS[0]},yes\n")) == "1 truth is kept."
    assert str(keep(known, f"id,truth\n{IDS[0]},no\n{IDS[1]},no\n{IDS[1]},yes\n{EARLIER},no\n")) == (
        "4 truths are kept.\n"
        f"{IDS[0]}, {IDS[1]}: told otherwise before; the first counts, `--replace` has these count in its place.\n"
        f"{IDS[1]}, {EARLIER}: not in this log; they count when a log that has them is read."
    )
    assert keep(known, f"id,truth\n{IDS[0]},no\n", replace=True) == Kept(1, [], [])
    many = [f"{number:032x}-0" for number in range(5)]
    said = str(keep(known, "id,truth\n" + "".join(f"{id},no\n" for id in many)))
    assert f"{many[0]}, {many[1]}, {many[2]} and 2 more: not in this log" in said


def test_truths_of_a_number_are_numbers(known: Project) -> None:
    known.write("params.yaml", knob("task: classification", "task: regression")(known.read("params.yaml")))
    with pytest.raises(UserError, match="truth in row 1 must be a number, not 'yes'"):
        keep(known, f"id,truth\n{IDS[0]},yes\n")
    assert keep(known, f"id,truth\n{IDS[0]},2.5\n").truths == 1


def test_without_a_log_truths_need_a_folder(known: Project) -> None:
    known.set(**{"serving.log.path": None})
    with pytest.raises(UserError, match="serving.log.path is null, so no prediction is kept; name a folder"):
        keep(known, f"id,truth\n{IDS[0]},yes\n")
    assert keep(known, f"id,truth\n{IDS[0]},yes\n", folder="elsewhere").truths == 1
    assert len(read_truths(known.path / "elsewhere")) == 1
