"""What GitHub does with an event: it runs the workflows that listen, then those that listen to these."""

from typing import TYPE_CHECKING

from .events import Event, workflow_run_event
from .runner import run_workflow
from .workflows import read_workflows

if TYPE_CHECKING:
    from .repository import Repository
    from .run import Run

DEEPEST_CHAIN = 3
SKIP = ("[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]")


def deliver(repository: "Repository", event: Event, only: str | None = None) -> list["Run"]:
    """Every run that an event causes, in the order they began.

    The workflows are those of the event's commit: the merge commit of a pull request, main's for a workflow_run.
    """
    return _deliver(repository, event, only, DEEPEST_CHAIN)


def _deliver(repository: "Repository", event: Event, only: str | None, depth: int) -> list["Run"]:
    runs: list[Run] = []
    message = repository.bare.git("log", "-1", "--format=%B", event.head_sha) if event.name == "push" else ""
    if any(word in message for word in SKIP):
        return runs
    for workflow in read_workflows(repository.bare, event.sha):
        wanted = only in (None, workflow.name, workflow.path) and workflow.name not in repository.disabled
        if not wanted or not workflow.starts_on(event):
            continue
        run = run_workflow(repository, workflow, event)
        runs.append(run)
        if depth:
            runs += _deliver(repository, workflow_run_event(run), None, depth - 1)
    return runs
