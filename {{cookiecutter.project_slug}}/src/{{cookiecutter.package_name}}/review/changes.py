"""What differs between champion and candidate besides their metrics: params, data, and what ran."""

import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ..cli import STAGE_TIMES, STAGES
from ..git import show_file
from ..outputs import SUMMARY
from .report import Change, Stage


def params_changes(commit: str | None) -> list[Change]:
    """Return the params that differ from those at `commit`; none without a commit."""
    return _differences(yaml_at(commit, "params.yaml"), _yaml_here("params.yaml")) if commit else []


def data_changes(commit: str | None) -> list[Change]:
    """Return the facts of the data (rows, columns, missing values, means) that differ from those at `commit`."""
    return _differences(yaml_at(commit, SUMMARY), _yaml_here(SUMMARY)) if commit else []


def stages_run() -> list[Stage]:
    """Return every stage with the seconds it took in the last `mlops train`, None where it did not run."""
    return [Stage(name, _seconds(STAGE_TIMES / name)) for name in STAGES]


def _seconds(file: Path) -> float | None:
    return float(file.read_text()) if file.exists() else None


def _yaml_here(path: str) -> Any:
    return YAML(typ="safe").load(Path(path))


def yaml_at(commit: str, path: str) -> Any:
    """Return the content of a YAML or JSON file at `commit`; nothing where it has none."""
    return YAML(typ="safe").load(show_file(commit, path) or b"{}")


def _differences(before: Any, after: Any) -> list[Change]:
    old, new = _flat(before), _flat(after)
    return [
        Change(name, old.get(name), new.get(name))
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Return the leaves of nested mappings by their dotted path, each as JSON text."""
    if not isinstance(value, dict):
        return {prefix: json.dumps(value, default=str, ensure_ascii=False)}
    leaves: dict[str, str] = {}
    for key, child in value.items():
        leaves |= _flat(child, f"{prefix}.{key}" if prefix else str(key))
    return leaves
