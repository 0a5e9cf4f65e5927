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
    return _differences(content_of("params.yaml", commit), content_of("params.yaml")) if commit else []


def data_changes(commit: str | None) -> list[Change]:
    """Return the facts of the data (rows, columns, missing values, means) that differ from those at `commit`."""
    return _differences(content_of(SUMMARY, commit), content_of(SUMMARY)) if commit else []


def schema_changes(commit: str | None) -> list[Change]:
    """Return the lines of the data's contract that differ from those at `commit`; none without a commit."""
    return _differences(content_of("schema.yaml", commit), content_of("schema.yaml")) if commit else []


def stages_run() -> list[Stage]:
    """Return every stage with the seconds it took in the last `mlops train`, None where it did not run."""
    return [Stage(name, _seconds(STAGE_TIMES / name)) for name in STAGES]


def _seconds(file: Path) -> float | None:
    return float(file.read_text()) if file.exists() else None


def content_of(path: str, commit: str | None = None) -> Any:
    """Return what a YAML or JSON file holds, in the working tree or at `commit`; nothing where it is not there."""
    text = (show_file(commit, path) if commit else Path(path).read_bytes()) or b"{}"
    return json.loads(text) if path.endswith(".json") else YAML(typ="safe").load(text)


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
