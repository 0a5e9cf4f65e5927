"""Runs add_features once on stand-ins for columns, which write down what is done to them as a program.

What it cannot write down, such as a loop over rows, raises Untraceable: pandas then serves that version. A stand-in has
no values, so nothing that a program says can depend on the rows it was made from.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from .program import STEPS

_COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
_SELECTED = {
    "datetime": ("datetime",), "datetime64": ("datetime",), "datetime64[us]": ("datetime",),
    "number": ("number",), "float64": ("number",), "float": ("number",),
    "boolean": ("boolean",), "bool": ("boolean",),
    "str": ("category", "text"), "object": ("category", "text"), "string": ("category", "text"),
}  # fmt: skip
_TRUTHS = "of a column of true and false, which may be missing"
_ENDLESS = 2**31  # characters
_PARTS = {"day_of_week": "dayofweek", "weekday": "dayofweek", "day_of_year": "dayofyear"}


class Untraceable(Exception):
    """What add_features does that a program cannot hold; the text names it."""


def trace(add_features: Callable[[Any], Any], kinds: Mapping[str, str]) -> dict[str, Any]:
    """Return the program of a function of rows whose columns have these kinds, for `program.Program`.

    Raises:
        Untraceable: it does something that a program cannot hold.
    """
    tracer = _Tracer()
    frame = _Frame(tracer, {name: _Column(tracer, tracer.add("column", name), kind) for name, kind in kinds.items()})
    try:
        made = add_features(frame)
    except Untraceable:
        raise
    except Exception as error:  # the function is the user's, and a stand-in is not all that pandas is
        raise Untraceable(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}") from error
    if not isinstance(made, _Frame):
        raise Untraceable("it does not return the rows that it was given, with columns added")
    outputs = {str(name): column.step for name, column in made.columns_by_name.items()}
    return {"kinds": dict(kinds), "steps": tracer.steps, "outputs": outputs}


class _Tracer:
    """The steps so far; a step that was taken before is not taken again."""

    def __init__(self) -> None:
        self.steps: list[list[Any]] = []

    def add(self, name: str, *arguments: Any) -> int:
        step = [name, *arguments]
        if step not in self.steps:
            self.steps.append(step)
        return self.steps.index(step)

    def constant(self, value: Any) -> int:
        """Return the step that holds a value given by the code."""
        if isinstance(value, np.generic) and not isinstance(value, np.datetime64 | np.timedelta64):
            value = value.item()
        if isinstance(value, pd.Timestamp | np.datetime64):
            moment = pd.Timestamp(value)
            if moment.tzinfo:
                raise Untraceable("a moment with a time zone; typed rows have none, and mean UTC")
            value = {"moment": int(moment.to_numpy().astype("datetime64[us]").astype(int))}
        elif isinstance(value, pd.Timedelta | np.timedelta64):
            value = {"span": int(pd.Timedelta(value).to_numpy().astype("timedelta64[us]").astype(int))}
        elif isinstance(value, float) and np.isnan(value):
            value = None
        elif not isinstance(value, bool | int | float | str | None):
            raise Untraceable(f"a constant of type {type(value).__name__}")
        for number, step in enumerate(self.steps):  # 1 == True == 1.0 to Python, not to a program
            if step[0] == "constant" and step[1] == value and type(step[1]) is type(value):
                return number
        self.steps.append(["constant", value])
        return len(self.steps) - 1


class _Column:
    """Stands in for a Series: what is done to it becomes a step."""

    __array_priority__ = 1000

    def __init__(self, tracer: _Tracer, step: int, kind: str) -> None:
        self.tracer, self.step, self.kind = tracer, step, kind

    def then(self, name: str, *arguments: Any, kind: str) -> "_Column":
        """Return the column after one more step; an argument that is no column is a constant."""
        if name not in STEPS:
            raise Untraceable(f"`{name}`")
        if any(isinstance(one, _Column) and one.kind == "boolean" for one in (self, *arguments)):
            raise Untraceable(f"`{name}` {_TRUTHS}")
        steps = [one.step if isinstance(one, _Column) else self.tracer.constant(one) for one in arguments]
        return _Column(self.tracer, self.tracer.add(name, self.step, *steps), kind)

    def _binary(self, name: str, other: Any, turned: bool = False) -> "_Column":
        if not isinstance(other, _Column):
            other = _Column(self.tracer, self.tracer.constant(other), _kind_of(other))
        left, right = (other, self) if turned else (self, other)
        kind = _kind_after(name, left.kind, right.kind)
        return left.then("join" if kind == "category" else name, right, kind=kind)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> "_Column":
        if method != "__call__" or options:
            raise Untraceable(f"np.{ufunc.__name__} with {method} or options")
        if len(inputs) == 2:
            first, second = inputs
            turned = not isinstance(first, _Column)
            return (second if turned else first)._binary(ufunc.__name__, first if turned else second, turned)
        _require(self, ufunc.__name__, "number")
        return self.then(ufunc.__name__, kind="number")

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> "_Column":
        if function is np.where and len(args) == 3 and not kwargs:
            return _choose(self.tracer, *args)
        raise Untraceable(f"np.{function.__name__}")

    def __neg__(self) -> "_Column":
        _require(self, "-", "number")
        return self.then("negative", kind="number")

    def __abs__(self) -> "_Column":
        _require(self, "abs", "number")
        return self.then("absolute", kind="number")

    abs = __abs__

    def __invert__(self) -> "_Column":
        _require(self, "~", "bool")
        return self.then("logical_not", kind="bool")

    def isna(self) -> "_Column":
        return self.then("missing", kind="bool")

    isnull = isna

    def notna(self) -> "_Column":
        return ~self.isna()

    notnull = notna

    def fillna(self, value: Any) -> "_Column":
        return self.then("fill", value, kind=self.kind)

    def clip(self, lower: Any = None, upper: Any = None) -> "_Column":
        _require(self, "clip", "number")
        clipped = self
        for name, limit in (("maximum", lower), ("minimum", upper)):
            clipped = clipped if limit is None else clipped.then(name, limit, kind="number")
        return clipped

    def between(self, left: Any, right: Any) -> "_Column":
        return (self >= left) & (self <= right)

    def isin(self, values: Any) -> "_Column":
        _require(self, "isin", "number", "category", "text")
        return self.then("isin", *values, kind="bool")

    def map(self, partners: Any) -> "_Column":
        if not isinstance(partners, Mapping):
            raise Untraceable("`map` with a function")
        _require(self, "map", "category", "text")
        words = all(isinstance(partner, str) for partner in partners.values())
        flat = [one for pair in partners.items() for one in pair]
        return self.then("map", *flat, kind="category" if words else "number")

    def where(self, condition: "_Column", other: Any = np.nan) -> "_Column":
        return _choose(self.tracer, condition, self, other)

    def mask(self, condition: "_Column", other: Any = np.nan) -> "_Column":
        return _choose(self.tracer, condition, other, self)

    def astype(self, kind: Any) -> "_Column":
        if kind not in ("float64", "float", float, "float32", np.float64, "int", int, "int64") or self.kind not in (
            "bool",
            "number",
        ):
            raise Untraceable(f"`astype({kind!r})` of {self.kind}s")
        if self.kind == "bool":
            return self.then("number", kind="number")
        if kind not in ("float64", "float", float, np.float64):
            raise Untraceable(f"`astype({kind!r})` of {self.kind}s")
        return self

    def __bool__(self) -> bool:
        raise Untraceable("a decision by what is in the rows (`if`, `and`, `or`)")

    def __iter__(self) -> Iterator[Any]:
        raise Untraceable("a loop over rows")

    def __getattr__(self, name: str) -> Any:
        raise Untraceable(f"`{name}` of a column")

    __hash__ = None  # type: ignore[assignment]

    @property
    def dt(self) -> "_Parts":
        _require(self, "dt", "datetime", "span")
        return _Parts(self)

    @property
    def str(self) -> "_Text":
        _require(self, "str", "category", "text")
        return _Text(self)


def _operator(name: str, turned: bool = False) -> Any:
    return lambda self, other: self._binary(name, other, turned)


for _method, _name in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide",
    "mod": "remainder", "pow": "power", "and": "logical_and", "or": "logical_or", "xor": "logical_xor",
}.items():  # fmt: skip
    setattr(_Column, f"__{_method}__", _operator(_name))
    setattr(_Column, f"__r{_method}__", _operator(_name, turned=True))
for _method, _name in zip(("lt", "le", "gt", "ge", "eq", "ne"), _COMPARISONS, strict=True):
    setattr(_Column, f"__{_method}__", _operator(_name))


class _Parts:
    """Stands in for `.dt`."""

    def __init__(self, column: _Column) -> None:
        self._column = column

    def total_seconds(self) -> _Column:
        _require(self._column, "total_seconds", "span")
        return self._column.then("seconds", kind="number")

    def __getattr__(self, name: str) -> _Column:
        known = {"days"} if self._column.kind == "span" else {
            "year", "month", "day", "hour", "minute", "second", "dayofweek", "dayofyear", "quarter"
        }  # fmt: skip
        if _PARTS.get(name, name) not in known:
            raise Untraceable(f"`dt.{name}`")
        return self._column.then(_PARTS.get(name, name), kind="number")


class _Text:
    """Stands in for `.str`."""

    def __init__(self, column: _Column) -> None:
        self._column = column

    def lower(self) -> _Column:
        return self._column.then("lower", kind="category")

    def upper(self) -> _Column:
        return self._column.then("upper", kind="category")

    def strip(self) -> _Column:
        return self._column.then("strip", kind="category")

    def len(self) -> _Column:
        return self._column.then("length", kind="number")

    def startswith(self, part: str) -> _Column:
        return self._column.then("startswith", part, kind="bool")

    def endswith(self, part: str) -> _Column:
        return self._column.then("endswith", part, kind="bool")

    def contains(self, part: str, regex: bool = True) -> _Column:
        if regex and not part.replace(" ", "").isalnum():
            raise Untraceable("`str.contains` with a regular expression; say regex=False")
        return self._column.then("contains", part, kind="bool")

    def replace(self, part: str, other: str, regex: bool = False) -> _Column:
        if regex:
            raise Untraceable("`str.replace` with a regular expression")
        return self._column.then("replace", part, other, kind="category")

    def slice(self, start: int | None = None, stop: int | None = None) -> _Column:
        return self._column.then("slice", start or 0, _ENDLESS if stop is None else stop, kind="category")

    def __getitem__(self, part: Any) -> _Column:
        if not isinstance(part, slice) or part.step is not None:
            raise Untraceable("`str[...]` with anything but a slice")
        return self.slice(part.start, part.stop)

    def __getattr__(self, name: str) -> Any:
        raise Untraceable(f"`str.{name}`")


class _Frame:
    """Stands in for the rows: columns by name."""

    def __init__(self, tracer: _Tracer, columns: Mapping[str, _Column]) -> None:
        self.tracer, self.columns_by_name = tracer, dict(columns)

    @property
    def columns(self) -> pd.Index:
        return pd.Index(list(self.columns_by_name))

    def __getitem__(self, name: Any) -> Any:
        if isinstance(name, list | pd.Index):
            return _Frame(self.tracer, {one: self.columns_by_name[one] for one in name})
        if not isinstance(name, str):
            raise Untraceable("a selection of rows")
        return self.columns_by_name[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str):
            raise Untraceable("a column whose name is not text")
        if not isinstance(value, _Column):
            value = _Column(self.tracer, self.tracer.constant(value), _kind_of(value))
        self.columns_by_name[name] = value

    def __delitem__(self, name: str) -> None:
        del self.columns_by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self.columns_by_name

    def __iter__(self) -> Iterator[str]:
        return iter(list(self.columns_by_name))

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("columns_by_name", {}):
            return self.columns_by_name[name]
        raise Untraceable(f"`{name}` of the rows")

    def items(self) -> Any:
        return list(self.columns_by_name.items())

    def copy(self) -> "_Frame":
        return _Frame(self.tracer, self.columns_by_name)

    def pop(self, name: str) -> _Column:
        return self.columns_by_name.pop(name)

    def drop(self, columns: Any) -> "_Frame":
        gone = [columns] if isinstance(columns, str) else list(columns)
        for name in gone:
            self.columns_by_name[name]
        kept = {name: column for name, column in self.columns_by_name.items() if name not in gone}
        return _Frame(self.tracer, kept)

    def rename(self, columns: Mapping[str, str]) -> "_Frame":
        named = {columns.get(name, name): column for name, column in self.columns_by_name.items()}
        return _Frame(self.tracer, named)

    def assign(self, **columns: Any) -> "_Frame":
        made = self.copy()
        for name, value in columns.items():
            made[name] = value(made) if callable(value) else value
        return made

    def select_dtypes(self, include: Any) -> "_Frame":
        names = [include] if isinstance(include, str) else list(include)
        kinds = {kind for name in names for kind in _SELECTED.get(str(name), ())}
        if not all(str(name) in _SELECTED for name in names):
            raise Untraceable(f"`select_dtypes({include!r})`")
        return _Frame(self.tracer, {name: one for name, one in self.columns_by_name.items() if one.kind in kinds})


def _choose(tracer: _Tracer, condition: Any, chosen: Any, other: Any) -> _Column:
    """Return the column with `chosen` where the condition holds, else `other`."""
    if not isinstance(condition, _Column):
        raise Untraceable("a choice by something that is no column")
    _require(condition, "where", "bool")
    kinds = {_kind_of(one) for one in (chosen, other)} - {"nothing"}
    kinds = {"category" if kind == "text" else kind for kind in kinds}
    if len(kinds) != 1 or "boolean" in kinds:
        raise Untraceable(f"a choice between {' and '.join(sorted(kinds))}")
    return condition.then("where", chosen, other, kind=kinds.pop())


def _require(column: _Column, what: str, *kinds: str) -> None:
    if column.kind not in kinds:
        raise Untraceable(f"`{what}` of {column.kind}s")


def _kind_of(value: Any) -> str:
    if isinstance(value, _Column):
        return value.kind
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "nothing"
    if isinstance(value, bool | np.bool_):
        return "bool"
    if isinstance(value, pd.Timestamp | np.datetime64):
        return "datetime"
    if isinstance(value, pd.Timedelta | np.timedelta64):
        return "span"
    return "category" if isinstance(value, str) else "number"


def _kind_after(name: str, left: str, right: str) -> str:
    """Return what the result of a binary step is."""
    left, right = ("category" if kind == "text" else kind for kind in (left, right))
    left, right = ("number" if kind == "nothing" else kind for kind in (left, right))
    if "boolean" in (left, right):
        raise Untraceable(f"`{name}` {_TRUTHS}")
    if name in _COMPARISONS and left == right:
        return "bool"
    if name.startswith("logical_") and left == right == "bool":
        return "bool"
    if left == right == "number" and not name.startswith("logical_"):
        return "number"
    after = {
        ("subtract", "datetime", "datetime"): "span",
        ("subtract", "datetime", "span"): "datetime",
        ("add", "datetime", "span"): "datetime",
        ("divide", "span", "span"): "number",
        ("add", "category", "category"): "category",
    }
    if "bool" in (left, right) and {left, right} <= {"bool", "number"} and name in ("add", "subtract", "multiply"):
        return "number"
    if (name, left, right) not in after:
        raise Untraceable(f"`{name}` of {left}s and {right}s")
    return after[name, left, right]
