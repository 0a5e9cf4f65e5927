"""Every metric against scikit-learn's own, and the refusal of a name that is not one."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from mlops_actions.core.errors import UserError
from mlops_actions.stats.metrics import METRICS, Metric, Predictions, find_metric, metrics_of, one_vs_rest
from sklearn import config_context
from sklearn import metrics as scikit_learn

CASES = 40
NAMES_OF_SCIKIT_LEARN = {
    "rmse": "root_mean_squared_error",
    "mae": "mean_absolute_error",
    "r2": "r2_score",
    "mape": "mean_absolute_percentage_error",
    "median_absolute_error": "median_absolute_error",
    "accuracy": "accuracy_score",
    "balanced_accuracy": "balanced_accuracy_score",
}
OWN = {name: Metric(name, "classification", True, lambda *_: 0.0) for name in ("cost", "profit")}


def make_rows(random: np.random.Generator, task: str, case: int) -> tuple[np.ndarray, Predictions]:
    """Return few rows, with ties in every other case, and classes that may be absent."""
    rows, size = int(random.integers(4, 60)), int(random.integers(2, 5))
    if task == "regression":
        return random.normal(size=rows).round(1 if case % 2 else 8), Predictions(random.normal(size=rows).round(1))
    classes = [f"c{index}" for index in range(size)]
    values = random.dirichlet(np.ones(size), rows)
    if case % 2:
        values = values.round(1) + 1e-9
        values = (values / values.sum(axis=1, keepdims=True)).round(9)
    common = np.minimum(random.integers(0, size, rows), random.integers(0, size, rows))
    return np.array(classes, dtype=object)[common], Predictions(values, classes)


def by_scikit_learn(name: str, truth: np.ndarray, model: Predictions) -> float:
    """Return a built-in metric's value by scikit-learn."""
    with warnings.catch_warnings(), config_context(skip_parameter_validation=True):
        warnings.simplefilter("ignore")
        if model.classes is None:
            return regression_by_scikit_learn(name, truth, model)
        if name in ("precision", "recall", "f1"):
            return score_of_positive(name, truth, model)
        if name in ("roc_auc", "average_precision"):
            return mean_of_classes(name, truth, model)
        if name == "brier_score":
            hits = truth[:, None] == np.array(model.classes, dtype=object)
            return float(np.mean(np.sum((model.values - hits) ** 2, axis=1)) / (2 if len(model.classes) == 2 else 1))
        if name == "log_loss":
            return scikit_learn.log_loss(truth.astype(str), model.values, labels=model.classes)
        return getattr(scikit_learn, NAMES_OF_SCIKIT_LEARN[name])(truth.astype(str), model.labels.astype(str))


def regression_by_scikit_learn(name: str, truth: np.ndarray, model: Predictions) -> float:
    if name == "r2" and len(set(truth)) < 2:
        return np.nan
    return getattr(scikit_learn, NAMES_OF_SCIKIT_LEARN[name])(truth, model.values)


def score_of_positive(name: str, truth: np.ndarray, model: Predictions) -> float:
    classes = model.classes or []
    two = len(classes) == 2
    if two and classes[1] not in truth:
        return np.nan
    average = {"average": "binary", "pos_label": classes[1]} if two else {"average": "macro"}
    score = getattr(scikit_learn, f"{name}_score")
    return score(truth.astype(str), model.labels.astype(str), zero_division=0, **average)


