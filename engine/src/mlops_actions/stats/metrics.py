"""What a model's predictions are worth, under the names that practitioners use.

A built-in metric is defined once, on weighted rows: `weigh` prepares it for the rows, and what it returns takes any
number of weightings of them at once. Its plain value is the one where every row weighs 1. A metric of scikit-learn's or
the user's own knows no weights: it is computed on rows.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np

from ..core.errors import UserError
from ..core.nearest import did_you_mean
from ..core.owner import tell
from .weighted import Median, OneVsRest, Sums, Weighted

ALIKE = 6  # digits of a probability: classes that are equal to these tie, and the first of them wins
# A class whose rows weigh no more is not there: derivatives are taken by weights that are smaller still.
ABSENT = 1e-3


def choose(values: np.ndarray, threshold: float | None = None) -> np.ndarray:
    """Return the position of the class that is predicted in each row of probabilities: the most probable one.

    With a threshold it is the last class wherever that one's probability reaches it. Of classes that are equal to six
    digits it is the first: a forest often ties, and the last bit of a float, which depends on the library that adds up
    the trees, must not decide.
    """
    rounded = values.round(ALIKE)
    if threshold is None:
        return rounded.argmax(axis=1)
    return np.where(rounded[:, -1] >= threshold, values.shape[1] - 1, rounded[:, :-1].argmax(axis=1))


@dataclass(frozen=True)
class Predictions:
    """A probability for each class (one row a sample), or one number a sample for regression.

    Of two classes the last is the positive one, which precision, recall and curves are about. `decided` are the
    positions of the classes that the model decided for, where it did so otherwise than by the highest probability.
    """

    values: np.ndarray
    classes: list[str] | None = None
    decided: np.ndarray | None = None

    @property
    def codes(self) -> np.ndarray:
        """The position of the predicted class."""
        return choose(self.values) if self.decided is None else self.decided

    @property
    def labels(self) -> np.ndarray:
        """The predicted class, or the number itself."""
        return self.values if self.classes is None else np.array(self.classes, dtype=object)[self.codes]

    def is_same(self, other: "Predictions") -> bool:
        """Return whether another model says the same, over the same classes, and decides the same."""
        if not np.array_equal(self.values, other.values):
            return False
        return self.classes is None or np.array_equal(self.codes, other.codes)

    def take(self, rows: np.ndarray) -> "Predictions":
        """Return the predictions for some of the rows, by position or mask."""
        return Predictions(self.values[rows], self.classes, None if self.decided is None else self.decided[rows])

    def decide(self, threshold: float | None) -> "Predictions":
        """Return the same, decided for the last class from this probability on; None leaves it to the highest one."""
        if threshold is None or self.classes is None:
            return self
        return Predictions(self.values, self.classes, choose(self.values, threshold))

    def followed_by(self, values: np.ndarray) -> "Predictions":
        """Return the same with more rows, in which the most probable class is predicted."""
        both = np.concatenate([self.values, values])
        decided = None if self.decided is None else np.concatenate([self.decided, choose(both[len(self.values) :])])
        return Predictions(both, self.classes, decided)

    def about(self, positive: str | None) -> "Predictions":
        """Return the same with the positive class last; None leaves the order of the alphabet."""
        if self.classes is None or positive is None:
            return self
        return self.with_classes(sorted(self.classes, key=lambda name: (name == positive, name)))

    def with_classes(self, classes: list[str]) -> "Predictions":
        """Return the same in the order of `classes`, with probability zero for those that the model does not know."""
        if self.classes is None or self.classes == classes:
            return self
        values = np.zeros((len(self.values), len(classes)), self.values.dtype)
        places = np.array([classes.index(name) for name in self.classes])
        values[:, places] = self.values
        return Predictions(values, classes, None if self.decided is None else places[self.decided])

    def with_classes_of(self, truth: np.ndarray) -> "Predictions":
        """Return the same, with probability zero for classes that only the truth knows."""
        if self.classes is None or set(truth) <= set(self.classes):
            return self
        return self.with_classes(sorted({*self.classes, *truth}))


def align(truth: np.ndarray, *models: Predictions) -> tuple[Predictions, ...]:
    """Return each model's predictions over the same classes, those of `common_classes`."""
    if any(model.classes is None for model in models):
        return models
    classes = common_classes(truth, models)
    return tuple(model.with_classes(classes) for model in models)


