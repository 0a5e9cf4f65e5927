"""Every knob has a value in effect, also one that params.yaml does not name: it is shown, and is what is compared."""

import json
import re
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from baked import Project
from knobs import MARGIN, open_knobs, summarize, turn
from mlops_actions.core.config import load_config
from mlops_actions.stages.effective import params_of
from mlops_actions.stages.show_params import show_params
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import PowerTransformer
from sklearn.svm import LinearSVC

Show = Callable[[], dict[str, Any]]


@pytest.fixture
def knobs(fresh: Callable[..., Project]) -> Project:
    """A project of 500 training rows with a logistic regression."""
    return open_knobs(fresh(1))


@pytest.fixture
def show(knobs: Project, capsys: pytest.CaptureFixture[str]) -> Show:
    """`show()`: each knob of the project as `mlops params --json` has it."""

    def run() -> dict[str, Any]:
        capsys.readouterr()
        show_params(load_config(knobs.path), as_json=True)
        return cast("dict[str, Any]", json.loads(capsys.readouterr().out))

    return run


def test_every_knob_is_shown_with_its_value_in_effect(
    knobs: Project, show: Show, capsys: pytest.CaptureFixture[str]
) -> None:
    turn(knobs, (MARGIN, ""), ("test_size: 0.2", "test_size: 0.3"), ("thresholds: {}", "thresholds: {f1: 0.5}"))
    shown = show()
    assert shown["gate.margin"] == {"value": 0.01, "default": True}, "params.yaml does not name it"
    assert shown["split.test_size"] == {"value": 0.3, "default": False}
    assert shown["gate.thresholds.f1"] == {"value": 0.5, "default": False}
    assert shown["gate.guards"] == {"value": {}, "default": True}
    assert shown["data.target"] == {"value": "churn", "default": False}, "it has none"
    sections = list(dict.fromkeys(name.partition(".")[0] for name in shown))
    assert sections == ["data", "split", "history", "model", "tune", "gate", "serving", "resources"], "as in the file"
    show_params(load_config(knobs.path))
    heard = capsys.readouterr().out
    assert len(heard.splitlines()) == len(shown)
    assert re.search(r"^split\.test_size +0\.3 +The share of rows to test on", heard, re.M)
    assert re.search(r"^gate\.margin +0\.01 +default +How much worse than the champion", heard, re.M)
    assert re.search(r"^gate\.thresholds\.f1 +0\.5$", heard, re.M), "a key of a mapping has the mapping's comment"


def test_an_estimators_own_params_are_those_that_model_py_gives_it(knobs: Project, show: Show) -> None:
    shown = show()
    assert shown["model.params.C"] == {"value": 1.0, "default": True}, "scikit-learn's"
    assert shown["model.params.max_iter"] == {"value": 1000, "default": True}, "model.py's"
    turn(knobs, ("estimator: logistic", "estimator: hist_gradient_boosting"))
    turn(knobs, ("params: {}", "params: {learning_rate: 0.2}"))
    leaves = {}
    for rows in (500, 20_000):
        summarize(knobs, rows)
        shown = show()
        leaves[rows] = shown["model.params.max_leaf_nodes"]["value"]
    assert leaves == {500: 8, 20_000: 31}, "it depends on the rows"
    assert shown["model.params.learning_rate"] == {"value": 0.2, "default": False} and "model.params.C" not in shown


def test_what_stands_around_an_estimator_is_not_taken_for_it(knobs: Project, show: Show) -> None:
    turn(knobs, ("estimator: logistic", "estimator: sklearn.svm.LinearSVC"), ("params: {}", "params: {C: 2.0}"))
    shown = show()
    assert shown["model.params.C"] == {"value": 2.0, "default": False}
    assert shown["model.params.tol"]["default"] and "model.params.cv" not in shown


def test_before_anything_is_trained_model_params_are_what_params_yaml_says(knobs: Project, show: Show) -> None:
    (knobs.path / "data/summary.json").unlink()
    assert show()["model.params"] == {"value": {}, "default": True}


def weigh_by_distance(distances: Any) -> Any:
    return distances


WRAPPED: dict[str, Any] = {
    "alone": Ridge(alpha=3.0),
    "a calibration": CalibratedClassifierCV(LinearSVC(C=3.0), ensemble=False),
    "a vote": VotingClassifier([("only", LogisticRegression(C=3.0))]),
    "a transform": TransformedTargetRegressor(Ridge(alpha=3.0), transformer=PowerTransformer()),
}


@pytest.mark.parametrize("around", WRAPPED)
def test_an_estimator_says_what_it_is_set_to_whatever_stands_around_it(around: str) -> None:
    params = params_of(WRAPPED[around])
    assert 3.0 in (params.get("C"), params.get("alpha")) and params["tol"] == 0.0001
    assert json.loads(json.dumps(params)) == params


def test_a_param_that_json_cannot_hold_is_said_the_same_in_each_run() -> None:
    params = params_of(KNeighborsRegressor(weights=weigh_by_distance, metric_params={"p": np.float64(2.0)}))
    assert params["weights"] == "<function weigh_by_distance>"
    assert json.loads(json.dumps(params)) == params
