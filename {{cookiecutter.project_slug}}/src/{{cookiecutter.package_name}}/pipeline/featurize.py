"""Stage 2: the table that the model sees, made by the same function for training and for prediction."""

import numpy as np
import pandas as pd

from ..config import Config
from ..errors import UserError
from ..features import add_features
from ..outputs import TEST_FEATURES, TEST_ROWS, TRAIN_FEATURES, TRAIN_ROWS
from ..table import columns_of, read_typed, write_parquet
from ..values import MISSING_CATEGORY


def run(config: Config) -> None:
    """Writes the features and the target of the train and the test rows."""
    for source, path in ((TRAIN_ROWS, TRAIN_FEATURES), (TEST_ROWS, TEST_FEATURES)):
        rows = read_typed(config.path(source))
        features = make_features(rows, config)
        features[config.data.target] = rows[config.data.target]
        write_parquet(features, config.path(path))
    numbers, categories = columns_of(features.drop(columns=config.data.target))
    print(f"featurize: {len(numbers)} numbers and {len(categories)} categories")


def make_features(rows: pd.DataFrame, config: Config) -> pd.DataFrame:
    """What the model sees of typed rows: float32 numbers (missing: NaN), then text (missing: a constant)."""
    seen = rows.drop(columns=[config.data.target, *config.data.drop], errors="ignore").reset_index(drop=True)
    table = add_features(seen)
    if not isinstance(table, pd.DataFrame) or len(table) != len(seen):
        raise UserError("features.py: add_features must return a DataFrame with one row for each row it gets.")
    if not table.index.equals(seen.index):
        raise UserError("features.py: add_features must keep the order of the rows and their index.")
    if table.columns.has_duplicates or config.data.target in table.columns or table.empty:
        raise UserError(
            "features.py: add_features must return one column or more, no name twice, and never the target."
        )
    typed = {str(name): _as_input(str(name), values) for name, values in table.items()}
    ordered = sorted(typed, key=lambda name: typed[name].dtype != np.float32)
    return pd.DataFrame({name: typed[name] for name in ordered})


def _as_input(name: str, values: pd.Series) -> pd.Series:
    kind = values.dtype
    if pd.api.types.is_bool_dtype(kind) or pd.api.types.is_numeric_dtype(kind):
        with np.errstate(over="ignore"):
            numbers = values.to_numpy("float64", na_value=np.nan).astype("float32")
        infinite = np.isinf(numbers)
        if infinite.any():
            raise UserError(
                f"features.py: {name!r} is infinite in {int(infinite.sum())} rows (first: row "
                f"{infinite.argmax() + 1}); make them missing."
            )
        return pd.Series(numbers, index=values.index)
    if isinstance(kind, pd.StringDtype | pd.CategoricalDtype) or kind is np.dtype(object):
        return values.map(str, na_action="ignore").astype("str").fillna(MISSING_CATEGORY)
    raise UserError(f"features.py: {name!r} is {kind}; add_features must return numbers, booleans and text.")
