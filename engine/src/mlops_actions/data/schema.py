"""The contract of the data: which columns there are, what they hold, and whether values may be missing."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..core.errors import UserError
from ..core.files import write_file
from ..core.typed_yaml import Section, parse, parse_yaml, read_yaml
from ..core.yaml_text import flow
from .rules import Column, Target, check_column, check_rows, name_rows
from .values import as_text, parse_values

SCHEMA = "schema.yaml"
_HEAD = """\
# The contract of the data: training and prediction refuse rows that break it. Edit it when the data changes on purpose.
#   type             number, boolean, category, datetime, or text (sentences, of which the model learns words)
#   missing          whether values may be missing; rows without the target are then left out and counted
#   missing_values   texts that mean a missing value, such as ["?"]
#   format, unit     how it is written: a date as "%d.%m.%Y" or "epoch s", a number as "1.234,5" with the unit "€"
# Optional, of a number or a date: min, max; of a date: future: false; of text: values, max_length, pattern (a regular
# expression); of any: unique: true.
"""


class _File(Section):
    target: Target
    columns: dict[str, Column]


@dataclass(frozen=True)
class Schema:
    """The columns in order, and the target."""

    target: Target
    columns: dict[str, Column]

    def write(self, path: Path, notes: dict[str, str] | None = None) -> None:
        """Write schema.yaml, one line a column, with notes to columns as comments."""
        write_file(path, self.to_yaml(notes).encode())

    def to_yaml(self, notes: dict[str, str] | None = None) -> str:
        """Return the text of schema.yaml, with notes to columns as comments."""
        notes = {name: f"  # {remark(note)}" for name, note in (notes or {}).items()}
        lines = [
            f"target: {_flow(self.target)}{notes.get(self.target.name, '')}",
            "columns:",
            *(f"  {flow(name)}: {_flow(column)}{notes.get(name, '')}" for name, column in self.columns.items()),
        ]
        return _HEAD + "\n".join(lines) + "\n"

    @property
    def kinds(self) -> dict[str, str]:
        """What each column is."""
        return {name: column.type for name, column in self.columns.items()}

    def without(self, names: list[str]) -> "Schema":
        """Return the same contract for rows that need not have these columns."""
        return Schema(self.target, {name: column for name, column in self.columns.items() if name not in names})

    def weighing(self, name: str | None) -> "Schema":
        """Return the same contract where a column holds the rows' weights: known, and not negative."""
        if name is None or name not in self.columns:
            return self
        least = self.columns[name].min
        known = {"missing": False, "min": max(0.0, least) if isinstance(least, float) else 0.0}
        weight = self.columns[name].model_copy(update=known)
        return Schema(self.target, self.columns | {name: weight})

    def apply(
        self,
        frame: pd.DataFrame,
        with_target: bool = True,
        source: str = "the data",
        enforce: bool = True,
        new: bool = False,
        first: int = 0,
    ) -> pd.DataFrame:
        """Return the rows typed as the contract says: float64, boolean, str and datetime64[us], the target last.

        Args:
            frame: rows as text (CSV) or typed (Parquet).
            with_target: whether the target must be there; else it is left out.
            source: what the rows are called in an error.
            enforce: whether missing values, limits and unknown values are errors, or only wrong types are.
            new: whether columns that the contract does not know are ignored; else they are an error.
            first: how many rows of the source lie before these, for the row that an error names.
        """
        wanted = dict(self.columns) | ({self.target.name: self.target} if with_target else {})
        self._check_columns(frame, list(wanted), source, new)
        frame = frame.reset_index(drop=True)
        frame.index += first
        typed = pd.DataFrame({name: _typed(frame[name], wanted[name], f"{source}: column {name!r}") for name in wanted})
        if with_target and self.target.values is not None and self.target.type != "category":
            typed[self.target.name] = as_text(typed[self.target.name])
        if enforce:
            check_rows(typed, wanted, source)
        return typed.reset_index(drop=True)

    def _check_columns(self, frame: pd.DataFrame, wanted: list[str], source: str, new: bool) -> None:
        if frame.columns.has_duplicates:
            twice = frame.columns[frame.columns.duplicated()][0]
            raise UserError(f"{source}: has the column {twice!r} twice; rename one.")
        if binary := [name for name in frame.columns if "\0" in str(name)]:  # pandas finds no column of such a name
            raise UserError(f"{source}: the column name {binary[0]!r} has a zero byte in it; rename it.")
        for name in wanted:
            if name not in frame.columns and name == self.target.name:
                raise UserError(f"{source}: lacks the target {name!r}; add it, or correct data.target in params.yaml.")
            if name not in frame.columns:
                raise UserError(f"{source}: lacks the column {name!r}; add it, or remove it from schema.yaml.")
        unknown = [name for name in frame.columns if name not in self.columns and name != self.target.name]
        if unknown and not new:
            raise UserError(
                f"{source}: has the column {unknown[0]!r}, which schema.yaml lacks; remove it, or add it to "
                "schema.yaml with its type."
            )
        if not len(frame):
            raise UserError(f"{source}: has no rows; add some.")


