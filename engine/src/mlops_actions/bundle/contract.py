"""Rows of JSON typed as the contract says, without pandas: a value means here what `values.py` says that it means.

`mlops stage export` proves that on the test rows: both ways must give the model the same bits.
"""

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Annotated, Any, NamedTuple

import msgspec

from ..data.cells import AHEAD, EPOCHS, MISSING_WORDS, MOMENT, NUMBERS, WHOLE, number_pattern

LARGEST = 3.4028234663852886e38  # of float32, which the model computes with
SEEN = 4096  # values of a column whose meaning is remembered
LONG = 200  # characters of a text whose meaning is not remembered
SHOWN = 60  # characters of a value in a sentence

_MISSING = frozenset(MISSING_WORDS)
_MOMENT = re.compile(MOMENT)
_WHOLE = re.compile(WHOLE.replace("+", "++"))  # which goes through a text once, however long it is
_EPOCH = dt.datetime(1970, 1, 1)
_US = dt.timedelta(microseconds=1)
_400_YEARS = 146_097 * 86_400_000_000  # microseconds
_ABSENT = object()


class Problem(NamedTuple):
    """Why a row cannot be answered: the column, None where it is the row itself, and the reason."""

    column: str | None
    reason: str


class Wrong(Exception):
    """A value that its column cannot hold; the text says why."""


# A value in, the typed value out; raises Wrong or OverflowError where it does not fit.
Reader = Callable[[Any], Any]


class Contract:
    """What each column holds, and how values of it are read."""

    def __init__(self, columns: Mapping[str, Mapping[str, Any]], enforce: bool = True) -> None:
        """`columns` are those of schema.yaml; without `enforce`, missing values and limits are no errors."""
        self.columns = columns
        self._readers = {name: _reader(column, enforce) for name, column in columns.items()}
        # Nearly every row is usual: all columns, numbers within limits, texts. msgspec tells that in C.
        kinds: list[Any] = []
        self._gaps: list[str] = []
        self._rest: list[tuple[str, Reader]] = []
        for name, column in columns.items():
            kind: Any = Any
            if _is_plain(column, enforce):
                kind = _number(column, enforce)
                if column.get("missing") or not enforce:
                    kind |= None
                    self._gaps.append(name)
            elif _is_lasting(column):
                kind = str | int | None
                self._rest.append((name, _Known(self._readers[name]).__getitem__))
            else:
                self._rest.append((name, self._readers[name]))
            kinds.append(kind)
        fields = [(f"c{number}", kind) for number, kind in enumerate(kinds)]
        self._rows = list[msgspec.defstruct("Row", fields, array_like=True, gc=False)]  # type: ignore[misc]
        self._pick = itemgetter(*columns) if len(columns) > 1 else lambda row: tuple(row[name] for name in columns)

    def read(self, rows: Sequence[Any]) -> tuple[dict[str, Sequence[Any]], dict[int, Problem]]:
        """Return the columns of the rows that fit, in order, and what is wrong with each of the others, by its number.

        Numbers and booleans are floats (missing: NaN), moments microseconds since 1970 (missing: None), the rest str
        (missing: None).
        """
        try:
            return self._read_usual(rows), {}
        except (Wrong, KeyError, TypeError, OverflowError, msgspec.ValidationError):
            problems = {number: problem for number, row in enumerate(rows) if (problem := self._problem(row))}
        fitting = [row for number, row in enumerate(rows) if number not in problems]
        return {name: [read(row[name]) for row in fitting] for name, read in self._readers.items()}, problems

    def _read_usual(self, rows: Sequence[Any]) -> dict[str, Sequence[Any]]:
        typed = msgspec.convert([*map(self._pick, rows)], self._rows)
        turned = [*zip(*map(msgspec.structs.astuple, typed), strict=True)] or [()] * len(self.columns)
        columns: dict[str, Sequence[Any]] = dict(zip(self.columns, turned, strict=True))
        for name in self._gaps:
            if None in columns[name]:
                columns[name] = [math.nan if value is None else value for value in columns[name]]
        for name, read in self._rest:
            columns[name] = [*map(read, columns[name])]
        return columns

    def _problem(self, row: Any) -> Problem | None:
        if not isinstance(row, dict):
            return Problem(None, f"must be an object with a value for each column, not {shown(row)}")
        for name, read in self._readers.items():
            value = row.get(name, _ABSENT)
            if value is _ABSENT:
                return Problem(name, "is absent; send it, null where it is not known")
            if isinstance(value, list | dict):
                return Problem(name, f"must hold one value, but is {shown(value)}")
            try:
                read(value)
            except Wrong as wrong:
                return Problem(name, str(wrong))
            except OverflowError:
                return Problem(name, f"must be a number that a float can hold, but is {shown(value)}")
        return None


