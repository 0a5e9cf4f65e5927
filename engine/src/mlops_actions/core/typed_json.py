"""Parsed JSON as dataclasses, every type checked: nothing of a file from elsewhere is trusted."""

import math
import types
import typing
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, get_args


def typed(kind: Any, value: Any) -> Any:
    """Return `value`, parsed from JSON, as `kind`: a dataclass, a list of one, a scalar or an optional scalar."""
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _types_of(kind)
        if not isinstance(value, dict) or set(value) != {field.name for field in fields(kind)}:
            raise TypeError(kind)
        return kind(**{name: typed(hints[name], value[name]) for name in hints})
    if typing.get_origin(kind) is list:
        if not isinstance(value, list):
            raise TypeError(kind)
        return [typed(get_args(kind)[0], item) for item in value]
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return None if value is None else typed(get_args(kind)[0], value)
    if typing.get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError(kind)
        return value
    if type(value) not in ((int, float) if kind is float else (kind,)):
        raise TypeError(kind)
    if kind is float and not math.isfinite(value):
        raise ValueError(value)
    return kind(value)


@cache
def _types_of(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)