def common_classes(truth: np.ndarray, models: Sequence[Predictions]) -> list[str]:
    """Return the classes of the truth and of any model: as the last model has them if it knows all, else sorted."""
    classes = {*truth, *(name for model in models for name in model.classes or [])}
    own = models[-1].classes or []
    return own if classes == set(own) else sorted(classes)


@dataclass(frozen=True)
class Metric:
    """One number about predictions; NaN where it is not defined.

    `weigh` is None where the metric knows no weights. `by_class` tells that it averages over classes or is about one,
    so that rows without the class do not define it; `of_labels`, that it counts right and wrong labels. `tail` is how
    many rows as extreme as the most extreme one an honest error allows for, as squares have heavy tails.
    """

    name: str
    task: str
    greater_is_better: bool
    compute: Callable[[np.ndarray, Predictions], float]
    weigh: Callable[[np.ndarray, Predictions], Weighted] | None = None
    by_class: bool = False
    of_labels: bool = False
    tail: int = 0


def metrics_of(task: str) -> dict[str, Metric]:
    """Return the built-in metrics that are defined for a task."""
    return {name: metric for name, metric in METRICS.items() if metric.task == task}


def compute_metrics(
    task: str, truth: np.ndarray, predictions: Predictions, others: Iterable[Metric] = ()
) -> dict[str, float]:
    """Return every built-in metric of the task, and others, that these rows define, to ten significant digits."""
    predictions = predictions.with_classes_of(truth)
    metrics = metrics_of(task) | {metric.name: metric for metric in others}
    values = {name: metric.compute(truth, predictions) for name, metric in metrics.items()}
    return {name: float(f"{value:.10g}") for name, value in values.items() if np.isfinite(value)}


def one_vs_rest(predictions: Predictions) -> list[tuple[str, np.ndarray]]:
    """Return the classes that curves are drawn for, with their scores: the positive one of two, else each."""
    classes = predictions.classes or []
    first = 1 if len(classes) == 2 else 0
    return [(name, predictions.values[:, index]) for index, name in enumerate(classes) if index >= first]


def find_metric(name: str, task: str, own: Mapping[str, Metric] = MappingProxyType({})) -> Metric:
    """Return the metric of a name: a built-in one, one of the project's own, or a scorer of scikit-learn.

    Args:
        name: as in params.yaml.
        task: classification or regression.
        own: those of metrics.py, by their names.

    Raises:
        UserError: there is no such metric of this task.
    """
    if built_in := METRICS.get(name):
        if built_in.task != task:
            raise UserError(f"{name} is a metric of {built_in.task}, but the task is {task}; use {_names(task)}.")
        return built_in
    if name in own:
        return own[name]
    scorer = _scorer(name, task, own)
    kind = _task_of(scorer)
    if kind not in (task, None):
        raise UserError(f"{name} is a metric of {kind}, but the task is {task}; use {_names(task)}.")
    return scorer_metric(name, task, scorer)


def scorer_metric(name: str, task: str, scorer: Any) -> Metric:
    """Return what `sklearn.metrics.make_scorer` made as a metric, the greater the better."""
    return Metric(name, task, True, _scored(name, scorer))


def _scorer(name: str, task: str, own: Mapping[str, Metric]) -> Any:
    from sklearn.metrics import get_scorer, get_scorer_names

    if name in get_scorer_names():
        return get_scorer(name)
    others = f"use {_names(task)}, a scorer of scikit-learn or a function of metrics.py."
    cure = did_you_mean(name, [*metrics_of(task), *own, *get_scorer_names()], others)
    raise UserError(f"{name!r} is not a metric of {task}; {cure}")


def _names(task: str) -> str:
    return ", ".join(metrics_of(task))


def _task_of(scorer: Any) -> str | None:
    """Return what a scorer of scikit-learn measures, by the module that its function comes from."""
    module = getattr(scorer._score_func, "__module__", "")
    if not module.startswith("sklearn.metrics."):
        return None
    if module.startswith("sklearn.metrics.cluster"):
        return "clustering"
    return "regression" if module == "sklearn.metrics._regression" else "classification"


