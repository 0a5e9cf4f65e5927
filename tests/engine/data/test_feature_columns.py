"""The columns of a feature table are told apart by their values, and what they hold is bounded."""

import numpy as np
import pandas as pd
from mlops_actions.data.feature_columns import (
    FEW,
    MOST,
    WORDS,
    enough,
    frequent_values,
    frequent_words,
    sort_columns,
)

ROWS = 1000


def table() -> pd.DataFrame:
    numbers = np.arange(ROWS)
    texts = {
        "few": [f"level {n % FEW}" for n in numbers],
        "many": [f"city {n % (FEW + 1)}" for n in numbers],
        "rare": [f"lane {n}" if n % 100 == 0 else "Elm Street" for n in numbers],
        "text": [f"a note about parcel {n} of many" for n in numbers],
        "code": [f"ORD{n:05}" for n in numbers],
    }
    frame = pd.DataFrame({"amount": numbers, "empty": np.nan}, dtype="float32")
    return frame.join(pd.DataFrame(texts, dtype="str"))


def test_columns_are_told_apart_by_their_values() -> None:
    columns = sort_columns(table(), {})
    assert columns.rows == ROWS and columns.numbers == ["amount"] and columns.used == 5
    assert columns.few == {"few": sorted(f"level {n}" for n in range(FEW)), "rare": ["Elm Street"]}
    assert columns.many == {"many": sorted(f"city {n}" for n in range(FEW + 1))}
    assert columns.texts == {"text": ["about", "many", "note", "of", "parcel"]}
    assert columns.left_out == ["empty", "code"]


def test_the_contract_says_what_is_text() -> None:
    columns = sort_columns(table(), {"text": "category", "few": "text"})
    assert columns.texts == {"few": ["level"]}
    assert "text" in columns.left_out, "all its values differ"


def test_what_is_told_apart_does_not_grow_with_the_data() -> None:
    counts = pd.Series({f"{n:05}": 9 + (n % 2) for n in range(MOST * 3)})
    values = frequent_values(counts)
    assert len(values) == MOST and values == sorted(values) and all(int(value) % 2 for value in values)
    words = frequent_words(pd.Series([" ".join(f"w{n}" for n in range(WORDS * 2))] * 9))
    assert len(words) == WORDS and words == sorted(words)


def test_a_value_that_too_few_rows_have_is_none() -> None:
    assert [enough(rows) for rows in (10, 300, 10_000)] == [2, 3, 5]
    assert frequent_values(pd.Series({"a": 998, "b": 1})) == ["a"]
    assert frequent_words(pd.Series(["one two", "three four"])) == []
