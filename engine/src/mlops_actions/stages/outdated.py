"""What the record says of the stages: which would run, and what feeds them.

The record is dvc.lock and the `.dvc` files. What stages made need not be here, and what is here may be another run's:
it decides nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import networkx
from dvc.dependency import ParamsDependency
from dvc.output import Output
from dvc.repo import Repo
from dvc.stage import PipelineStage, Stage
from dvc.stage.loader import StageLoader
from dvc_data.hashfile.hash_info import HashInfo

from ..core import plain_yaml
from ..core.config import PARAMS
from ..core.errors import UserError
from ..core.paths import RECIPES
from ..registry.dvc_repo import open_repo, readable_errors


def outdated_stages(lock: bytes | None = None) -> list[Stage]:
    """Return the stages that would run, in no order: changed since dvc.lock, or fed by one that is.

    `lock` is the content of another dvc.lock, to be asked in its place.

    Raises:
        UserError: a file that a stage needs and nothing makes is missing, or DVC cannot read the pipeline.
    """
    with readable_errors():
        repo = open_repo() if lock is None else Repo()  # as the stages' records are replaced
        graph = repo.index.graph  # from a stage to those that feed it
        if not any(writes_recipes(stage) for stage in graph):
            raise UserError("dvc.yaml lacks the stage recipes: `git restore dvc.yaml` brings back what was committed.")
        if lock is not None:
            _replace_lock(graph, plain_yaml.load(lock)["stages"])
        changed = _changed(graph)
    return list(changed.union(*(networkx.ancestors(graph, stage) for stage in changed)))


def what_changed() -> list[str]:
    """Return what changed since the stages ran that depend on it, each as a clause, in the order of the stages.

    Raises:
        UserError: as `outdated_stages`.
    """
    stages_by_change: dict[str, list[str]] = {}
    with readable_errors():
        graph = open_repo().index.graph
        made = _made(graph)
        for stage in reversed(list(networkx.topological_sort(graph))):
            for change in _changes(stage, made) if _is_made(stage) else ():
                stages_by_change.setdefault(change, []).append(stage.addressing)
    return [change.replace("{}", ", ".join(stages)) for change, stages in stages_by_change.items()]


def inputs(stages: list[Stage]) -> set[str]:
    """Return the paths of what feeds outdated stages and may be made by none of them.

    A stage that is outdated only for being fed by one that changed does not run when that one makes the same as before:
    another that runs in any case may then need what it made.
    """
    if not stages:
        return set()
    graph = stages[0].repo.index.graph
    with readable_errors():
        changed = _changed(graph).intersection(stages)
    feeding = {source for stage in stages for source in graph.successors(stage)}.difference(stages)
    feeding |= {source for stage in changed for source in graph.successors(stage)} - changed
    return {path_of(out) for source in feeding for out in source.outs}


def in_order(stages: Iterable[Stage]) -> list[Stage]:
    """Return stages of one project so that each comes after those that feed it."""
    by_name = {stage.addressing: stage for stage in stages}
    graph = next(iter(by_name.values())).repo.index.graph if by_name else networkx.DiGraph()
    names = [stage.addressing for stage in networkx.topological_sort(graph)]
    return [by_name[name] for name in reversed(names) if name in by_name]


def path_of(out: Output) -> str:
    """Return the path of a dependency or an output, from the project's root; the whole path where it is not in it."""
    path, root = Path(out.fs_path), out.repo.root_dir
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def is_source(stage: Stage) -> bool:
    """Return whether its outputs came from outside: a `.dvc` file, or a stage that DVC never runs by itself."""
    return stage.frozen or not stage.cmd


def writes_recipes(stage: Stage) -> bool:
    """Return whether it is the stage that writes recipes.yaml, which `mlops` does itself before it asks DVC."""
    return any(path_of(out) == RECIPES for out in stage.outs)


def frozen_and_changed() -> list[Stage]:
    """Return the stages that DVC never runs by itself and whose inputs are not those of their last run."""
    with readable_errors():
        repo = open_repo()
        frozen = [stage for stage in repo.index.graph if stage.frozen]
        with repo.lock:
            return [stage for stage in frozen if any(dep.status() for dep in stage.deps)]


def _changed(graph: "networkx.DiGraph[Stage]") -> set[Stage]:
    """Return the stages that changed themselves: their command, code, data or parameters."""
    made = _made(graph)
    return {stage for stage in graph if _is_made(stage) and any(_changes(stage, made))}


def _is_made(stage: Stage) -> bool:
    return not (is_source(stage) or writes_recipes(stage))


def _made(graph: "networkx.DiGraph[Stage]") -> dict[str, Output]:
    return {out.fs_path: out for stage in graph for out in stage.outs}


def _changes(stage: Stage, made: Mapping[str, Output]) -> Iterator[str]:
    """Yield what changed since a stage ran, each as a clause in which `{}` stands for the stage."""
    if not all(out.hash_info for out in stage.outs):
        yield "{} did not run"
        return
    if stage.always_changed or stage.is_callback:
        yield "{} runs every time"
    elif stage.changed_stage():
        yield "the command of {} changed"
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency):
            yield from (f"{key} changed since {{}} ran" for key in _changed_keys(dep))
        elif _differs(stage, dep, made.get(dep.fs_path)):
            yield f"{path_of(dep)} changed since {{}} ran"


def _changed_keys(dep: ParamsDependency) -> list[str]:
    ((file, status),) = dep.status().items() or [("", {})]
    if not isinstance(status, dict):
        return [file]
    if file == RECIPES:
        before, now = dep.hash_info.value or {}, dep.read_params()
        return [change for key in status for change in _recipe_changes(before.get(key) or {}, now.get(key) or {})]
    return [f"{key} in {file}" for key in status]


def _recipe_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs between two entries of recipes.yaml, in the words of who changed it."""
    libraries, params = ({**before.get(part, {}), **now.get(part, {})} for part in ("libraries", "params"))
    return [
        *(["the engine's results"] if before.get("revision") != now.get("revision") else []),
        *(name for name in libraries if before.get("libraries", {}).get(name) != now.get("libraries", {}).get(name)),
        *(
            f"{key} in {PARAMS}"
            for key in params
            if before.get("params", {}).get(key) != now.get("params", {}).get(key)
        ),
        *(["a helper of src/"] if before.get("helpers") != now.get("helpers") else []),
        *(["the engine in vendor/"] if before.get("engine") != now.get("engine") else []),
    ]


def _differs(stage: Stage, dep: Output, source: Output | None) -> bool:
    """Return whether a dependency is not what it was in the stage's last run; of what is made, the record is asked."""
    if source is not None:
        return not source.hash_info or dep.hash_info != source.hash_info
    if not dep.hash_info or dep.exists:
        return bool(dep.status())
    raise UserError(
        f"{path_of(dep)} is missing, and the stage {stage.addressing} needs it: "
        f"`git restore {path_of(dep)}` brings back what was committed."
    )


def _replace_lock(graph: "networkx.DiGraph[Stage]", entries: Mapping[str, Any]) -> None:
    """Make the stages of dvc.yaml believe that another dvc.lock recorded them; those of other files stay."""
    for stage in graph:
        if not isinstance(stage, PipelineStage) or not _is_made(stage):
            continue
        for item in (*stage.deps, *stage.outs):
            item.hash_info = HashInfo()
        entry = entries.get(stage.name, {})
        stage.cmd_changed = entry.get("cmd") != stage.cmd
        StageLoader.fill_from_lock(stage, entry)
