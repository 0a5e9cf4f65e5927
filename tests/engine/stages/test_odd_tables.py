"""A table as people have them trains and predicts its own rows, or is refused in one sentence."""

import shutil
from pathlib import Path

import pandas
import pytest
import yaml
from baked import Bake, Project
from mlops_actions.core.errors import UserError
from pipeline import predict_own_rows, train_project

ROWS = 60
UNNEEDED = shutil.ignore_patterns("vendor", ".git", ".github", "deploy")
Cells = list[object]
# One that takes numbers as they are and one that scales them; few trees, since what they learn is not the point.
ESTIMATORS: dict[str, dict[str, object]] = {
    "classification": {"estimator": "hist_gradient_boosting", "params": {"max_iter": 5}},
    "regression": {"estimator": "linear"},
}


def numbers(other: int = 0) -> Cells:
    """Return numbers of which none repeats, others for another argument."""
    return [n * (37 + other) % 101 / 10 for n in range(ROWS)]


def words(*choice: object) -> Cells:
    return [choice[n * 7 % 11 % len(choice)] for n in range(ROWS)]


# Columns that have nothing to do with each other are in one table: what fails names its column.
TRAINS: dict[str, dict[str, Cells]] = {
    "names": {
        "größe": numbers(), "色": words("赤", "青"), "🦉": words("", "x"),
        ' a "quoted" name ': numbers(1), "it's, one": words("a", "b"), "x: y #": numbers(2), "two\nlines": numbers(3),
        "yes": numbers(4), "null": words("c", "d"), "1": numbers(5), "1.5": numbers(6),  # YAML reads them otherwise
        "prediction": numbers(7), "numbers": words("e", "f"), "(missing)": numbers(8),  # words of the pipeline
    },
    "texts": {
        "quotes": words('say "no"', "two\nlines", "a,b"), "control": words("a\tb", "\x01", "\u2028"),
        "missing": words("nan", "None", "NULL", "-", "?"), "infinite": words("Infinity War", "Inf.", "x"),
        "long": [f"{n}\n" * (9999 if n < 5 else 9) for n in range(ROWS)], "one": words("x"),
    },
    "gaps and answers": {
        "nothing": words(""), "gaps": words("1", "NaN", "null"), "yes": words("yes", "no", ""), "y": words("Y", "N"),
        "true": words("TRUE", "false", ""), "is": words(True, False),
    },
    "numbers": {
        "zeros": words("007", "008", "012"), "mixed": words("1", "2", "3.0"), "one": words(1),
        "huge": words(2**53 + 1, 2**63, 2**64 + 5), "endless": words("12345678901234567890123"),
        "far": words("1e-300", "3e38", "-3e38", "0"), "negative zero": words("-0", "0", "-0.0"),
        "comma": words("1,5", "2,25", "1.000,0"), "unit": words("5 %", "7 %", "€ 3"),
    },
    "dates": {
        "formats": words("2026-01-31", "31.01.2026"), "no such day": words("2026-02-30", "2026-02-28"),
        "zones": words("2026-01-31T10:00:00Z", "2026-02-01 11:30:00+02:00", ""),
        "far": words("1582-10-15", "0001-01-01", "9999-12-31"),
        "when": words("2026-01-31", "2026-02-01"), "when_month": numbers(),  # an expansion's name is taken
    },
    "only dates": {"when": [f"2026-{1 + n % 12:02}-{1 + n % 28:02}" for n in range(ROWS)]},
    "all columns empty but one": {"a": words(""), "b": words("NA"), "c": words("x", "y", "")},
    "duplicates": {"a": words(1, 2), "b": words("x", "y")},
    "an identifier": {"id": list(range(ROWS)), "key": [f"u-{n}" for n in range(ROWS)], "a": numbers()},
}  # fmt: skip
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
    root = Path(shutil.copytree(generated.path, folder / "project", ignore=UNNEEDED))
    rows = len(next(iter(columns.values())))
    target = [n % 2 + n / 1000 if task == "regression" else "AB"[n * 5 % 7 % 2] for n in range(rows)]
    numbers_or_none = numbers()[:rows] if spread else [0] * rows
    table = pandas.DataFrame({**columns, "spread": numbers_or_none, "target": target})
    table.to_csv(root / "data/raw/dataset.csv", index=False)
    knobs = yaml.safe_load((root / "params.yaml").read_text())
    knobs["data"]["target"] = "target"
    knobs["model"] |= ESTIMATORS[task]
    (root / "params.yaml").write_text(yaml.safe_dump(knobs))
    return root


@pytest.mark.parametrize("task", ESTIMATORS)
@pytest.mark.parametrize("name", TRAINS)
def test_an_odd_table_trains(generated: dict[str, Project], tmp_path: Path, name: str, task: str) -> None:
    root = write_project(generated[task], tmp_path, TRAINS[name], task)
    train_project(root)
    predict_own_rows(root)


def test_a_table_of_more_than_a_hundred_columns_trains(generated: dict[str, Project], tmp_path: Path) -> None:
    root = write_project(generated["regression"], tmp_path, {f"c{n}": numbers(n) for n in range(110)}, "regression")
    train_project(root)
    predict_own_rows(root)


@pytest.mark.parametrize("name", REFUSED)
def test_a_hopeless_table_is_refused(generated: dict[str, Project], tmp_path: Path, name: str) -> None:
    columns, sentence = REFUSED[name]
    root = write_project(generated["regression"], tmp_path, columns, "regression", spread=False)
    with pytest.raises(UserError) as refusal:
        train_project(root)
    assert sentence in str(refusal.value) and str(refusal.value).endswith(".") and "\n" not in str(refusal.value)
