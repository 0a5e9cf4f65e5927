"""Refs, commits and files, read from the bare repository."""

import base64
import re
from typing import TYPE_CHECKING, Any

from ..bare import NONE
from ..front import Request, Response
from .router import paginate, route

if TYPE_CHECKING:
    from ..github import LocalGitHub
    from ..repository import Repository


def _describe_ref(hub: "LocalGitHub", repository: "Repository", ref: str) -> dict[str, Any]:
    sha, kind = repository.bare.refs(ref)[ref]
    address = hub.address(f"/api/v3/repos/{repository.name}/git")
    return {"ref": ref, "url": f"{address}/{ref}", "object": {"sha": sha, "type": kind}}


def _describe_commit(hub: "LocalGitHub", repository: "Repository", sha: str) -> dict[str, Any]:
    fields = repository.bare.git("show", "-s", "--format=%T%n%P%n%an%n%ae%n%aI%n%B", sha).split("\n", 5)
    author = {"name": fields[2], "email": fields[3], "date": fields[4]}
    return {
        "sha": sha,
        "html_url": f"{hub.url}/{repository.name}/commit/{sha}",
        "commit": {"message": fields[5], "tree": {"sha": fields[0]}, "author": author, "committer": author},
        "parents": [{"sha": parent} for parent in fields[1].split()],
    }


def _describe_object(repository: "Repository", sha: str) -> dict[str, Any]:
    tree, parents, message = repository.bare.git("show", "-s", "--format=%T%n%P%n%B", sha).split("\n", 2)
    return {"sha": sha, "tree": {"sha": tree}, "parents": [{"sha": one} for one in parents.split()], "message": message}


def refuse_ref(
    hub: "LocalGitHub", repository: "Repository", request: Request, ref: str, new: str = NONE
) -> Response | None:
    """GitHub's refusal of a ref that is written or, without an object, deleted by REST; None where it allows that."""
    token = hub.tokens.get(request.token) if request.token else None
    refusal = repository.bare.refuse(token.login if token else "", ref, new)
    if not refusal:
        return None
    if "GH013" in refusal:
        return Response.error(422, refusal)
    return Response.error(403, "Resource not accessible by integration")


@route("GET", "/git/ref/{ref:path}", "contents", "read")
def get_ref(hub: "LocalGitHub", repository: "Repository", request: Request, ref: str) -> Response:
    """One ref, given without refs/."""
    if f"refs/{ref}" not in repository.bare.refs():
        return Response.error(404, "Not Found")
    return Response.of(_describe_ref(hub, repository, f"refs/{ref}"))


@route("GET", "/git/matching-refs/{ref:path}", "contents", "read")
def list_matching_refs(hub: "LocalGitHub", repository: "Repository", request: Request, ref: str) -> Response:
    """The refs that start with a prefix."""
    found = [_describe_ref(hub, repository, name) for name in repository.bare.refs(f"refs/{ref}")]
    return paginate(hub, request, found)


@route("POST", "/git/refs", "contents", "write")
def create_ref(hub: "LocalGitHub", repository: "Repository", request: Request) -> Response:
    """A new ref."""
    wanted = request.json()
    if not re.fullmatch(r"refs/[^/]+/.+", wanted["ref"]):
        return Response.error(422, "Reference name must start with 'refs' and have at least two slashes")
    if wanted["ref"] in repository.bare.refs():
        return Response.error(422, "Reference already exists")
    if repository.bare.resolve(wanted["sha"]) is None:
        return Response.error(422, "Object does not exist")
    if refusal := refuse_ref(hub, repository, request, wanted["ref"], wanted["sha"]):
        return refusal
    repository.bare.git("update-ref", wanted["ref"], wanted["sha"])
    repository.refresh_pulls()
    return Response.of(_describe_ref(hub, repository, wanted["ref"]), 201)


@route("PATCH", "/git/refs/{ref:path}", "contents", "write")
def update_ref(hub: "LocalGitHub", repository: "Repository", request: Request, ref: str) -> Response:
    """A ref that points elsewhere; where history would be lost, by force only."""
    wanted, ref = request.json(), f"refs/{ref}"
    before = repository.bare.refs().get(ref)
    if before is None:
        return Response.error(422, "Reference does not exist")
    if repository.bare.resolve(wanted["sha"]) is None:
        return Response.error(422, "Object does not exist")
    if not wanted.get("force") and not repository.bare.contains(wanted["sha"], before[0]):
        return Response.error(422, "Update is not a fast forward")
    if refusal := refuse_ref(hub, repository, request, ref, wanted["sha"]):
        return refusal
    repository.bare.git("update-ref", ref, wanted["sha"])
    repository.refresh_pulls()
    return Response.of(_describe_ref(hub, repository, ref))


@route("DELETE", "/git/refs/{ref:path}", "contents", "write")
def delete_ref(hub: "LocalGitHub", repository: "Repository", request: Request, ref: str) -> Response:
    """Nothing, and the ref is gone."""
    if f"refs/{ref}" not in repository.bare.refs():
        return Response.error(422, "Reference does not exist")
    if refusal := refuse_ref(hub, repository, request, f"refs/{ref}"):
        return refusal
    repository.bare.git("update-ref", "-d", f"refs/{ref}")
    return Response(204)


