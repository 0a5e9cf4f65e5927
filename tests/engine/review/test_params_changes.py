"""A pull request shows which knobs have another value in effect than the champion's, whatever the files say."""

from collections.abc import Callable
from pathlib import Path

import pytest
from baked import Project, another_engine
from duels import champion_of, retrain
from knobs import MARGIN, WIDER, open_knobs, summarize, turn
from mlops_actions.core.config import load_config
from mlops_actions.review.changes import params_changes


@pytest.fixture
def knobs(fresh: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of 500 training rows with a logistic regression, in which this process works."""
    project = open_knobs(fresh(1))
    monkeypatch.chdir(project.path)
    return project


Differences = list[tuple[str, str | None, str | None]]


def changes(commit: str) -> Differences:
    """Return the name and both values of each knob that differs from those at a commit."""
    return [(change.name, change.champion, change.candidate) for change in params_changes(commit, load_config())]


# What the champion has, what the candidate changes of it, and the lines of the comment.
DIFFERENCES: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]], Differences]] = {
    "the champion's is not set": ([(MARGIN, "")], [("gate:\n", f"gate:\n{WIDER}")], [("gate.margin", "0.01", "0.05")]),
    "the candidate's is not set": ([(MARGIN, WIDER)], [(WIDER, "")], [("gate.margin", "0.05", "0.01")]),
    "to its default": ([(MARGIN, "")], [("gate:\n", f"gate:\n{MARGIN}")], []),
    "an estimator's": ([], [("params: {}", "params: {C: 0.5}")], [("model.params.C", "1.0", "0.5")]),
    "another estimator": (
        [],
        [("estimator: logistic", "estimator: random_forest"), ("params: {}", "params: {n_estimators: 50}")],
        [("model.estimator", '"logistic"', '"random_forest"'), ("model.params.n_estimators", None, "50")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DIFFERENCES)
def test_a_knob_is_compared_by_its_value_in_effect_on_both_sides(knobs: Project, case: str) -> None:
    theirs, ours, expected = DIFFERENCES[case]
    turn(knobs, *theirs)
    commit = knobs.commit("Champion")
    assert changes(commit) == []
    turn(knobs, *ours)
    assert changes(commit) == expected


def test_more_rows_change_what_model_py_gives_an_estimator(knobs: Project) -> None:
    turn(knobs, ("estimator: logistic", "estimator: hist_gradient_boosting"))
    commit = knobs.commit("Champion")
    summarize(knobs, 5000)
    assert changes(commit) == [("model.params.max_leaf_nodes", "8", "16")]


def test_the_champions_defaults_are_those_of_its_own_engine(knobs: Project, tmp_path: Path) -> None:
    turn(knobs, (MARGIN, ""))
    default = ("core/config.py", "margin: float = Field(default=0.01", "margin: float = Field(default=0.02")
    with another_engine(knobs, tmp_path, default):
        commit = knobs.commit("Champion")
    assert changes(commit) == [("gate.margin", "0.02", "0.01")]


def test_of_a_champion_whose_engine_cannot_tell_the_file_is_read_with_todays_defaults(
    knobs: Project, tmp_path: Path
) -> None:
    turn(knobs, (MARGIN, ""))
    with another_engine(knobs, tmp_path, ("cli.py", " verb(params)", " verb(params, name='parameters')")):
        old = knobs.commit("Older than the verb")
        turn(knobs, ("gate:\n", "gate:\n  strict: true\n"))
        foreign = knobs.commit("With a knob that is gone")
    turn(knobs, ("gate:\n  strict: true\n", "gate:\n  margin: 0.05\n"))
    assert changes(old) == [("gate.margin", "0.01", "0.05")]
    assert ("gate.strict", "true", None) in changes(foreign)


def test_both_models_params_are_those_they_were_trained_with_and_no_code_is_asked(duel: Project) -> None:
    champion = champion_of(duel)
    model = "src/customer_churn/model.py"
    turn(duel, ('"max_iter": 1000', '"max_iter": 900'), file=model)
    retrain(duel, **{"model.params": {"C": 0.5}})
    duel.write(model, "import gone\n")
    expected = [("model.params.C", "1.0", "0.5"), ("model.params.max_iter", "1000", "900")]
    assert changes(champion.commit) == expected
