"""The table of what is compiled says what is compiled."""

from pathlib import Path
from typing import Any

import pytest
from mlops_actions.bundle import subset
from mlops_actions.bundle.program import STEPS
from mlops_actions.bundle.trace import Untraceable, trace

DOCS = Path(__file__).parents[3] / "docs/serving.md"
# What is written between the brackets of a method, for a column x.
ARGUMENTS: dict[str, list[Any]] = {
    "clip": [0, 9],
    "astype": [float],
    "isin": [[]],
    "map": [{"a": 1.0}],
    "str.slice": [0, 2],
    "str.replace": ["a", "b"],
    "str.contains": ["a"],
    "str.startswith": ["a"],
    "str.endswith": ["a"],
}


def column_of(rows: Any, kind: str) -> Any:
    """A column of a kind, computed where no column of the data has it."""
    return {"bool": lambda: rows["number"] > 0, "span": lambda: rows["datetime"] - rows["datetime"]}.get(
        kind, lambda: rows[kind]
    )()


def call(column: Any, name: str) -> Any:
    """What an attribute of the table gives."""
    made = column
    for part in name.split("."):
        made = getattr(made, part)
    if not subset.METHODS[name].arguments:
        return made
    if name in ("where", "mask"):
        return made(column == column, column)
    return made(*([column, column] if name == "between" else [column] if name == "fillna" else ARGUMENTS.get(name, [])))


def kind_after(add: Any) -> str:
    """The kind of the column that a function makes of the rows."""
    kinds: list[str] = []

    def add_features(rows: Any) -> Any:
        kinds.append(add(rows).kind)
        return rows

    trace(add_features, {name: name for name in ("number", "category", "text", "datetime", "boolean")})
    return kinds[0]


def test_the_docs_have_the_table() -> None:
    assert subset.table() in DOCS.read_text()


@pytest.mark.parametrize("name", subset.METHODS)
def test_each_attribute_takes_the_kinds_it_says_and_no_other(name: str) -> None:
    method = subset.METHODS[name]
    for kind in (*subset.COMPARED, "boolean"):
        if kind not in method.takes:
            with pytest.raises(Untraceable):
                kind_after(lambda rows, kind=kind: call(column_of(rows, kind), name))
            continue
        made = kind_after(lambda rows, kind=kind: call(column_of(rows, kind), name))
        expected = "number" if name == "map" else method.gives or kind
        assert made.replace("text", "category") == expected.replace("text", "category")


def test_every_step_can_be_reached() -> None:
    listed = {*subset.ARITHMETIC, *subset.COMPARISONS, *subset.LOGIC, *subset.FUNCTIONS}
    listed |= {method.step for method in subset.METHODS.values()}
    assert STEPS.keys() - listed == {"negative", "logical_not", "join"}, "those that `-x`, `~` and `+` of texts make"
