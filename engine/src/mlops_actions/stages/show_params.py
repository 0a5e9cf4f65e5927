"""`mlops params`: every knob with its value in effect, or one explained: what it is, and where to write it."""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from ..core.config import PARAMS, Config, comment_of, keys_of
from ..core.errors import UserError
from ..core.nearest import did_you_mean
from ..core.params_file import locate, render
from ..core.paths import SUMMARY
from ..core.typed_yaml import section_of
from ..core.yaml_text import flow
from .effective import Knob, built_params, effective_params

WIDTH = 100  # of explanations, where the terminal is wider
_TYPES = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
    "array": "a list",
    "object": "a mapping",
}
_BOUNDS = {
    "minimum": "of at least",
    "exclusiveMinimum": "above",
    "maximum": "of at most",
    "exclusiveMaximum": "below",
}


def show_params(config: Config, key: str = "", as_json: bool = False) -> None:
    """Print every knob, a line each, or explain those at or below a key.

    Args:
        config: the project's.
        key: the dotted name of a knob, or of a section, such as serving.log; empty: every knob.
        as_json: print the knobs' values as JSON, for programs.

    Raises:
        UserError: there is no such key.
    """
    knobs = _knobs(config)
    if key:
        knobs = {name: knob for name, knob in knobs.items() if _is_within(name, key)}
        if not knobs:
            raise UserError(_unknown(key, _knobs(config)))
    if as_json:
        print(json.dumps({name: asdict(knob) for name, knob in knobs.items()}, indent=2, ensure_ascii=False))
    elif key:
        print("\n".join(_explain(config, key, knobs)))
    else:
        print("\n".join(_table(knobs)))


def _knobs(config: Config) -> dict[str, Knob]:
    """Return every knob in effect; the estimator's own with the rows that the last run trained on, if there was one."""
    summary = config.path(SUMMARY)
    if config.guesses or not summary.exists():
        return effective_params(config)
    rows = json.loads(summary.read_bytes())["train_rows"]
    return effective_params(config, built_params(config, rows, config.root))


def _unknown(key: str, knobs: Iterable[str]) -> str:
    known = dict.fromkeys([*dict(keys_of()), *knobs])
    ending = " or ".join(name for name in known if name.endswith(f".{key}"))
    cure = f"did you mean {ending}?" if ending else did_you_mean(key, known, "`mlops params` shows all of them.")
    return f"there is no knob or section {key!r}; {cure}"


def _table(knobs: dict[str, Knob]) -> list[str]:
    """Return a line for each knob: its name, its value, whether that is the default, and its comment."""
    comments = {name: comment_of(field) for name, field in keys_of()}
    values = {name: flow(knob.value) for name, knob in knobs.items()}
    names, most = max(map(len, knobs)), min(max(map(len, values.values())), 30)
    marks = {name: "default" if knob.default else "" for name, knob in knobs.items()}
    lines = [
        f"{name:{names}}  {values[name]:{most}}  {marks[name]:7}  {comments.get(name, '')}".rstrip() for name in knobs
    ]
    if not sys.stdout.isatty():
        return lines
    columns = shutil.get_terminal_size().columns
    return [line if len(line) <= columns else f"{line[: columns - 1]}…" for line in lines]


def _explain(config: Config, key: str, knobs: dict[str, Knob]) -> list[str]:
    """Return the lines that explain what is at or below a key, and say where in params.yaml to write it."""
    fields = {name: field for name, field in keys_of() if _is_within(name, key)}
    if not fields:  # a key of a mapping
        fields = {name: field for name, field in keys_of() if _is_within(key, name) and not section_of(field)}
    lines: list[str] = []
    for name, field in fields.items():
        within = {below: knob for below, knob in knobs.items() if _is_within(below, name)}
        lines += [*_heading(name, field, within), ""]
    values = {name: _value_of(config, name) for name, field in fields.items() if not section_of(field)}
    if key not in fields:
        (name,) = values
        values[name] = {**values[name], key.removeprefix(f"{name}."): knobs[key].value}
    try:
        return lines + _where(config.path(PARAMS).read_text("utf-8"), values)
    except UserError as error:  # it is below what is no section of lines
        return [*lines, str(error)]


def _heading(name: str, field: FieldInfo, values: dict[str, Knob]) -> list[str]:
    """Return the lines about one key: its value in effect, its comment, its type and its default."""
    comment = [f"  {line}" for line in textwrap.wrap(comment_of(field), _width() - 2, break_on_hyphens=False)]
    if section_of(field):
        return [name, *comment]
    kind = words_of_type(TypeAdapter(field.rebuild_annotation()).json_schema())
    default = "none" if field.is_required() else flow(field.get_default())
    about = [*comment, f"  Value: {kind}", f"  Default: {default}"]
    if list(values) == [name]:
        return [f"{name}: {flow(values[name].value)}{_mark(values[name])}", *about]
    return [name, *about, *(f"  {below}: {flow(knob.value)}{_mark(knob)}" for below, knob in values.items())]


def _where(text: str, values: dict[str, Any]) -> list[str]:
    """Return the lines that say where params.yaml has keys, and which lines to add for those that it has not."""
    lines: list[str] = []
    missing: dict[tuple[int, int], dict[str, Any]] = {}
    for name, value in values.items():
        place = locate(text, name)
        if place.missing:
            missing.setdefault((place.line, place.column), {})[place.missing] = value
        else:
            written = render({name.rpartition(".")[2]: value}, place.column)
            lines += [f"To change {name}, write in line {place.line} of {PARAMS}:", "", *written, ""]
    for (line, column), new in missing.items():
        above, what = text.splitlines()[line - 1].strip(), "it" if len(values) == 1 else "one of these"
        lines += [f"To change {what}, add to {PARAMS} below line {line}, `{above}`:", "", *render(new, column), ""]
    return lines[:-1]


def words_of_type(schema: dict[str, Any]) -> str:
    """Return what a value must be, in words, of its JSON schema.

    Args:
        schema: such as `{"type": "number", "minimum": 0}`, which is "a number of at least 0".
    """
    if choices := schema.get("anyOf", schema.get("oneOf")):
        return " or ".join(map(words_of_type, choices))
    if choices := schema.get("enum", [schema["const"]] if "const" in schema else None):
        return " or ".join(map(flow, choices))
    if items := schema.get("items"):
        return f"a list of {words_of_type(items)}"
    if isinstance(items := schema.get("additionalProperties"), dict):
        return f"a mapping of text to {words_of_type(items)}"
    bounds = [f"{words} {flow(schema[bound])}" for bound, words in _BOUNDS.items() if bound in schema]
    return f"{_TYPES.get(schema.get('type', ''), 'any value')} {' and '.join(bounds)}".rstrip()


def _value_of(config: Config, name: str) -> Any:
    value: Any = config
    for step in name.split("."):
        value = getattr(value, step)
    return value


def _is_within(name: str, key: str) -> bool:
    """Return whether a dotted name is the key, or below it."""
    return f"{name}.".startswith(f"{key}.")


def _mark(knob: Knob) -> str:
    return " (default)" if knob.default else ""


def _width() -> int:
    return min(shutil.get_terminal_size().columns, WIDTH)