def _scored(name: str, scorer: Any) -> Callable[[np.ndarray, Predictions], float]:
    # Numbers for classes, as scikit-learn's own defaults have it (pos_label=1), unless the scorer names a class.
    named = any(isinstance(scorer._kwargs.get(key), str | list) for key in ("pos_label", "labels"))

    def compute(truth: np.ndarray, predictions: Predictions) -> float:
        classes = predictions.classes
        if classes is not None and not named:
            position = {label: index for index, label in enumerate(classes)}
            truth = np.array([position[label] for label in truth])
        answer = _answer_of(predictions, named)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of absent classes: the value says enough
            try:
                value = scorer(answer, np.empty((len(truth), 0)), truth.astype(str) if classes and named else truth)
            except ValueError as error:
                if classes is None or len(set(truth)) < len(classes):
                    return float("nan")  # not defined on these rows
                raise UserError(f"The metric {name} raised {tell(error)}.") from error
            except Exception as error:
                raise UserError(f"The metric {name} raised {tell(error)}.") from error
        return number_of(name, value)

    return compute


def _answer_of(predictions: Predictions, named: bool) -> Any:
    """Return an estimator that has these predictions for whatever it is asked."""
    classifier, regressor = _answers()
    if predictions.classes is None:
        return regressor(predictions.values)
    classes = np.array(predictions.classes) if named else np.arange(len(predictions.classes))
    return classifier(classes[predictions.codes], predictions.values, classes)


@cache
def _answers() -> tuple[type, type]:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

    class Answer(BaseEstimator):
        def __init__(self, said: Any, scores: Any = None, classes: Any = None) -> None:
            self.said, self.scores, self.classes_ = said, scores, classes

        def fit(self, *_: Any) -> "Answer":
            return self

        def predict(self, _: Any) -> np.ndarray:
            return self.said

    class Classifier(ClassifierMixin, Answer):
        def predict_proba(self, _: Any) -> np.ndarray:
            return self.scores

    class Regressor(RegressorMixin, Answer):
        pass

    return Classifier, Regressor


def number_of(name: str, value: Any) -> float:
    """Return what a metric returned as a float.

    Raises:
        UserError: it is no number.
    """
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UserError(f"The metric {name} returned {type(value).__name__}; it must return a number.") from None


def _built_in(
    name: str,
    task: str,
    weigh: Callable[[np.ndarray, Predictions], Weighted],
    greater_is_better: bool = True,
    by_class: bool = False,
    of_labels: bool = False,
    tail: int = 0,
) -> Metric:
    def compute(truth: np.ndarray, predictions: Predictions) -> float:
        return float(weigh(truth, predictions)(np.ones((1, len(truth))))[0])

    return Metric(name, task, greater_is_better, compute, weigh, by_class, of_labels, tail)


def _mean_of(values: Callable[[np.ndarray, Predictions], np.ndarray]) -> Callable[[np.ndarray, Predictions], Weighted]:
    def weigh(truth: np.ndarray, predictions: Predictions) -> Weighted:
        columns = np.column_stack([values(truth, predictions), np.ones(len(truth))])
        return Sums(columns, lambda sums: sums[..., 0] / sums[..., 1])

    return weigh


def _log_losses(truth: np.ndarray, predictions: Predictions) -> np.ndarray:
    classes = predictions.classes or []
    smallest = np.finfo(predictions.values.dtype).eps
    probability = predictions.values[np.arange(len(truth)), _positions(truth, classes)]
    return -np.log(np.clip(probability, smallest, 1 - smallest))


def _brier_scores(truth: np.ndarray, predictions: Predictions) -> np.ndarray:
    classes = predictions.classes or []
    hits = np.arange(len(classes)) == _positions(truth, classes)[:, None]
    return np.sum((predictions.values - hits) ** 2, axis=1) / (2 if len(classes) == 2 else 1)


def _errors(truth: np.ndarray, predictions: Predictions) -> np.ndarray:
    return np.abs(truth - predictions.values)


def _relative_errors(truth: np.ndarray, predictions: Predictions) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.abs((truth - predictions.values) / truth) if np.all(truth) else np.full(len(truth), np.nan)


def _positions(truth: np.ndarray, classes: list[str]) -> np.ndarray:
    position = {name: index for index, name in enumerate(classes)}
    return np.fromiter(map(position.__getitem__, truth.tolist()), int, len(truth))


