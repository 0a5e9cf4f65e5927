"""The project's own metrics: each public function of its metrics.py, by its name."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.config import PARAMS, Config
from ..core.errors import UserError
from ..core.owner import load_module, module_path, tell
from .metrics import METRICS, Metric, Predictions, find_metric, number_of, scorer_metric


def own_metrics(config: Config) -> dict[str, Metric]:
    """Return the metrics of metrics.py by their names, the greater the better; none where there is no such file.

    A metric is a public function that the file defines, of the truth (an array of class names or numbers, one a row)
    and of a frame with the columns of `mlops predict` (`prediction`, `probability_<class>`); it returns a number. What
    `sklearn.metrics.make_scorer` returns is one as well.

    Raises:
        UserError: the file cannot be imported, or gives a metric the name of a built-in one.
    """
    if not module_path(config.root, "metrics").exists():
        return {}
    module = load_module(config.root, "metrics")
    metrics = {}
    for name, value in vars(module).items():
        scorer = hasattr(value, "_score_func")
        if name.startswith("_") or not (scorer or getattr(value, "__module__", None) == module.__name__):
            continue
        if name in METRICS:
            raise UserError(f"metrics.py: {name} is a built-in metric; give yours another name.")
        if scorer:
            metrics[name] = scorer_metric(name, config.data.task, value)
        elif callable(value) and not isinstance(value, type):
            metrics[name] = Metric(name, config.data.task, True, _computed(name, value))
    return metrics


def named_metrics(config: Config) -> list[Metric]:
    """Return the metrics that are shown besides the task's built-in ones: those of the gate, and the project's own.

    Raises:
        UserError: params.yaml names one that there is not, or metrics.py cannot be imported.
    """
    gate, own = config.gate, own_metrics(config)
    places = {f"gate.{part}.{name}": name for part in ("thresholds", "guards") for name in getattr(gate, part)}
    metrics = {}
    for place, name in {"gate.primary": gate.primary, **places}.items():
        if "guess" in (config.data.task, name):
            continue
        try:
            metrics[name] = find_metric(name, config.data.task, own)
        except UserError as error:
            raise UserError(f"{PARAMS}: {place}: {error}") from error
    return [*(metrics | own).values()]


def _computed(name: str, function: Callable[..., Any]) -> Callable[[np.ndarray, Predictions], float]:
    def compute(truth: np.ndarray, predictions: Predictions) -> float:
        import pandas as pd

        frame = pd.DataFrame({"prediction": predictions.labels})
        for index, label in enumerate(predictions.classes or []):
            frame[f"probability_{label}"] = predictions.values[:, index]
        try:
            value = function(truth, frame)
        except UserError:
            raise
        except Exception as error:
            lacking = predictions.classes is not None and len(set(truth)) < len(predictions.classes)
            if lacking and isinstance(error, ValueError | LookupError | ArithmeticError):
                return float("nan")  # not defined on rows that lack a class; anything else is a mistake in it
            raise UserError(f"The metric {name} raised {tell(error)}.") from error
        return number_of(name, value)

    return compute
