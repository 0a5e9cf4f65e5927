"""Releases: emulate's record of them, with the bytes of their assets and the tags of git."""

import hashlib
import json
from typing import TYPE_CHECKING, Any

from ..front import Request, Response
from ..permissions import level
from .git import refuse_ref
from .router import correct_addresses, paginate, pass_on, passing, route
from .storage import send_on

if TYPE_CHECKING:
    from ..github import LocalGitHub
    from ..repository import Repository

passing("GET", "/releases/{release}/assets", "contents", "read")
passing("POST", "/releases/generate-notes", "contents", "write")


def list_all(hub: "LocalGitHub", repository: "Repository") -> list[dict[str, Any]]:
    """Every release, drafts too, newest first."""
    path = f"/repos/{repository.name}/releases?per_page=100"
    with hub.lock:  # gh uploads several assets at once
        releases = hub.emulate.call("GET", path, repository.owner)
        return [describe(hub, repository, release) for release in sorted(releases, key=lambda one: -one["id"])]


def copy_all(source: "Repository", target: "Repository") -> None:
    """Give a repository the releases of another, with their assets."""
    hub, path = source.hub, f"/repos/{target.name}/releases"
    for release in reversed(list_all(hub, source)):
        kept = {key: release[key] for key in ("tag_name", "name", "body", "draft", "prerelease", "target_commitish")}
        made = hub.emulate.call("POST", path, target.owner, kept)
        for asset in release["assets"]:
            content, kind = hub.asset(asset["id"]).read_bytes(), asset["content_type"]
            upload = f"{path}/{made['id']}/assets?name={asset['name']}"
            _, _, answer = hub.emulate.send("POST", upload, target.owner, content, kind)
            hub.asset(answer["id"]).write_bytes(content)


def describe(hub: "LocalGitHub", repository: "Repository", release: dict[str, Any]) -> dict[str, Any]:
    """A release as GitHub shows it."""
    shown = correct_addresses(hub, release)
    page = f"{hub.url}/{repository.name}/releases"
    assets = hub.address(f"/api/uploads/repos/{repository.name}/releases/{shown['id']}/assets")
    shown["upload_url"] = f"{assets}{{?name,label}}"
    shown["immutable"] = not shown["draft"]
    for asset in shown["assets"]:
        file = hub.asset(asset["id"])
        asset["state"] = "uploaded" if file.exists() else "starter"
        asset["digest"] = f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}" if file.exists() else None
        asset["browser_download_url"] = f"{page}/download/{shown['tag_name']}/{asset['name']}"
    return shown


def _visible(hub: "LocalGitHub", repository: "Repository", request: Request) -> list[dict[str, Any]]:
    token = hub.tokens.get(request.token) if request.token else None
    writes = level(token, repository.name, repository.private, "contents") == 2
    return [release for release in list_all(hub, repository) if writes or not release["draft"]]


@route("GET", "/releases", "contents", "read")
def list_releases(hub: "LocalGitHub", repository: "Repository", request: Request) -> Response:
    """The releases; drafts only for who may write."""
    return paginate(hub, request, _visible(hub, repository, request))


@route("GET", "/releases/latest", "contents", "read")
def get_latest(hub: "LocalGitHub", repository: "Repository", request: Request) -> Response:
    """The newest published release."""
    found = [one for one in list_all(hub, repository) if not one["draft"] and not one["prerelease"]]
    return Response.of(found[0]) if found else Response.error(404, "Not Found")


@route("GET", "/releases/tags/{tag:path}", "contents", "read")
def get_release_of_tag(hub: "LocalGitHub", repository: "Repository", request: Request, tag: str) -> Response:
    """The published release of a tag; a draft is not found by its tag."""
    found = [one for one in list_all(hub, repository) if one["tag_name"] == tag and not one["draft"]]
    return Response.of(found[0]) if found else Response.error(404, "Not Found")


@route("GET", "/releases/{release}", "contents", "read")
def get_release(hub: "LocalGitHub", repository: "Repository", request: Request, release: str) -> Response:
    """One release by its number."""
    found = [one for one in _visible(hub, repository, request) if str(one["id"]) == release]
    return Response.of(found[0]) if found else Response.error(404, "Not Found")