def _of_counts(
    value: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
) -> Callable[[np.ndarray, Predictions], Weighted]:
    """Return what weighs a function of each class's rows that are found, there and said."""

    def weigh(truth: np.ndarray, predictions: Predictions) -> Weighted:
        from scipy.sparse import csr_array

        size, rows = len(predictions.classes or []), np.arange(len(truth))
        there, said = _positions(truth, predictions.classes or []), predictions.codes
        found = np.flatnonzero(there == said)
        places = np.concatenate([there[found], size + there, 2 * size + said])
        cells = np.ones(len(places)), (np.concatenate([rows[found], rows, rows]), places)

        def of_sums(sums: np.ndarray) -> np.ndarray:
            return value(sums[..., :size], sums[..., size : 2 * size], sums[..., 2 * size :])

        return Sums(csr_array(cells, shape=(len(truth), 3 * size)), of_sums)

    return weigh


def _of_positive(
    value: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
) -> Callable[[np.ndarray, Predictions], Weighted]:
    """Return what weighs precision and its kin: of the last of two classes, else the plain mean over classes."""

    def of_counts(found: np.ndarray, there: np.ndarray, said: np.ndarray) -> np.ndarray:
        values = np.nan_to_num(value(found, there, said), nan=0.0, posinf=0.0, neginf=0.0)
        if found.shape[-1] == 2:
            return np.where(there[..., 1] > ABSENT, values[..., 1], np.nan)
        known = there + said > ABSENT
        return (values * known).sum(axis=-1) / known.sum(axis=-1)

    return _of_counts(of_counts)


def _ranking(roc: bool) -> Callable[[np.ndarray, Predictions], Weighted]:
    def weigh(truth: np.ndarray, predictions: Predictions) -> Weighted:
        return OneVsRest([(truth == label, scores) for label, scores in one_vs_rest(predictions)], roc)

    return weigh


def _accuracy(found: np.ndarray, there: np.ndarray, said: np.ndarray) -> np.ndarray:
    return found.sum(axis=-1) / there.sum(axis=-1)


def _balanced_accuracy(found: np.ndarray, there: np.ndarray, said: np.ndarray) -> np.ndarray:
    return np.nan_to_num(found / there, posinf=0.0, neginf=0.0).sum(axis=-1) / (there > ABSENT).sum(axis=-1)


def _rmse(truth: np.ndarray, predictions: Predictions) -> Weighted:
    columns = np.column_stack([(truth - predictions.values) ** 2, np.ones(len(truth))])
    return Sums(columns, lambda sums: np.sqrt(sums[..., 0] / sums[..., 1]))


def _r2(truth: np.ndarray, predictions: Predictions) -> Weighted:
    centred = truth - truth.mean()
    columns = np.column_stack([(truth - predictions.values) ** 2, centred**2, centred, np.ones(len(truth))])

    def value(sums: np.ndarray) -> np.ndarray:
        spread = sums[..., 1] - sums[..., 2] ** 2 / sums[..., 3]
        return 1 - sums[..., 0] / np.where(spread > 1e-12 * sums[..., 1], spread, np.nan)

    return Sums(columns, value)


METRICS = {
    metric.name: metric
    for metric in (
        _built_in("accuracy", "classification", _of_counts(_accuracy), of_labels=True),
        *(
            _built_in(name, "classification", weigh, by_class=True, of_labels=True)
            for name, weigh in (
                ("balanced_accuracy", _of_counts(_balanced_accuracy)),
                ("precision", _of_positive(lambda found, there, said: found / said)),
                ("recall", _of_positive(lambda found, there, said: found / there)),
                ("f1", _of_positive(lambda found, there, said: 2 * found / (there + said))),
            )
        ),
        _built_in("roc_auc", "classification", _ranking(roc=True), by_class=True),
        _built_in("average_precision", "classification", _ranking(roc=False), by_class=True),
        _built_in("log_loss", "classification", _mean_of(_log_losses), greater_is_better=False),
        _built_in("brier_score", "classification", _mean_of(_brier_scores), greater_is_better=False),
        _built_in("rmse", "regression", _rmse, greater_is_better=False, tail=1),
        _built_in("mae", "regression", _mean_of(_errors), greater_is_better=False),
        _built_in(
            "median_absolute_error",
            "regression",
            lambda truth, said: Median(_errors(truth, said)),
            greater_is_better=False,
        ),
        _built_in("r2", "regression", _r2, tail=2),
        _built_in("mape", "regression", _mean_of(_relative_errors), greater_is_better=False),
    )
}
