"""The comparison: champion and candidate on the same test rows, row by row the same."""

import numpy as np
import pandas as pd

from ..config import Config
from ..metrics import Predictions, compute_metrics, metrics_of
from ..outputs import BUNDLE, TEST_ROWS, fetch_outputs, output_file
from ..pipeline.bundle import load_bundle
from ..pipeline.predict import predict
from ..table import read_typed
from .champion import Champion, Incomparable
from .champion import predict as predict_as_champion
from .report import Comparison, Metric


def compare_models(config: Config, champion: Champion | None) -> Comparison:
    """Return the working tree's model and the champion, measured on the working tree's test rows.

    Raises:
        UserError: an object is in no store.
    """
    fetch_outputs((TEST_ROWS, None), (BUNDLE, None), *([(BUNDLE, champion.commit)] if champion else []))
    file = output_file(TEST_ROWS).resolve()
    rows = read_typed(file)
    candidate = predict(config, rows, load_bundle(output_file(BUNDLE)), enforce=False)
    reference, reason = None, None
    if champion:
        try:
            reference = predict_as_champion(champion, file, config.data)
        except Incomparable as error:
            reason = str(error)
    truth = rows[config.data.target].to_numpy()
    ours = measure(config, truth, candidate)
    theirs = {} if reference is None else measure(config, truth, reference)
    metrics = [
        Metric(name, metric.greater_is_better, theirs.get(name), ours.get(name))
        for name, metric in metrics_of(config.data.task).items()
    ]
    return Comparison(metrics, len(truth), reason)


def measure(config: Config, truth: np.ndarray, predicted: pd.DataFrame) -> dict[str, float]:
    """Return every metric that these rows define for predictions as `mlops predict` writes them."""
    probabilities = predicted.drop(columns="prediction")
    if probabilities.empty:
        predictions = Predictions(predicted["prediction"].to_numpy())
    else:
        classes = [str(name).removeprefix("probability_") for name in probabilities]
        predictions = Predictions(probabilities.to_numpy(), classes)
    return compute_metrics(config.data.task, truth, predictions)