def shown(value: Any) -> str:
    """Return a value of JSON as a sentence shows it."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = repr(value[:SHOWN]) if isinstance(value, str) else str(value) if value is not None else "null"
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def as_text(value: Any) -> str | None:
    """Return a value trimmed as text, None where it means that it is missing; 1, 1.0, "1" and "1.0" are all "1"."""
    if isinstance(value, str):
        text = value.strip()
        whole = _WHOLE.fullmatch(text) if text.endswith("0") else None
        return whole[1] if whole else None if text in _MISSING else text
    if value is None or isinstance(value, bool):
        return None if value is None else str(value)
    if isinstance(value, int | float):
        return None if math.isnan(value) else repr(float(value)).removesuffix(".0")
    raise Wrong(f"must hold text, but is {shown(value)}")


class _Known(dict[Any, Any]):
    """What the values of a column mean, as far as they have been seen."""

    def __init__(self, read: Reader) -> None:
        self._read = read

    def __missing__(self, value: Any) -> Any:
        typed = self._read(value)
        if not isinstance(value, str) or len(value) > LONG:  # numbers of one hash could be chosen
            return typed
        if len(self) >= SEEN:
            self.clear()
        self[value] = typed
        return typed


def _reader(column: Mapping[str, Any], enforce: bool) -> Reader:
    kinds = {"number": _as_number, "boolean": _as_boolean, "datetime": _as_moment}
    read = _checked(kinds.get(column["type"], _as_category)(column), column, enforce)
    if column["type"] not in ("number", "boolean"):
        return read
    return lambda value: math.nan if (typed := read(value)) is None else typed


def _is_plain(column: Mapping[str, Any], enforce: bool) -> bool:
    """Return whether a column holds numbers to which only limits apply."""
    ruled = column.get("missing_values") or (enforce and column.get("values") is not None)
    return column["type"] == "number" and not ruled


def _number(column: Mapping[str, Any], enforce: bool) -> Any:
    low = max(column.get("min", -LARGEST), -LARGEST) if enforce else -LARGEST
    high = min(column.get("max", LARGEST), LARGEST) if enforce else LARGEST
    return Annotated[float, msgspec.Meta(ge=low, le=high)]


def _is_lasting(column: Mapping[str, Any]) -> bool:
    """Return whether a text means tomorrow what it means today: what is later than now depends on the clock."""
    return column["type"] not in ("number", "boolean") and "future" not in column


def _as_number(column: Mapping[str, Any]) -> Callable[[Any], float | None]:
    gaps = _gaps(column)
    parse = _as_plain(column) if column.get("format") or column.get("unit") else None

    def convert(value: Any) -> float | None:
        if value is None or (gaps and as_text(value) in gaps):
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            number = parse(value) if parse and isinstance(value, str) else math.nan
            if number is None:
                return None
            if math.isnan(number):
                raise Wrong(f"must hold a number, but is {shown(value)}")
            value = number
        if not -LARGEST <= value <= LARGEST:
            raise Wrong(f"must be finite in float32, but is {shown(value)}")
        return float(value)

    return convert


def _as_plain(column: Mapping[str, Any]) -> Callable[[str], float | None]:
    """Return how a number that is written for people is read: "(€ 1.234,50)" is -1234.5; NaN where it is none."""
    format, unit = column.get("format"), column.get("unit")
    _, point = NUMBERS[format or "1,234.5"]
    fits = re.compile(number_pattern(format, unit))

    def parse(value: str) -> float | None:
        text = value.strip()
        if text in _MISSING:
            return None
        if not fits.fullmatch(text):
            return math.nan
        bare = text.replace(unit, "") if unit else text
        plain = re.sub(rf"[^0-9\{point}]", "", bare).replace(",", ".")
        return -float(plain) if re.search("[-−(]", bare) else float(plain)

    return parse


def _as_boolean(column: Mapping[str, Any]) -> Callable[[Any], float | None]:
    def convert(value: Any) -> float | None:
        if value is None or isinstance(value, bool):
            return None if value is None else float(value)
        raise Wrong(f"must be true or false, but is {shown(value)}")

    return convert


def _as_category(column: Mapping[str, Any]) -> Callable[[Any], str | None]:
    gaps = _gaps(column)

    def convert(value: Any) -> str | None:
        text = as_text(value)
        return None if text in gaps else text

    return convert


def _as_moment(column: Mapping[str, Any]) -> Callable[[Any], int | None]:
    gaps, format = _gaps(column), column.get("format")
    unit = EPOCHS.get(format or "")

    def convert(value: Any) -> int | None:
        if unit and isinstance(value, int | float) and not isinstance(value, bool):
            value = repr(value)
        text = as_text(value) if isinstance(value, str) else None
        if value is None or (isinstance(value, str) and (text is None or text in gaps)):
            return None
        try:
            return _parse_moment(text or "", format, unit)
        except (ValueError, OverflowError):
            like = f"as {format}" if format else "such as 2026-01-31 or 2026-01-31T12:00:00Z"
            raise Wrong(f"must hold a moment {like}, but is {shown(value)}") from None

    return convert


def _parse_moment(text: str, format: str | None, unit: int | None) -> int:
    """Return the microseconds since 1970, in UTC; ValueError where the text is no moment."""
    shift = 0
    if _MOMENT.fullmatch(text):
        # Like pandas, any year from 0 on: the calendar repeats after 400 years.
        cycles, year = divmod(int(text[:4]), 400)
        moment, shift = dt.datetime.fromisoformat(f"{2000 + year}{text[4:]}"), (cycles - 5) * _400_YEARS
    elif unit:
        return math.floor(float(text) * unit)
    elif format:
        moment = dt.datetime.strptime(text, format)
    else:
        raise ValueError(text)
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return (moment - _EPOCH) // _US + shift


def _gaps(column: Mapping[str, Any]) -> frozenset[str | None]:
    """Return the texts that mean a missing value in this column, besides the usual ones."""
    return frozenset(map(as_text, column.get("missing_values", [])))


def _checked(convert: Callable[[Any], Any], column: Mapping[str, Any], enforce: bool) -> Callable[[Any], Any]:
    """Return the conversion, with the column's rules after it."""
    if not enforce:
        return convert
    rules = [*_rules(column)]
    missing = column.get("missing", False)

    def check(value: Any) -> Any:
        typed = convert(value)
        if typed is None:
            if not missing:
                raise Wrong(f"is missing ({shown(value)}), which schema.yaml does not allow")
            return None
        for breaks, must in rules:
            if breaks(typed):
                raise Wrong(f"must {must}, but is {shown(value)}")
        return typed

    return check


