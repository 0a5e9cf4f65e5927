"""What one column may hold, and whether typed rows keep to it: pandera looks, and one sentence says what it found."""

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import Field, field_validator

from ..core.errors import UserError
from ..core.typed_yaml import Section
from .cells import AHEAD, EPOCHS, NUMBERS
from .values import Kind, as_text

if TYPE_CHECKING:
    from pandera.pandas import Check

_MEANS = {  # the kinds of which a key says something
    "format": ("number", "datetime"),
    "unit": ("number",),
    "min": ("number", "datetime"),
    "max": ("number", "datetime"),
    "max_length": ("category", "text"),
    "pattern": ("category", "text"),
    "future": ("datetime",),
}


class Column(Section):
    """What one column holds; `schema.yaml` says what each key means."""

    type: Kind
    missing: bool = False
    format: str | None = None
    unit: str | None = Field(default=None, min_length=1)
    missing_values: list[str] = []
    min: float | str | None = None
    max: float | str | None = None
    values: list[str] | None = None
    max_length: int | None = Field(default=None, ge=1)
    pattern: str | None = None
    future: bool = True
    unique: bool = False

    @field_validator("min", "max", mode="before")
    @classmethod
    def _date_as_text(cls, value: Any) -> Any:
        return value.isoformat() if isinstance(value, dt.date) else value


class Target(Column):
    """The column to predict; the values of a classification's target are its classes."""

    name: str


def check_column(column: Column, where: str) -> None:
    """Refuse keys that mean nothing for the column's type, or that cannot be read; `where` names the column."""
    for key, kinds in _MEANS.items():
        if getattr(column, key) != Column.model_fields[key].default and column.type not in kinds:
            raise UserError(f"{where} is a {column.type}, so {key} means nothing; remove it.")
    for key in ("min", "max"):
        limit = getattr(column, key)
        fits = _moment(limit) is not None if column.type == "datetime" else isinstance(limit, float)
        if limit is not None and not fits:
            like = "a moment such as 2026-01-31" if column.type == "datetime" else "a number"
            raise UserError(f"{where}.{key} must be {like}, not {limit!r}.")
    if column.format is not None and not _can_read(column):
        known = [*NUMBERS] if column.type == "number" else ["%d.%m.%Y", *EPOCHS]
        raise UserError(f"{where}.format {column.format!r} is not known; write it like {', '.join(map(repr, known))}.")
    if column.pattern is not None:
        try:
            re.compile(column.pattern)
        except re.error as error:
            raise UserError(f"{where}.pattern is not a regular expression ({error}).") from None


def check_rows(rows: pd.DataFrame, columns: dict[str, Column], source: str) -> None:
    """Refuse typed rows, whose index counts the source's rows, where they break the first of the columns' rules."""
    from pandera.errors import SchemaErrors
    from pandera.pandas import Column as Rules
    from pandera.pandas import DataFrameSchema

    checks = {name: _checks(column, rows[name]) for name, column in columns.items()}
    contract = DataFrameSchema(
        {
            name: Rules(nullable=column.missing, checks=[check for check, _ in checks[name].values()])
            for name, column in columns.items()
        }
    )
    try:
        contract.validate(rows, lazy=True)
    except SchemaErrors as found:
        first, *others = found.schema_errors
        name = str(first.schema.name)
        broken = first.failure_cases.sort_values("index")
        where = f"{source}: column {name!r}"
        also = len({error.schema.name for error in others} - {name})
        more = f" (and {also} more column{'s' if also > 1 else ''})" if also else ""
        rule = first.check.name if hasattr(first.check, "name") else "missing"
        if rule == "missing":
            rows_found = count_rows(len(broken), broken["index"].iloc[0])
            left_out = ", which leaves those rows out" if isinstance(columns[name], Target) else ""
            cure = f"fill them, or set missing: true in schema.yaml{left_out}"
            raise UserError(f"{where} is missing in {rows_found}; {cure}{more}.") from None
        must, cure = checks[name][rule][1]
        shown = name_rows(len(broken), broken["index"].iloc[0], broken["failure_case"].iloc[0])
        raise UserError(f"{where} must {must}, but {shown}; correct that, or {cure}{more}.") from None


def name_rows(count: int, first: int, value: object) -> str:
    """Return how many rows there are, the number of the first with its value, and "are not", as a sentence goes on."""
    return f"{count_rows(count, first)[:-1]}: {str(value)[:40]!r}) {'is' if count == 1 else 'are'} not"


def count_rows(count: int, first: int) -> str:
    """Return how many rows there are and the number of the first, counted from 1."""
    return f"{count:,} row{'' if count == 1 else 's'} (first: row {first + 1})"


def _checks(column: Column, values: pd.Series) -> "dict[str, tuple[Check, tuple[str, str]]]":
    """Return the column's rules by name: what pandera checks, what the values must be, and what else could change."""
    from pandera.pandas import Check

    checks = {}
    moment = column.type == "datetime"
    if column.min is not None:
        words = f"be {column.min} or later" if moment else f"be at least {column.min:g}"
        checks["min"] = Check.ge(_moment(column.min) if moment else column.min, name="min"), (words, "its min")
    if column.max is not None:
        words = f"be {column.max} or earlier" if moment else f"be at most {column.max:g}"
        checks["max"] = Check.le(_moment(column.max) if moment else column.max, name="max"), (words, "its max")
    if not column.future:
        now = pd.Timestamp.now("UTC").tz_localize(None) + AHEAD
        checks["future"] = Check.le(now, name="future"), ("be no later than now", "remove future: false")
    if column.values is not None:
        allowed, text = column.values, isinstance(values.dtype, pd.StringDtype)
        known = (
            Check.isin(allowed, name="values")
            if text
            else Check(lambda cells: as_text(cells).isin(allowed), name="values")
        )
        words = f"be one of {', '.join(allowed[:20])}"
        checks["values"] = known, (words, "add the value in schema.yaml")
    if column.max_length is not None:
        words = f"be at most {column.max_length} characters long"
        short = Check.str_length(max_value=column.max_length, name="max_length")
        checks["max_length"] = short, (words, "its max_length")
    if column.pattern is not None:
        whole = rf"(?:{column.pattern})\Z"
        checks["pattern"] = Check.str_matches(whole, name="pattern"), (f"be text like {column.pattern}", "its pattern")
    return checks


def _moment(limit: float | str | None) -> pd.Timestamp | None:
    try:
        return pd.to_datetime(limit, utc=True, format="ISO8601").tz_localize(None) if isinstance(limit, str) else None
    except ValueError:
        return None


def _can_read(column: Column) -> bool:
    if column.type == "number" or column.format in EPOCHS:
        return column.format in (NUMBERS if column.type == "number" else EPOCHS)
    try:
        now = dt.datetime(2026, 12, 31)
        return dt.datetime.strptime(now.strftime(column.format or ""), column.format or "").year == now.year
    except ValueError:
        return False
