"""Edits to params.yaml that leave every other line of it as it is."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node

from .config import read_yaml
from .errors import UserError
from .files import write_file

# What YAML 1.1, which many tools still read, takes for a boolean.
_WORDS = {"y", "n", "yes", "no", "on", "off"}


def update_params(path: Path, changes: Mapping[str, Any]) -> None:
    """Writes the values of dotted keys into a YAML file, in one step; the diff has those lines only.

    Args:
        path: the file, such as params.yaml.
        changes: such as `{"data.task": "regression"}`. A value may be a pair `(value, comment)`, and so may each item
            of a list, which then has a line for each. A key that is not there is added to its section.

    Raises:
        UserError: the file is not valid YAML, or a key is below one that holds no section.
    """
    read_yaml(path)  # which refuses what is not YAML in one sentence
    text = path.read_bytes().decode("utf-8")
    for key, value in changes.items():
        text = _with(text, key, value, path.name)
    write_file(path, text.encode("utf-8"))


def _with(text: str, key: str, value: Any, name: str) -> str:
    value, comment = value if isinstance(value, tuple) else (value, None)
    node, steps = YAML(pure=True).compose(text), key.split(".")
    for number, step in enumerate(steps):
        if not isinstance(node, MappingNode) or (node.flow_style and node.value):
            raise UserError(
                f"{name}: {'.'.join(steps[:number])} must be a section with a line for each key; correct it."
            )
        pairs = node.value
        found = next((pair for pair in pairs if pair[0].value == step), None)
        if found is None:
            for missing in reversed(steps[number + 1 :]):
                value = {missing: value}
            return _added(text, pairs[-1], step, value, comment) if pairs else text
        label, node = found
    start, end = _span(text, label, node)
    if comment is not None or _is_block(node):  # the comment behind the old value goes with it
        end += len(text[end:].split("\n", 1)[0].rstrip("\r"))
    made = _value(value, label.start_mark.column, comment, _newline(text))
    return text[:start] + made + text[end:]


def _added(text: str, last: tuple[Node, Node], key: str, value: Any, comment: str | None) -> str:
    """The text with a line for a new key below the last of its section."""
    column, newline = last[0].start_mark.column, _newline(text)
    end = _span(text, *last)[1]
    end += len(text[end:].split("\n", 1)[0].rstrip("\r"))
    return f"{text[:end]}{newline}{' ' * column}{key}:{_value(value, column, comment, newline)}{text[end:]}"


def _span(text: str, label: Node, node: Node) -> tuple[int, int]:
    """Where a key's colon ends, and where its value does."""
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
    """What stands behind a key's colon."""
    behind = "" if comment is None else f" # {' '.join(comment.split())}"
    if isinstance(value, list) and any(isinstance(item, tuple) for item in value):
        items = [item if isinstance(item, tuple) else (item, None) for item in value]
        lines = [f"{' ' * column}  -{_value(item, column, said, newline)}" for item, said in items]
        return behind + newline + newline.join(lines)
    return f" {_flow(value)}{behind}"


def _flow(value: Any) -> str:
    """The value in one line of YAML."""
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_flow(key)}: {_flow(item)}' for key, item in value.items())}}}"
    if value is None:
        return "null"
    yaml: Any = YAML(typ="safe", pure=True)
    made = io.StringIO()
    yaml.width, yaml.allow_unicode = 2**30, True
    if isinstance(value, str) and (value.lower() in _WORDS or value.strip() != value or "\n" in value):
        yaml.default_style = '"'
    yaml.default_flow_style = True
    yaml.dump([value], made)
    return made.getvalue().strip()[1:-1]


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
