"""What the model sees of a row: the owner's add_features, applied alike in training and for every prediction."""

import hashlib
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from ..core.config import Config
from ..core.errors import UserError
from ..core.owner import load_module, module_path
from ..data.values import MISSING_CATEGORY

ALONE = 10  # rows of a table whose features are made again without the others


class InfiniteError(UserError):
    """add_features makes an infinite number of a row."""


def features_module(config: Config) -> ModuleType:
    """Return the owner's features.py.

    Raises:
        UserError: it is missing, cannot be imported, or has no add_features.
    """
    module = load_module(config.root, "features")
    if not hasattr(module, "add_features"):
        raise UserError("features.py: has no add_features; define it, as a function of the rows.")
    return module


def make_features(rows: pd.DataFrame, config: Config, first: int = 0) -> pd.DataFrame:
    """Return what the model sees of typed rows: float32 numbers (missing: NaN), then text (missing: a constant).

    `first` says how many rows lie before these, for the row that an error names.
    """
    seen = rows.drop(columns=[config.data.target, *config.data.unseen], errors="ignore").reset_index(drop=True)
    table = _add_features(seen, config)
    if not isinstance(table, pd.DataFrame) or len(table) != len(seen):
        raise UserError("features.py: add_features must return a DataFrame with one row for each row it gets.")
    if not table.index.equals(seen.index):
        raise UserError("features.py: add_features must keep the order of the rows and their index.")
    if table.columns.has_duplicates or table.empty or not {config.data.target, config.data.weight}.isdisjoint(table):
        raise UserError(
            "features.py: add_features must return one column or more, no name twice, and never the target or weight."
        )
    typed = {str(name): _as_input(str(name), values, first) for name, values in table.items()}
    ordered = sorted(typed, key=lambda name: typed[name].dtype != np.float32)
    return pd.DataFrame({name: typed[name] for name in ordered})


def check_alone(rows: pd.DataFrame, features: pd.DataFrame, config: Config) -> None:
    """Refuse features that a row has among others only: some rows, made alone, must get the same bits.

    Args:
        rows: what `make_features` was given, at least one row.
        features: what it made of them.
        config: the project.
    """
    for number in np.unique(np.linspace(0, len(rows) - 1, ALONE, dtype=int)):
        alone = make_features(rows.iloc[[number]], config)
        for name in features:
            values = features[name].iloc[number], alone[name].iloc[0] if name in alone else "absent"
            if values[0] != values[1] and not (pd.isna(values[0]) and pd.isna(values[1])):
                raise UserError(
                    f"features.py: {name!r} of a row is {values[0]} among others and {values[1]} alone; compute each "
                    "row from that row alone, and move what is learned from all rows into model.py."
                )


def code_digests(config: Config) -> dict[str, str]:
    """Return the SHA-256 of the code that a prediction may need besides the bundle, by the name of its file."""
    files = [
        module_path(config.root, "features"),
        *([config.path("features.sql")] if config.history.entity else []),
    ]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _add_features(rows: pd.DataFrame, config: Config) -> Any:
    step: Any = features_module(config).add_features
    if hasattr(step, "fit_transform"):
        from sklearn.base import clone

        return clone(step).set_output(transform="pandas").fit_transform(rows)
    return step(rows)


def _as_input(name: str, values: pd.Series, first: int) -> pd.Series:
    kind = values.dtype
    if pd.api.types.is_bool_dtype(kind) or pd.api.types.is_numeric_dtype(kind):
        with np.errstate(over="ignore"):
            numbers = values.to_numpy("float64", na_value=np.nan).astype("float32") + np.float32(0)  # there is one zero
        infinite = np.isinf(numbers)
        if infinite.any():
            row = first + int(infinite.argmax()) + 1
            raise InfiniteError(
                f"features.py: {name!r} is infinite in some rows (first: row {row}); make it missing there."
            )
        return pd.Series(numbers, index=values.index)
    if isinstance(kind, pd.StringDtype | pd.CategoricalDtype) or kind is np.dtype(object):
        text = values if isinstance(kind, pd.StringDtype) else values.map(str, na_action="ignore")
        return text.astype("str").fillna(MISSING_CATEGORY)
    raise UserError(f"features.py: {name!r} is {kind}; add_features must return numbers, booleans and text.")
