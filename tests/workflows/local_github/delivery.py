"""What GitHub does with an event: it runs the workflows that listen, then those that listen to these."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from .events import Event, workflow_run_event
from .runner import run_again, run_workflow
from .workflows import Workflow, read_workflows

if TYPE_CHECKING:
    from .repository import Repository
    from .run import Run

DEEPEST_CHAIN = 3
SKIP = ("[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]")


def deliver(repository: "Repository", event: Event, only: str | None = None) -> list["Run"]:
    """Every run that an event causes, in the workflows' order, each before those that its completion starts.

    The workflows are those of the event's commit: the merge commit of a pull request, main's for a workflow_run.
    """
    return _deliver(repository, event, only, DEEPEST_CHAIN)


def _deliver(repository: "Repository", event: Event, only: str | None, depth: int) -> list["Run"]:
    message = repository.bare.git("log", "-1", "--format=%B", event.head_sha) if event.name == "push" else ""
    if any(word in message for word in SKIP):
        return []
    started = [
        workflow
        for workflow in read_workflows(repository.bare, event.sha)
        if only in (None, workflow.name, workflow.path)
        and workflow.name not in repository.disabled
        and workflow.starts_on(event)
    ]
    with ThreadPoolExecutor(repository.hub.at_once) as pool:
        chains = pool.map(lambda workflow: _run_chain(repository, workflow, event, depth), started)
        return [run for chain in chains for run in chain]


def deliver_again(run: "Run", failed: bool) -> list["Run"]:
    """A run's next attempt and every run that its completion starts."""
    return _follow(run_again(run, failed), DEEPEST_CHAIN)


def _run_chain(repository: "Repository", workflow: Workflow, event: Event, depth: int) -> list["Run"]:
    return _follow(run_workflow(repository, workflow, event), depth)


def _follow(run: "Run", depth: int) -> list["Run"]:
    return [run, *(_deliver(run.repository, workflow_run_event(run), None, depth - 1) if depth else [])]
