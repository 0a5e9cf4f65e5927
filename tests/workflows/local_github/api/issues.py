"""Issues and the comments of issues and pull requests."""

import json
from typing import TYPE_CHECKING

from ..front import Request, Response
from .router import pass_on, passing, route

if TYPE_CHECKING:
    from ..github import LocalGitHub
    from ..repository import Repository

LONGEST = 65_536
BOTH = ("issues", "pull-requests")

passing("GET", "", "metadata", "read")
passing("GET", "/issues", "issues", "read")
passing("GET", "/issues/{number}", BOTH, "read")
passing("PATCH", "/issues/{number}", BOTH, "write")
passing("GET", "/issues/{number}/comments", BOTH, "read")
passing("GET", "/issues/comments/{comment}", BOTH, "read")
passing("DELETE", "/issues/comments/{comment}", BOTH, "write")
passing("GET", "/labels", BOTH, "read")
passing("POST", "/labels", BOTH, "write")
passing("GET", "/issues/{number}/labels", BOTH, "read")
passing("POST", "/issues/{number}/labels", BOTH, "write")


@route("POST", "/issues", "issues", "write")
@route("POST", "/issues/{number}/comments", BOTH, "write")
@route("PATCH", "/issues/comments/{comment}", BOTH, "write")
def write_text(hub: "LocalGitHub", repository: "Repository", request: Request, **_: str) -> Response:
    """What was written, unless it is longer than GitHub takes."""
    content = request.body.read()
    if len(json.loads(content).get("body") or "") > LONGEST:
        return Response.error(422, f"Validation Failed: body is too long (maximum is {LONGEST} characters)")
    return pass_on(hub, request, request.path.removeprefix("/api/v3"), content)
