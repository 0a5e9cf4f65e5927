"""Which test rows decide: those on which neither model was trained, each recognised through whatever changed."""

from dataclasses import asdict
from functools import cache

import numpy as np
import pandas as pd
import pytest
from mlops_actions.review.report import ComparedRows
from mlops_actions.review.rows import compare_rows
from tables import real

TARGET = "Status"


def compare(*frames: pd.DataFrame, key: list[str] | None = None) -> tuple[ComparedRows, np.ndarray, np.ndarray]:
    """Compare test rows with a champion's test and train rows: the counts, which rows decide, the pairs."""
    changes = compare_rows(*frames, key or [], TARGET)
    assert changes.rows.decided == changes.decides.sum() == len(frames[0]) - changes.rows.trained
    return changes.rows, changes.decides, np.column_stack(changes.pairs)


@cache
def credits() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Real rows with a number of their own, and which of them are the test rows: typed, with missing values."""
    rows = real("modeldata", "credit_data", 1300).drop_duplicates()[:1200].reset_index(drop=True)
    rows = rows.astype({name: "float64" if rows[name].dtype.kind in "if" else "str" for name in rows})
    rows["number"] = [f"c{place}" for place in range(len(rows))]
    rows["owner"] = pd.array(rows["Home"] == "owner", dtype="boolean")
    rows["day"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(len(rows)) % 300, unit="D").astype(
        "timedelta64[us]"
    )
    assert not rows.drop(columns=["number", "day"]).duplicated().any() and rows.isna().any(axis=None)
    return rows.iloc[:300], rows.iloc[300:]


def counts(rows: ComparedRows) -> dict[str, int]:
    """Return what changed, and in how many rows."""
    return {name: count for name, count in asdict(rows).items() if count and name not in ("test", "decided")}


@pytest.mark.parametrize("key", [[], ["number"]])
def test_the_same_rows_in_another_order_all_decide_and_pair_with_themselves(key: list[str]) -> None:
    test, train = credits()
    mixed = test.sample(frac=1, random_state=1)[list(test)[::-1]]
    rows, decides, pairs = compare(mixed, test, train, key=key)
    assert counts(rows) == {} and rows.test == 300 and decides.all()
    assert (mixed["number"].to_numpy()[pairs[:, 0]] == test["number"].to_numpy()[pairs[:, 1]]).all()
    assert len(pairs) == 300


def test_appended_and_deleted_rows_are_new_and_gone() -> None:
    test, train = credits()
    assert counts(compare(test.iloc[20:], test.iloc[:280], train)[0]) == {"new": 20, "gone": 20}


def test_a_corrected_target_is_an_edit_and_pairs_with_nothing() -> None:
    test, train = credits()
    corrected = test.copy()
    corrected.loc[corrected.index[:7], TARGET] = "unsure"
    rows, decides, pairs = compare(corrected, test, train)
    assert counts(rows) == {"edited": 7} and decides.all()
    assert sorted(pairs[:, 0]) == list(range(7, 300))


def test_a_corrected_feature_is_an_edit_where_a_key_says_so_and_else_another_row() -> None:
    test, train = credits()
    corrected = test.copy()
    corrected.loc[corrected.index[:7], "Income"] = -1.0
    rows, _, pairs = compare(corrected, test, train, key=["number"])
    assert counts(rows) == {"edited": 7} and len(pairs) == 300
    rows, _, pairs = compare(corrected, test, train)
    assert counts(rows) == {"new": 7, "gone": 7} and len(pairs) == 293


def test_missing_values_filled_in_later_are_edits() -> None:
    test, train = credits()
    filled = test.fillna({"Income": 0.0, "Marital": "single"})
    gaps = int(test[["Income", "Marital"]].isna().any(axis=1).sum())
    assert gaps and counts(compare(filled, test, train, key=["number"])[0]) == {"edited": gaps}


@pytest.mark.parametrize("key", [[], ["number"]])
def test_rows_that_the_champion_was_trained_on_do_not_decide(key: list[str]) -> None:
    test, train = credits()
    moved = pd.concat([test.iloc[:250], train.iloc[:40]])
    rows, decides, pairs = compare(moved, test, train, key=key)
    assert counts(rows) == {"new": 40, "gone": 50, "trained": 40}
    assert list(np.flatnonzero(~decides)) == list(range(250, 290))
    assert len(pairs) == 250


def test_an_edited_row_that_the_champion_was_trained_on_is_known_by_its_key() -> None:
    test, train = credits()
    moved = pd.concat([test, train.iloc[:5].assign(Income=-1.0)])
    assert counts(compare(moved, test, train, key=["number"])[0]) == {"new": 5, "trained": 5}


@pytest.mark.parametrize(("old", "new", "change"), [(200, 250, "gone"), (200, 150, "trained")])
@pytest.mark.parametrize("key", [[], ["Home"]])
def test_a_cutoff_that_moves_forward_retires_rows_and_one_that_moves_back_meets_trained_rows(
    old: int, new: int, change: str, key: list[str]
) -> None:
    """Also with a key, such as a customer's, whose rows are on both sides of a cutoff."""
    everything = pd.concat(credits()).reset_index(drop=True)
    age = (everything["day"] - everything["day"].min()).dt.days
    rows, decides, _ = compare(everything[age >= new], everything[age >= old], everything[age < old], key=key)
    between = int(((age >= min(old, new)) & (age < max(old, new))).sum())
    assert counts(rows).get(change, 0) == between and rows.edited == 0
    assert decides.sum() == (age >= max(old, new)).sum()


