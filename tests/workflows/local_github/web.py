"""What GitHub serves beside git and its API: releases' files and raw files, which another host of its own has."""

import re
import secrets
from typing import TYPE_CHECKING
from urllib.parse import quote

from . import api
from .front import Request, Response
from .permissions import allows

if TYPE_CHECKING:
    from .github import LocalGitHub


def answer_page(hub: "LocalGitHub", request: Request) -> Response:
    """The way to a file, or from where it is the file itself."""
    for pattern, answer in ANSWERS.items():
        found = re.fullmatch(pattern, request.path)
        if found:
            return answer(hub, request, *found.groups())
    return Response.error(404, "Not Found")


def _send_on_to_asset(hub: "LocalGitHub", request: Request, name: str, tag: str, asset: str) -> Response:
    """The way to a file of a release; a private repository's is had from the API alone."""
    repository = hub.repositories.get(name)
    if repository is None or repository.private:
        return Response.error(404, "Not Found")
    return api.releases.download(hub, repository, tag, asset)


def _may_read(hub: "LocalGitHub", request: Request, name: str) -> bool:
    repository = hub.repositories.get(name)
    token = hub.tokens.get(request.token) if request.token else None
    return repository is not None and allows(token, name, repository.private, ["contents"], "read")


def _send_on_to_raw(hub: "LocalGitHub", request: Request, name: str, commit: str, path: str) -> Response:
    """The way to a file at a commit. A person's browser sends a cookie; here their token stands for it."""
    if not _may_read(hub, request, name):
        return Response.error(404, "Not Found")
    address = f"/raw/{name}/{commit}/{quote(path)}"
    if hub.repositories[name].private:
        address += f"?token={secrets.token_hex(16)}"
        hub.opened.add(address)
    return Response(302, headers={"Location": hub.address(address)})


def _answer_raw(hub: "LocalGitHub", request: Request, name: str, commit: str, path: str) -> Response:
    if request.target not in hub.opened and not _may_read(hub, request, name):
        return Response.error(404, "Not Found")
    return api.git.read_raw(hub.repositories[name], commit, path)


ANSWERS = {
    "/([^/]+/[^/]+)/releases/download/(.+)/([^/]+)": _send_on_to_asset,
    "/storage/[a-z]+/[0-9a-f]{32}": api.storage.answer_stored,
    "/([^/]+/[^/]+)/raw/([0-9a-f]{40})/(.+)": _send_on_to_raw,
    "/raw/([^/]+/[^/]+)/([0-9a-f]{40})/(.+)": _answer_raw,
}
