"""A value means the same in a table and in a request, and a compiled features.py does what pandas does."""

import datetime as dt
import os
from collections.abc import Callable
from typing import Any

import pytest
import scoring as functions
from anything import WRITTEN
from baked import Project
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("EXAMPLES", "40"))
VALUES = 25  # an example
NUMBERS = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**70), 2**70), st.integers(-9, 9))
TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    st.sampled_from(["a", " a ", "b", "1", "1.0", "01", "-0.0", "NA", "nan", "null", "", "?", "\u00a0x\u2003", "True"]),
    *WRITTEN,
)
MOMENTS = st.one_of(
    st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30)).map(lambda moment: moment.isoformat()),
    st.datetimes().map(lambda moment: moment.strftime("%d.%m.%Y")),
    st.sampled_from(
        [
            "2026-01-31", "2026-02-30", "2026-01-31T12", "2026-01-31T12:30", "2026-01-31 12:30:15.1234567",
            "2026-01-31T12:30:15Z", "2026-01-31T12:30:15+0530", "2026-01-31T12:30:15-05:30", "2026-01-31Z",
            "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-05:00",
            "0000-01-01", "2026-13-01", "20260131", "2026-1-3", "1700000000", "1.7e9", "24:00",
        ]
    ),
    TEXTS,
)  # fmt: skip
GAPS = st.lists(st.sampled_from(["?", "-999", "a", "unknown"]), max_size=2)
LIMITS = st.sampled_from([{}, {"min": -5.0}, {"max": 5.5}, {"min": 0.0, "max": 1.0}])
COLUMNS: dict[str, tuple[Any, Any]] = {
    "number": (LIMITS, NUMBERS),
    "number as text": (
        st.sampled_from([{"format": "1,234.5"}, {"format": "1.234,5", "unit": "€"}, {"unit": "%"}, {"unit": "$"}]),
        st.one_of(NUMBERS, TEXTS),
    ),
    "boolean": (st.sampled_from([{}, {"values": ["True"]}]), st.booleans()),
    "category": (
        st.sampled_from([{}, {"values": ["a", "b", "1"]}, {"max_length": 3}, {"pattern": "[a-z]+|1"}]),
        st.one_of(TEXTS, st.integers(-99, 99), st.floats(-9, 9), st.booleans()),
    ),
    "datetime": (
        st.sampled_from([{}, {"min": "2000-01-01"}, {"max": "2030-01-01T12:00:00"}, {"format": "%d.%m.%Y"}]),
        MOMENTS,
    ),
    "epoch": (
        st.sampled_from([{"format": "epoch s"}, {"format": "epoch ms"}]),
        st.one_of(MOMENTS, st.integers(0, 2**31)),
    ),
}


@pytest.fixture(scope="module")
def scoring(trained: Project) -> Callable[..., Any]:
    return lambda name, **options: getattr(functions, f"do_{name}")(trained.path, **options)


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_value_means_in_a_request_what_it_means_in_a_table(scoring: Callable[..., Any], kind: str) -> None:
    rules, values = COLUMNS[kind]
    name = "number" if kind.startswith("number") else "datetime" if kind == "epoch" else kind
    found = [0, 0]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize="EXAMPLES" not in os.environ,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(rules, st.booleans(), GAPS, st.lists(st.one_of(values, st.none()), min_size=1, max_size=VALUES))
    def check(rules: dict[str, Any], missing: bool, gaps: list[str], values: list[Any]) -> None:
        column = {"type": name, "missing": missing, "missing_values": gaps, **rules}
        if name == "boolean":
            column.pop("missing_values")
        for value, (served, theirs) in zip(values, scoring("read", column=column, values=values), strict=True):
            assert served == theirs, f"{value!r} of {column}"
            found[served is None] += 1

    check()
    assert min(found) > EXAMPLES / 2, "the values neither all fit nor all break the contract"


