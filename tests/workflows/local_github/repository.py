"""A repository: what people do to it, and what GitHub does then."""

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .api.releases import copy_all, list_all
from .bare import BareRepository
from .delivery import deliver, deliver_again
from .events import Event, dispatch_event, pull_request_event, push_event, schedule_event
from .pull_request import PullRequest

if TYPE_CHECKING:
    from .github import LocalGitHub
    from .run import Run


class Repository:
    """OWNER/NAME on the local GitHub; `hub.create_repository` and `fork` make one.

    `disabled` names the workflows that its people have switched off. Where `looks` is true, each run looks after every
    step for its token on the runner.
    """

    def __init__(
        self, hub: "LocalGitHub", name: str, bare: BareRepository, private: bool, parent: "Repository | None" = None
    ) -> None:
        self.hub = hub
        self.name = name
        self.owner, self.short_name = name.split("/")
        self.bare = bare
        self.private = private
        self.parent = parent
        self.pulls: dict[int, PullRequest] = {}
        self.secrets: dict[str, str] = {}
        self.variables: dict[str, str] = {}
        self.attestations: dict[str, dict[str, Any]] = {}
        self.protected: set[str] = set()
        self.disabled: set[str] = set()
        self.looks = False
        body = {"name": self.short_name, "private": private, "auto_init": True}
        self.id: int = hub.emulate.call("POST", "/user/repos", self.owner, body)["id"]
        for login in hub.users:
            path = f"/repos/{name}/collaborators/{login}"
            if login != self.owner:
                hub.emulate.call("PUT", path, self.owner, {"permission": "push"})

    @property
    def url(self) -> str:
        """The address to clone."""
        return f"{self.hub.url}/{self.name}.git"

    def describe(self) -> dict[str, Any]:
        """The repository as GitHub shows it in events."""
        return {
            "id": self.id,
            "name": self.short_name,
            "full_name": self.name,
            "private": self.private,
            "fork": self.parent is not None,
            "default_branch": "main",
            "owner": self.hub.users[self.owner],
            "html_url": f"{self.hub.url}/{self.name}",
            "url": self.hub.address(f"/api/v3/repos/{self.name}"),
            "clone_url": self.url,
        }

    def connect(self, directory: Path) -> None:
        """Make this repository the origin of a local one."""
        self.hub.on_laptop(["git", "remote", "add", "origin", self.url], directory, self.owner)

    def clone(self, directory: Path, user: str | None = None) -> Path:
        """A fresh clone by a user, the owner where none is named."""
        command = ["git", "clone", "--quiet", self.url, str(directory)]
        self.hub.on_laptop(command, directory.parent, user or self.owner)
        return directory

    def fork(self, owner: str) -> "Repository":
        """Another user's copy."""
        name = f"{owner}/{self.short_name}"
        bare = self.bare.fork(self.hub.repositories_root / f"{name}.git")
        fork = Repository(self.hub, name, bare, self.private, parent=self)
        self.hub.repositories[name] = fork
        return fork

    def copy(self, name: str, private: bool = False) -> "Repository":
        """A repository under another name with the same refs and releases, on which nothing has run."""
        bare = self.bare.copy(self.hub.repositories_root / f"{name}.git")
        copied = Repository(self.hub, name, bare, private)
        copied.disabled = set(self.disabled)
        self.hub.repositories[name] = copied
        copy_all(self, copied)
        return copied

    def protect(self, branch: str = "main") -> None:
        """Let no workflow's token push to a branch."""
        self.protected.add(branch)
        lines = "".join(f"refs/heads/{name}\n" for name in sorted(self.protected))
        (self.bare.path / "protected-refs").write_text(lines)

    def push(self, directory: Path, branch: str = "main", force: bool = False) -> list["Run"]:
        """Push a local branch by git as the owner; the runs that follow, chained ones included."""
        before = self.bare.resolve(f"refs/heads/{branch}")
        command = ["git", "push", "--quiet", *(["--force"] if force else []), self.url, f"{branch}:{branch}"]
        known = {pull.number: pull.head_sha for pull in self._pulls_from(branch)}
        self.hub.on_laptop(command, directory, self.owner)
        after = self.bare.resolve(f"refs/heads/{branch}")
        if after == before:
            return []
        runs = deliver(self, push_event(self, f"refs/heads/{branch}", before, self.owner))
        for pull in self._pulls_from(branch):
            if pull.number in known:
                pull.runs = self._deliver_pull(pull, "synchronize")
                runs += pull.runs
        return runs

    def open_pull_request(self, branch: str, title: str, fork: "Repository | None" = None) -> PullRequest:
        """A pull request of a pushed branch to main; its `runs` are those that follow."""
        head = fork or self
        body = {"title": title, "base": "main", "head": f"unmerged/{branch}"}
        number = self.hub.emulate.call("POST", f"/repos/{self.name}/pulls", head.owner, body)["number"]
        pull = PullRequest(number, title, head.owner, self, head, branch)
        self.pulls[number] = pull
        pull.refresh()
        pull.runs = self._deliver_pull(pull, "opened")
        return pull

    def merge(self, pull: PullRequest, force: bool = False) -> list["Run"]:
        """Merge a pull request by a merge commit, as the owner; the runs that follow.

        A check that did not succeed blocks it, unless forced as an administrator can.
        """
        failed = {name: conclusion for name, conclusion in pull.checks().items() if conclusion != "success"}
        if failed and not force:
            raise MergeBlockedError(f"pull request {pull.number} is blocked by its checks: {failed}")
        with self.hub.lock:
            pull.refresh()
            if pull.test_merge is None:
                raise MergeBlockedError(f"pull request {pull.number} has conflicts with main.")
            before = pull.base_sha
            message = f"Merge pull request #{pull.number} from {pull.head.owner}/{pull.branch}\n\n{pull.title}"
            pull.merge_commit = self.bare.merge(before, pull.head_sha, message, self.owner)
            assert pull.merge_commit is not None
            self.bare.git("update-ref", "refs/heads/main", pull.merge_commit, before)
            self._close(pull)
            self.refresh_pulls()
        runs = deliver(self, push_event(self, "refs/heads/main", before, self.owner, pull.merge_commit))
        return runs + self._deliver_pull(pull, "closed")

    def close(self, pull: PullRequest) -> list["Run"]:
        """Close a pull request unmerged; the runs that follow."""
        self._close(pull)
        return self._deliver_pull(pull, "closed")

    def dispatch(self, workflow: str, inputs: dict[str, str] | None = None, ref: str = "main") -> list["Run"]:
        """Start a workflow by hand; the runs that follow."""
        return deliver(self, dispatch_event(self, ref, self.owner, inputs or {}), only=workflow)

    def tick(self, schedule: str) -> list["Run"]:
        """Let the time of a cron expression come; the runs that follow."""
        return deliver(self, schedule_event(self, schedule, self.owner))

    def rerun(self, run: "Run", failed: bool = False) -> list["Run"]:
        """Run all jobs of a run again, or the `failed` ones and those that need them; the runs that follow."""
        return deliver_again(run, failed)

    def deliver(self, event: Event) -> list["Run"]:
        """The runs of the workflows that an event starts, then of those that their completion starts."""
        return deliver(self, event)

    def runs(self, name: str | None = None) -> list["Run"]:
        """Its runs so far, oldest first, of one workflow where named."""
        return [run for run in list(self.hub.runs.values()) if run.repository is self and name in (None, run.name)]

    def releases(self) -> list[dict[str, Any]]:
        """Its releases, drafts included, newest first."""
        return list_all(self.hub, self)

    def asset(self, tag: str, name: str) -> Path:
        """Where the bytes of a release's file are."""
        (release,) = [one for one in self.releases() if one["tag_name"] == tag]
        (asset,) = [one for one in release["assets"] if one["name"] == name]
        return self.hub.asset(asset["id"])

    def tags(self) -> list[str]:
        """The names of its tags."""
        return [ref.removeprefix("refs/tags/") for ref in self.bare.refs("refs/tags/")]

    def refresh_pulls(self) -> None:
        """Bring every open pull request that this repository is part of to its branch's tip."""
        with self.hub.lock:
            for repository in self.hub.repositories.values():
                for pull in repository.pulls.values():
                    if self in (pull.base, pull.head):
                        pull.refresh()

    def _close(self, pull: PullRequest) -> None:
        pull.state = "closed"
        self.hub.emulate.call("PATCH", f"/repos/{self.name}/pulls/{pull.number}", self.owner, {"state": "closed"})

    def _pulls_from(self, branch: str) -> list[PullRequest]:
        pulls = [pull for repository in self.hub.repositories.values() for pull in repository.pulls.values()]
        return [pull for pull in pulls if pull.state == "open" and (pull.head, pull.branch) == (self, branch)]

    def _deliver_pull(self, pull: PullRequest, action: str) -> list["Run"]:
        if pull.test_merge is None:
            return []
        return deliver(pull.base, pull_request_event(pull, action))


class MergeBlockedError(Exception):
    """A pull request that GitHub would not let anybody merge."""


def raise_for(done: subprocess.CompletedProcess[str]) -> str:
    """What a command printed, or an error with all it said."""
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, done.args))}: {done.stdout.strip()}\n{done.stderr.strip()}")
    return done.stdout.strip()
