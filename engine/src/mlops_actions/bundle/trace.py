"""Runs add_features once on stand-ins for columns, which write down what is done to them as a program.

What `subset.py` does not list, such as a loop over rows, raises Untraceable: pandas then serves that version. A
stand-in has no values, so nothing that a program says can depend on the rows it was made from.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from .program import STEPS
from .subset import ARITHMETIC, COMPARISONS, LOGIC, METHODS, result

_SELECTED = {
    "datetime": ("datetime",), "datetime64": ("datetime",), "datetime64[us]": ("datetime",),
    "number": ("number",), "float64": ("number",), "float": ("number",),
    "boolean": ("boolean",), "bool": ("boolean",),
    "str": ("category", "text"), "object": ("category", "text"), "string": ("category", "text"),
}  # fmt: skip
_TRUTHS = "of a column of true and false, which may be missing"
_ENDLESS = 2**31  # characters
_FLOATS = ("float64", "float", float, np.float64)


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
        if any(isinstance(argument, _Column) and argument.kind == "boolean" for argument in (self, *arguments)):
            raise Untraceable(f"`{name}` {_TRUTHS}")
        steps = [
            argument.step if isinstance(argument, _Column) else self.tracer.constant(argument) for argument in arguments
        ]
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

    def __invert__(self) -> "_Column":
        _require(self, "~", "bool")
        return self.then("logical_not", kind="bool")

    def __bool__(self) -> bool:
        raise Untraceable("a decision by what is in the rows (`if`, `and`, `or`)")

    def __iter__(self) -> Iterator[Any]:
        raise Untraceable("a loop over rows")

    def __getattr__(self, name: str) -> Any:
        return self.attribute(name, f"`{name}` of a column")

    def attribute(self, name: str, shown: str) -> Any:
        """Return what an attribute of the table is: a column, or a method that gives one."""
        if name not in METHODS:
            raise Untraceable(shown)
        step, takes, gives, arguments = METHODS[name]
        _require(self, name, *takes)
        if name in _BUILT:
            return partial(_BUILT[name], self)
        made = partial(self.then, step, kind=gives or self.kind)
        return made if arguments else made()

    __hash__ = None  # type: ignore[assignment]

    @property
    def dt(self) -> "_Accessor":
        _require(self, "dt", "datetime", "span")
        return _Accessor(self, "dt")

    @property
    def str(self) -> "_Accessor":
        _require(self, "str", "category", "text")
        return _Accessor(self, "str")


class _Accessor:
    """Stands in for `.dt` or `.str`."""

    def __init__(self, column: _Column, name: str) -> None:
        self._column, self._name = column, name

    def __getattr__(self, name: str) -> Any:
        return self._column.attribute(f"{self._name}.{name}", f"`{self._name}.{name}`")

    def __getitem__(self, part: Any) -> _Column:
        if self._name != "str" or not isinstance(part, slice) or part.step is not None:
            raise Untraceable(f"`{self._name}[...]` with anything but a slice")
        return _slice(self._column, part.start, part.stop)


def _not_missing(column: _Column) -> _Column:
    return ~column.isna()


def _clip(column: _Column, lower: Any = None, upper: Any = None) -> _Column:
    for name, limit in (("maximum", lower), ("minimum", upper)):
        column = column if limit is None else column.then(name, limit, kind="number")
    return column


def _between(column: _Column, left: Any, right: Any) -> _Column:
    both: _Column = (column >= left) & (column <= right)
    return both


def _is_in(column: _Column, values: Any) -> _Column:
    return column.then("isin", *values, kind="bool")


def _map(column: _Column, partners: Any) -> _Column:
    if not isinstance(partners, Mapping):
        raise Untraceable("`map` with a function")
    words = all(isinstance(partner, str) for partner in partners.values())
    flat = [value for pair in partners.items() for value in pair]
    return column.then("map", *flat, kind="category" if words else "number")


def _where(column: _Column, condition: Any, other: Any = np.nan) -> _Column:
    return _choose(column.tracer, condition, column, other)


def _mask(column: _Column, condition: Any, other: Any = np.nan) -> _Column:
    return _choose(column.tracer, condition, other, column)


def _as_type(column: _Column, kind: Any) -> _Column:
    whole = column.kind == "bool" and kind in ("float32", "int", int, "int64")
    if kind not in _FLOATS and not whole:
        raise Untraceable(f"`astype({kind!r})` of {column.kind}s")
    return column.then("number", kind="number") if column.kind == "bool" else column


def _contains(column: _Column, part: str, regex: bool = True) -> _Column:
    if regex and not part.replace(" ", "").isalnum():
        raise Untraceable("`str.contains` with a regular expression; say regex=False")
    return column.then("contains", part, kind="bool")


def _replace(column: _Column, part: str, other: str, regex: bool = False) -> _Column:
    if regex:
        raise Untraceable("`str.replace` with a regular expression")
    return column.then("replace", part, other, kind="category")


def _slice(column: _Column, start: int | None = None, stop: int | None = None) -> _Column:
    return column.then("slice", start or 0, _ENDLESS if stop is None else stop, kind="category")


# Those of METHODS that are more than one step, or whose arguments want a look.
_BUILT: dict[str, Callable[..., _Column]] = {
    "notna": _not_missing, "notnull": _not_missing, "clip": _clip, "between": _between, "isin": _is_in, "map": _map,
    "where": _where, "mask": _mask, "astype": _as_type,
    "str.contains": _contains, "str.replace": _replace, "str.slice": _slice,
}  # fmt: skip


def _operator(name: str, turned: bool = False) -> Any:
    return lambda self, other: self._binary(name, other, turned)


# Python's name of an operator's method, where it is not that of NumPy's function.
_DUNDERS = {
    "subtract": "sub", "multiply": "mul", "divide": "truediv", "floor_divide": "floordiv", "remainder": "mod",
    "power": "pow", "logical_and": "and", "logical_or": "or", "logical_xor": "xor", "less": "lt", "less_equal": "le",
    "greater": "gt", "greater_equal": "ge", "equal": "eq", "not_equal": "ne",
}  # fmt: skip
for _step in (*ARITHMETIC, *LOGIC, *COMPARISONS):
    setattr(_Column, f"__{_DUNDERS.get(_step, _step)}__", _operator(_step))
for _step in (*ARITHMETIC, *LOGIC):
    setattr(_Column, f"__r{_DUNDERS.get(_step, _step)}__", _operator(_step, turned=True))


class _Frame:
    """Stands in for the rows: columns by name."""

    def __init__(self, tracer: _Tracer, columns: Mapping[str, _Column]) -> None:
        self.tracer, self.columns_by_name = tracer, dict(columns)

    @property
    def columns(self) -> pd.Index:
        return pd.Index(list(self.columns_by_name))

    def __getitem__(self, name: Any) -> Any:
        if isinstance(name, list | pd.Index):
            return _Frame(self.tracer, {column: self.columns_by_name[column] for column in name})
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
        return _Frame(
            self.tracer, {name: column for name, column in self.columns_by_name.items() if column.kind in kinds}
        )


def _choose(tracer: _Tracer, condition: Any, chosen: Any, other: Any) -> _Column:
    """Return the column with `chosen` where the condition holds, else `other`."""
    if not isinstance(condition, _Column):
        raise Untraceable("a choice by something that is no column")
    _require(condition, "where", "bool")
    kinds = {_kind_of(value) for value in (chosen, other)} - {"nothing"}
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
    kind = result(name, left, right)
    if kind is None:
        raise Untraceable(f"`{name}` of {left}s and {right}s")
    return kind
