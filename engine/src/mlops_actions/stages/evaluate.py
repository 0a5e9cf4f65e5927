"""Stage 5: what the model is worth on the test rows, in numbers and curves."""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd

from ..bundle.fitted import answer_of, classes_of, read_model
from ..core.config import PARAMS, Config
from ..core.errors import UserError
from ..core.files import write_file
from ..core.paths import METRICS, PIPELINE, PLOTS, TEST_FEATURES
from ..data.table import read_typed
from ..stats.curves import calibration, precision_recall, roc
from ..stats.metrics import Predictions, compute_metrics, metrics_of, one_vs_rest
from ..stats.own_metrics import named_metrics, own_metrics

POINTS = 1000


def run(config: Config) -> None:
    """Write metrics.json and the data of the plots."""
    table = read_typed(config.path(TEST_FEATURES))
    truth = truth_of(config, table.pop(config.data.target))
    pipeline = read_model(config.path(PIPELINE))
    predictions = as_decided(config, answer_of(pipeline, table), classes_of(pipeline))
    metrics = compute_metrics(config.data.task, truth, predictions, named_metrics(config))
    write_file(config.path(METRICS), (json.dumps(metrics, indent=2) + "\n").encode())
    for name, plot in _plots(truth, predictions):
        write_file(
            config.path(f"{PLOTS}/{name}.csv"),
            plot.round(6).to_csv(index=False, lineterminator="\n").encode(),
        )
    undefined = [name for name in [*metrics_of(config.data.task), *own_metrics(config)] if name not in metrics]
    if undefined:
        print(f"evaluate: not defined on these {len(table)} test rows: {', '.join(undefined)}")
    primary = f"{metrics[config.gate.primary]:.4f}" if config.gate.primary in metrics else "not defined"
    print(f"evaluate: {config.gate.primary} {primary} on {len(table):,} test rows")


def as_decided(config: Config, values: np.ndarray, classes: list[str] | None) -> Predictions:
    """Return what a model says, as the project takes it: the positive class last, predicted from `model.threshold` on.

    Raises:
        UserError: there is a threshold, and several classes that it could be about.
    """
    if config.model.threshold is not None and config.data.positive is None and len(classes or []) > 2:
        raise UserError(
            f"{PARAMS}: model.threshold is about one class of {len(classes or [])}; name it in data.positive."
        )
    return Predictions(values, classes).about(config.data.positive).decide(config.model.threshold)


def truth_of(config: Config, target: pd.Series) -> np.ndarray:
    """Return the target column as metrics take it: class names, or float64."""
    return target.to_numpy(object if config.data.task == "classification" else "float64")


def _plots(truth: np.ndarray, predictions: Predictions) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each plot's name and rows; rows lie in the order of their hash, so the first ones are a fair sample."""
    some = slice(POINTS)
    if predictions.classes is None:
        values = predictions.values
        yield "predicted_actual", pd.DataFrame({"actual": truth[some], "predicted": values[some]})
        yield "residuals", pd.DataFrame({"predicted": values[some], "residual": (truth - values)[some]})
        return
    yield "confusion", pd.DataFrame({"actual": truth[some], "predicted": predictions.labels[some]})
    scored = [(name, truth == name, scores) for name, scores in one_vs_rest(predictions)]
    drawn = [(name, hit, scores) for name, hit, scores in scored if 0 < hit.sum() < len(hit)]
    for plot, columns, curve in (
        ("roc", ["false_positive_rate", "true_positive_rate"], roc),
        ("precision_recall", ["recall", "precision"], precision_recall),
        ("calibration", ["predicted", "observed", "rows"], calibration),
    ):
        parts = [
            pd.DataFrame(dict(zip(columns, curve(hit, scores), strict=True))).assign(label=name)
            for name, hit, scores in drawn
        ]
        table = pd.concat(parts) if parts else pd.DataFrame(columns=[*columns, "label"])
        yield plot, table.rename(columns={"label": "class"})