def mean_of_classes(name: str, truth: np.ndarray, model: Predictions) -> float:
    there = set(truth)
    if len(there) < 2:
        return np.nan
    parts = [(truth == label, scores) for label, scores in one_vs_rest(model) if label in there]
    values = [getattr(scikit_learn, f"{name}_score")(hit, scores) for hit, scores in parts]
    return float(np.average(values, weights=[hit.sum() for hit, _ in parts]))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_metric_is_scikit_learns_on_weighted_rows(task: str) -> None:
    """Of rows that all weigh 1, and of rows that weigh as much as a resample drew them times."""
    random = np.random.default_rng(0)
    for case in range(CASES):
        truth, model = make_rows(random, task, case)
        rows = len(truth)
        weights = np.stack([np.ones(rows), np.bincount(random.integers(rows, size=rows), minlength=rows)])
        resamples = [np.repeat(np.arange(rows), row.astype(int)) for row in weights]
        for name, metric in metrics_of(task).items():
            expected = [by_scikit_learn(name, truth[some], model.take(some)) for some in resamples]
            if name == "mape" and not truth.all():
                expected = [np.nan] * len(expected)  # undefined of all rows, so of each resample
            assert metric.weigh is not None
            for weighed in (weights, weights.astype(np.uint8)):
                ours = metric.weigh(truth, model)(weighed)
                assert np.allclose(ours, expected, equal_nan=True), f"{name}, case {case}: {ours} is not {expected}"


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_influence_is_the_derivative_by_the_rows_weight(task: str) -> None:
    """By small changes of each weight; a median has no derivative."""
    random = np.random.default_rng(1)
    for case in range(CASES // 2):
        truth, model = make_rows(random, task, case)
        rows = len(truth)
        for name, metric in metrics_of(task).items():
            assert metric.weigh is not None
            weigh = metric.weigh(truth, model)
            if name == "median_absolute_error" or not np.isfinite(weigh(np.ones((1, rows)))[0]):
                continue
            up, down = (weigh(1 + step * np.eye(rows)) for step in (1e-4, -1e-4))
            expected = rows * (up - down) / 2e-4
            tolerance = 1e-4 * max(1, abs(expected).max())
            assert np.allclose(weigh.influence(), expected, atol=tolerance), f"{name}, case {case}"


CODES = np.random.default_rng(2).integers(3, size=80)
CHANCES = np.random.default_rng(3).dirichlet(np.ones(3), 80)
NUMBERS = np.random.default_rng(4).gamma(2, size=(2, 80))


@pytest.mark.parametrize(
    ("name", "function"),
    {
        "matthews_corrcoef": lambda: scikit_learn.matthews_corrcoef(CODES, CHANCES.argmax(axis=1)),
        "f1_weighted": lambda: scikit_learn.f1_score(CODES, CHANCES.argmax(axis=1), average="weighted"),
        "roc_auc_ovo": lambda: scikit_learn.roc_auc_score(CODES, CHANCES, multi_class="ovo"),
        "top_k_accuracy": lambda: scikit_learn.top_k_accuracy_score(CODES, CHANCES),
        "neg_log_loss": lambda: -scikit_learn.log_loss(CODES, CHANCES),
    }.items(),
)
def test_a_scorer_of_classes_gives_what_scikit_learn_gives(name: str, function: Callable[[], float]) -> None:
    classes = ["a", "b", "c"]
    truth = np.array(classes, dtype=object)[CODES]
    assert find_metric(name, "classification").compute(truth, Predictions(CHANCES, classes)) == pytest.approx(
        function()
    )


def test_a_scorer_of_two_classes_is_about_the_last() -> None:
    codes, values = CODES % 2, np.column_stack([1 - CHANCES[:, 0], CHANCES[:, 0]])
    truth = np.array(["a", "b"], dtype=object)[codes]
    expected = scikit_learn.jaccard_score(codes, values.argmax(axis=1))
    assert find_metric("jaccard", "classification").compute(truth, Predictions(values, ["a", "b"])) == expected


@pytest.mark.parametrize(
    ("name", "function"),
    {
        "neg_mean_poisson_deviance": lambda: -scikit_learn.mean_poisson_deviance(*NUMBERS),
        "d2_absolute_error_score": lambda: scikit_learn.d2_absolute_error_score(*NUMBERS),
        "explained_variance": lambda: scikit_learn.explained_variance_score(*NUMBERS),
    }.items(),
)
def test_a_scorer_of_numbers_gives_what_scikit_learn_gives(name: str, function: Callable[[], float]) -> None:
    truth, values = NUMBERS
    assert find_metric(name, "regression").compute(truth, Predictions(values)) == pytest.approx(function())


def test_a_scorer_is_undefined_where_a_class_is_absent() -> None:
    truth, model = np.full(80, "a", dtype=object), Predictions(CHANCES, ["a", "b", "c"])
    assert np.isnan(find_metric("roc_auc_ovo", "classification").compute(truth, model))


def test_a_scorer_of_numbers_that_it_cannot_measure_is_undefined() -> None:
    metric = find_metric("neg_mean_gamma_deviance", "regression")
    assert np.isnan(metric.compute(np.array([0.0, 1.0]), Predictions(np.array([-1.0, 1.0]))))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("acuracy", "'acuracy' is not a metric of classification; did you mean accuracy?"),
        ("xyz", "'xyz' is not a metric of classification; use accuracy, "),
        ("rmse", "rmse is a metric of regression, but the task is classification; use accuracy, "),
        ("explained_variance", "explained_variance is a metric of regression, but the task is classification; use "),
        ("rand_score", "rand_score is a metric of clustering, but the task is classification; use "),
        ("lost", "'lost' is not a metric of classification; did you mean cost?"),
        ("make_scorer", "'make_scorer' is not a metric of classification; did you mean "),
    ],
)
def test_what_is_not_a_metric_is_refused_in_a_sentence(name: str, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        find_metric(name, "classification", OWN)
    assert str(refused.value).startswith(sentence) and "\n" not in str(refused.value)


def test_a_metric_of_ones_own_is_there_by_its_name() -> None:
    assert find_metric("cost", "classification", OWN) is OWN["cost"]
    assert find_metric("accuracy", "classification", OWN) is METRICS["accuracy"]
