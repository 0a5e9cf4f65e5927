"""YAML files as typed sections: read once and checked, and what is wrong with them said in one sentence."""

from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from . import plain_yaml
from .errors import UserError
from .nearest import did_you_mean

S = TypeVar("S", bound="Section")


class Section(BaseModel):
    """A part of a YAML file: unknown keys and values of another type are errors; a field's docstring is its comment."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True)


def section_of(field: FieldInfo) -> type[Section] | None:
    """Return the section that a field holds, None where it holds a value."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file.

    Raises:
        UserError: it is not there, or is not text, or not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path.name}: not found in {path.parent.resolve()}; run this in the project.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name}: cannot be read as UTF-8 text ({error}).") from None
    return parse_yaml(text, path.name)


def parse_yaml(text: str, source: str) -> Any:
    """Return the content of a YAML text.

    Args:
        text: the YAML.
        source: the name of the file that it is from.

    Raises:
        UserError: it is not YAML; the sentence says in which line.
    """
    try:
        return deepcopy(_content(text))
    except MarkedYAMLError as error:
        marks = [number for number, line in enumerate(text.splitlines(), 1) if line.startswith("<<<<<<< ")]
        if marks:
            raise UserError(f"{source}: a merge left its marks in line {marks[0]}: settle it, delete them.") from None
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        problem = (error.problem or "").strip().splitlines()
        raise UserError(f"{source}: {line}not valid YAML: {problem[0] if problem else error}.") from None
    except YAMLError as error:
        raise UserError(f"{source}: not valid YAML: {str(error).splitlines()[0]}.") from None
    except RecursionError:
        raise UserError(f"{source}: not valid YAML: it is nested too deeply.") from None


@lru_cache(maxsize=16)  # a command reads params.yaml and schema.yaml again and again, 10 ms each time
def _content(text: str) -> Any:
    return plain_yaml.load(text)


def parse(model: type[S], values: Any, where: str) -> S:
    """Return values as the given section.

    Args:
        model: the section.
        values: what a YAML file holds.
        where: the name of that file.

    Raises:
        UserError: the sentence has the path of the first mistake and its cure.
    """
    if not isinstance(values, dict):
        needed = [name for name, field in model.model_fields.items() if field.is_required()]
        raise UserError(f"{where}: must hold {_join(needed)}, but it holds {_shown(values)}.")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        # A misspelt key is also a missing one: the first says more.
        first, *others = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        more = f" (and {len(others)} more)" if others else ""
        sentence = _sentence(model, dict(first)) + more
        raise UserError(f"{where}: {sentence.removesuffix('?')}{'?' if sentence.endswith('?') else '.'}") from None


_TAGS = ("float", "str", "function-before", "word", "mapping")


def _sentence(model: type[Section], error: dict[str, Any]) -> str:
    steps = [str(step) for step in error["loc"] if step not in _TAGS]
    path, kind, value = ".".join(steps), error["type"], _shown(error["input"])
    context = error.get("ctx", {})
    if kind == "extra_forbidden":
        known = _known_keys(model, steps[:-1])
        return f"{path} is not a known key; {did_you_mean(steps[-1], known, f'use {_join(known)}')}"
    if kind == "missing":
        return f"{path} is missing; add it"
    if kind == "model_type" and error["input"] is None:
        return f"{path} is empty; put a key below it, or take its line out"
    if kind == "literal_error":
        return f"{path} must be {context['expected']}, not {value}"
    expected = {
        "string_type": "text", "string_too_short": "non-empty text", "float_type": "a number",
        "int_type": "a whole number", "bool_type": "true or false", "list_type": "a list, such as [a, b]",
        "dict_type": "a mapping of keys to values",
        "model_type": "a mapping of keys to values",
    }  # fmt: skip
    limits = {"greater_than": ("gt", "greater than"), "greater_than_equal": ("ge", "at least"),
              "less_than": ("lt", "less than"), "less_than_equal": ("le", "at most")}  # fmt: skip
    if kind == "value_error":
        return f"{path} {context['error']}"
    if kind in limits:
        key, words = limits[kind]
        return f"{path} must be {words} {context[key]:g}, not {value}"
    return f"{path} must be {expected[kind]}, not {value}" if kind in expected else f"{path}: {error['msg']}"


def _known_keys(model: type[Section], steps: list[str]) -> list[str]:
    for step in steps:
        field = model.model_fields.get(step)
        section = section_of(field) if field else None
        if section is None:
            break
        model = section
    return list(model.model_fields)


def _join(names: Any) -> str:
    return ", ".join(names)


def _shown(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