KINDS = {"n": "number", "m": "number", "b": "boolean", "t": "category", "when": "datetime", "then": "datetime"}
ROWS = {
    "n": [1.5, None, -2.0, 0.0, 1e6],
    "m": [2.0, 3.0, None, 0.5, -7.0],
    "b": [True, None, False, True, False],
    "t": ["Red box", "blue", None, " x ", "RED"],
    "when": ["2026-01-31T12:30:15", None, "1969-12-31T23:59:59", "2000-02-29", "2024-12-31"],
    "then": ["2026-01-01", "2026-01-02", None, "1999-01-01", "2025-01-01"],
}
COMPILED = {
    "arithmetic": "rows['x'] = (rows['n'] + 1) * 2 - rows['m'] / 4\nrows['y'] = 3 - rows['n'] ** 2",
    "division": "rows['x'] = rows['n'] / (rows['m'].abs() + 1)\nrows['y'] = rows['n'] // 3\nrows['z'] = rows['m'] % 4",
    "numpy": "rows['x'] = np.log1p(rows['n'].clip(lower=0))\nrows['y'] = np.hypot(rows['n'], rows['m'])",
    "logic": "rows['x'] = (rows['n'] > 0) & ~(rows['m'] >= 2) | (rows['n'] == 0)\nrows['y'] = rows['x'].astype(float)",
    "choices": "rows['x'] = np.where(rows['n'] > 1, rows['m'], 0.0)\nrows['y'] = rows['n'].where(rows['n'] > 0, -1.0)",
    "between": "rows['x'] = rows['n'].between(0, 2)\nrows['y'] = rows['n'].isin([1.5, 0.0])\n"
    "rows['z'] = rows['t'].isin(['blue'])",
    "gaps": "rows['x'] = rows['n'].fillna(-1)\nrows['y'] = rows['n'].isna()\nrows['z'] = rows['t'].fillna('none')",
    "maps": "rows['x'] = rows['t'].map({'blue': 1.0, 'RED': 2.0})\nrows['y'] = rows['t'].map({'blue': 'b'})",
    "words": "rows['x'] = rows['t'].str.lower().str.strip()\nrows['y'] = rows['t'].str.len()\n"
    "rows['z'] = rows['t'].str[:3]",
    "parts of words": "rows['x'] = rows['t'].str.contains('e')\nrows['y'] = rows['t'].str.startswith('R')",
    "words joined": "rows['x'] = rows['t'] + '/' + rows['t'].str.upper()",
    "moments": "w = rows['when'].dt\n"
    + "\n".join(
        f"rows[{part!r}] = w.{part}"
        for part in ("year", "month", "day", "hour", "minute", "second", "dayofweek", "day_of_year", "quarter")
    ),
    "spans": "s = rows['when'] - rows['then']\nrows['x'] = s.dt.days\nrows['y'] = s.dt.total_seconds()\n"
    "rows['z'] = (rows['when'] - pd.Timestamp('2020-01-01')) / pd.Timedelta(hours=1)\n"
    "rows['w'] = rows['when'] > rows['then']",
    "frames": "rows = rows.assign(x=lambda made: made['n'] + 1).rename(columns={'x': 'y'}).drop(columns=['b'])",
    "a loop over columns": "for name in rows.select_dtypes('number').columns:\n    rows[name + '_2'] = rows[name] * 2",
    "nothing": "pass",
}
LEFT_TO_PANDAS = {
    "a mean": ("rows['x'] = rows['n'] - rows['n'].mean()", "`mean`"),
    "a loop over rows": ("rows['x'] = [value for value in rows['n']]", "a loop over rows"),
    "a function": ("rows['x'] = rows['n'].apply(abs)", "`apply`"),
    "a decision": ("if rows['n'].gt(0).all():\n    rows['x'] = 1", "`gt`"),
    "a truth that may be missing": ("rows['x'] = rows['b'] & rows['b']", "true and false, which may be missing"),
    "some rows": ("rows = rows[rows['n'] > 0] if False else rows[rows['n'].notna() | True]", "a selection of rows"),
    "a regular expression": ("rows['x'] = rows['t'].str.contains('e|d')", "a regular expression"),
}
TAIL = "\nfor name in ('when', 'then'):\n    rows.pop(name)\nreturn rows"


@pytest.mark.parametrize("name", COMPILED)
def test_what_is_compiled_gives_the_bits_that_pandas_gives(scoring: Callable[..., Any], name: str) -> None:
    body = "rows = rows.copy()\n" + COMPILED[name] + TAIL
    assert scoring("compile", body=body, kinds=KINDS, rows=ROWS) == ""


@pytest.mark.parametrize("name", LEFT_TO_PANDAS)
def test_what_is_not_compiled_is_named(scoring: Callable[..., Any], name: str) -> None:
    body, why = LEFT_TO_PANDAS[name]
    assert why in scoring("compile", body="rows = rows.copy()\n" + body + TAIL, kinds=KINDS, rows=ROWS)
