"""YAML as plain values, whose aliases unfold to no more than a file could hold."""

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import CollectionNode, Node

MOST = 100_000  # values: ten lines that repeat each other nine times would have three thousand million


def load(text: str | bytes) -> Any:
    """Return the content of a YAML text.

    Raises:
        YAMLError: it is no YAML, or its aliases unfold to more values than `MOST` and than it has characters.
        RecursionError: it is nested too deeply.
    """
    anchor: Any = "&" if isinstance(text, str) else b"&"
    if anchor in text:
        root = YAML(pure=True).compose(text)
        if root is not None and _count(root, {}) > max(MOST, len(text)):
            raise YAMLError(f"its aliases unfold to more than {MOST:,} values")
    return YAML(typ="safe", pure=True).load(text)


def _count(node: Node, counted: dict[int, float]) -> float:
    """Return how many values a node has with all that its aliases repeat, which are not made to be counted."""
    if id(node) not in counted:
        counted[id(node)] = float("inf")  # what is within itself has no end
        children = node.value if isinstance(node, CollectionNode) else []
        pairs = (child if isinstance(child, tuple) else (child,) for child in children)
        counted[id(node)] = 1 + sum(_count(child, counted) for pair in pairs for child in pair)
    return counted[id(node)]
