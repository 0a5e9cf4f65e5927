"""YAML as plain values, whose merge keys unfold to no more than a file could hold."""

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

MOST = 100_000  # entries of a mapping: ten lines that merge each other nine times would have three thousand million
_MERGE = "tag:yaml.org,2002:merge"


def load(text: str | bytes) -> Any:
    """Return the content of a YAML text.

    Raises:
        YAMLError: it is no YAML, or its merge keys (`<<`) unfold to more than any file holds.
        RecursionError: it is nested too deeply.
    """
    if ("<<" if isinstance(text, str) else b"<<") in text:
        _require_few(YAML(pure=True).compose(text))
    return YAML(typ="safe", pure=True).load(text)


def _require_few(root: Node | None) -> None:
    """Raise a YAMLError where a mapping would have too many entries, which is told without making them."""
    entries: dict[int, float] = {}

    def count(node: Node) -> float:
        """Return how many entries a node brings where it is merged."""
        if id(node) in entries:
            return entries[id(node)]
        entries[id(node)] = MOST + 1  # what merges itself has no end
        if isinstance(node, SequenceNode):
            found = sum(map(count, node.value))
        elif isinstance(node, MappingNode):
            found = 0
            for key, value in node.value:
                inside = count(value)
                found += inside if key.tag == _MERGE else 1
        else:
            found = 0
        entries[id(node)] = found
        if isinstance(node, MappingNode) and found > MOST:
            raise YAMLError(f"its merge keys (<<) unfold to more than {MOST:,} entries")
        return found

    if root is not None:
        count(root)
