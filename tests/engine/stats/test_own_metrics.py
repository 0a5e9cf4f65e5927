"""Metrics of a project's own: the public functions and scorers of its metrics.py."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from baked import bare_project
from mlops_actions.core.config import Config, Data, Gate, Model
from mlops_actions.core.errors import UserError
from mlops_actions.stats.metrics import METRICS, Metric, Predictions, find_metric
from mlops_actions.stats.own_metrics import named_metrics, own_metrics

FILE = "src/shop/metrics.py"
OWN = """
from sklearn.metrics import fbeta_score, make_scorer

f2 = make_scorer(fbeta_score, beta=2, pos_label="yes")
half = 0.5


def cost(truth, predicted):
    assert list(predicted) == ["prediction", "probability_no", "probability_yes"]
    return -float(((truth == "yes") & (predicted["prediction"] == "no")).mean())


def breaks(truth, predicted):
    raise KeyError("price")


def mistakes(truth, predicted):
    return truth.values


def says(truth, predicted):
    return "good"


def _private(truth, predicted):
    return 0.0


class Helper:
    pass
"""
BIAS = """
def bias(truth, predicted):
    assert list(predicted) == ["prediction"]
    return (predicted["prediction"] - truth).mean()
"""
FAILS = """
from sklearn.metrics import make_scorer


def _fails(truth, predicted):
    {statement}


fails = make_scorer(_fails)
"""
COST = """
from mlops_actions.api import UserError


def cost(truth, predicted):
    raise UserError("Buy prices first.")
"""
TRUTH = np.array(["yes", "yes", "no", "no"], dtype=object)
NO_YES = np.full(4, "no", dtype=object)
ONE_WRONG = Predictions(np.array([[0.2, 0.8], [0.7, 0.3], [0.6, 0.4], [0.9, 0.1]]), ["no", "yes"])
Write = Callable[..., Config]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(code, primary="cost")`: the config of a project with this metrics.py and this gate."""
    bare_project(tmp_path / "shop")

    def write_project(code: str | None, task: str = "classification", **gate: object) -> Config:
        if code is not None:
            (tmp_path / "shop" / FILE).write_text(code)
        data = Data(path="data/rows.csv", target="late", task=task)
        return Config(root=tmp_path / "shop", data=data, model=Model(estimator="logistic"), gate=Gate(**gate))

    return write_project


@pytest.fixture
def own(write: Write) -> dict[str, Metric]:
    return own_metrics(write(OWN))


def test_a_public_function_and_a_scorer_are_metrics_by_their_names(own: dict[str, Metric]) -> None:
    assert list(own) == ["f2", "cost", "breaks", "mistakes", "says"]
    assert own["cost"].compute(TRUTH, ONE_WRONG) == pytest.approx(-0.25)
    assert own["f2"].compute(TRUTH, ONE_WRONG) == pytest.approx(0.5556, abs=1e-4)
    assert all(metric.greater_is_better and metric.task == "classification" for metric in own.values())


def test_numbers_come_without_probabilities(write: Write) -> None:
    bias = own_metrics(write(BIAS, "regression"))["bias"]
    assert bias.compute(np.array([1.0, 2.0]), Predictions(np.array([2.0, 4.0]))) == 1.5


def test_where_a_class_is_absent_a_metric_may_fail_of_that_and_of_nothing_else(own: dict[str, Metric]) -> None:
    assert np.isnan(own["breaks"].compute(NO_YES, ONE_WRONG))
    with pytest.raises(UserError) as refused:
        own["mistakes"].compute(NO_YES, ONE_WRONG)
    sentence = f"The metric mistakes raised AttributeError: 'numpy.ndarray' object has no attribute 'values' in {FILE}:"
    assert re.fullmatch(rf"{re.escape(sentence)}\d+\.", str(refused.value))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("breaks", f"The metric breaks raised KeyError: 'price' in {FILE}:14."),
        ("says", "The metric says returned str; it must return a number."),
    ],
)
def test_a_function_that_fails_is_named_in_a_sentence(own: dict[str, Metric], name: str, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        own[name].compute(TRUTH, ONE_WRONG)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("raise KeyError('price')", "The metric fails raised KeyError: 'price' in {place}."),
        ("raise ValueError('no\\nway.')", "The metric fails raised ValueError: no in {place}."),
        ("raise ValueError", "The metric fails raised ValueError in {place}."),
    ],
)
def test_a_scorer_that_fails_is_named_in_a_sentence(write: Write, statement: str, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        own_metrics(write(FAILS.format(statement=statement)))["fails"].compute(TRUTH, ONE_WRONG)
    line = FAILS.partition("{statement}")[0].count("\n") + 1
    assert str(refused.value) == sentence.format(place=f"{FILE}:{line}")


def test_a_sentence_that_a_metric_raises_itself_stays(write: Write) -> None:
    with pytest.raises(UserError, match=r"^Buy prices first\.$"):
        own_metrics(write(COST))["cost"].compute(TRUTH, ONE_WRONG)


def test_a_number_of_the_file_is_no_metric(own: dict[str, Metric]) -> None:
    with pytest.raises(UserError, match="^'half' is not a metric of classification; use accuracy, "):
        find_metric("half", "classification", own)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("def rmse(truth, predictions): return 0.0", "metrics.py: rmse is a built-in metric; give yours another name."),
        ("import nowhere", f"{FILE} needs nowhere, which is not installed: `uv add nowhere` adds it."),
        ("1 / 0", f"{FILE} cannot be imported (ZeroDivisionError: division by zero in {FILE}:1); correct it."),
    ],
)
def test_a_file_of_metrics_that_cannot_be_is_refused(write: Write, code: str, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        own_metrics(write(code))
    assert str(refused.value) == sentence


def test_a_project_without_the_file_has_no_metric_of_its_own(write: Write) -> None:
    assert own_metrics(write(None)) == {}


def test_shown_are_the_metrics_of_the_gate_and_the_projects_own(write: Write) -> None:
    config = write(COST, primary="f1", thresholds={"jaccard": 0.2})
    assert {"f1", "jaccard", "cost"} <= {metric.name for metric in named_metrics(config)}
    assert named_metrics(config)[0] is METRICS["f1"]


@pytest.mark.parametrize(
    ("gate", "place"),
    [({"primary": "lost"}, "gate.primary"), ({"thresholds": {"lost": 1}}, "gate.thresholds.lost")],
)
def test_a_metric_that_the_gate_names_in_vain_is_refused_with_its_place(
    write: Write, gate: dict[str, object], place: str
) -> None:
    with pytest.raises(UserError) as refused:
        named_metrics(write(COST, **gate))
    assert str(refused.value) == f"params.yaml: {place}: 'lost' is not a metric of classification; did you mean cost?"
