"""A test row stays a test row, whatever happens around it."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from baked import Project
from inside import Inside
from tables import DATA, on_rows, setting

Rows = list[list[str]]


def reorder(rows: Rows) -> Rows:
    return [rows[0], *sorted(rows[1:], key=lambda row: row[6])]


def turn_columns(rows: Rows) -> Rows:
    return [row[::-1] for row in rows]


def write_points(rows: Rows) -> Rows:
    """Whole numbers as 1.0, the way pandas writes them once a value is missing."""
    return [rows[0], *([row[0], f"{row[1]}.0", *row[2:]] for row in rows[1:])]


def write_spaces(rows: Rows) -> Rows:
    return [rows[0], *([f" {value} " for value in row] for row in rows[1:])]


def add_days(rows: Rows) -> Rows:
    return [[*rows[0], "day"], *([*row, f"2026-01-{1 + n % 30:02}"] for n, row in enumerate(rows[1:]))]


@pytest.fixture(scope="module")
def split(inside: Inside, fresh: Callable[..., Project]) -> Callable[..., set[str]]:
    """`split(change, params)`: the test rows of 400 customers, after a change of the data and of the params."""
    project = fresh(400)
    data, params = on_rows(add_days)(project.read(DATA)), project.read("params.yaml")

    def run(change: Callable[[Rows], Rows] = list, params_change: Callable[[str], str] = str) -> set[str]:
        project.write(DATA, on_rows(change)(data))
        project.write("params.yaml", params_change(params))
        return set(inside("prepare", project.path))

    return run


@pytest.fixture(scope="module")
def parts(inside: Inside, fresh: Callable[..., Project]) -> Callable[..., Any]:
    """`parts(params_change, change)`: train and test rows of 400 customers and the summary, or the refusal."""
    project = fresh(400)
    data, params = on_rows(add_days)(project.read(DATA)), project.read("params.yaml")

    def run(params_change: Callable[[str], str] = str, change: Callable[[Rows], Rows] = list) -> Any:
        project.write(DATA, on_rows(change)(data))
        project.write("params.yaml", params_change(params))
        (project.path / "schema.yaml").unlink(missing_ok=True)
        return inside("split", project.path)

    return run


@pytest.mark.parametrize("change", [reorder, turn_columns, write_points, write_spaces])
def test_the_same_rows_in_another_form_are_the_same_test_rows(split: Callable[..., set[str]], change: object) -> None:
    assert split(change) == split()


def test_test_rows_stay_when_rows_are_added_and_when_others_go(split: Callable[..., set[str]]) -> None:
    everything = split()
    some = split(lambda rows: [rows[0], *rows[202:302]])
    assert some and some < everything
    assert len(everything) == pytest.approx(80, abs=25), "about test_size of the rows"


def test_a_key_keeps_its_rows_together_and_outlives_a_correction(split: Callable[..., set[str]]) -> None:
    by_state = setting("split.key", ["state"])
    before = split(params_change=by_state)
    states = {row.split(",")[0] for row in before}
    assert 1 < len(states) < 51
    corrected = split(lambda rows: [rows[0], *([row[0], "77", *row[2:]] for row in rows[1:])], by_state)
    assert {row.split(",")[0] for row in corrected} == states and len(corrected) == len(before)


def by_day(**more: str) -> Callable[[str], str]:
    """Params that divide by day, with more of the section's knobs changed."""

    def change(params: str) -> str:
        for name, value in {"method": "time", "column": "day", "cutoff": '"2026-01-25"', **more}.items():
            params = setting(f"split.{name}", yaml.safe_load(value))(params)
        return params

    return change


def days(rows: list[str]) -> set[str]:
    return {row.split(",")[-2][:10] for row in rows}


def january(first: int, last: int) -> set[str]:
    return {f"2026-01-{day:02}" for day in range(first, last + 1)}


def test_a_cutoff_divides_past_and_future(parts: Callable[..., Any]) -> None:
    found = parts(by_day())
    assert days(found["test"]) == january(25, 30) and days(found["train"]) == january(1, 24)
    assert len(found["test"]) == 400 * 6 // 30 - 2
    assert found["summary"].keys() == {"rows", "train_rows", "test_rows", "columns"}


@pytest.mark.parametrize(
    ("gap", "last"), [("7d", 17), ("0.5w", 21), ("36h", 23), ("1 d", 23), ("1440min", 23), ("0s", 24)]
)
def test_rows_in_the_gap_are_in_neither_part(parts: Callable[..., Any], gap: str, last: int) -> None:
    found, whole = parts(by_day(gap=gap)), parts(by_day())
    assert found["test"] == whole["test"]
    assert days(found["train"]) == january(1, last)
    assert found["summary"].get("in_gap", 0) == len(whole["train"]) - len(found["train"])


