"""What cells mean: the one place that decides what is missing, a number, a boolean, a moment."""

from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

MISSING_CATEGORY = "(missing)"  # what the model sees in place of a missing text
MISSING_WORDS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "<NA>"]
Kind = Literal["number", "boolean", "category", "datetime"]
Parsed = tuple[pd.Series, np.ndarray]
_NUMBER = r"^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$|^-?(?:inf|Inf|INF|infinity|Infinity)$"
_CODE = r"^-?0\d"
_MOMENT = r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?(?:Z|[+-]\d{2}:?\d{2})?$"
_STR = pd.StringDtype("pyarrow", na_value=np.nan)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def as_text(values: pd.Series) -> pd.Series:
    """The values as trimmed str, missing ones NaN; 1, 1.0, "1" and "1.0" are all "1"."""
    if pd.api.types.is_bool_dtype(values.dtype):
        return values.astype("boolean").map({True: "True", False: "False"}).astype("str")
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return values.map(lambda moment: moment.isoformat(), na_action="ignore").astype("str")
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = pd.Series(values.to_numpy("float64", na_value=np.nan), index=values.index)
        return numbers.map(lambda number: repr(number).removesuffix(".0"), na_action="ignore").astype("str")
    if not isinstance(values.dtype, pd.StringDtype):
        values = values.map(str, na_action="ignore")
    text = pc.utf8_trim_whitespace(pa.array(values.astype("str"), pa.large_string(), from_pandas=True))
    if pc.any(pc.match_substring(text, ".0")).as_py():  # rare, and found much faster than replaced
        text = pc.replace_substring_regex(text, r"^(-?\d+)\.0+$", r"\1")
    text = pc.if_else(pc.is_in(text, pa.array(MISSING_WORDS, pa.large_string())), None, text)
    return pd.Series(_STR.__from_arrow__(text), index=values.index)


def parse_values(values: pd.Series, kind: Kind) -> Parsed:
    """The values as float64, boolean, str or datetime64[us], and which of them are not of that kind."""
    return _PARSERS[kind](values)


def is_missing(values: pd.Series) -> pd.Series:
    """Which values are missing."""
    return values.isna() if pd.api.types.is_numeric_dtype(values.dtype) else as_text(values).isna()


def kind_of(values: pd.Series) -> Kind:
    """What the values are: by their type, and where that is text, by what all of them can be read as."""
    if pd.api.types.is_bool_dtype(values.dtype):
        return "boolean"
    if pd.api.types.is_numeric_dtype(values.dtype):
        return "number"
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return "datetime"
    text = as_text(values).dropna()
    if text.empty:
        return "number"
    if text.str.lower().isin(["true", "false"]).all():
        return "boolean"
    if text.str.match(_NUMBER).all() and not text.str.match(_CODE).any():
        return "number"
    return "datetime" if not _datetime(text)[1].any() else "category"


def _number(values: pd.Series) -> Parsed:
    if pd.api.types.is_bool_dtype(values.dtype):
        return values, values.notna().to_numpy()
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.to_numpy("float64", na_value=np.nan)
        return pd.Series(numbers, index=values.index), np.zeros(len(values), bool)
    text = pa.array(as_text(values), pa.large_string(), from_pandas=True)
    fits = pc.match_substring_regex(text, _NUMBER)
    wrong = pc.fill_null(pc.invert(fits), False).to_numpy(zero_copy_only=False)
    # Arrow reads decimals to the last bit, as a Parquet file of the same data holds them; pandas may not.
    exact = pc.cast(pc.if_else(fits, text, None), pa.float64()).to_numpy(zero_copy_only=False)
    return pd.Series(exact, index=values.index, dtype="float64"), wrong


def _boolean(values: pd.Series) -> Parsed:
    if not pd.api.types.is_bool_dtype(values.dtype):
        text = as_text(values).str.lower()
        parsed = text.map(_BOOLEANS).astype("boolean")
        return parsed, (text.notna() & parsed.isna()).to_numpy()
    return values.astype("boolean"), np.zeros(len(values), bool)


def _category(values: pd.Series) -> Parsed:
    return as_text(values), np.zeros(len(values), bool)


def _datetime(values: pd.Series) -> Parsed:
    if not pd.api.types.is_datetime64_any_dtype(values.dtype):
        if pd.api.types.is_numeric_dtype(values.dtype):
            return values, values.notna().to_numpy()
        text = as_text(values)
        fits = text.str.match(_MOMENT).fillna(False).astype(bool)
        moments = pd.to_datetime(text.where(fits), format="ISO8601", errors="coerce", utc=True)
        wrong = (text.notna() & moments.isna()).to_numpy()
    else:
        moments, wrong = values, np.zeros(len(values), bool)
    if moments.dt.tz is not None:
        moments = moments.dt.tz_convert("UTC").dt.tz_localize(None)
    return moments.astype("datetime64[us]"), wrong


_PARSERS = {"number": _number, "boolean": _boolean, "category": _category, "datetime": _datetime}
