"""YAML as plain values, whose aliases unfold to no more than a file could hold."""

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import CollectionNode, Node, ScalarNode

MOST = 100_000  # values: ten lines that repeat each other nine times would have three thousand million
DIGITS = 400  # of a whole number: Python does not print one of 4,300
SHOWN = 40  # characters of a value in a sentence


class Constructor(SafeConstructor):
    """Makes the values, and says in which line one is not what it looks like or claims to be, such as 2026-02-30."""

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        """Return the value of a node.

        Raises:
            YAMLError: there is none.
        """
        kind = str(node.tag).rpartition(":")[2]
        try:
            if kind != "int" or not isinstance(node, ScalarNode) or len(node.value) <= DIGITS:
                return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            pass
        value = str(node.value)[:SHOWN] if isinstance(node, ScalarNode) and node.value else "this"
        kinds = {"timestamp": "date or time", "int": "whole number", "float": "number", "bool": "true or false"}
        raise ConstructorError(
            None, None, f"{value} is no {kinds.get(kind, kind)}; quote it if it is text", node.start_mark
        )


def load(text: str | bytes) -> Any:
    """Return the content of a YAML text.

    Raises:
        YAMLError: it is no YAML, or holds what no value can be made of, or its aliases unfold to more values than
            `MOST` and than it has characters.
        RecursionError: it is nested too deeply.
    """
    anchor: Any = "&" if isinstance(text, str) else b"&"
    if anchor in text:
        root = YAML(pure=True).compose(text)
        if root is not None and _count(root, {}) > max(MOST, len(text)):
            raise YAMLError(f"its aliases unfold to more than {MOST:,} values")
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = Constructor
    return yaml.load(text)


def _count(node: Node, counted: dict[int, float]) -> float:
    """Return how many values a node has with all that its aliases repeat, which are not made to be counted."""
    if id(node) not in counted:
        counted[id(node)] = float("inf")  # what is within itself has no end
        children = node.value if isinstance(node, CollectionNode) else []
        pairs = (child if isinstance(child, tuple) else (child,) for child in children)
        counted[id(node)] = 1 + sum(_count(child, counted) for pair in pairs for child in pair)
    return counted[id(node)]
