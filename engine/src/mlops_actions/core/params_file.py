"""Edits to params.yaml that leave every other line of it as it is."""

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node

from .config import PARAMS, comment_of, keys_of
from .errors import UserError
from .files import write_file
from .typed_yaml import read_yaml
from .yaml_text import flow

_WIDTH = 120  # of the comment above a key


@dataclass(frozen=True)
class Place:
    """Where a key is in params.yaml: its line and column; where something of it is missing, the line that goes above.

    What is missing are the last of its steps, joined by dots: all but those that lead to a section that is there.
    """

    line: int
    column: int
    missing: str


def update_params(path: Path, changes: Mapping[str, Any]) -> None:
    """Write the values of dotted keys into params.yaml, in one step; the diff has those lines only.

    Args:
        path: the file.
        changes: as `edit_params` takes them.

    Raises:
        UserError: the file is not valid YAML, or a key is below one that holds no section.
    """
    read_yaml(path)  # which refuses what is not YAML in one sentence
    write_file(path, edit_params(path.read_bytes().decode("utf-8"), changes, path.name).encode("utf-8"))


def edit_params(text: str, changes: Mapping[str, Any], name: str = PARAMS) -> str:
    """Return the text of params.yaml with the values of dotted keys in it.

    A key that is not there is added to its section, which is added where it is not there, with the comment that
    `mlops params` shows above it, and below the key that the knobs' order has before it.

    Args:
        text: valid YAML.
        changes: such as `{"data.task": "regression"}`. A value may be a pair `(value, reason)`, and so may each item of
            a list, which then has a line for each: the reason is written behind the value; an empty one takes away
            what is there.
        name: the file's, for the sentence that refuses it.

    Raises:
        UserError: a key is below one that holds no section.
    """
    for key, change in changes.items():
        value, reason = change if isinstance(change, tuple) else (change, None)
        text = _with(text, key, value, reason, name)
    return text


def locate(text: str, key: str, name: str = PARAMS) -> Place:
    """Return where a dotted key is in the text of params.yaml, or where it would be added.

    Raises:
        UserError: it is below one that holds no section.
    """
    steps = key.split(".")
    label, node, depth = _walk(text, steps, name)
    if label and depth == len(steps):
        return Place(label.start_mark.line + 1, label.start_mark.column, "")
    index, column = _place(text, label, node, steps[: depth + 1])
    return Place(text.count("\n", 0, index) + 1, column, ".".join(steps[depth:]))


def render(values: Mapping[str, Any], column: int = 0) -> list[str]:
    """Return the lines of YAML that give dotted keys their values; keys of one section follow each other."""
    lines: list[str] = []
    opened: list[str] = []
    for key, value in values.items():
        *sections, last = key.split(".")
        for depth, section in enumerate(sections):
            if opened[: depth + 1] != sections[: depth + 1]:
                lines.append(f"{' ' * (column + 2 * depth)}{section}:")
        lines.append(f"{' ' * (column + 2 * len(sections))}{last}: {flow(value)}")
        opened = sections
    return lines


def _with(text: str, key: str, value: Any, reason: str | None, name: str) -> str:
    steps = key.split(".")
    label, node, depth = _walk(text, steps, name)
    if depth < len(steps) or not label:
        return _added(text, steps, depth, label, node, value, reason)
    start, end = _span(text, label, node)
    if reason is not None or _is_block(node):  # the comment behind the old value goes with it
        end = _line_end(text, end)
    return text[:start] + _value(value, label.start_mark.column, reason, _newline(text)) + text[end:]


def _walk(text: str, steps: list[str], name: str) -> tuple[Node | None, Node, int]:
    """Return how far the steps lead: the last key that is there, if any, its value, and how many are there."""
    label, node = None, YAML(pure=True).compose(text)
    for number, step in enumerate(steps):
        if not isinstance(node, MappingNode) or (node.flow_style and node.value):
            raise UserError(
                f"{name}: {'.'.join(steps[:number])} must be a section with a line for each key; correct it."
            )
        pair = next((pair for pair in node.value if pair[0].value == step), None)
        if pair is None:
            return label, node, number
        label, node = pair
    return label, node, len(steps)


def _added(
    text: str, steps: list[str], depth: int, label: Node | None, section: Node, value: Any, reason: str | None
) -> str:
    """Return the text with a key that is not there: its steps before `depth` lead to a section with this label."""
    place, column = _place(text, label, section, steps[: depth + 1])
    newline, fields, lines = _newline(text), dict(keys_of()), []
    for number in range(depth, len(steps)):
        indent, field = column + 2 * (number - depth), fields.get(".".join(steps[: number + 1]))
        comment = textwrap.wrap(comment_of(field), _WIDTH - indent - 2, break_on_hyphens=False) if field else []
        lines += [f"{' ' * indent}# {line}" for line in comment]
        lines.append(f"{' ' * indent}{steps[number]}:")
    lines[-1] += _value(value, column + 2 * (len(steps) - 1 - depth), reason, newline)
    if not depth and len(steps) > 1:
        lines.insert(0, "")  # between two sections
    before = text[:place]
    if label and not section.value:  # {}
        start, end = _span(text, label, section)
        before = text[:start] + text[end:place]
    return before + newline + newline.join(lines) + text[place:]


def _place(text: str, label: Node | None, section: Node, steps: list[str]) -> tuple[int, int]:
    """Return the end of the line below which a section gets a new key, and that key's column.

    The new one stands below the one before it in the order of the knobs, and below whatever comment belongs to that.
    """
    if not section.value:
        return (_line_end(text, _span(text, label, section)[1]), label.start_mark.column + 2) if label else (0, 0)
    *parents, key = steps
    column = section.value[0][0].start_mark.column
    siblings = [name.rpartition(".")[2] for name, _ in keys_of() if name.split(".")[:-1] == parents]
    earlier = siblings[: siblings.index(key)] if key in siblings else [pair[0].value for pair in section.value]
    former = [pair for name in earlier for pair in section.value if pair[0].value == name]
    if not former and label:
        return _line_end(text, text.index(":", label.end_mark.index)), column
    end = _line_end(text, _span(text, *(former or section.value)[-1])[1])
    deeper = re.compile(rf"((\r?\n[ \t]*)*\r?\n {{{column + 1},}}#[^\r\n]*)*").match(text, end)
    return deeper.end() if deeper else end, column


def _line_end(text: str, index: int) -> int:
    return index + len(text[index:].split("\n", 1)[0].rstrip("\r"))


def _span(text: str, label: Node, node: Node) -> tuple[int, int]:
    """Return where a key's colon ends, and where its value does."""
    start = colon = text.index(":", label.end_mark.index) + 1
    while _is_block(node):
        label, node = node.value[-1] if isinstance(node, MappingNode) else (label, node.value[-1])
        colon = text.index(":", label.end_mark.index) + 1
    if node.start_mark.index == node.end_mark.index:  # nothing, and where it is not is up to the parser
        return start, colon
    return start, len(text[: node.end_mark.index].rstrip())


def _is_block(node: Node) -> bool:
    return isinstance(node, CollectionNode) and not node.flow_style and bool(node.value)


def _value(value: Any, column: int, comment: str | None, newline: str) -> str:
    """Return what stands behind a key's colon."""
    behind = f" # {' '.join(comment.split())}" if comment else ""
    if isinstance(value, list) and any(isinstance(item, tuple) for item in value):
        items = [item if isinstance(item, tuple) else (item, None) for item in value]
        lines = [f"{' ' * column}  -{_value(item, column, reason, newline)}" for item, reason in items]
        return behind + newline + newline.join(lines)
    return f" {flow(value)}{behind}"


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
