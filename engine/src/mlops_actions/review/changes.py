"""What differs between champion and candidate besides their metrics: params, data, and what ran."""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..core import plain_yaml
from ..core.config import PARAMS, Config, Params
from ..core.engine import engine_of
from ..core.errors import UserError
from ..core.git import check_out, run, show_file
from ..core.paths import BUNDLE, LOCK, STAGE_TIMES, STAGES, SUMMARY
from ..core.typed_yaml import parse
from ..registry.outputs import output_file
from ..stages.effective import ESTIMATOR, Knob, built_params, effective_params, recorded_params
from .champion import Incomparable, run_theirs
from .engine_update import same_engine
from .report import Stage, ValueChange

Knobs = dict[str, Knob]
Estimator = Mapping[str, Any]  # all that one is set to


def params_changes(commit: str | None, config: Config) -> list[ValueChange]:
    """Return the knobs whose values in effect, defaults included, differ from those at `commit`; none without one.

    Of two different estimators those parameters are compared that either side sets.
    """
    if commit is None:
        return []
    of_this_engine = same_engine(commit)
    if of_this_engine and _same(commit, "src", PARAMS, SUMMARY):
        return []
    recorded = _recorded(commit) if of_this_engine else None
    theirs, ours = _with_recorded(commit, config, *recorded) if recorded else _by_code(commit, config)
    both = {**theirs, **ours}
    if theirs["model.estimator"].value != config.model.estimator:
        set_by_one = {name for side in (theirs, ours) for name, knob in side.items() if not knob.default}
        both = {name: knob for name, knob in both.items() if name in set_by_one or not name.startswith(ESTIMATOR)}
    return [
        ValueChange(name, _shown(theirs.get(name)), _shown(ours.get(name)))
        for name in both
        if name not in theirs or name not in ours or theirs[name].value != ours[name].value
    ]


def _same(commit: str, *paths: str) -> bool:
    return run("diff", "--quiet", commit, "--", *paths).returncode == 0


def _recorded(commit: str) -> tuple[Estimator, Estimator] | None:
    """Return what the estimators of `commit` and here are set to, by their bundles; None where one does not say."""
    try:
        theirs, ours = (recorded_params(output_file(BUNDLE, rev)) for rev in (commit, None))
    except UserError:  # it is in no store
        return None
    return (theirs, ours) if theirs and ours else None


def _with_recorded(commit: str, config: Config, theirs: Estimator, ours: Estimator) -> tuple[Knobs, Knobs]:
    return _by_this_code(commit, lambda _: theirs), effective_params(config, ours)


def _by_code(commit: str, config: Config) -> tuple[Knobs, Knobs]:
    """Return the knobs at `commit` and here as either code has its defaults, which takes importing scikit-learn."""

    def build(rows: int | None) -> Callable[[Params], Estimator]:
        return lambda params: built_params(params, rows, config.root) if rows else {}

    rows, before = (content_of(SUMMARY, rev).get("train_rows") for rev in (None, commit))
    theirs = _by_their_code(commit) or _by_this_code(commit, build(before))
    return theirs, effective_params(config, build(rows)(config))


def _by_their_code(commit: str) -> Knobs | None:
    """Return the knobs at `commit` with the defaults of its own code; None where that is this or does not tell them."""
    if same_engine(commit) and _same(commit, "src"):
        return None
    with tempfile.TemporaryDirectory() as directory:
        check_out(commit, Path(directory))
        try:
            home = Path(directory)
            knobs = json.loads(run_theirs(engine_of(home), home, "params", "--json"))
        except (Incomparable, UserError):  # it is older than the verb, or does not run any more
            return None
    return {name: Knob(**knob) for name, knob in knobs.items()}


def _by_this_code(commit: str, estimator_of: Callable[[Params], Estimator]) -> Knobs:
    """Return the knobs at `commit` with this code's defaults, where it knows them."""
    content = content_of(PARAMS, commit)
    try:
        params = parse(Params, content, PARAMS)
        return effective_params(params, estimator_of(params))
    except UserError:
        return {name: Knob(json.loads(value), default=False) for name, value in _flat(content).items()}


def _shown(knob: Knob | None) -> str | None:
    return json.dumps(knob.value, ensure_ascii=False) if knob else None


def data_changes(commit: str | None) -> list[ValueChange]:
    """Return the facts of the data (rows, columns, missing values, means) that differ from those at `commit`."""
    return _differences(content_of(SUMMARY, commit), content_of(SUMMARY)) if commit else []


def schema_changes(commit: str | None) -> list[ValueChange]:
    """Return the lines of the data's contract that differ from those at `commit`; none without a commit."""
    return _differences(content_of("schema.yaml", commit), content_of("schema.yaml")) if commit else []


def same_recipe(commit: str) -> bool:
    """Return whether every stage had the inputs and params that it had at `commit`."""
    here, there = (content_of(LOCK, rev).get("stages") for rev in (None, commit))
    return here == there


def stages_run() -> list[Stage]:
    """Return every stage with the seconds it took in the last `mlops train`, None where it did not run."""
    return [Stage(name, _seconds(STAGE_TIMES / name)) for name in STAGES]


def _seconds(file: Path) -> float | None:
    return float(file.read_text()) if file.exists() else None


def content_of(path: str, commit: str | None = None) -> Any:
    """Return what a YAML or JSON file holds, in the working tree or at `commit`; nothing where it is not there."""
    text = (show_file(commit, path) if commit else Path(path).read_bytes()) or b"{}"
    return json.loads(text) if path.endswith(".json") else plain_yaml.load(text)


def _differences(before: Any, after: Any) -> list[ValueChange]:
    old, new = _flat(before), _flat(after)
    return [
        ValueChange(name, old.get(name), new.get(name))
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