@route("POST", "/git/blobs", "contents", "write")
def create_blob(hub: "LocalGitHub", repository: "Repository", request: Request) -> Response:
    """A file's content."""
    wanted = request.json()
    binary = wanted.get("encoding") == "base64"
    content = base64.b64decode(wanted["content"]) if binary else wanted["content"].encode()
    return Response.of({"sha": repository.bare.write("hash-object", "-w", "--stdin", content=content)}, 201)


@route("POST", "/git/trees", "contents", "write")
def create_tree(hub: "LocalGitHub", repository: "Repository", request: Request) -> Response:
    """A directory of blobs and trees that are there."""
    entries = request.json()["tree"]
    lines = "".join("{mode} {type} {sha}\t{path}\n".format(**entry) for entry in entries)
    try:
        sha = repository.bare.write("mktree", content=lines.encode())
    except RuntimeError:
        return Response.error(422, "tree.sha is not a valid blob")
    return Response.of({"sha": sha, "tree": entries}, 201)


@route("POST", "/git/commits", "contents", "write")
def create_commit(hub: "LocalGitHub", repository: "Repository", request: Request) -> Response:
    """A commit of a tree, with the parents that are named."""
    wanted = request.json()
    parents = [word for parent in wanted.get("parents", []) for word in ("-p", parent)]
    author = wanted.get("author", {})
    sha = repository.bare.write(
        "commit-tree",
        *parents,
        "-m",
        wanted["message"],
        wanted["tree"],
        when=author.get("date"),
        author=author.get("name", "GitHub"),
    )
    return Response.of(_describe_object(repository, sha), 201)


@route("GET", "/git/commits/{sha}", "contents", "read")
def get_commit_object(hub: "LocalGitHub", repository: "Repository", request: Request, sha: str) -> Response:
    """A commit as git has it."""
    if repository.bare.resolve(sha) is None:
        return Response.error(404, "Not Found")
    return Response.of(_describe_object(repository, sha))


@route("GET", "/git/tags/{sha}", "contents", "read")
def get_tag(hub: "LocalGitHub", repository: "Repository", request: Request, sha: str) -> Response:
    """An annotated tag's object."""
    text = repository.bare.git("cat-file", "tag", sha)
    head, _, message = text.partition("\n\n")
    fields = dict(line.split(" ", 1) for line in head.splitlines())
    target = {"sha": fields["object"], "type": fields["type"]}
    return Response.of({"sha": sha, "tag": fields["tag"], "message": message, "object": target})


@route("GET", "/tags", "contents", "read")
def list_tags(hub: "LocalGitHub", repository: "Repository", request: Request) -> Response:
    """Every tag and its commit."""
    names = [ref.removeprefix("refs/tags/") for ref in repository.bare.refs("refs/tags/")]
    tags = [{"name": name, "commit": {"sha": repository.bare.resolve(f"refs/tags/{name}")}} for name in names]
    return paginate(hub, request, tags)


@route("GET", "/branches/{branch:path}", "contents", "read")
def get_branch(hub: "LocalGitHub", repository: "Repository", request: Request, branch: str) -> Response:
    """A branch and its commit."""
    sha = repository.bare.resolve(f"refs/heads/{branch}")
    if sha is None:
        return Response.error(404, "Branch not found")
    commit = _describe_commit(hub, repository, sha)
    return Response.of({"name": branch, "commit": commit, "protected": branch in repository.protected})


@route("GET", "/commits/{ref:path}", "contents", "read")
def get_commit(hub: "LocalGitHub", repository: "Repository", request: Request, ref: str) -> Response:
    """A commit, or its SHA alone where that is what the client accepts."""
    sha = repository.bare.resolve(ref)
    if sha is None:
        return Response.error(422, f"No commit found for SHA: {ref}")
    if request.headers.get("Accept") == "application/vnd.github.sha":
        return Response(200, sha.encode(), {"Content-Type": "application/vnd.github.sha"})
    return Response.of(_describe_commit(hub, repository, sha))


@route("GET", "/contents/{path:path}", "contents", "read")
def get_contents(hub: "LocalGitHub", repository: "Repository", request: Request, path: str) -> Response:
    """A file at a commit."""
    commit = repository.bare.resolve(request.query.get("ref", "main"))
    if commit is None or path not in repository.bare.files(commit, path):
        return Response.error(404, "Not Found")
    text = (repository.bare.read(commit, path) + "\n").encode()
    if "raw" in request.headers.get("Accept", ""):
        return Response(200, text)
    return Response.of({"path": path, "encoding": "base64", "content": base64.b64encode(text).decode()})


def read_raw(repository: "Repository", commit: str, path: str) -> Response:
    """The bytes behind a file's address at a commit, whether or not a branch has it."""
    content = repository.bare.read_bytes(commit, path)
    if content is None:
        return Response.error(404, "Not Found")
    kind = "image/png" if path.endswith(".png") else "text/plain; charset=utf-8"
    return Response(200, content, {"Content-Type": kind, "X-Content-Type-Options": "nosniff"})