@route("POST", "/releases", "contents", "write")
@route("PATCH", "/releases/{release}", "contents", "write")
def write_release(
    hub: "LocalGitHub", repository: "Repository", request: Request, release: str | None = None
) -> Response:
    """The release; its tag is made where publishing finds none.

    A workflow's token is refused a commit that it may not tag, also where it only names one.
    """
    content = request.body.read()
    wanted = json.loads(content)
    before = next((one for one in list_all(hub, repository) if str(one["id"]) == release), {"draft": True})
    tag = wanted.get("tag_name", before.get("tag_name"))
    publishes = not wanted.get("draft", before["draft"] if release else False)
    target = wanted.get("target_commitish") or before.get("target_commitish") or "main"
    makes = publishes and repository.bare.resolve(f"refs/tags/{tag}") is None
    if makes or wanted.get("target_commitish"):
        commit = repository.bare.resolve(target)
        if commit is None:
            return Response.error(422, "Validation Failed: target_commitish is invalid")
        if refusal := refuse_ref(hub, repository, request, f"refs/tags/{tag}", commit):
            return refusal
        if makes:
            repository.bare.git("update-ref", f"refs/tags/{tag}", commit)
    answer = pass_on(hub, request, request.path.removeprefix("/api/v3"), content)
    if answer.status >= 300:
        return answer
    return Response.of(describe(hub, repository, json.loads(answer.content)), answer.status)


@route("DELETE", "/releases/{release}", "contents", "write")
def delete_release(hub: "LocalGitHub", repository: "Repository", request: Request, release: str) -> Response:
    """Nothing, and the release is gone."""
    return pass_on(hub, request, request.path.removeprefix("/api/v3"))


@route("POST", "/releases/{release}/assets", "contents", "write")
def upload_asset(hub: "LocalGitHub", repository: "Repository", request: Request, release: str) -> Response:
    """The new asset, a `starter` where its bytes are cut off; a published release takes none, for it is immutable."""
    found = next((one for one in list_all(hub, repository) if str(one["id"]) == release), None)
    if found is None:
        return Response.error(404, "Not Found")
    if not found["draft"]:
        return Response.error(422, "Cannot upload assets to an immutable release.")
    if request.query.get("name") in [asset["name"] for asset in found["assets"]]:
        return Response.error(422, "Validation Failed: already_exists")
    content = request.body.read()
    with hub.lock:
        answer = pass_on(hub, request, request.path.removeprefix("/api/uploads"), content)
        if answer.status == 201 and len(content) == int(request.headers["Content-Length"]):
            hub.asset(json.loads(answer.content)["id"]).write_bytes(content)
    return answer


@route("GET", "/releases/assets/{asset}", "contents", "read")
def get_asset(hub: "LocalGitHub", repository: "Repository", request: Request, asset: str) -> Response:
    """The way to an asset's bytes where the client accepts them, else its description."""
    for release in _visible(hub, repository, request):
        for one in release["assets"]:
            if str(one["id"]) == asset:
                if request.headers.get("Accept") == "application/octet-stream":
                    return send_on(hub, "releases", hub.asset(one["id"]), one["content_type"])
                return Response.of(one)
    return Response.error(404, "Not Found")


@route("DELETE", "/releases/assets/{asset}", "contents", "write")
def delete_asset(hub: "LocalGitHub", repository: "Repository", request: Request, asset: str) -> Response:
    """Nothing, and the asset is gone; that of a published release stays."""
    for release in list_all(hub, repository):
        if not release["draft"] and asset in [str(one["id"]) for one in release["assets"]]:
            return Response.error(422, "Cannot delete assets of an immutable release.")
    return pass_on(hub, request, request.path.removeprefix("/api/v3"))


def download(hub: "LocalGitHub", repository: "Repository", tag: str, name: str) -> Response:
    """The way to the bytes behind an asset's public address."""
    for release in list_all(hub, repository):
        for asset in release["assets"]:
            if not release["draft"] and (release["tag_name"], asset["name"]) == (tag, name):
                return send_on(hub, "releases", hub.asset(asset["id"]), asset["content_type"])
    return Response.error(404, "Not Found")
