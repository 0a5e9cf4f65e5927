"""Every metric against scikit-learn's own, and what is said of a name that is not one."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from baked import Project

Statistics = Callable[..., Any]

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
"""


@pytest.fixture(scope="session")
def own(project: Project) -> str:
    """The package of metrics of a user's own."""
    package = next(path.parent for path in (project.path / "src").glob("*/cli.py"))
    (package / "own_metrics.py").write_text(OWN)
    return f"{package.name}.own_metrics"


def test_every_metric_is_scikit_learns_on_weighted_rows(statistics: Statistics) -> None:
    assert statistics("compare_with_scikit_learn", cases=50) == []


def test_every_influence_is_the_derivative_by_the_rows_weight(statistics: Statistics) -> None:
    assert statistics("compare_influences", cases=25) == []


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("matthews_corrcoef", "classification"),
        ("f1_weighted", "classification"),
        ("jaccard", "classification"),
        ("roc_auc_ovo", "classification"),
        ("top_k_accuracy", "classification"),
        ("neg_log_loss", "classification"),
        ("neg_mean_poisson_deviance", "regression"),
        ("d2_absolute_error_score", "regression"),
        ("explained_variance", "regression"),
    ],
)
def test_a_scorer_gives_what_scikit_learn_gives(statistics: Statistics, name: str, task: str) -> None:
    ours, theirs = statistics("score", metric=name, task=task)
    assert ours == pytest.approx(theirs)


def test_a_function_and_a_scorer_of_ones_own_are_computed(statistics: Statistics, own: str) -> None:
    assert statistics("measure", metric=f"{own}.cost") == pytest.approx(-0.25)
    assert statistics("measure", metric=f"{own}.f2") == pytest.approx(0.5556, abs=1e-4)


def test_a_scorer_is_undefined_where_a_class_is_absent(statistics: Statistics) -> None:
    assert statistics("measure", metric="roc_auc_ovo", truth=["no"] * 4) is None


def test_where_a_class_is_absent_a_metric_of_ones_own_may_fail_of_that_and_of_nothing_else(
    statistics: Statistics, own: str
) -> None:
    assert statistics("measure", metric=f"{own}.breaks", truth=["no"] * 4) is None
    said = statistics("measure", metric=f"{own}.mistakes", truth=["no"] * 4)
    assert said == f"The metric {own}.mistakes raised AttributeError: 'numpy.ndarray' object has no attribute 'values'."


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("acuracy", "'acuracy' is not a metric of classification; did you mean accuracy?"),
        ("xyz", "'xyz' is not a metric of classification; use accuracy, "),
        ("rmse", "rmse is a metric of regression, but the task is classification; use accuracy, "),
        ("explained_variance", "explained_variance is a metric of regression, but the task is classification; use "),
        ("rand_score", "rand_score is a metric of clustering, but the task is classification; use "),
        ("nowhere.metric", "The metric nowhere.metric cannot be imported: No module named 'nowhere'."),
        ("{own}.lost", "The metric {own}.lost is not there: {own} has no lost."),
        ("{own}.half", "The metric {own}.half is not a function or a scorer but float."),
        ("{own}.breaks", "The metric {own}.breaks raised KeyError: 'price'."),
        ("{own}.says", "The metric {own}.says returned str; it must return a number."),
    ],
)
def test_what_is_not_a_metric_is_refused_in_a_sentence(statistics: Statistics, own: str, name: str, words: str) -> None:
    said = statistics("measure", metric=name.format(own=own))
    assert said.startswith(words.format(own=own)) and said.count("\n") == 0, json.dumps(said)
