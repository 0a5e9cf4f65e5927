"""Stage 4: a model fitted on the training rows: same inputs, same bytes."""

import time
import warnings

import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ..bundle.fitted import dump_model
from ..core.config import Config
from ..core.errors import UserError
from ..core.files import write_file
from ..core.owner import load_module
from ..core.paths import PIPELINE, TRAIN_FEATURES
from ..data.feature_columns import Columns, sort_columns, tell
from ..data.table import kinds_of, read_typed
from .target_scale import check_plain, check_scale, check_weighable, on_scale, weigh_rows
from .train_on_dask import fit_on_dask


def run(config: Config) -> None:
    """Fit the pipeline of model.py and write it as a skops file."""
    start = time.perf_counter()
    if config.model.estimator == "xgboost_dask":
        check_plain(config)
        pipeline, rows = fit_on_dask(config, unfitted)
    else:
        table = read_typed(config.path(TRAIN_FEATURES), config.model.rows)
        target = table.pop(config.data.target)
        weight = table.pop(config.data.weight) if config.data.weight else None
        kinds = kinds_of(config.path(TRAIN_FEATURES))
        pipeline, rows = fit(config, table, kinds, target, weight), len(table)
    write_file(config.path(PIPELINE), dump_model(pipeline))
    print(f"train: {config.model.estimator} on {rows:,} rows in {time.perf_counter() - start:.1f} s")


def unfitted(config: Config, columns: Columns, target: pd.Series) -> Pipeline:
    """Return the pipeline for a feature table with these columns and this target."""
    if not columns.used:
        raise UserError(
            "features.py: no column has two rows' worth to learn from: each is empty or differs in every row; add one."
        )
    classes = target.nunique() if config.data.task == "classification" else 0
    return load_module(config.root, "model").build_model(config.model, columns, config.data.task, classes)


def fit(
    config: Config,
    features: pd.DataFrame,
    kinds: dict[str, str],
    target: pd.Series,
    weight: pd.Series | None = None,
) -> Pipeline:
    """Return the fitted pipeline; what the estimator rejects becomes one sentence.

    Args:
        config: the project.
        features: what the model sees.
        kinds: what the contract says of the columns that it knows.
        target: what it learns, for each row.
        weight: how much each row counts, if not all the same.
    """
    columns = sort_columns(features, kinds)
    pipeline = unfitted(config, columns, target)
    tell(columns, pipeline)
    weights = weigh_rows(config, target, weight)
    options = {} if weights is None else {"estimator__sample_weight": weights}
    if weights is not None:
        check_weighable(pipeline[-1], config.model)
    pipeline.set_params(estimator=on_scale(pipeline[-1], config.model.transform, target))
    truth = target.to_numpy(dtype=object if config.data.task == "classification" else "float64")
    # One thread for linear algebra: with more, the last bits of a model would depend on the number of cores.
    with warnings.catch_warnings(record=True) as caught, threadpool_limits(1, user_api="blas"):
        warnings.simplefilter("always", ConvergenceWarning)
        try:
            pipeline.fit(features, truth, **options)
        except (ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise UserError(f"model.py: its pipeline cannot be fitted with params.yaml's model: {reason}") from error
    check_scale(pipeline[-1])
    if any(issubclass(warning.category, ConvergenceWarning) for warning in caught):
        print("train: it stopped before it converged; raise its iterations (max_iter) in model.params")
    return pipeline
