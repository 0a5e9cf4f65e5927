"""A table as people have them trains and predicts its own rows, or is refused in one sentence."""

from pathlib import Path

import pandas
import pytest
import yaml
from baked import Bake, Project
from mlops_actions.core.errors import UserError
from pipeline import predict_own_rows, train_project

ROWS = 60
Cells = list[object]


def numbers() -> Cells:
    return [n * 37 % 101 / 10 for n in range(ROWS)]


def words(*choice: object) -> Cells:
    return [choice[n * 7 % 11 % len(choice)] for n in range(ROWS)]


TRAINS: dict[str, dict[str, Cells]] = {
    "unicode names": {"größe": numbers(), "色": words("赤", "青"), "🦉": words("", "x")},
    "names with spaces and quotes": {' a "quoted" name ': numbers(), "it's, one": words("a", "b"), "x: y #": numbers()},
    "names that YAML reads otherwise": {"yes": numbers(), "null": words("a", "b"), "1": numbers(), "1.5": numbers()},
    "names of pipeline words": {"prediction": numbers(), "numbers": words("a", "b"), "(missing)": numbers()},
    "a name with a line break": {"two\nlines": numbers()},
    "line breaks and quotes in cells": {"a": words('say "no"', "two\nlines", "a,b"), "b": numbers()},
    "a column with nothing in it": {"a": numbers(), "b": words("")},
    "all columns empty but one": {"a": words(""), "b": words("NA"), "c": words("x", "y", "")},
    "whole numbers written as text": {"a": words("007", "008", "012"), "b": words("1", "2", "3.0")},
    "dates in two formats": {"when": words("2026-01-31", "31.01.2026")},
    "dates with zones, times and gaps": {"when": words("2026-01-31T10:00:00Z", "2026-02-01 11:30:00+02:00", "")},
    "only dates": {"when": [f"2026-{1 + n % 12:02}-{1 + n % 28:02}" for n in range(ROWS)]},
    "dates far away": {"when": words("1582-10-15", "0001-01-01", "9999-12-31")},
    "a date that cannot be": {"when": words("2026-02-30", "2026-02-28")},
    "an expansion's name is taken": {"when": words("2026-01-31", "2026-02-01"), "when_month": numbers()},
    "yes and no": {"a": words("yes", "no", ""), "b": words("Y", "N")},
    "true and false": {"a": words("TRUE", "false", ""), "b": words(True, False)},
    "one and the same value": {"a": words("x"), "b": words(1)},
    "huge whole numbers": {"a": words(2**53 + 1, 2**63, 2**64 + 5), "b": words("12345678901234567890123")},
    "tiny and large numbers": {"a": words("1e-300", "3e38", "-3e38", "0")},
    "negative zero": {"a": words("-0", "0", "-0.0"), "b": numbers()},
    "numbers with a comma": {"a": words("1,5", "2,25", "1.000,0")},
    "numbers with a unit": {"a": words("5 %", "7 %", "€ 3")},
    "duplicates": {"a": words(1, 2), "b": words("x", "y")},
    "an identifier": {"id": list(range(ROWS)), "key": [f"u-{n}" for n in range(ROWS)], "a": numbers()},
    "long texts with line breaks": {"a": [f"{n}\n" * 9999 for n in range(ROWS)], "b": numbers()},
    "control characters": {"a": words("a\tb", "\x01", "\u2028"), "b": numbers()},
    "words for missing": {"a": words("nan", "None", "NULL", "-", "?"), "b": words("1", "NaN", "null")},
    "infinite as a word": {"a": words("Infinity War", "Inf.", "x"), "b": numbers()},
    "two hundred columns": {f"c{n}": numbers() for n in range(200)},
}
REFUSED: dict[str, tuple[dict[str, Cells], str]] = {
    "one row": ({"a": [1]}, "'target' is 0 in every row"),
    "the same row again and again": ({"a": words(1), "b": words("")}, "puts none of the 60 rows into"),
    "infinity": ({"a": words("1", "inf")}, "must be finite"),
}


@pytest.fixture(scope="module")
def generated(bake: Bake) -> dict[str, Project]:
    return {task: bake(task=task) for task in ("classification", "regression")}


def write_project(generated: Project, folder: Path, columns: dict[str, Cells], task: str, spread: bool = True) -> Path:
    """Write a project of this table, beside the generated project's code, and return its folder."""
    root = generated.copy(folder / "project").path
    rows = len(next(iter(columns.values())))
    target = [n % 2 + n / 1000 if task == "regression" else "AB"[n * 5 % 7 % 2] for n in range(rows)]
    numbers_or_none = numbers()[:rows] if spread else [0] * rows
    table = pandas.DataFrame({**columns, "spread": numbers_or_none, "target": target})
    table.to_csv(root / "data/raw/dataset.csv", index=False)
    knobs = yaml.safe_load((root / "params.yaml").read_text())
    knobs["data"]["target"] = "target"
    (root / "params.yaml").write_text(yaml.safe_dump(knobs))
    return root


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("name", TRAINS)
def test_an_odd_table_trains(generated: dict[str, Project], tmp_path: Path, name: str, task: str) -> None:
    root = write_project(generated[task], tmp_path, TRAINS[name], task)
    train_project(root)
    predict_own_rows(root)


@pytest.mark.parametrize("name", REFUSED)
def test_a_hopeless_table_is_refused(generated: dict[str, Project], tmp_path: Path, name: str) -> None:
    columns, sentence = REFUSED[name]
    root = write_project(generated["regression"], tmp_path, columns, "regression", spread=False)
    with pytest.raises(UserError) as refusal:
        train_project(root)
    assert sentence in str(refusal.value) and str(refusal.value).endswith(".") and "\n" not in str(refusal.value)
