"""Tables as pandas can hold them: any type, any name, any cell."""

import datetime as dt
from collections.abc import Callable

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

# What UTF-8 can hold: `codec` would try each character.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
MOMENTS = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))
MONEY = st.decimals(-(10**7), 10**7, places=2)
WRITTEN: list[SearchStrategy[str]] = [
    MOMENTS.map(lambda moment: moment.strftime("%d.%m.%Y")),
    MOMENTS.map(lambda moment: moment.strftime("%m/%d/%Y %H:%M")),
    MOMENTS.map(lambda moment: moment.strftime("%b %d, %Y")),
    MOMENTS.map(lambda moment: moment.isoformat()),
    MONEY.map(lambda amount: f"${amount:,}"),
    MONEY.map(lambda amount: f"{amount:,} €".translate(str.maketrans(",.", ".,"))),
    st.integers(-500, 500).map(lambda share: f"{share / 10} %"),
    st.sampled_from(["?", "-", "n/a", "none", "unknown", "NA", "", "-999", "NULL"]),
    st.integers(0, 99999).map(lambda code: f"{code:05}"),
    st.sampled_from(["yes", "no", "TRUE", "False", "0", "1"]),
    st.lists(st.sampled_from(["red", "box", "of", "things", "and", "more"]), min_size=3, max_size=6).map(" ".join),
]
CELLS: list[SearchStrategy[object]] = [
    st.floats(),
    st.floats(-1e6, 1e6, width=32),
    st.integers(-100, 100),
    st.integers(-(2**70), 2**70),
    st.booleans(),
    st.none(),
    TEXT,
    st.sampled_from("abc"),
    MOMENTS,
    MOMENTS.map(lambda moment: moment.replace(tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))),
    st.dates(),
    st.times(),
    st.timedeltas(dt.timedelta(-9999), dt.timedelta(9999)),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9),
    st.binary(max_size=6),
    st.complex_numbers(),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.sampled_from("ab"), st.integers(), max_size=2),
    st.tuples(st.integers(), TEXT),
    st.uuids(),
    *WRITTEN,
]
# Types that lists of cells do not get by themselves.
TYPED: list[Callable[[int], pd.Series | pd.Index]] = [
    lambda rows: pd.Series(np.arange(rows) % 3, dtype="Int8").mask(np.arange(rows) % 4 == 0),
    lambda rows: pd.Series(np.arange(rows) % 2, dtype="boolean").mask(np.arange(rows) % 5 == 0),
    lambda rows: pd.Series(np.arange(rows) % 7, dtype="float16"),
    lambda rows: pd.Series(np.arange(rows, dtype="uint64") + 2**63),
    lambda rows: pd.Series(pd.Categorical([f"level {n % 4}" for n in range(rows)])),
    lambda rows: pd.Series(pd.Categorical([n % 4 for n in range(rows)], ordered=True)),
    lambda rows: pd.Series(pd.interval_range(0, periods=rows)),
    lambda rows: pd.Series(pd.period_range("2020-01", periods=rows, freq="M")),
    lambda rows: pd.Series(pd.date_range("2020-01-01", periods=rows, tz="Europe/Berlin")),
    lambda rows: pd.Series(pd.timedelta_range("1h", periods=rows)),
    lambda rows: pd.Series(pd.arrays.SparseArray(np.arange(rows) % 2)),
    lambda rows: pd.Series(np.arange(rows) * (1 + 2j)),
    lambda rows: pd.Series(["same"] * rows),
    lambda rows: pd.Series([None] * rows, dtype="object"),
]
NAMES = TEXT | st.sampled_from(["id", "customer_id", "date", "created_at", "a", "target", "yes", "null", "1", "x: y #"])


@st.composite
def columns(draw: DrawFn, rows: int) -> list[object]:
    """The cells of one column: of one kind or of two, some of them missing."""
    if draw(st.integers(0, 4)) == 0:
        return list(draw(st.sampled_from(TYPED))(rows))
    kinds = st.one_of(*draw(st.lists(st.sampled_from(CELLS), min_size=1, max_size=2)))
    few = draw(st.lists(kinds, min_size=1, max_size=max(1, rows // draw(st.sampled_from([1, 4, 10])))))
    missing = draw(st.sampled_from([0, 0, 3]))
    return [None if missing and n % missing == 0 else few[n * 7 % len(few)] for n in range(rows)]


@st.composite
def tables(draw: DrawFn) -> pd.DataFrame:
    """A table of up to 80 rows, with columns by any name, often with one that could be learnt as `target`."""
    rows = draw(st.sampled_from([80, 40, 10, 2, 1]))
    often = draw(st.integers(0, 9)) != 7  # names as they should be
    one = NAMES.filter(str.strip) if often else NAMES
    names = draw(st.lists(one, min_size=2, max_size=4, unique_by=str.strip if often else None))
    frame = pd.DataFrame({number: pd.Series(draw(columns(rows))) for number in range(len(names))})
    for number in frame:
        if draw(st.integers(0, 4)) == 0:
            frame[number] = pd.Series(draw(st.sampled_from(TYPED))(rows))
    frame.columns = pd.Index(names, dtype=object)
    if "target" not in names and draw(st.integers(0, 9)) < 8:
        target = draw(st.sampled_from([["a", "b"], [0, 1, 1], [n * 37 % 80 / 7 for n in range(rows)], [True, False]]))
        frame["target"] = [target[n * 5 % 7 % len(target) if len(target) < 4 else n] for n in range(rows)]
    if draw(st.integers(0, 30)) == 17:
        frame.columns = pd.MultiIndex.from_tuples([("top", name) for name in frame.columns])
    return frame