def test_rows_of_one_customer_are_told_apart_by_content() -> None:
    test, train = (rows.assign(number=[f"{side}{place // 5}" for place in range(len(rows))])
                   for side, rows in zip("ab", credits(), strict=True))  # fmt: skip
    edited = test.copy()
    edited.loc[edited.index[0], "Income"] = -1.0
    edited.loc[edited.index[5], TARGET] = "unsure"
    edited = pd.concat([edited.drop(index=edited.index[10]), edited.iloc[-1:].assign(Income=-2.0)])
    rows, _, pairs = compare(edited, test, train, key=["number"])
    assert counts(rows) == {"edited": 2, "new": 1, "gone": 1}
    assert len(pairs) == 297, "the row with another income is any of five, the one with another target has two truths"
    other = test.iloc[:1].assign(number="b0")
    assert counts(compare(pd.concat([test, other]), test, train, key=["number"])[0]) == {"new": 1, "trained": 1}


def test_duplicates_count_as_often_as_they_are_there() -> None:
    test, train = credits()
    thrice, twice = (pd.concat([test, *[test.iloc[:10]] * more]) for more in (2, 1))
    assert counts(compare(thrice, twice, train)[0]) == {"new": 10}
    assert counts(compare(test, thrice, train)[0]) == {"gone": 20}
    assert set(compare(test, thrice, train)[2][:, 0]) == set(range(10, 300)), "which of three it was is unknown"


def test_a_renamed_column_leaves_the_same_rows_paired() -> None:
    test, train = credits()
    renamed = test.rename(columns={"Income": "Earnings"}).drop(columns="owner").assign(extra=1.0)
    rows, _, pairs = compare(renamed.iloc[::-1], test, train)
    assert counts(rows) == {} and (pairs[:, 0] == 299 - pairs[:, 1]).all() and len(pairs) == 300


def test_rows_that_few_shared_columns_cannot_tell_apart_are_not_paired() -> None:
    test, train = (rows[["Seniority", "Amount", TARGET]] for rows in credits())
    ours = test.assign(new=1.0)
    rows, decides, pairs = compare(ours, test, train)
    features = ["Seniority", "Amount"]
    alone = ~test.duplicated(features, keep=False)
    known = test.set_index(features).index.isin(train.set_index(features).index)
    assert 0 < known.sum() < len(test) and (decides == ~known).all()
    assert list(pairs[:, 0]) == list(pairs[:, 1]) == list(np.flatnonzero(alone & ~known))


def test_columns_with_another_type_do_not_identify() -> None:
    test, train = credits()
    retyped = test.assign(Income=test["Income"].astype("str"), number=np.arange(300.0))
    rows, _, pairs = compare(retyped, test, train, key=["number"])
    assert counts(rows) == {} and len(pairs) == 300


def test_tables_with_nothing_in_common_pair_nothing() -> None:
    test, train = credits()
    rows, decides, pairs = compare(test[[TARGET]].assign(only=1.0), test, train)
    assert counts(rows) == {"new": 300, "gone": 300} and decides.all() and not len(pairs)
    rows, _, pairs = compare(test, test.drop(columns=TARGET), train.drop(columns=TARGET))
    assert counts(rows) == {} and not len(pairs), "without its target, a row of the champion has no truth"


@pytest.mark.parametrize("seed", range(40))
def test_counts_add_up_and_agree_with_counting_one_by_one(seed: int) -> None:
    draw = np.random.default_rng(seed)
    size = draw.integers(1, 60, 3)
    frames = [
        pd.DataFrame(
            {
                "number": draw.choice([*"abcdefgh"], count).tolist(),
                "Age": draw.choice([1.0, 2.0, np.nan], count),
                TARGET: draw.choice(["bad", "good"], count).tolist(),
            }
        ).astype({"number": "str", TARGET: "str"})
        for count in size
    ]
    key = [["number"], []][seed % 2]
    rows, decides, pairs = compare(*frames, key=key)
    ours, theirs, seen = ([tuple(row) for row in frame.astype("str").fillna("?").to_numpy()] for frame in frames)
    parts = slice(0, 1 if key else 2)
    free, same, kept = list(theirs), 0, 0
    for row in ours:
        if row in free:
            free.remove(row)
            same += 1
    free = [row[parts] for row in theirs]
    for row in ours:
        if row[parts] in free:
            free.remove(row[parts])
            kept += 1
    assert (rows.new, rows.gone, rows.edited) == (len(ours) - kept, len(theirs) - kept, kept - same)
    if {row[parts] for row in theirs} & {row[parts] for row in seen}:
        parts = slice(0, 2)
    assert list(decides) == [row[parts] not in {other[parts] for other in seen} for row in ours]
    assert all(ours[mine][2] == theirs[other][2] and ours[mine][0] == theirs[other][0] for mine, other in pairs)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
