"""Training on rows that fit no single machine: XGBoost on Dask, each worker with its part of the feature table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyarrow import parquet
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import Bunch

from ..core.config import Config
from ..core.errors import UserError, need
from ..core.paths import TRAIN_FEATURES
from ..data.feature_columns import Columns, sort_columns, tell
from ..data.table import kinds_of, read_typed
from .compute import by_value, connect, read_compute

SAMPLE = 2**20  # rows that the columns' treatments are learned from
PART = 2**18  # rows that a worker reads at once
Unfitted = Callable[[Config, Columns, pd.Series], Pipeline]


def fit_on_dask(config: Config, unfitted: Unfitted) -> tuple[Pipeline, int]:
    """Return the pipeline, fitted as if XGBoost had trained here, and how many rows it saw; `unfitted` makes it.

    Raises:
        UserError: a package is missing, COMPUTE is wrong, or XGBoost rejects the parameters.
    """
    need("dask.array", "xgboost_dask")
    xgboost = need("xgboost.dask", "xgboost_dask")
    path, name = config.path(TRAIN_FEATURES), config.data.target
    sample = read_typed(path, min(config.model.rows or SAMPLE, SAMPLE))
    target = sample.pop(name)
    classifies = config.data.task == "classification"
    # The target alone is read whole, for its classes and its number of rows.
    whole = parquet.ParquetFile(path).read([name])[name][: config.model.rows]
    classes = np.array(sorted(whole.unique().to_pylist()), dtype=object) if classifies else None
    sorted_out = sort_columns(sample, kinds_of(path))
    pipeline = unfitted(config, sorted_out, target)
    tell(sorted_out, pipeline)
    columns = pipeline[:-1].fit(sample, target.to_numpy(dtype=object if classifies else "float64"))
    estimator = pipeline[-1].estimators[0][1] if classifies else pipeline[-1]
    with connect(read_compute()) as client:
        features, truth = _spread(client, path, len(whole), columns, name, classes)
        kind = xgboost.DaskXGBClassifier if classifies else xgboost.DaskXGBRegressor
        spread = kind(**estimator.get_params())
        spread.client = client
        try:
            booster = spread.fit(features, truth).get_booster()
        except (ValueError, TypeError, xgboost.XGBoostError) as error:
            raise UserError(f"params.yaml: model: {' '.join(str(error).split())[:300]}") from error
    estimator.load_model(bytearray(booster.save_raw("ubj")))
    if classifies:
        vote = pipeline[-1]
        vote.le_ = LabelEncoder().fit(classes)
        vote.classes_, vote.estimators_ = vote.le_.classes_, [estimator]
        vote.named_estimators_ = Bunch(xgboost=estimator)
    return pipeline, len(whole)


def _spread(
    client: Any, path: Path, rows: int, columns: Pipeline, target: str, classes: np.ndarray | None
) -> tuple[Any, Any]:
    """Return the features and the truth as Dask arrays whose parts lie, prepared, with the workers in turn."""
    from dask import array
    from dask.delayed import delayed

    # Sorted: what a worker holds must not depend on which of them came first.
    workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
    size = path.stat().st_size
    shared = all(seen == size for seen in client.run(by_value(size_of), str(path)).values())
    count = len(workers) * -(-rows // (PART * len(workers)))
    edges = np.linspace(0, rows, count + 1).astype(int)
    parts = []
    for number, (start, stop) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        # Workers read for themselves where they see the file; else it passes through here, a part at a time.
        source = str(path) if shared else read_part(str(path), start, stop)
        worker = [workers[number % len(workers)]]
        what = (source, (start, stop), columns, target, classes)
        parts.append(client.submit(by_value(prepare), *what, workers=worker, pure=False))
    width = client.submit(by_value(width_of), parts[0], pure=False).result()
    features, truth = [], []
    for done, start, stop in zip(parts, edges[:-1], edges[1:], strict=True):
        part = delayed(done)
        features.append(array.from_delayed(part[0], (stop - start, width), "float32"))
        truth.append(array.from_delayed(part[1], (stop - start,), "float32"))
    return array.concatenate(features), array.concatenate(truth)


def size_of(path: str) -> int | None:
    """Return how large a file is that this machine sees at the path."""
    return Path(path).stat().st_size if Path(path).is_file() else None


def width_of(part: tuple[np.ndarray, np.ndarray]) -> int:
    """Return how many features a prepared part has."""
    return int(part[0].shape[1])


def read_part(path: str, start: int, stop: int) -> pd.DataFrame:
    """Return the rows of a feature table from `start` until `stop`, of which only their row groups are read."""
    import pyarrow
    from pyarrow import parquet

    file, begin, parts = parquet.ParquetFile(path), 0, []
    for number in range(file.num_row_groups):
        end = begin + file.metadata.row_group(number).num_rows
        if begin < stop and start < end:
            parts.append(file.read_row_group(number)[max(start - begin, 0) : stop - begin])
        begin = end
    return pyarrow.concat_tables(parts).to_pandas()


def prepare(
    source: Any, rows: tuple[int, int], columns: Pipeline, target: str, classes: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the float32 features and truth of some rows, the truth as positions in `classes`."""
    table = read_part(source, *rows) if isinstance(source, str) else source
    truth = table.pop(target).to_numpy()
    known = truth if classes is None else np.searchsorted(classes.astype(str), truth.astype(str))
    features = columns.transform(table)
    return np.asarray(features, dtype="float32"), known.astype("float32")
