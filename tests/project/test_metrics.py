"""Every metric against scikit-learn's own, and what is said of a name that is not one."""

from collections.abc import Callable
from typing import Any

import pytest
from baked import Project
from mlops_actions.core.config import Config, load_config
from mlops_actions.core.errors import UserError
from mlops_actions.stats.own_metrics import own_metrics

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


@pytest.fixture(scope="module")
def own(fresh: Callable[..., Project]) -> Config:
    """A project with metrics of its own."""
    project = fresh(10)
    project.write("src/customer_churn/metrics.py", OWN)
    config = load_config(project.path, guesses=True)
    return config.model_copy(update={"data": config.data.model_copy(update={"task": "classification"})})


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


def test_a_function_and_a_scorer_of_ones_own_are_computed(statistics: Statistics, own: Config) -> None:
    assert list(own_metrics(own)) == ["f2", "cost", "breaks", "mistakes", "says"]
    assert statistics("measure", metric="cost", own=own) == pytest.approx(-0.25)
    assert statistics("measure", metric="f2", own=own) == pytest.approx(0.5556, abs=1e-4)


def test_a_scorer_is_undefined_where_a_class_is_absent(statistics: Statistics) -> None:
    assert statistics("measure", metric="roc_auc_ovo", truth=["no"] * 4) is None


def test_where_a_class_is_absent_a_metric_of_ones_own_may_fail_of_that_and_of_nothing_else(
    statistics: Statistics, own: Config
) -> None:
    assert statistics("measure", metric="breaks", truth=["no"] * 4, own=own) is None
    said = statistics("measure", metric="mistakes", truth=["no"] * 4, own=own)
    assert said == "The metric mistakes raised AttributeError: 'numpy.ndarray' object has no attribute 'values'."


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("acuracy", "'acuracy' is not a metric of classification; did you mean accuracy?"),
        ("xyz", "'xyz' is not a metric of classification; use accuracy, "),
        ("rmse", "rmse is a metric of regression, but the task is classification; use accuracy, "),
        ("explained_variance", "explained_variance is a metric of regression, but the task is classification; use "),
        ("rand_score", "rand_score is a metric of clustering, but the task is classification; use "),
        ("lost", "'lost' is not a metric of classification; did you mean cost?"),
        ("half", "'half' is not a metric of classification; use accuracy, "),
        ("make_scorer", "'make_scorer' is not a metric of classification; did you mean "),
        ("breaks", "The metric breaks raised KeyError: 'price'."),
        ("says", "The metric says returned str; it must return a number."),
    ],
)
def test_what_is_not_a_metric_is_refused_in_a_sentence(
    statistics: Statistics, own: Config, name: str, words: str
) -> None:
    said = statistics("measure", metric=name, own=own)
    assert said.startswith(words) and said.count("\n") == 0, said


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("def rmse(truth, predictions): return 0.0", "metrics.py: rmse is a built-in metric; give yours another name."),
        (
            "import nowhere",
            "{file} needs nowhere, which is not installed: `uv add nowhere` adds it.",
        ),
        (
            "1 / 0",
            "{file} cannot be imported (ZeroDivisionError: division by zero); correct it.",
        ),
    ],
)
def test_a_file_of_metrics_that_cannot_be_is_refused(fresh: Callable[..., Project], code: str, sentence: str) -> None:
    project = fresh(10)
    project.write("src/customer_churn/metrics.py", code)
    with pytest.raises(UserError) as refused:
        own_metrics(load_config(project.path, guesses=True))
    assert str(refused.value) == sentence.format(file="src/customer_churn/metrics.py")
