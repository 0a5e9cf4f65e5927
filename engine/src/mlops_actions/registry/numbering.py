"""Which number a changed model gets: what a consumer must do decides.

first    v1.0.0
major    the contract changed: other columns or types to send, another target, other classes to expect
minor    the recipe changed: code, params, or the locked libraries
patch    only the data changed: the same recipe, trained again

A number that a tag has which is no version (any more) is passed over.
"""

from dataclasses import dataclass
from typing import Any

from ..core.paths import LOCK
from .objects import load_yaml, wanted
from .versions import Version, taken_names

SCHEMA = "schema.yaml"
FIRST = [1, 0, 0]
MAJOR, MINOR, PATCH = range(3)
NAMED = 20  # of what changed, in a tag's message


@dataclass(frozen=True)
class Bump:
    """The next version, the reason for it, as a reader of the tag sees it, and the versions whose tags were taken."""

    version: Version
    reason: str
    passed: list[Version]


def next_version(newest: Version | None, commit: str) -> Bump:
    """Return the version after `newest` that `commit` becomes with the model that dvc.lock describes in the tree."""
    numbers, part, reason = FIRST, MINOR, "the first model"
    if newest:
        numbers = [int(number) for number in newest.name.removeprefix("v").split(".")]
        part, reason = change_since(newest.commit)
        numbers = _raised(numbers, part)
    passed, taken = list[Version](), taken_names()
    while (version := Version("v" + ".".join(map(str, numbers)), commit)).tag in taken:
        passed.append(version)
        numbers = _raised(numbers, part)
    return Bump(version, reason, passed)


def change_since(commit: str) -> tuple[int, str]:
    """Return which part of the number the change since `commit` raises, and the reason."""
    if reason := contract_change(commit):
        return MAJOR, reason
    if reason := recipe_change(commit):
        return MINOR, reason
    return PATCH, "new data, the same recipe"


def contract_change(commit: str) -> str | None:
    """Return what a consumer must adapt to since `commit`, or None."""
    old, new = _contract(load_yaml(SCHEMA, commit)), _contract(load_yaml(SCHEMA))
    changed = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    return f"the contract changed: {_named(changed)}" if changed else None


def recipe_change(commit: str) -> str | None:
    """Return which stages are made otherwise than at `commit`, apart from their data, or None."""
    old, new = _recipes(load_yaml(LOCK, commit)), _recipes(load_yaml(LOCK))
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return f"the recipe changed: {_named(changed)}" if changed else None


def _named(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def _raised(numbers: list[int], part: int) -> list[int]:
    return [*numbers[:part], numbers[part] + 1, *(0 for _ in numbers[part + 1 :])]


def _contract(schema: Any) -> dict[str, Any]:
    """Return what a consumer relies on: each column's type, and the target with its type and classes."""
    content = schema or {}
    target = content.get("target", {})
    types = {name: column["type"] for name, column in content.get("columns", {}).items()}
    return {**types, f"target {target.get('name')}": (target.get("type"), target.get("values"))}


def _recipes(lock: Any) -> dict[str, Any]:
    """Return each stage's command, params and the md5 of its inputs, without those that are data."""
    stages = (lock or {}).get("stages", {})
    data = {out["path"] for stage in stages.values() for out in stage.get("outs", [])} | set(wanted().values())
    return {
        name: (
            stage["cmd"],
            stage.get("params"),
            {dep["path"]: dep.get("md5") for dep in stage.get("deps", []) if dep["path"] not in data},
        )
        for name, stage in stages.items()
    }
