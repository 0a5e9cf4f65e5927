"""A value means the same in a request and in a table, and what a request lacks is said."""

import datetime as dt
import os
import re
from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anything import WRITTEN
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlops_actions.bundle.contract import SEEN, Contract, Problem, as_text
from mlops_actions.core.errors import UserError
from mlops_actions.data.rules import Column, Target, check_rows
from mlops_actions.data.schema import Schema

EXAMPLES = int(os.environ.get("EXAMPLES", "15"))
VALUES = 25  # an example
NUMBERS = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**70), 2**70), st.integers(-9, 9))
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
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


def type_as_table(column: Column, values: list[Any]) -> pd.Series:
    """Return the values as a table types them, each in a column of its own, with its own type."""
    names = [f"x{number}" for number in range(len(values))]
    schema = Schema(Target(name="y", type="category"), dict.fromkeys(names, column))
    rows = pd.DataFrame({name: [value] for name, value in zip(names, values, strict=True)})
    typed = schema.apply(rows, with_target=False, enforce=False)
    return pd.concat([typed[name] for name in names], ignore_index=True)


def has_type(column: Column, value: Any) -> bool:
    try:
        type_as_table(column, [value])
    except UserError:
        return False
    return True


def count_broken(column: Column, values: list[Any]) -> int:
    """Return how many rows of a table of these values break the first rule of the column that is broken."""
    with pytest.raises(UserError) as refusal:
        check_rows(pd.DataFrame({"x": type_as_table(column, values)}), {"x": column}, "the rows")
    broken = re.search(r"(\d+) rows? \(first", str(refusal.value))
    assert broken
    return int(broken[1])


def plain(value: Any) -> Any:
    """Return a typed value as both ways can write it."""
    if value is None or pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return int(value.to_numpy().astype("datetime64[us]").astype(int))
    return float(value) if isinstance(value, bool | np.bool_) else value


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_value_means_in_a_request_what_it_means_in_a_table(kind: str) -> None:
    rules, values = COLUMNS[kind]
    name = "number" if kind.startswith("number") else "datetime" if kind == "epoch" else kind
    counts = {"accepted": 0, "refused": 0}

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize="EXAMPLES" not in os.environ,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(rules, st.booleans(), GAPS, st.lists(st.one_of(values, st.none()), min_size=8, max_size=VALUES))
    def check(rules: dict[str, Any], missing: bool, gaps: list[str], values: list[Any]) -> None:
        column = {"type": name, "missing": missing, "missing_values": gaps, **rules}
        if name == "boolean":
            column.pop("missing_values")
        contract, theirs = Contract({"x": column}), Column(**column)
        alone = [contract.read([{"x": value}]) for value in values]
        accepted = [value for value, (_, problems) in zip(values, alone, strict=True) if not problems]
        served = [plain(columns["x"][0]) for columns, problems in alone if not problems]
        if accepted:
            typed = type_as_table(theirs, accepted)
            check_rows(pd.DataFrame({"x": typed}), {"x": theirs}, f"{accepted!r}")
            assert served == [*map(plain, typed)], f"{accepted!r} of {column}"
        refused = [(value, problems[0].reason) for value, (_, problems) in zip(values, alone, strict=True) if problems]
        broken: dict[str, list[Any]] = defaultdict(list)
        for value, reason in refused:
            if has_type(theirs, value):
                broken["missing" if reason.startswith("is missing") else reason.partition(", but is ")[0]].append(value)
        for rule, group in broken.items():
            assert count_broken(theirs, group) == len(group), f"{group!r} of {column}: {rule}"
        together, problems = contract.read([{"x": value} for value in values])
        assert [plain(value) for value in together["x"]] == served
        assert [*problems] == [number for number, (_, problems) in enumerate(alone) if problems]
        counts["accepted"] += len(accepted)
        counts["refused"] += len(refused)

    check()
    assert min(counts.values()) > EXAMPLES / 2, f"the values neither all fit nor all break the contract: {counts}"


