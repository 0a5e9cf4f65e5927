"""Every knob has a value in effect, also one that params.yaml does not name: it is shown, and is what is compared."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from baked import Project, another_engine
from inside import Inside

MARGIN, WIDER = "  margin: 0.01\n", "  margin: 0.05\n"


def summarize(project: Project, rows: int) -> None:
    """Let the last run have trained on so many rows."""
    (project.path / "data").mkdir(exist_ok=True)
    project.write("data/summary.json", json.dumps({"train_rows": rows}))


def turn(project: Project, *changes: tuple[str, str], file: str = "params.yaml") -> None:
    """Change the text of a file."""
    text = project.read(file)
    for old, new in changes:
        assert text.count(old) == 1, f"{file} says {old!r} {text.count(old)} times"
        text = text.replace(old, new)
    project.write(file, text)


@pytest.fixture
def knobs(fresh: Callable[..., Project]) -> Project:
    """A project of 500 training rows with a logistic regression."""
    project = fresh(1)
    turn(
        project,
        ("primary: guess", "primary: roc_auc"),
        ("estimator: hist_gradient_boosting", "estimator: logistic"),
    )
    summarize(project, 500)
    return project


def show(inside: Inside, project: Project) -> dict[str, Any]:
    code, said, heard = inside("hear", project.path, words=["params", "--json"])
    assert (code, said) == (0, "")
    found: dict[str, Any] = json.loads(heard)
    return found


def test_every_knob_is_shown_with_its_value_in_effect(knobs: Project, inside: Inside) -> None:
    turn(knobs, (MARGIN, ""), ("test_size: 0.2", "test_size: 0.3"), ("thresholds: {}", "thresholds: {f1: 0.5}"))
    found = show(inside, knobs)
    assert found["gate.margin"] == {"value": 0.01, "default": True}, "params.yaml does not name it"
    assert found["split.test_size"] == {"value": 0.3, "default": False}
    assert found["gate.thresholds.f1"] == {"value": 0.5, "default": False}
    assert found["gate.guards"] == {"value": {}, "default": True}
    assert found["data.target"] == {"value": "churn", "default": False}, "it has none"
    sections = list(dict.fromkeys(name.partition(".")[0] for name in found))
    assert sections == ["data", "split", "history", "model", "tune", "gate", "serving", "resources"], "as in the file"
    _, _, heard = inside("hear", knobs.path, words=["params"])
    assert len(heard.splitlines()) == len(found)
    assert re.search(r"^split\.test_size +0\.3 +The share of rows to test on", heard, re.M)
    assert re.search(r"^gate\.margin +0\.01 +default +How much worse than the champion", heard, re.M)
    assert re.search(r"^gate\.thresholds\.f1 +0\.5$", heard, re.M), "a key of a mapping has the mapping's comment"


def test_an_estimators_own_params_are_those_that_model_py_gives_it(knobs: Project, inside: Inside) -> None:
    found = show(inside, knobs)
    assert found["model.params.C"] == {"value": 1.0, "default": True}, "scikit-learn's"
    assert found["model.params.max_iter"] == {"value": 1000, "default": True}, "model.py's"
    turn(knobs, ("estimator: logistic", "estimator: hist_gradient_boosting"))
    turn(knobs, ("params: {}", "params: {learning_rate: 0.2}"))
    leaves = {}
    for rows in (500, 20_000):
        summarize(knobs, rows)
        found = show(inside, knobs)
        leaves[rows] = found["model.params.max_leaf_nodes"]["value"]
    assert leaves == {500: 8, 20_000: 31}, "it depends on the rows"
    assert found["model.params.learning_rate"] == {"value": 0.2, "default": False} and "model.params.C" not in found


def test_what_stands_around_an_estimator_is_not_taken_for_it(knobs: Project, inside: Inside) -> None:
    turn(knobs, ("estimator: logistic", "estimator: sklearn.svm.LinearSVC"), ("params: {}", "params: {C: 2.0}"))
    found = show(inside, knobs)
    assert found["model.params.C"] == {"value": 2.0, "default": False}
    assert found["model.params.tol"]["default"] and "model.params.cv" not in found


def test_before_anything_is_trained_model_params_are_what_params_yaml_says(knobs: Project, inside: Inside) -> None:
    (knobs.path / "data/summary.json").unlink()
    assert show(inside, knobs)["model.params"] == {"value": {}, "default": True}


# What the champion has, what the candidate changes of it, and the lines of the comment.
DIFFERENCES: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]], list[list[str | None]]]] = {
    "the champion's is not set": ([(MARGIN, "")], [("gate:\n", f"gate:\n{WIDER}")], [["gate.margin", "0.01", "0.05"]]),
    "the candidate's is not set": ([(MARGIN, WIDER)], [(WIDER, "")], [["gate.margin", "0.05", "0.01"]]),
    "to its default": ([(MARGIN, "")], [("gate:\n", f"gate:\n{MARGIN}")], []),
    "an estimator's": ([], [("params: {}", "params: {C: 0.5}")], [["model.params.C", "1.0", "0.5"]]),
    "another estimator": (
        [],
        [("estimator: logistic", "estimator: random_forest"), ("params: {}", "params: {n_estimators: 50}")],
        [["model.estimator", '"logistic"', '"random_forest"'], ["model.params.n_estimators", None, "50"]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DIFFERENCES)
def test_a_knob_is_compared_by_its_value_in_effect_on_both_sides(knobs: Project, inside: Inside, case: str) -> None:
    theirs, ours, expected = DIFFERENCES[case]
    turn(knobs, *theirs)
    commit = knobs.commit("Champion")
    assert inside("params_changes", knobs.path, commit=commit) == []
    turn(knobs, *ours)
    assert inside("params_changes", knobs.path, commit=commit) == expected


def test_more_rows_change_what_model_py_gives_an_estimator(knobs: Project, inside: Inside) -> None:
    turn(knobs, ("estimator: logistic", "estimator: hist_gradient_boosting"))
    commit = knobs.commit("Champion")
    summarize(knobs, 5000)
    assert inside("params_changes", knobs.path, commit=commit) == [["model.params.max_leaf_nodes", "8", "16"]]


def test_the_champions_defaults_are_those_of_its_own_engine(knobs: Project, inside: Inside, tmp_path: Path) -> None:
    turn(knobs, (MARGIN, ""))
    default = ("core/config.py", "margin: float = Field(default=0.01", "margin: float = Field(default=0.02")
    with another_engine(knobs, tmp_path, default):
        commit = knobs.commit("Champion")
    assert inside("params_changes", knobs.path, commit=commit) == [["gate.margin", "0.02", "0.01"]]


def test_of_a_champion_whose_engine_cannot_tell_the_file_is_read_with_todays_defaults(
    knobs: Project, inside: Inside, tmp_path: Path
) -> None:
    turn(knobs, (MARGIN, ""))
    with another_engine(knobs, tmp_path, ("cli.py", " verb(params)", " verb(params, name='parameters')")):
        old = knobs.commit("Older than the verb")
        turn(knobs, ("gate:\n", "gate:\n  strict: true\n"))
        foreign = knobs.commit("With a knob that is gone")
    turn(knobs, ("gate:\n  strict: true\n", "gate:\n  margin: 0.05\n"))
    assert inside("params_changes", knobs.path, commit=old) == [["gate.margin", "0.01", "0.05"]]
    assert ["gate.strict", "true", None] in inside("params_changes", knobs.path, commit=foreign)
