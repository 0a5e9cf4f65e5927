"""The storage that has the bytes of releases' files and of artifacts: an address that opens one file, and no token."""

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from ..front import Request, Response

if TYPE_CHECKING:
    from ..github import LocalGitHub


def send_on(hub: "LocalGitHub", place: str, file: Path, kind: str) -> Response:
    """The way to a file in one of the storages, `releases` or `artifacts`."""
    address = f"/storage/{place}/{secrets.token_hex(16)}"
    hub.stored[address] = file, kind
    return Response(302, headers={"Location": hub.address(address)})


def answer_stored(hub: "LocalGitHub", request: Request) -> Response:
    """The file behind an address."""
    if request.path not in hub.stored:
        return Response.error(403, "AuthenticationFailed")
    file, kind = hub.stored[request.path]
    return Response(200, file.read_bytes(), {"Content-Type": kind})
