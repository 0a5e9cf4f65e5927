"""Which rows are train and which are test, decided by each row alone: a test row stays one when others come and go."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..core.config import Config
from ..core.errors import UserError
from ..data.values import as_span

TRAIN, TEST, NEITHER = range(3)
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FINALISER = [(np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB))]
_SAMPLE = 1000  # texts that show whether texts repeat
_HASH_KEY = "0123456789123456"  # pandas' default, said here because test rows would move with it


def parts_of(config: Config, rows: pd.DataFrame, words: dict[str, np.ndarray] | None = None) -> np.ndarray:
    """TRAIN, TEST or NEITHER for each typed row; `words` are those of `words_of`, where they are known already.

    Raises:
        UserError: split.cutoff or split.gap does not fit split.column.
    """
    split = config.split
    if split.method == "time":
        values = rows[split.column or ""]
        start, cutoff = _bounds(config, values.dtype.kind)
        return np.select([(values >= cutoff).to_numpy(), (values >= start).to_numpy()], [TEST, NEITHER], TRAIN)
    words = words or words_of(rows)
    key = {name: column for name, column in words.items() if name in (split.key or rows.columns)}
    if not split.key:
        key.pop(config.data.target, None)
    return np.where(combine(key) < np.uint64(int(split.test_size * 2**64)), TEST, TRAIN)


def words_of(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """64 bits for each value of each typed column: the same on any platform, from CSV or Parquet, in any batch."""
    return {str(name): _as_words(values) for name, values in rows.items()}


def combine(words: dict[str, np.ndarray]) -> np.ndarray:
    """Return a 64-bit hash of each row of columns' words, whatever the columns' order: uint64.

    Column by column, by the names' order, a step and the finaliser of SplitMix64 (Steele, Lea & Flood 2014, Fast
    splittable pseudorandom number generators, OOPSLA; constants of Stafford's variant 13), in which the column's words
    are mixed into the state. Rows that differ in one column only never collide.
    """
    state = np.zeros(len(next(iter(words.values()))), dtype=np.uint64)
    shifted = np.empty_like(state)
    for name in sorted(words):
        state ^= words[name]
        state += _GAMMA
        for shift, factor in _FINALISER:
            state ^= np.right_shift(state, shift, out=shifted)
            state *= factor
        state ^= np.right_shift(state, np.uint64(31), out=shifted)
    return state


def _as_words(values: pd.Series) -> np.ndarray:
    if isinstance(values.dtype, pd.StringDtype):
        texts = pa.array(values, pa.large_string(), from_pandas=True)
        return _hash_texts(texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts)
    if isinstance(values.dtype, pd.BooleanDtype):
        return values.astype("Int64").fillna(2).to_numpy("<i8").view("<u8")
    if values.dtype.kind == "M":
        return values.to_numpy("datetime64[us]").view("<i8").view("<u8")
    numbers = values.to_numpy("<f8") + 0.0  # -0.0 is 0.0
    numbers[np.isnan(numbers)] = np.nan
    return numbers.view("<u8")


def _hash_texts(texts: pa.Array) -> np.ndarray:
    """SipHash of each text's UTF-8 bytes; 0 where it is missing."""
    if pc.count_distinct(texts[:_SAMPLE]).as_py() < _SAMPLE / 2:  # each different text once: faster where texts repeat
        coded = texts.dictionary_encode()
        hashes = np.append(_hash_each(coded.dictionary), np.uint64(0))
        return hashes[coded.indices.fill_null(len(hashes) - 1).to_numpy()]
    return np.where(texts.is_null(), np.uint64(0), _hash_each(texts))


def _hash_each(texts: pa.Array) -> np.ndarray:
    return pd.util.hash_array(texts.to_numpy(zero_copy_only=False), hash_key=_HASH_KEY, categorize=False)


def _bounds(config: Config, kind: str) -> tuple[float | pd.Timestamp, float | pd.Timestamp]:
    """Return where the gap begins and where the test begins, of a column of the given dtype's kind."""
    name, cutoff, gap = config.split.column, config.split.cutoff, config.split.gap
    if kind == "M" and isinstance(cutoff, str):
        try:
            moment = pd.to_datetime(cutoff, utc=True, format="ISO8601").tz_localize(None)
        except ValueError:
            raise UserError(
                f"params.yaml: split.cutoff {cutoff!r} is not a moment; write it like 2026-01-31."
            ) from None
        span = as_span("0s" if gap is None else gap)
        if span is None:
            shown = repr(gap) if isinstance(gap, str) else f"{gap:g}"
            raise UserError(
                f"params.yaml: split.gap {shown} is no span of time, which split.column {name!r} needs; write it like "
                "7d, 12h, 30min or 90s."
            )
        return moment - span, moment
    if kind == "f" and isinstance(cutoff, float | int):
        if isinstance(gap, str):
            raise UserError(f"params.yaml: split.gap {gap!r} must be a number, as split.column {name!r} is.")
        return cutoff - (gap or 0), cutoff
    kinds = {
        "M": "datetime, so split.cutoff must be a moment like 2026-01-31",
        "f": "number, so split.cutoff must be one too",
    }
    problem = kinds.get(kind, "category, which has no order; choose a datetime or number column")
    raise UserError(f"params.yaml: split.column {name!r} is a {problem}.")
