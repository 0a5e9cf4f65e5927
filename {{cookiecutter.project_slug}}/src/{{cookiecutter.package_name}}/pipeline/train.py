"""Stage 3: a model fitted on the training rows: same inputs, same bytes."""

import time
import warnings

import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ..config import Config
from ..errors import UserError
from ..files import write_file
from ..model import build_model
from ..outputs import PIPELINE, TRAIN_FEATURES
from ..table import columns_of, read_typed
from .bundle import dump_model


def run(config: Config) -> None:
    """Fits the pipeline of model.py and writes it as a skops file."""
    table = read_typed(config.path(TRAIN_FEATURES))
    target = table.pop(config.data.target)
    start = time.perf_counter()
    pipeline = fit(config, table, target)
    write_file(config.path(PIPELINE), dump_model(pipeline))
    print(f"train: {config.model.estimator} on {len(table):,} rows in {time.perf_counter() - start:.1f} s")


def fit(config: Config, features: pd.DataFrame, target: pd.Series) -> Pipeline:
    """The fitted pipeline; what the estimator rejects becomes one sentence."""
    numbers, categories = columns_of(features)
    # Histogram gradient boosting cannot bin a column without a single value, and no model learns from one.
    numbers = [name for name in numbers if features[name].notna().any()]
    pipeline = build_model(config.model, numbers, categories, config.data.task)
    # One thread for linear algebra: with more, the last bits of a model would depend on the number of cores.
    with warnings.catch_warnings(record=True) as caught, threadpool_limits(1, user_api="blas"):
        warnings.simplefilter("always", ConvergenceWarning)
        try:
            pipeline.fit(features, target.to_numpy(dtype=object if config.data.task == "classification" else "float64"))
        except (ValueError, TypeError) as error:
            raise UserError(f"params.yaml: model: {' '.join(str(error).split())[:300]}") from error
    if any(issubclass(warning.category, ConvergenceWarning) for warning in caught):
        print("train: it stopped before it converged; raise its iterations (max_iter) in model.params")
    return pipeline
