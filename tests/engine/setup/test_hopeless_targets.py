"""A target or a column that no model can use is refused when a project is set up, in one sentence."""

from pathlib import Path

import pytest
from baked import Bake, Project
from mlops_actions.core.errors import UserError
from pipeline import set_up
from written import COLUMNS, LABELS, ROWS, write_table

# What the target or a column holds at setup, in place of what it should.
AT_SETUP: dict[str, tuple[str, dict[str, list[object]], str, str]] = {
    "target misspelt": ("classification", {}, "targte", "has no column 'targte'; did you mean 'target'?"),
    "target unknown": ("classification", {}, "xyz", "has no column 'xyz'; use one of when, price, share, size, note"),
    "target empty": ("guess", {"target": [""] * ROWS}, "target", "'target' has no value in any row"),
    "target constant": ("guess", {"target": ["yes"] * ROWS}, "target", "'target' is yes in every row"),
    "target a constant number": ("regression", {"target": [3] * ROWS}, "target", "'target' is 3 in every row"),
    "target an identifier": ("classification", {"target": [f"u-{n}" for n in range(ROWS)]}, "target",
        "'target' has 120 different values, so it identifies rows; choose another column"),
    "target free text": ("classification", {"target": [f"number {n} is quite good" for n in range(ROWS)]}, "target",
        "so it is free text; choose another column"),
    "60 classes": ("classification", {"target": [f"c{n % 60}" for n in range(ROWS)]}, "target",
        "has 60 different values, too many for classes; choose another column, or merge"),
    "numbers as classes": ("classification", {"target": [n / 7 for n in range(ROWS)]}, "target",
        "too many for classes; set data.task to regression"),
    "text for regression": ("regression", {}, "target", "holds text, such as 'no', which a regression"),
    "dates for regression": ("regression", {}, "when",
        "'when' holds dates, which a regression cannot predict; predict a number of days instead"),
    "mixed target": ("regression", {"target": [*range(ROWS - 1), "many"]}, "target", "holds text, such as 'many'"),
    "classes of one row": ("guess", {"target": [*map(str, range(9)), *LABELS[9:]], "note": ["x"] * ROWS}, "target",
        "falls into train; add rows of it or merge it with another"),
    "infinity": ("guess", {"size": ["inf", *range(ROWS - 1)]}, "target",
        "'size' must be finite, but 1 row (first: row 1: 'inf') is not"),
    "one row": ("guess", {name: cells[:1] for name, cells in COLUMNS.items()} | {"target": ["a"]}, "target",
        "'target' is a in every row; add rows where it differs"),
    "the target alone": ("guess", dict.fromkeys(COLUMNS, []), "target", "has no column but the target 'target'"),
    "a zero byte in a name": ("guess", {"a\0b": LABELS}, "target", "is not text, although its name says so"),
}  # fmt: skip


@pytest.fixture(scope="module")
def guessing(bake: Bake) -> Project:
    return bake(task="guess")


@pytest.mark.parametrize("name", AT_SETUP)
def test_a_hopeless_target_or_column_is_refused_at_setup(guessing: Project, tmp_path: Path, name: str) -> None:
    task, columns, target, sentence = AT_SETUP[name]
    root = write_table(guessing, tmp_path, task, columns, target)
    with pytest.raises(UserError) as refusal:
        set_up(root)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value) and str(refusal.value).endswith((".", "?"))
