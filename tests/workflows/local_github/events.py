"""What happened, in the words of GitHub's webhook payloads."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .api.pulls import describe

if TYPE_CHECKING:
    from .pull_request import PullRequest
    from .repository import Repository
    from .run import Run


@dataclass(frozen=True)
class Event:
    """An event: `sha` and `ref` are what its workflows are taken from and run on."""

    name: str
    payload: dict[str, Any]
    sha: str
    ref: str
    actor: str
    head_sha: str
    head_branch: str
    head: "Repository"
    changed: list[str] = field(default_factory=list)

    @property
    def action(self) -> str | None:
        """The kind of the event, such as opened or completed."""
        return self.payload.get("action")


def _main(repository: "Repository") -> str:
    sha = repository.bare.resolve("refs/heads/main")
    if sha is None:
        raise RuntimeError(f"{repository.name} has no branch main: push one first.")
    return sha


def _common(repository: "Repository", actor: str) -> dict[str, Any]:
    return {"repository": repository.describe(), "sender": repository.hub.users[actor]}


def push_event(repository: "Repository", ref: str, before: str | None, actor: str, after: str | None = None) -> Event:
    """A push of a branch or a tag, which is at `after` now."""
    sha = after or repository.bare.resolve(ref)
    assert sha is not None
    commit = {"id": sha, "message": repository.bare.git("log", "-1", "--format=%B", sha)}
    payload = _common(repository, actor) | {
        "ref": ref,
        "before": before or "0" * 40,
        "after": sha,
        "created": before is None,
        "deleted": False,
        "forced": before is not None and not repository.bare.contains(sha, before),
        "head_commit": commit,
        "commits": [commit],
        "pusher": {"name": actor},
    }
    changed = repository.bare.changed(before, sha)
    branch = ref.removeprefix("refs/heads/")
    return Event("push", payload, sha, ref, actor, sha, branch, repository, changed)


def pull_request_event(pull: "PullRequest", action: str) -> Event:
    """Something that happened to a pull request; it runs on the merge with main."""
    sha = pull.merge_commit or pull.test_merge
    assert sha is not None
    base = pull.base
    payload = _common(base, pull.author)
    payload |= {"action": action, "number": pull.number, "pull_request": describe(base.hub, pull)}
    changed = base.bare.git("diff", "--name-only", f"{pull.base_sha}...{pull.head_sha}").splitlines()
    ref = f"refs/pull/{pull.number}/merge"
    return Event("pull_request", payload, sha, ref, pull.author, pull.head_sha, pull.branch, pull.head, changed)


def workflow_run_event(run: "Run") -> Event:
    """The completion of a run; it runs on main."""
    repository = run.repository
    sha = _main(repository)
    payload = _common(repository, run.event.actor)
    payload |= {"action": "completed", "workflow_run": run.describe(), "workflow": {"name": run.name, "path": run.path}}
    return Event("workflow_run", payload, sha, "refs/heads/main", run.event.actor, sha, "main", repository)


def dispatch_event(repository: "Repository", branch: str, actor: str, inputs: dict[str, str]) -> Event:
    """A run that somebody asks for."""
    ref = f"refs/heads/{branch}"
    sha = repository.bare.resolve(ref)
    if sha is None:
        raise RuntimeError(f"{repository.name} has no branch {branch}.")
    payload = _common(repository, actor) | {"inputs": inputs, "ref": ref}
    return Event("workflow_dispatch", payload, sha, ref, actor, sha, branch, repository)


def schedule_event(repository: "Repository", schedule: str, actor: str) -> Event:
    """The time of a cron expression."""
    sha = _main(repository)
    payload = _common(repository, actor) | {"schedule": schedule}
    return Event("schedule", payload, sha, "refs/heads/main", actor, sha, "main", repository)


def now() -> str:
    """The time as GitHub writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
