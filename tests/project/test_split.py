"""A test row stays a test row, whatever happens around it."""

from collections.abc import Callable

import pytest
from baked import Project
from process import Inside
from tables import DATA, knob, on_rows

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


@pytest.mark.parametrize("change", [reorder, turn_columns, write_points, write_spaces])
def test_the_same_rows_in_another_form_are_the_same_test_rows(split: Callable[..., set[str]], change: object) -> None:
    assert split(change) == split()


def test_test_rows_stay_when_rows_are_added_and_when_others_go(split: Callable[..., set[str]]) -> None:
    everything = split()
    some = split(lambda rows: [rows[0], *rows[202:302]])
    assert some and some < everything
    assert len(everything) == pytest.approx(80, abs=25), "about test_size of the rows"


def test_a_key_keeps_its_rows_together_and_outlives_a_correction(split: Callable[..., set[str]]) -> None:
    by_state = knob("key: []", "key: [state]")
    before = split(params_change=by_state)
    states = {row.split(",")[0] for row in before}
    assert 1 < len(states) < 51
    corrected = split(lambda rows: [rows[0], *([row[0], "77", *row[2:]] for row in rows[1:])], by_state)
    assert {row.split(",")[0] for row in corrected} == states and len(corrected) == len(before)


def test_a_cutoff_divides_past_and_future(split: Callable[..., set[str]]) -> None:
    def by_day(params: str) -> str:
        for old, new in (
            ("method: hash", "method: time"),
            ("column: null", "column: day"),
            ("cutoff: null", "cutoff: 2026-01-25"),
        ):
            params = knob(old, new)(params)
        return params

    days = [row.rsplit(",", 1)[0].rsplit(",", 1)[-1] for row in split(params_change=by_day)]
    assert {day[:10] for day in days} == {f"2026-01-{day}" for day in range(25, 31)}
    assert len(days) == 400 * 6 // 30 - 2
