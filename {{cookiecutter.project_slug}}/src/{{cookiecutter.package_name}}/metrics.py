"""What a model's predictions are worth, under the names that practitioners use."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Predictions:
    """A probability for each class (one row a sample), or one number a sample for regression."""

    values: np.ndarray
    classes: list[str] | None = None

    @property
    def labels(self) -> np.ndarray:
        """The most probable class, or the number itself.

        Of classes that are equal to six digits it is the first: a forest often ties, and the last bit of a
        float, which depends on the library that adds up the trees, must not decide.
        """
        if self.classes is None:
            return self.values
        return np.array(self.classes, dtype=object)[self.values.round(6).argmax(axis=1)]

    def with_classes_of(self, truth: np.ndarray) -> "Predictions":
        """The same, with probability zero for classes that only the truth knows."""
        if self.classes is None or set(truth) <= set(self.classes):
            return self
        classes = sorted({*self.classes, *truth})
        values = np.zeros((len(self.values), len(classes)))
        values[:, [classes.index(name) for name in self.classes]] = self.values
        return Predictions(values, classes)


@dataclass(frozen=True)
class Metric:
    """One number about predictions; NaN where it is not defined."""

    name: str
    task: str
    greater_is_better: bool
    compute: Callable[[np.ndarray, Predictions], float]


def metrics_of(task: str) -> dict[str, Metric]:
    """The metrics that are defined for a task."""
    return {name: metric for name, metric in METRICS.items() if metric.task == task}


def compute_metrics(task: str, truth: np.ndarray, predictions: Predictions) -> dict[str, float]:
    """Every metric of the task that these rows define, rounded to ten significant digits."""
    predictions = predictions.with_classes_of(truth)
    values = {name: float(metric.compute(truth, predictions)) for name, metric in metrics_of(task).items()}
    return {name: float(f"{value:.10g}") for name, value in values.items() if np.isfinite(value)}


def one_vs_rest(predictions: Predictions) -> list[tuple[str, np.ndarray]]:
    """The classes that curves are drawn for, with their scores: the positive one of two, else each."""
    classes = predictions.classes or []
    first = 1 if len(classes) == 2 else 0
    return [(name, predictions.values[:, index]) for index, name in enumerate(classes) if index >= first]


def _of_labels(name: str, **options: Any) -> Callable[[np.ndarray, Predictions], float]:
    def compute(truth: np.ndarray, predictions: Predictions) -> float:
        from sklearn import metrics

        return getattr(metrics, name)(truth, predictions.labels, **options)

    return compute


def _of_positive_class(name: str) -> Callable[[np.ndarray, Predictions], float]:
    """Precision and its kin: of the last of two classes in sorted order, else the plain mean over classes."""

    def compute(truth: np.ndarray, predictions: Predictions) -> float:
        classes = predictions.classes or []
        if len(classes) != 2:
            return _of_labels(name, zero_division=0, average="macro")(truth, predictions)
        if classes[-1] not in truth:
            return float("nan")
        return _of_labels(name, zero_division=0, pos_label=classes[-1])(truth, predictions)

    return compute


def _of_scores(name: str) -> Callable[[np.ndarray, Predictions], float]:
    """Ranking metrics: one class against the rest, weighted by how frequent the class is."""

    def compute(truth: np.ndarray, predictions: Predictions) -> float:
        from sklearn import metrics

        if len(set(truth)) < 2:
            return float("nan")
        parts = [(np.mean(truth == label), truth == label, scores) for label, scores in one_vs_rest(predictions)]
        parts = [part for part in parts if part[0] > 0]
        total = sum(weight for weight, _, _ in parts)
        return sum(weight / total * getattr(metrics, name)(hit, scores) for weight, hit, scores in parts)

    return compute


def _log_loss(truth: np.ndarray, predictions: Predictions) -> float:
    from sklearn import metrics

    return metrics.log_loss(truth, predictions.values, labels=predictions.classes)


def _brier_score(truth: np.ndarray, predictions: Predictions) -> float:
    classes = predictions.classes or []
    hits = truth[:, None] == np.array(classes, dtype=object)[None, :]
    halved = 2 if len(classes) == 2 else 1
    return float(np.mean(np.sum((predictions.values - hits) ** 2, axis=1)) / halved)


def _balanced_accuracy(truth: np.ndarray, predictions: Predictions) -> float:
    return float(np.mean([np.mean(predictions.labels[truth == label] == label) for label in sorted(set(truth))]))


def _r2(truth: np.ndarray, predictions: Predictions) -> float:
    spread = float(np.sum((truth - truth.mean()) ** 2))
    return 1 - float(np.sum((truth - predictions.values) ** 2)) / spread if spread else float("nan")


def _mape(truth: np.ndarray, predictions: Predictions) -> float:
    return float(np.mean(np.abs((truth - predictions.values) / truth))) if np.all(truth) else float("nan")


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "classification", True, _of_labels("accuracy_score")),
        Metric("balanced_accuracy", "classification", True, _balanced_accuracy),
        Metric("precision", "classification", True, _of_positive_class("precision_score")),
        Metric("recall", "classification", True, _of_positive_class("recall_score")),
        Metric("f1", "classification", True, _of_positive_class("f1_score")),
        Metric("roc_auc", "classification", True, _of_scores("roc_auc_score")),
        Metric("average_precision", "classification", True, _of_scores("average_precision_score")),
        Metric("log_loss", "classification", False, _log_loss),
        Metric("brier_score", "classification", False, _brier_score),
        Metric("rmse", "regression", False, _of_labels("root_mean_squared_error")),
        Metric("mae", "regression", False, _of_labels("mean_absolute_error")),
        Metric("median_absolute_error", "regression", False, _of_labels("median_absolute_error")),
        Metric("r2", "regression", True, _r2),
        Metric("mape", "regression", False, _mape),
    )
}
