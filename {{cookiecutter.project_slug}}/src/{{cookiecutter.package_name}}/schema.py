"""The contract of the data: which columns there are, what they hold, and whether values may be missing."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from .config import Section, parse, read_yaml
from .errors import UserError
from .files import write_file
from .values import Kind, as_text, is_missing, kind_of, parse_values

SCHEMA = "schema.yaml"
MANY_CLASSES = 50
_HOLDS = {
    "number": "numbers",
    "boolean": "true or false",
    "datetime": "ISO dates such as 2026-01-31",
    "category": "text",
}


class Column(Section):
    """What one column holds."""

    type: Kind
    missing: bool = False
    min: float | None = None
    max: float | None = None
    values: list[str] | None = None


class Target(Column):
    """The column to predict; the values of a classification's target are its classes."""

    name: str


class _File(Section):
    target: Target
    columns: dict[str, Column]


@dataclass(frozen=True)
class Schema:
    """The columns in order, and the target."""

    target: Target
    columns: dict[str, Column]

    def write(self, path: Path) -> None:
        """Writes schema.yaml, one line a column."""
        write_file(path, self.to_yaml().encode())

    def to_yaml(self) -> str:
        """The text of schema.yaml."""
        lines = [
            "# The contract of the data: training and prediction refuse rows that break it. Edit it when",
            "# the data changes on purpose. type: number, boolean, category or datetime; missing: whether",
            "# values may be missing. Optional: min and max of a number, values of a category.",
            f"target: {{{_flow(self.target)}}}",
            "columns:",
            *(f"  {_plain(name)}: {{{_flow(column)}}}" for name, column in self.columns.items()),
        ]
        return "\n".join(lines) + "\n"

    def without(self, names: list[str]) -> "Schema":
        """The same contract for rows that need not have these columns."""
        return Schema(self.target, {name: column for name, column in self.columns.items() if name not in names})

    def apply(
        self,
        frame: pd.DataFrame,
        with_target: bool = True,
        source: str = "the data",
        enforce: bool = True,
        new: bool = False,
        first: int = 0,
    ) -> pd.DataFrame:
        """The rows typed as the contract says: float64, boolean, str and datetime64[us], the target last.

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
        typed = {name: _typed(frame[name], wanted[name], f"{source}: column {name!r}", enforce) for name in wanted}
        if with_target and self.target.values is not None and self.target.type != "category":
            typed[self.target.name] = as_text(typed[self.target.name])
        return pd.DataFrame(typed).reset_index(drop=True)

    def _check_columns(self, frame: pd.DataFrame, wanted: list[str], source: str, new: bool) -> None:
        if frame.columns.has_duplicates:
            twice = frame.columns[frame.columns.duplicated()][0]
            raise UserError(f"{source}: has the column {twice!r} twice; rename one.")
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
    """The contract in schema.yaml."""
    if not path.is_file():
        raise UserError(f"{path.name}: not found; run `mlops setup`, which infers it from the dataset.")
    file = parse(_File, read_yaml(path), path.name)
    if not file.columns:
        raise UserError(f"{path.name}: columns is empty; name at least one column to predict from.")
    if file.target.name in file.columns:
        raise UserError(f"{path.name}: {file.target.name!r} is the target and a column; remove it from columns.")
    for name, column in [*file.columns.items(), (file.target.name, file.target)]:
        if (column.min is not None or column.max is not None) and column.type != "number":
            raise UserError(
                f"{path.name}: columns.{name} is a {column.type}, so min and max mean nothing; remove them."
            )
    return Schema(file.target, file.columns)


def infer_schema(frame: pd.DataFrame, target: str, task: str) -> Schema:
    """The contract these rows keep: types from the values, missing allowed where some are missing."""
    if target not in frame.columns:
        raise UserError(
            f"data.target: the dataset has no column {target!r}; use one of {', '.join(frame.columns[:30])}."
        )
    columns = {
        str(name): Column(type=kind_of(values), missing=bool(is_missing(values).any()))
        for name, values in frame.items()
    }
    kind = columns.pop(target).type
    if not columns:
        raise UserError(f"the dataset has no column but the target {target!r}; add columns to predict from.")
    if task == "regression":
        if kind != "number":
            problem = f"holds {_HOLDS[kind]}, which a regression cannot predict"
            raise UserError(f"data.target: {target!r} {problem}; set data.task to classification.")
        return Schema(Target(name=target, type=kind), columns)
    labels = as_text(parse_values(frame[target], kind)[0]).dropna()
    classes = sorted(labels.unique().tolist())
    if kind in ("number", "datetime") and len(classes) > MANY_CLASSES:
        problem = f"has {len(classes)} different values, too many for classes"
        raise UserError(f"data.target: {target!r} {problem}; set data.task to regression.")
    return Schema(Target(name=target, type=kind, values=classes), columns)


def _typed(raw: pd.Series, column: Column, where: str, enforce: bool) -> pd.Series:
    values, wrong = parse_values(raw, column.type)
    cure = "correct that, or its type in schema.yaml"
    if wrong.any():
        raise UserError(f"{where} must hold {_HOLDS[column.type]}, but {_rows(wrong, raw)}; {cure}.")
    if column.type == "number":
        huge = (values.abs() > np.finfo(np.float32).max).to_numpy()
        if huge.any():
            raise UserError(f"{where} must be finite, but {_rows(huge, raw)}; correct that or leave it empty.")
    if enforce:
        _check_rules(where, column, values)
    return values


def _check_rules(where: str, column: Column, values: pd.Series) -> None:
    missing = values.isna().to_numpy()
    if missing.any() and not column.missing:
        cure = "remove those rows" if isinstance(column, Target) else "fill them, or set missing: true in schema.yaml"
        raise UserError(f"{where} is missing in {_count(missing, values)}; {cure}.")
    if column.min is not None and (low := (values < column.min).to_numpy()).any():
        raise UserError(f"{where} must be at least {column.min:g}, but {_rows(low, values)}; correct that, or its min.")
    if column.max is not None and (high := (values > column.max).to_numpy()).any():
        raise UserError(f"{where} must be at most {column.max:g}, but {_rows(high, values)}; correct that, or its max.")
    if column.values is not None:
        text = values if column.type == "category" else as_text(values)
        other = (~text.isin(column.values)).to_numpy() & ~missing
        if other.any():
            known = ", ".join(column.values[:20])
            cure = "correct that, or add the value in schema.yaml"
            raise UserError(f"{where} must be one of {known}, but {_rows(other, values)}; {cure}.")


def _rows(mask: np.ndarray, values: pd.Series) -> str:
    shown = str(values.iloc[int(mask.argmax())])
    verb = "is not" if mask.sum() == 1 else "are not"
    return f"{_count(mask, values)[:-1]}: {shown[:40]!r}) {verb}"


def _count(mask: np.ndarray, values: pd.Series) -> str:
    rows = int(mask.sum())
    return f"{rows} row{'' if rows == 1 else 's'} (first: row {values.index[int(mask.argmax())] + 1})"


def _flow(column: Column) -> str:
    """A column's keys as a YAML flow mapping; classes stay quoted, for YAML may read a bare `no` as false."""
    items = {"name": None, **column.model_dump(exclude_none=True)}
    parts = []
    for key, value in items.items():
        if value is None or (key == "missing" and isinstance(column, Target)):
            continue
        parts.append(f"{key}: {_plain(value) if key in ('name', 'type') else json.dumps(value, ensure_ascii=False)}")
    return ", ".join(parts)


def _plain(name: str) -> str:
    bare = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*( [A-Za-z0-9_.]+)*", name)
    reserved = name.lower() in {"yes", "no", "on", "off", "y", "n", "true", "false", "null"}
    return name if bare and not reserved else json.dumps(name, ensure_ascii=False)