def test_a_number_is_a_gap_of_a_number(parts: Callable[..., Any]) -> None:
    found = parts(by_day(column="account_length", cutoff="150", gap="50"))
    lengths = {part: [float(row.split(",")[1]) for row in found[part]] for part in ("train", "test")}
    assert max(lengths["train"]) < 100 and min(lengths["test"]) >= 150
    assert found["summary"]["in_gap"] == 400 - len(found["train"]) - len(found["test"]) > 100


def test_who_is_in_test_is_not_in_train_when_time_divides_by_key(parts: Callable[..., Any]) -> None:
    found, whole = parts(by_day(key="[state]")), parts(by_day())
    states = {part: {row.split(",")[0] for row in found[part]} for part in ("train", "test")}
    assert found["test"] == whole["test"] and states["train"] and not states["train"] & states["test"]
    assert set(found["train"]) == {row for row in whole["train"] if row.split(",")[0] not in states["test"]}
    assert found["summary"]["of_test_keys"] == len(whole["train"]) - len(found["train"])
    assert found["summary"]["rows"] == len(found["train"]) + len(found["test"])


@pytest.mark.parametrize(
    "params",
    [
        str,
        setting("split.key", ["state"]),
        by_day(),
        by_day(gap="7d"),
        by_day(key="[state]"),
        by_day(key="[state]", gap="7d"),
    ],
    ids=["hash", "key", "time", "gap", "time and key", "time, key and gap"],
)
def test_no_test_row_moves_when_rows_are_added(parts: Callable[..., Any], params: Callable[[str], str]) -> None:
    before = parts(params, lambda rows: [rows[0], *rows[50:350]])
    after = parts(params)
    assert set(before["test"]) < set(after["test"])
    assert not set(before["test"]) & set(after["train"])


REFUSED = {
    "gap without time": (setting("split.gap", "7d"), "split.gap lies before a cutoff, so it needs split.method time"),
    "gap of no unit": (by_day(gap="a week"), "split.gap 'a week' is no span of time, which split.column 'day' needs"),
    "gap that is a number": (by_day(gap="7"), "split.gap 7 is no span of time, which split.column 'day' needs"),
    "gap below zero": (by_day(gap="-7"), "split.gap must be at least 0, not -7"),
    "gap that is a list": (by_day(gap="[7d]"), "split.gap must be"),
    "span for a number": (
        by_day(column="account_length", cutoff="150", gap="7d"),
        "split.gap '7d' must be a number, as split.column 'account_length' is",
    ),
    "gap on a category": (by_day(column="state", gap="7d"), "'state' is a category, which has no order"),
    "cutoff that is no moment": (by_day(cutoff="soon"), "split.cutoff 'soon' is not a moment"),
    "cutoff after the data": (
        by_day(cutoff='"2027-01-01"'),
        "split.cutoff puts none of the 400 rows into test, for 'day' goes from 2026-01-01 to 2026-01-30; change it",
    ),
    "cutoff before the data": (by_day(cutoff='"2025-01-01"'), "split.cutoff puts none of the 400 rows into train, for"),
    "cutoff that YAML reads as a date": (
        by_day(cutoff="2026-01-25"),
        'params.yaml: split.cutoff must be quoted: write "2026-01-25".',
    ),
    "gap before the data": (by_day(gap="52w"), "split.gap leaves none of the 400 rows for train; shorten it"),
    "a key that all have": (by_day(key="[area_code]"), "split.key leaves none of the 400 rows for train"),
    "a size of no unit": (setting("resources.memory", 1), "resources.memory must be"),
    "a size of an odd unit": (setting("resources.memory", "1 GO"), "resources.memory must be a size such as 1GB"),
    "too little memory": (setting("resources.memory", "200MB"), "resources.memory 200MB is too little; give at least"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_split_that_cannot_be_is_refused(parts: Callable[..., Any], name: str) -> None:
    params, sentence = REFUSED[name]
    said = parts(params)
    assert sentence in said
    assert "\n" not in said and said.endswith(".")


def test_a_time_that_is_missing_is_counted(parts: Callable[..., Any]) -> None:
    def forget(rows: Rows) -> Rows:
        return [[*row[:-1], ""] if number in (3, 30, 300) else row for number, row in enumerate(rows)]

    assert "split.column 'day' is missing in 3 rows; fill them" in parts(by_day(), forget)


def test_memory_that_is_too_little_for_the_columns_is_refused(parts: Callable[..., Any]) -> None:
    def widen(rows: Rows) -> Rows:
        return [rows[0] + [f"extra {n}" for n in range(40)], *([*row, *("1" * 40)] for row in rows[1:])]

    little = setting("resources.memory", "500MB")
    assert parts(little) == parts()
    assert "resources.memory 500MB is too little for 61 columns; give at least 600MB." in parts(little, widen)
