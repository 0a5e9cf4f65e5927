"""A test row stays a test row, whatever happens around it."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
import yaml
from baked import Project
from mlops_actions.core.config import load_config
from mlops_actions.core.errors import UserError
from mlops_actions.core.paths import SUMMARY, TEST_ROWS, TRAIN_ROWS
from mlops_actions.stages import prepare
from pipeline import set_up
from tables import DATA, Change, keep, on_rows, setting

PARTS = (TRAIN_ROWS, TEST_ROWS)
Rows = list[list[str]]


def reorder(rows: Rows) -> Rows:
    return [rows[0], *sorted(rows[1:], key=lambda row: row[5])]


def turn_columns(rows: Rows) -> Rows:
    return [row[::-1] for row in rows]


def write_points(rows: Rows) -> Rows:
    """Whole numbers as 1.0, the way pandas writes them once a value is missing."""
    return [rows[0], *([row[0], f"{row[1]}.0", *row[2:]] for row in rows[1:])]


def write_spaces(rows: Rows) -> Rows:
    return [rows[0], *([f" {value} " for value in row] for row in rows[1:])]


def add_days(rows: Rows) -> Rows:
    return [[*rows[0], "day"], *([*row, f"2026-01-{1 + n % 30:02}"] for n, row in enumerate(rows[1:]))]


COLUMNS = (
    "state",
    "account_length",
    "area_code",
    "international_plan",
    "voice_mail_plan",
    "total_day_minutes",
    "churn",
)


class Parts(NamedTuple):
    """The rows of each part as lines of CSV, sorted, and the summary."""

    train: list[str]
    test: list[str]
    summary: dict[str, Any]


Split = Callable[..., Parts]


@pytest.fixture(scope="module")
def described(fresh: Callable[..., Project]) -> Project:
    """400 customers with a day each, set up."""
    project = fresh(400)
    project.write(DATA, on_rows(add_days)(keep(*COLUMNS)(project.read(DATA))))
    set_up(project.path)
    return project


@pytest.fixture
def split(described: Project, tmp_path: Path) -> Split:
    """`split(params_change, change)`: what the stage prepare makes of them, with other params and other data.

    `anew`: the contract is that of the other data.
    """
    data, params = described.read(DATA), described.read("params.yaml")
    root = tmp_path / "project"
    (root / DATA).parent.mkdir(parents=True)
    for name in ("pyproject.toml", "schema.yaml"):
        shutil.copy(described.path / name, root)
    shutil.copytree(described.path / "src", root / "src")

    def run(params_change: Change = str, change: Callable[[Rows], Rows] = list, anew: bool = False) -> Parts:
        (root / DATA).write_text(on_rows(change)(data))
        if anew:
            (root / "params.yaml").write_text(params)
            (root / "schema.yaml").unlink()
            set_up(root)
        (root / "params.yaml").write_text(params_change(params))
        prepare.run(load_config(root))
        lines = (sorted(pd.read_parquet(root / path).to_csv(index=False).splitlines()[1:]) for path in PARTS)
        return Parts(*lines, json.loads((root / SUMMARY).read_text()))

    return run


@pytest.mark.parametrize("change", [reorder, turn_columns, write_points, write_spaces])
def test_the_same_rows_in_another_form_are_the_same_test_rows(split: Split, change: Callable[[Rows], Rows]) -> None:
    assert split(change=change).test == split().test


def test_test_rows_stay_when_rows_are_added_and_when_others_go(split: Split) -> None:
    everything = set(split().test)
    some = set(split(change=lambda rows: [rows[0], *rows[202:302]]).test)
    assert some and some < everything
    assert len(everything) == pytest.approx(80, abs=25), "about test_size of the rows"


def test_a_key_keeps_its_rows_together_and_outlives_a_correction(split: Split) -> None:
    by_state = setting("split.key", ["state"])
    before = split(by_state).test
    states = {row.split(",")[0] for row in before}
    assert 1 < len(states) < 51
    corrected = split(by_state, lambda rows: [rows[0], *([row[0], "77", *row[2:]] for row in rows[1:])]).test
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


def test_a_cutoff_divides_past_and_future(split: Split) -> None:
    divided = split(by_day())
    assert days(divided.test) == january(25, 30) and days(divided.train) == january(1, 24)
    assert len(divided.test) == 400 * 6 // 30 - 2
    assert divided.summary.keys() == {"rows", "train_rows", "test_rows", "columns"}


@pytest.mark.parametrize(
    ("gap", "last"), [("7d", 17), ("0.5w", 21), ("36h", 23), ("1 d", 23), ("1440min", 23), ("0s", 24)]
)
def test_rows_in_the_gap_are_in_neither_part(split: Split, gap: str, last: int) -> None:
    divided, whole = split(by_day(gap=gap)), split(by_day())
    assert divided.test == whole.test
    assert days(divided.train) == january(1, last)
    assert divided.summary.get("in_gap", 0) == len(whole.train) - len(divided.train)


def test_a_number_is_a_gap_of_a_number(split: Split) -> None:
    divided = split(by_day(column="account_length", cutoff="150", gap="50"))
    lengths = {part: [float(row.split(",")[1]) for row in getattr(divided, part)] for part in ("train", "test")}
    assert max(lengths["train"]) < 100 and min(lengths["test"]) >= 150
    assert divided.summary["in_gap"] == 400 - len(divided.train) - len(divided.test) > 100


def test_who_is_in_test_is_not_in_train_when_time_divides_by_key(split: Split) -> None:
    divided, whole = split(by_day(key="[state]")), split(by_day())
    states = {part: {row.split(",")[0] for row in getattr(divided, part)} for part in ("train", "test")}
    assert divided.test == whole.test and states["train"] and not states["train"] & states["test"]
    assert set(divided.train) == {row for row in whole.train if row.split(",")[0] not in states["test"]}
    assert divided.summary["of_test_keys"] == len(whole.train) - len(divided.train)
    assert divided.summary["rows"] == len(divided.train) + len(divided.test)


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
def test_no_test_row_moves_when_rows_are_added(split: Split, params: Callable[[str], str]) -> None:
    before = split(params, lambda rows: [rows[0], *rows[50:350]])
    after = split(params)
    assert set(before.test) < set(after.test)
    assert not set(before.test) & set(after.train)


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
def test_a_split_that_cannot_be_is_refused(split: Split, name: str) -> None:
    params, sentence = REFUSED[name]
    with pytest.raises(UserError, match=re.escape(sentence)) as refusal:
        split(params)
    assert "\n" not in str(refusal.value) and str(refusal.value).endswith(".")


def test_a_time_that_is_missing_is_counted(split: Split) -> None:
    def forget(rows: Rows) -> Rows:
        return [[*row[:-1], ""] if number in (3, 30, 300) else row for number, row in enumerate(rows)]

    with pytest.raises(UserError, match=r"split\.column 'day' is missing in 3 rows; fill them"):
        split(by_day(), forget, anew=True)


def test_memory_that_is_too_little_for_the_columns_is_refused(split: Split) -> None:
    def widen(rows: Rows) -> Rows:
        return [rows[0] + [f"extra {n}" for n in range(53)], *([*row, *("1" * 53)] for row in rows[1:])]

    little = setting("resources.memory", "500MB")
    assert split(little) == split()
    with pytest.raises(UserError, match=r"memory 500MB is too little for 61 columns; give at least 600MB\."):
        split(little, widen, anew=True)
