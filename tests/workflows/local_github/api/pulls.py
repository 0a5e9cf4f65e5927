"""Pull requests: emulate's record of them, with the commits that git has."""

import json
from typing import TYPE_CHECKING, Any

from ..front import Request, Response
from .router import paginate, pass_on, route

if TYPE_CHECKING:
    from ..github import LocalGitHub
    from ..pull_request import PullRequest
    from ..repository import Repository


def describe(hub: "LocalGitHub", pull: "PullRequest") -> dict[str, Any]:
    """A pull request as GitHub shows it."""
    path = f"/repos/{pull.base.name}/pulls/{pull.number}"
    shown: dict[str, Any] = hub.emulate.call("GET", path, pull.base.owner)
    merged = pull.merge_commit is not None
    shown |= {
        "html_url": f"{hub.url}/{pull.base.name}/pull/{pull.number}",
        "url": hub.address(f"/api/v3{path}"),
        "user": hub.users[pull.author],
        "state": pull.state,
        "merged": merged,
        "mergeable": None if pull.state == "closed" else pull.test_merge is not None,
        "merge_commit_sha": pull.merge_commit or pull.test_merge,
        "head": describe_side(hub, pull.head, pull.branch, pull.head_sha),
        "base": describe_side(hub, pull.base, "main", pull.base_sha),
    }
    return shown


def describe_side(hub: "LocalGitHub", repository: "Repository", ref: str, sha: str) -> dict[str, Any]:
    """The head or the base of a pull request."""
    label = f"{repository.owner}:{ref}"
    return {
        "label": label,
        "ref": ref,
        "sha": sha,
        "user": hub.users[repository.owner],
        "repo": repository.describe(),
    }


@route("GET", "/pulls", "pull-requests", "read")
def list_pulls(hub: "LocalGitHub", repository: "Repository", request: Request) -> Response:
    """The pull requests of a state, head and base; a head without its owner filters nothing, as on GitHub."""
    query = request.query
    state, head, base = query.get("state", "open"), query.get("head", ""), query.get("base")
    found = [pull for pull in repository.pulls.values() if state in ("all", pull.state)]
    if ":" in head:
        found = [pull for pull in found if f"{pull.head.owner}:{pull.branch}" == head]
    if base:
        found = [pull for pull in found if base == "main"]
    return paginate(hub, request, [describe(hub, pull) for pull in reversed(found)])


@route("GET", "/pulls/{number}", "pull-requests", "read")
def get_pull(hub: "LocalGitHub", repository: "Repository", request: Request, number: str) -> Response:
    """One pull request."""
    pull = repository.pulls.get(int(number)) if number.isdigit() else None
    return Response.of(describe(hub, pull)) if pull else Response.error(404, "Not Found")


@route("GET", "/pulls/{number}/files", "pull-requests", "read")
def list_files(hub: "LocalGitHub", repository: "Repository", request: Request, number: str) -> Response:
    """The files that a pull request changes, without their patches."""
    pull = repository.pulls.get(int(number)) if number.isdigit() else None
    if pull is None:
        return Response.error(404, "Not Found")
    words = ("diff", "--name-only", "--no-renames", f"{pull.base_sha}...{pull.head_sha}")
    return paginate(hub, request, [{"filename": name} for name in repository.bare.git(*words).splitlines()])


@route("PATCH", "/pulls/{number}", "pull-requests", "write")
def change_pull(hub: "LocalGitHub", repository: "Repository", request: Request, number: str) -> Response:
    """The pull request with another title, body or state."""
    content = request.body.read()
    answer = pass_on(hub, request, request.path.removeprefix("/api/v3"), content)
    if answer.status != 200:
        return answer
    pull = repository.pulls[int(number)]
    pull.state = json.loads(content).get("state", pull.state)
    return Response.of(describe(hub, pull))


@route("GET", "/commits/{sha}/pulls", "pull-requests", "read")
def list_pulls_of_commit(hub: "LocalGitHub", repository: "Repository", request: Request, sha: str) -> Response:
    """The pull requests that a commit belongs to.

    A commit that only a fork has belongs to none in the base repository, and to its pull request in the fork.
    """
    pulls = [pull for repo in hub.repositories.values() for pull in repo.pulls.values()]
    pulls = [pull for pull in pulls if pull.head is repository or (pull.base is repository and pull.merge_commit)]
    found = [pull for pull in pulls if sha == pull.merge_commit or sha in pull.commits()]
    return paginate(hub, request, [describe(hub, pull) for pull in found])