def load_schema(path: Path) -> Schema:
    """Return the contract in schema.yaml."""
    if not path.is_file():
        raise UserError(f"{path.name}: not found; run `mlops setup`, which infers it from the dataset.")
    return _checked(read_yaml(path), path.name)


def parse_schema(text: str, source: str) -> Schema:
    """Return the contract in the text of a schema.yaml; `source` is what it is called in an error."""
    return _checked(parse_yaml(text, source), source)


def _checked(content: object, source: str) -> Schema:
    file = parse(_File, content, source)
    if not file.columns:
        raise UserError(f"{source}: columns is empty; name at least one column to predict from.")
    if file.target.name in file.columns:
        raise UserError(f"{source}: {file.target.name!r} is the target and a column; remove it from columns.")
    for name, column in [*file.columns.items(), (file.target.name, file.target)]:
        check_column(column, f"{source}: columns.{name}")
    return Schema(file.target, file.columns)


def _typed(raw: pd.Series, column: Column, where: str) -> pd.Series:
    values, wrong = parse_values(raw, column.type, column.format, column.unit, column.missing_values)
    cure = "correct that, or its type in schema.yaml"
    if wrong.any():
        raise UserError(f"{where} must hold {_holds(column)}, but {_first(wrong, raw)}; {cure}.")
    if column.type == "number":
        huge = (values.abs() > np.finfo(np.float32).max).to_numpy()
        if huge.any():
            raise UserError(f"{where} must be finite, but {_first(huge, raw)}; correct that or leave it empty.")
    return values


def _first(mask: np.ndarray, raw: pd.Series) -> str:
    first = int(mask.argmax())
    return name_rows(int(mask.sum()), int(raw.index[first]), raw.iloc[first])


def _holds(column: Column) -> str:
    if column.type == "datetime":
        format = column.format or "%Y-%m-%d"
        like = "seconds" if format.startswith("epoch") else dt.date(2026, 1, 31).strftime(format)
        return f"{'ISO ' if column.format is None else ''}dates such as {like}"
    if column.type == "number" and (column.format or column.unit):
        return f"numbers such as {column.format or '1,234.5'}{f' {column.unit}' if column.unit else ''}"
    return {"number": "numbers", "boolean": "true or false"}.get(column.type, "text")


def _flow(column: Column) -> str:
    """Return a column's keys as a YAML flow mapping: the name of a target, the type and what may be missing first."""
    items = column.model_dump(exclude_defaults=True)
    named = {"name": items.pop("name")} if isinstance(column, Target) else {}
    missing = {} if isinstance(column, Target) and not column.missing else {"missing": column.missing}
    return flow(named | {"type": items.pop("type")} | missing | items)


def remark(text: str) -> str:
    """Return a text that a comment can hold: one line, of moderate length."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= 200 else line[:199] + "…"
