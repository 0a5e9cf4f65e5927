"""What DVC says of the stages: which would run, and what feeds them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import networkx
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage import Stage

from ..errors import UserError


def outdated_stages() -> list[Stage]:
    """Return the stages that would run, in no order: changed since dvc.lock, or fed by one that is.

    Their data need not be here.
    """
    with readable_errors():
        graph = Repo().index.graph  # from a stage to those that feed it
    changed = _changed(graph)
    return list(changed.union(*(networkx.ancestors(graph, stage) for stage in changed)))


def inputs(stages: list[Stage]) -> set[str]:
    """Return the paths of what feeds outdated stages and may be made by none of them.

    A stage that is outdated only for being fed by one that changed does not run when that one makes the same as before:
    another that runs in any case may then need what it made.
    """
    if not stages:
        return set()
    graph = stages[0].repo.index.graph
    changed = _changed(graph).intersection(stages)
    feeding = {source for stage in stages for source in graph.successors(stage)}.difference(stages)
    feeding |= {source for stage in changed for source in graph.successors(stage)} - changed
    outs = [out for source in feeding for out in source.outs]
    return {Path(out.fs_path).relative_to(out.repo.root_dir).as_posix() for out in outs}


def frozen_and_changed() -> list[Stage]:
    """Return the stages that DVC never runs by itself and whose inputs are not those of their last run."""
    with readable_errors():
        repo = Repo()
        frozen = [stage for stage in repo.index.graph if stage.frozen]
        with repo.lock:
            return [stage for stage in frozen if any(dep.status() for dep in stage.deps)]


def _changed(graph: networkx.DiGraph) -> set[Stage]:
    """Return the stages that changed themselves: their code, data or parameters."""
    stages = list(graph)
    with readable_errors(), stages[0].repo.lock:
        # Without what feeds a stage, DVC does not see that a file which is not here has another hash.
        return {stage for stage in stages if stage.changed(allow_missing=True, upstream=list(graph.successors(stage)))}


@contextlib.contextmanager
def readable_errors() -> Iterator[None]:
    """Turn DVC's exceptions into the one sentence that a user sees."""
    try:
        yield
    except DvcException as error:
        raise UserError(f"DVC: {error}") from error
