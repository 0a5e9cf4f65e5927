"""A pull request and its two refs in the base repository."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .repository import Repository
    from .run import Run


@dataclass(eq=False)
class PullRequest:
    """A pull request to main; `runs` are those of the last thing that happened to it."""

    number: int
    title: str
    author: str
    base: "Repository"
    head: "Repository"
    branch: str
    state: str = "open"
    head_sha: str = ""
    base_sha: str = ""
    test_merge: str | None = None
    merge_commit: str | None = None
    runs: list["Run"] = field(default_factory=list)

    def refresh(self) -> None:
        """Point refs/pull/N/head at the branch and refs/pull/N/merge at its merge with main."""
        base = self.base.bare
        head, main = self.head.bare.resolve(f"refs/heads/{self.branch}"), base.resolve("refs/heads/main")
        if self.state != "open" or head is None or (head, main) == (self.head_sha, self.base_sha):
            return
        assert main is not None
        base.git("fetch", "--quiet", str(self.head.bare.path), f"+{head}:refs/pull/{self.number}/head")
        self.head_sha, self.base_sha = head, main
        self.test_merge = base.merge(main, head, f"Merge {head} into {main}", self.author)
        if self.test_merge:
            base.git("update-ref", f"refs/pull/{self.number}/merge", self.test_merge)

    def commits(self) -> list[str]:
        """The commits it adds to main."""
        return self.base.bare.git("rev-list", f"{self.base_sha}..{self.head_sha}").splitlines()

    def comments(self) -> list[dict[str, Any]]:
        """Its comments, oldest first."""
        found: list[dict[str, Any]] = []
        path = f"/repos/{self.base.name}/issues/{self.number}/comments?per_page=100&page="
        while page := self.base.hub.emulate.call("GET", f"{path}{len(found) // 100 + 1}", self.base.owner):
            found += page
            if len(page) < 100:
                break
        return found

    def comment(self, text: str, author: str | None = None) -> None:
        """A comment by a person, the author of the pull request where none is named."""
        path = f"/repos/{self.base.name}/issues/{self.number}/comments"
        login = author or self.author
        self.base.hub.emulate.call("POST", path, login, {"body": text})

    def checks(self) -> dict[str, str]:
        """The conclusion of the last run of each pull_request workflow on its head, by the workflow's name."""
        runs = [run for run in self.base.runs() if run.event.name == "pull_request"]
        return {run.name: run.conclusion for run in runs if run.head_sha == self.head_sha}
