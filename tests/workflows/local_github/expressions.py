"""The few expressions that GitHub evaluates before a run begins, in `concurrency` and `run-name`."""

import re
from typing import Any

TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(==|!=|&&|\|\||!|\(|\))|(true|false|null|-?\d+)|([\w.-]+))")


def fill(text: Any, github: dict[str, Any]) -> Any:
    """The text with each ${{ … }} evaluated; an expression alone keeps its type."""
    if not isinstance(text, str):
        return text
    alone = re.fullmatch(r"\s*\$\{\{((?:(?!\}\}).)*)\}\}\s*", text, re.S)
    if alone:
        return evaluate(alone[1], github)
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: _text(evaluate(found[1], github)), text, flags=re.S)


def evaluate(expression: str, github: dict[str, Any]) -> Any:
    """The value of an expression of literals, the github context, !, ==, !=, &&, || and parentheses."""
    tokens, position = [], 0
    while position < len(expression.rstrip()):
        found = TOKEN.match(expression, position)
        if found is None or expression[found.end() :].lstrip().startswith("(") and found[4]:
            raise ValueError(f"this local GitHub cannot evaluate ${{{{{expression}}}}}")
        tokens.append(found)
        position = found.end()
    value, rest = _either(tokens, github)
    if rest:
        raise ValueError(f"this local GitHub cannot evaluate ${{{{{expression}}}}}")
    return value


def _either(tokens: list[re.Match[str]], github: dict[str, Any]) -> tuple[Any, list[re.Match[str]]]:
    value, tokens = _both(tokens, github)
    while tokens and tokens[0][2] == "||":
        other, tokens = _both(tokens[1:], github)
        value = value or other
    return value, tokens


def _both(tokens: list[re.Match[str]], github: dict[str, Any]) -> tuple[Any, list[re.Match[str]]]:
    value, tokens = _compared(tokens, github)
    while tokens and tokens[0][2] == "&&":
        other, tokens = _compared(tokens[1:], github)
        value = value and other
    return value, tokens


def _compared(tokens: list[re.Match[str]], github: dict[str, Any]) -> tuple[Any, list[re.Match[str]]]:
    value, tokens = _single(tokens, github)
    while tokens and tokens[0][2] in ("==", "!="):
        negated = tokens[0][2] == "!="
        other, tokens = _single(tokens[1:], github)
        value = (_text(value).lower() == _text(other).lower()) != negated
    return value, tokens


def _single(tokens: list[re.Match[str]], github: dict[str, Any]) -> tuple[Any, list[re.Match[str]]]:
    if not tokens:
        raise ValueError("an expression ends too early.")
    first, rest = tokens[0], tokens[1:]
    if first[2] == "!":
        value, rest = _single(rest, github)
        return not value, rest
    if first[2] == "(":
        value, rest = _either(rest, github)
        return value, rest[1:]
    if first[1]:
        return first[1][1:-1].replace("''", "'"), rest
    if first[3]:
        return {"true": True, "false": False, "null": None}.get(first[3], first[3]), rest
    value = {"github": github}
    for name in first[0].strip().split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value, rest


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