def _rules(column: Mapping[str, Any]) -> list[tuple[Callable[[Any], bool], str]]:
    """Return each rule of a column: what tells that a typed value breaks it, and what the value must."""
    rules: list[tuple[Callable[[Any], bool], str]] = []
    moment, boolean = column["type"] == "datetime", column["type"] == "boolean"
    read = (lambda text: _parse_moment(text, None, None)) if moment else float
    if "min" in column:
        least, lowest = read(column["min"]), column["min"] if moment else f"{column['min']:g}"
        rules.append((lambda value: value < least, f"be {lowest} or later" if moment else f"be at least {lowest}"))
    if "max" in column:
        most, highest = read(column["max"]), column["max"] if moment else f"{column['max']:g}"
        rules.append((lambda value: value > most, f"be {highest} or earlier" if moment else f"be at most {highest}"))
    if not column.get("future", True):
        rules.append((_is_ahead, "be no later than now"))
    if (allowed := column.get("values")) is not None:
        known = frozenset(allowed)
        rules.append(
            (
                lambda value: (str(bool(value)) if boolean else as_text(value)) not in known,
                f"be one of {', '.join(allowed[:20])}",
            )
        )
    if "max_length" in column:
        longest = column["max_length"]
        rules.append((lambda value: len(value) > longest, f"be at most {longest} characters long"))
    if "pattern" in column:
        pattern = re.compile(column["pattern"])
        rules.append((lambda value: pattern.fullmatch(value) is None, f"be text like {column['pattern']}"))
    return rules


def _is_ahead(moment: int) -> bool:
    return moment > (dt.datetime.now(dt.UTC).replace(tzinfo=None) + AHEAD - _EPOCH) // _US
