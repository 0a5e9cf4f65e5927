"""A compiled features.py does what pandas does, and what cannot be compiled is named."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlops_actions.bundle.contract import Contract, Problem
from mlops_actions.bundle.features import features_module, make_features
from mlops_actions.bundle.program import Program
from mlops_actions.bundle.trace import Untraceable, trace
from mlops_actions.core.config import Config
from mlops_actions.data.rules import Column, Target
from mlops_actions.data.schema import Schema
from mlops_actions.data.table import columns_of
from mlops_actions.data.values import MISSING_CATEGORY

Owner = Callable[[str], Config]
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
    "numpy and two columns": "rows['x'] = np.maximum(rows['n'], rows['m'])\nrows['y'] = np.add(1, rows['n'])\n"
    "rows['z'] = -rows['n'] + abs(rows['m'])",
    "exclusive or": "rows['x'] = (rows['n'] > 0) ^ (rows['m'] != 2)\nrows['y'] = (rows['n'] < 1) * rows['m']",
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
    "gaps filled where something holds": "rows['x'] = rows['n'].mask(rows['n'].isna(), rows['m'])\n"
    "rows['y'] = rows['t'].where(rows['t'].notna(), 'none')\nrows['z'] = rows['t'].notnull()",
    "limits": "rows['x'] = rows['n'].clip(0, 2)\nrows['y'] = rows['n'].clip(upper=1)\n"
    "rows['z'] = rows['n'].astype('float64')",
    "numbers of NumPy": "rows['x'] = rows['n'] * np.float64(2)\nrows['y'] = rows['n'] + np.int64(3)\n"
    "rows['z'] = np.nan",
    "ends of words": "rows['x'] = rows['t'].str.endswith('e')\nrows['y'] = rows['t'].str.contains('.', regex=False)\n"
    "rows['z'] = rows['t'].str.replace('e', 'a').str.slice(1, 3)\nrows['w'] = rows['t'].str[1:]",
    "moments later and earlier": "rows['x'] = (rows['when'] + pd.Timedelta(days=1) - rows['then']).dt.days\n"
    "rows['y'] = rows['then'] - pd.Timedelta(hours=3) >= np.datetime64('2020-01-01')",
    "a choice of columns": "rows = rows[['n', 't', 'when', 'then']]\nrows['x'] = rows.n + len([one for one in rows])\n"
    "rows['y'] = 1.0 if 't' in rows and len(rows.columns) == 5 else 0.0\ndel rows['t']",
    "text in a loop": "for name, values in rows.select_dtypes(['str']).items():\n    rows[name] = values.str.lower()",
    "nothing": "pass",
}
LEFT_TO_PANDAS = {
    "a mean": ("rows['x'] = rows['n'] - rows['n'].mean()", "`mean`"),
    "a loop over rows": ("rows['x'] = [value for value in rows['n']]", "a loop over rows"),
    "a function": ("rows['x'] = rows['n'].apply(abs)", "`apply`"),
    "a decision": ("if rows['n'].gt(0).all():\n    rows['x'] = 1", "`gt`"),
    "a truth that may be missing": ("rows['x'] = rows['b'] & rows['b']", "true and false, which may be missing"),
    "some rows": ("rows = rows[rows['n'] > 0] if False else rows[rows['n'].notna() | True]", "a selection of rows"),
    "a selection of rows": ("rows = rows[rows['n'] > 0]", "a selection of rows"),
    "a replacement by a regular expression": (
        "rows['x'] = rows['t'].str.replace('e|d', '', regex=True)",
        "`str.replace` with a regular expression",
    ),
    "every second letter": ("rows['x'] = rows['t'].str[::2]", "`str[...]` with anything but a slice"),
    "a method of text": ("rows['x'] = rows['t'].str.title()", "`str.title`"),
    "a part of a moment": ("rows['x'] = rows['when'].dt.is_leap_year", "`dt.is_leap_year`"),
    "moments of a number": ("rows['x'] = rows['n'].dt.year", "`dt` of numbers"),
    "text of a number": ("rows['x'] = rows['n'].str.lower()", "`str` of numbers"),
    "a map by a function": ("rows['x'] = rows['t'].map(str.lower)", "`map` with a function"),
    "a moment of a time zone": (
        "rows['x'] = rows['when'] > pd.Timestamp('2026-01-01', tz='UTC')",
        "a moment with a time zone",
    ),
    "a constant of no known type": ("rows['x'] = rows['n'].fillna([1])", "a constant of type list"),
    "a sum of NumPy": ("rows['x'] = np.add.reduce(rows['n'])", "np.add with reduce or options"),
    "a function of NumPy": ("rows['x'] = np.median(rows['n'])", "np.median"),
    "a step of NumPy that is not known": ("rows['x'] = np.cbrt(rows['n'])", "`cbrt`"),
    "a choice between kinds": (
        "rows['x'] = np.where(rows['n'] > 0, 1.0, 'no')",
        "a choice between category and number",
    ),
    "a choice by a list": ("rows['x'] = rows['n'].where([True] * 5)", "a choice by something that is no column"),
    "whole numbers": ("rows['x'] = rows['n'].astype(int)", "`astype(<class 'int'>)` of numbers"),
    "numbers of text": ("rows['x'] = rows['t'].astype(float)", "`astype` of categorys"),
    "text minus text": ("rows['x'] = rows['t'] - rows['t']", "`subtract` of categorys and categorys"),
    "one truth of two": ("if rows['n'] > 0 and rows['m'] > 0:\n    rows['x'] = 1", "a decision by what is in the rows"),
    "a column by a number": ("rows[0] = rows['n']", "a column whose name is not text"),
    "types that are not known": ("rows.select_dtypes('complex')", "`select_dtypes('complex')`"),
    "a method of the rows": ("rows = rows.dropna()", "`dropna` of the rows"),
    "a column that is not there": ("rows['x'] = rows['nowhere']", "KeyError: 'nowhere'"),
    "another result": ("return rows['n']", "it does not return the rows that it was given"),
    "a regular expression": ("rows['x'] = rows['t'].str.contains('e|d')", "a regular expression"),
}
TAIL = "\nfor name in ('when', 'then'):\n    rows.pop(name)\nreturn rows"


@pytest.mark.parametrize("name", COMPILED)
def test_what_is_compiled_gives_the_bits_that_pandas_gives(owner: Owner, name: str) -> None:
    config = owner(source_of(COMPILED[name]))
    schema = Schema(
        Target(name="y", type="category"), {name: Column(type=kind, missing=True) for name, kind in KINDS.items()}
    )
    typed = schema.apply(pd.DataFrame(ROWS), with_target=False, enforce=False)
    features = make_features(typed, config)
    numbers, categories = columns_of(features)
    program = Program(trace(features_module(config).add_features, KINDS), numbers, categories, MISSING_CATEGORY)
    sent = [dict(zip(ROWS, row, strict=True)) for row in zip(*ROWS.values(), strict=True)]
    columns, problems = Contract({name: {"type": kind, "missing": True} for name, kind in KINDS.items()}).read(sent)
    assert not problems
    matrix, texts, infinite = program.run(columns)
    assert not infinite
    np.testing.assert_array_equal(matrix, features[numbers].to_numpy("float32"))
    np.testing.assert_array_equal(texts, features[categories].to_numpy(object))


@pytest.mark.parametrize("name", LEFT_TO_PANDAS)
def test_what_is_not_compiled_is_named(name: str) -> None:
    body, why = LEFT_TO_PANDAS[name]
    namespace: dict[str, Any] = {}
    exec(source_of(body), namespace)  # noqa: S102
    with pytest.raises(Untraceable) as refusal:
        trace(namespace["add_features"], KINDS)
    assert why in str(refusal.value)


def source_of(body: str) -> str:
    """Return a features.py whose add_features does this to a copy of the rows, and leaves their moments out."""
    lines = ["rows = rows.copy()", *body.splitlines(), *TAIL.splitlines()]
    return "import numpy as np\nimport pandas as pd\n\ndef add_features(rows):\n" + "".join(f"    {x}\n" for x in lines)


def test_a_step_that_was_taken_before_is_not_taken_again() -> None:
    program = trace(lambda rows: rows.assign(x=rows["n"] * 2 + 1, y=rows["n"] * 2 + True), {"n": "number"})
    assert [step for step in program["steps"] if step[0] == "multiply"] == [["multiply", 0, 1]]
    assert [step[1] for step in program["steps"] if step[0] == "constant"] == [2, 1, True]


def test_rows_of_which_a_feature_is_infinite_are_named() -> None:
    program = trace(lambda rows: rows.assign(ratio=rows["n"] / rows["m"]), {"n": "number", "m": "number"})
    _, _, problems = Program(program, ["n", "ratio"], [], "").run({"n": [1.0, 2.0, 0.0], "m": [2.0, 0.0, 0.0]})
    assert problems == {1: Problem(None, "features.py makes 'ratio' infinite of this row")}


def test_a_program_of_a_later_version_is_refused() -> None:
    program = trace(lambda rows: rows, {"n": "number"})
    with pytest.raises(KeyError, match="sort"):
        Program({**program, "steps": [["sort", 0]]}, ["n"], [], "")
    with pytest.raises(KeyError, match="m"):
        Program(program, ["m"], [], "")