CUSTOMER = {
    "age": {"type": "number", "missing": True, "min": 0.0, "max": 120.0},
    "plan": {"type": "category", "values": ["basic", "premium"], "max_length": 7},
    "since": {"type": "datetime", "future": False, "missing": True},
}
ADA = {"age": 36, "plan": "basic", "since": "2024-02-29"}
PROBLEMS: dict[str, tuple[Any, Problem]] = {
    "no object": ([1, 2], Problem(None, "must be an object with a value for each column, not a list")),
    "absent": ({"age": 36, "plan": "basic"}, Problem("since", "is absent; send it, null where it is not known")),
    "a list": (ADA | {"plan": ["basic"]}, Problem("plan", "must hold one value, but is a list")),
    "an object": (ADA | {"age": {}}, Problem("age", "must hold one value, but is an object")),
    "text for a number": (ADA | {"age": "36"}, Problem("age", "must hold a number, but is '36'")),
    "a truth for a number": (ADA | {"age": True}, Problem("age", "must hold a number, but is True")),
    "too large for float32": (ADA | {"age": 1e39}, Problem("age", "must be finite in float32, but is 1e+39")),
    "too large for a float": (ADA | {"age": 10**400},
        Problem("age", f"must be finite in float32, but is 1{'0' * 58}…")),
    "too much": (ADA | {"age": 121}, Problem("age", "must be at most 120, but is 121")),
    "too little": (ADA | {"age": -1}, Problem("age", "must be at least 0, but is -1")),
    "unknown": (ADA | {"plan": "gold"}, Problem("plan", "must be one of basic, premium, but is 'gold'")),
    "missing": (ADA | {"plan": None}, Problem("plan", "is missing (null), which schema.yaml does not allow")),
    "a word for missing": (ADA | {"plan": "NA"},
        Problem("plan", "is missing ('NA'), which schema.yaml does not allow")),
    "a day that cannot be": (ADA | {"since": "2025-02-29"}, Problem("since",
        "must hold a moment such as 2026-01-31 or 2026-01-31T12:00:00Z, but is '2025-02-29'")),
    "a day to come": (ADA | {"since": "2999-01-01"},
        Problem("since", "must be no later than now, but is '2999-01-01'")),
}  # fmt: skip


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_row_that_breaks_the_contract_gets_its_reason_and_no_other_row_does(name: str) -> None:
    row, problem = PROBLEMS[name]
    columns, problems = Contract(CUSTOMER).read([ADA, row, ADA | {"age": None}])
    assert problems == {1: problem}
    assert [len(values) for values in columns.values()] == [2, 2, 2]
    assert columns["age"][0] == 36 and np.isnan(columns["age"][1])


def test_without_enforcement_limits_and_gaps_pass_and_types_do_not() -> None:
    lenient = Contract(CUSTOMER, enforce=False)
    columns, problems = lenient.read([{"age": 999, "plan": None, "since": "2999-01-01"}, ADA | {"age": "many"}])
    assert problems == {1: Problem("age", "must hold a number, but is 'many'")}
    assert columns["age"] == [999.0] and columns["plan"] == [None]


def test_no_rows_are_no_problem() -> None:
    assert Contract(CUSTOMER).read([]) == ({"age": (), "plan": [], "since": []}, {})


def test_what_a_column_remembers_stays_bounded_and_right() -> None:
    contract = Contract({"plan": {"type": "category"}})
    for start in (0, SEEN, 0):
        names = [f" plan {number} " for number in range(start, start + SEEN)]
        columns, _ = contract.read([{"plan": name} for name in names])
        assert columns["plan"] == [name.strip() for name in names]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        ("1.0", "1"),
        ("-7.00", "-7"),
        ("1.50", "1.50"),
        (0.5, "0.5"),
        (True, "True"),
        (" NA ", None),
    ],
)
def test_one_value_is_one_text(value: Any, text: str | None) -> None:
    assert as_text(value) == text
