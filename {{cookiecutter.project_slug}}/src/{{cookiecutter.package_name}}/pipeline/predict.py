"""Predictions for rows: the contract, the features and the bundle, in that order."""

from pathlib import Path

import pandas as pd

from ..config import Config
from ..schema import SCHEMA, load_schema
from ..table import read_table
from .bundle import Bundle
from .featurize import make_features


def predict(config: Config, rows: Path | pd.DataFrame, bundle: Bundle, enforce: bool = True) -> pd.DataFrame:
    """A `prediction` for each row, and a `probability_<class>` for each class.

    Args:
        config: the project that trained the bundle.
        rows: a file of any kind, or a frame, raw or prepared, with or without target and dropped columns.
        bundle: the model.
        enforce: whether missing values and limits of schema.yaml are errors; types always are.
    """
    schema = load_schema(config.path(SCHEMA)).without(config.data.unseen)
    source = "the rows" if isinstance(rows, pd.DataFrame) else str(rows)
    frame = rows if isinstance(rows, pd.DataFrame) else read_table(rows, config.data.read)
    typed = schema.apply(frame, with_target=False, source=source, enforce=enforce, new=True)
    predictions = bundle.predict(make_features(typed, config))
    result = pd.DataFrame({"prediction": predictions.labels})
    for index, name in enumerate(predictions.classes or []):
        result[f"probability_{name}"] = predictions.values[:, index]
    return result
