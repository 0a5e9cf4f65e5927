"""Which number a changed model gets: what a consumer must do decides.

first    v1.0.0
major    the contract changed: other columns or types to send, another target, other classes to expect
minor    the recipe changed: code, params, or the locked libraries
patch    only the data changed: the same recipe, trained again
"""

from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML

from ..core.config import Config
from ..core.git import show_file
from ..core.paths import LOCK
from .objects import wanted
from .versions import Version

FIRST = "v1.0.0"


@dataclass(frozen=True)
class Bump:
    """The next version's name and the reason for it, as a reader of the tag sees it."""

    name: str
    reason: str


def next_version(newest: Version | None, config: Config) -> Bump:
    """Return the version that follows `newest` for the model that dvc.lock describes in the working tree."""
    if newest is None:
        return Bump(FIRST, "the first model")
    major, minor, patch = (int(part) for part in newest.name.removeprefix("v").split("."))
    if reason := contract_change(newest.commit, config):
        return Bump(f"v{major + 1}.0.0", reason)
    if reason := recipe_change(newest.commit, config):
        return Bump(f"v{major}.{minor + 1}.0", reason)
    return Bump(f"v{major}.{minor}.{patch + 1}", "new data, the same recipe")


def contract_change(commit: str, config: Config) -> str | None:
    """Return what a consumer must adapt to since `commit`, or None."""
    old, new = (
        _contract(show_file(commit, "schema.yaml")),
        _contract((config.root / "schema.yaml").read_bytes()),
    )
    changed = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    return f"the contract changed: {', '.join(changed)}" if changed else None


def recipe_change(commit: str, config: Config) -> str | None:
    """Return which stages are made otherwise than at `commit`, apart from their data, or None."""
    old, new = _recipes(show_file(commit, LOCK)), _recipes((config.root / LOCK).read_bytes())
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return f"the recipe changed: {', '.join(changed)}" if changed else None


def _contract(schema: bytes | None) -> dict[str, Any]:
    """Return what a consumer relies on: each column's type, and the target with its type and classes."""
    content = YAML(typ="safe").load(schema or b"{}")
    target = content.get("target", {})
    types = {name: column["type"] for name, column in content.get("columns", {}).items()}
    return {**types, f"target {target.get('name')}": (target.get("type"), target.get("values"))}


def _recipes(lock: bytes | None) -> dict[str, Any]:
    """Return each stage's command, params and the md5 of its inputs, without those that are data."""
    stages = YAML(typ="safe").load(lock or b"{}").get("stages", {})
    data = {out["path"] for stage in stages.values() for out in stage.get("outs", [])} | set(wanted().values())
    return {
        name: (
            stage["cmd"],
            stage.get("params"),
            {dep["path"]: dep["md5"] for dep in stage.get("deps", []) if dep["path"] not in data},
        )
        for name, stage in stages.items()
    }
