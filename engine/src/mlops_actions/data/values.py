"""What cells mean: the one place that decides what is missing, a number, a boolean, a moment."""

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from .cells import EPOCHS, MISSING_WORDS, MOMENT, NUMBERS, WHOLE, number_pattern

MISSING_CATEGORY = "(missing)"  # what the model sees in place of a missing text
# Text is a category to every stage but train, which makes words of sentences.
Kind = Literal["number", "boolean", "category", "datetime", "text"]
Parsed = tuple[pd.Series, np.ndarray]
_NUMBER = r"^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$|^-?(?:inf|Inf|INF|infinity|Infinity)$"
_CODE = r"^-?0\d"
_EPOCH_UNITS: dict[str, Literal["s", "ms"]] = {"epoch s": "s", "epoch ms": "ms"}
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "min": 60, "s": 1}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def as_text(values: pd.Series) -> pd.Series:
    """Return the values as trimmed str, missing ones NaN; 1, 1.0, "1" and "1.0" are all "1"."""
    if pd.api.types.is_bool_dtype(values.dtype):
        return values.astype("boolean").map({True: "True", False: "False"}).astype("str")
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return values.map(lambda moment: moment.isoformat(), na_action="ignore").astype("str")
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = pd.Series(values.to_numpy("float64", na_value=np.nan), index=values.index)
        return numbers.map(lambda number: repr(number).removesuffix(".0"), na_action="ignore").astype("str")
    text = _trimmed(values)
    if pc.any(pc.match_substring(text, ".0")).as_py():  # rare, and found much faster than replaced
        text = pc.replace_substring_regex(text, WHOLE, r"\1")
    return _series(text, values.index)


def parse_values(
    values: pd.Series, kind: Kind, format: str | None = None, unit: str | None = None, missing: Sequence[str] = ()
) -> Parsed:
    """Return the values as float64, boolean, str or datetime64[us], and which of them are not of that kind.

    Args:
        values: text (of a CSV) or typed values (of a Parquet file).
        kind: what they should be.
        format: how texts are written: of a datetime what strptime reads, or a key of `EPOCHS`, besides ISO; of a number
            a key of `NUMBERS`.
        unit: what stands before or after a number, such as €.
        missing: texts that mean a missing value, besides `MISSING_WORDS`.
    """
    if missing:
        known = as_text(values)
        values = values.where(~known.isin(as_text(pd.Series(missing, dtype="str"))))
    if kind == "number":
        return _number(values, format, unit)
    if kind == "datetime":
        return _datetime(values, format)
    return _boolean(values) if kind == "boolean" else (as_text(values), np.zeros(len(values), bool))


def kind_of(values: pd.Series) -> Kind:
    """Return what the values are: by their type, and where that is text, by what all of them can be read as."""
    if pd.api.types.is_bool_dtype(values.dtype):
        return "boolean"
    if pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_timedelta64_dtype(values.dtype):
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


def is_text(counts: pd.Series) -> bool:
    """Return whether texts, counted by `value_counts`, are sentences: three words or more, and seldom the same."""
    words = counts.index.str.count(r"[^\W\d_]{2,}")
    return len(counts) > counts.sum() / 3 and float(np.mean(words)) >= 3


def as_span(text: float | str) -> pd.Timedelta | None:
    """Return a span of time such as 7d, 1.5 h, 30min or 90s; None where it is none."""
    span = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?) ?(w|d|h|min|s)", str(text).lower())
    return pd.Timedelta(round(float(span[1]) * _SECONDS[span[2]] * 1e6), "us") if span else None


def _number(values: pd.Series, format: str | None = None, unit: str | None = None) -> Parsed:
    if pd.api.types.is_bool_dtype(values.dtype):
        return values, values.notna().to_numpy()
    if pd.api.types.is_timedelta64_dtype(values.dtype):
        values = values.dt.total_seconds()
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.to_numpy("float64", na_value=np.nan)
        return pd.Series(numbers, index=values.index), np.zeros(len(values), bool)
    text = _plain(values, format, unit) if format or unit else _trimmed(values)
    fits = pc.match_substring_regex(text, _NUMBER)
    wrong = pc.fill_null(pc.invert(fits), False).to_numpy(zero_copy_only=False)
    # Arrow reads decimals to the last bit, as a Parquet file of the same data holds them; pandas may not.
    exact = pc.cast(pc.if_else(fits, text, None), pa.float64()).to_numpy(zero_copy_only=False)
    return pd.Series(exact, index=values.index, dtype="float64"), wrong


def _plain(values: pd.Series, format: str | None, unit: str | None) -> pa.Array:
    """Return what is written for people as numbers for machines: "(€ 1.234,50)" is "-1234.50"; others get a mark."""
    _, point = NUMBERS[format or "1,234.5"]
    text = _trimmed(values)
    fits = pc.match_substring_regex(text, f"^(?:{number_pattern(format, unit)})$")
    if unit:
        bare = pc.replace_substring(text, unit, "")
    minus = pc.match_substring_regex(bare if unit else text, r"[-−(]")
    plain = pc.replace_substring_regex(bare if unit else text, rf"[^\d\{point}]", "")
    plain = pc.replace_substring(plain, ",", ".") if point == "," else plain
    plain = pc.if_else(minus, pc.binary_replace_slice(plain, 0, 0, "-"), plain)
    return pc.if_else(fits, plain, pc.if_else(pc.is_null(text), None, "?"))


def _boolean(values: pd.Series) -> Parsed:
    if not pd.api.types.is_bool_dtype(values.dtype):
        text = as_text(values).str.lower()
        parsed = text.map(_BOOLEANS).astype("boolean")
        return parsed, (text.notna() & parsed.isna()).to_numpy()
    return values.astype("boolean"), np.zeros(len(values), bool)


def _datetime(values: pd.Series, format: str | None = None) -> Parsed:
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        moments, wrong = values, np.zeros(len(values), bool)
    elif format is None and pd.api.types.is_numeric_dtype(values.dtype):
        return values, values.notna().to_numpy()
    else:
        text = as_text(values)
        fits = text.str.fullmatch(MOMENT).fillna(False).astype(bool)
        moments = pd.to_datetime(text.where(fits), format="ISO8601", errors="coerce", utc=True)
        if format is not None:
            moments = moments.astype("datetime64[us, UTC]").fillna(_formatted(text.where(~fits), format))
        wrong = (text.notna() & moments.isna()).to_numpy()
    if moments.dt.tz is not None:
        moments = moments.dt.tz_convert("UTC").dt.tz_localize(None)
    return moments.astype("datetime64[us]"), wrong


def _formatted(text: pd.Series, format: str) -> pd.Series:
    if format in EPOCHS:
        numbers = pd.to_numeric(text, errors="coerce").astype("float64")
        unit = _EPOCH_UNITS[format]
        return pd.to_datetime(numbers, unit=unit, errors="coerce", utc=True).astype("datetime64[us, UTC]")
    return pd.to_datetime(text, format=format, errors="coerce", utc=True).astype("datetime64[us, UTC]")


def _trimmed(values: pd.Series) -> pa.Array:
    """Return the values as trimmed text, null where missing."""
    if not isinstance(values.dtype, pd.StringDtype):
        values = values.map(str, na_action="ignore")
    text = pc.utf8_trim_whitespace(pa.array(values.astype("str"), pa.large_string(), from_pandas=True))
    return pc.if_else(pc.is_in(text, pa.array(MISSING_WORDS, pa.large_string())), None, text)


def _series(text: pa.Array, index: pd.Index) -> pd.Series:
    return text.to_pandas().set_axis(index)
