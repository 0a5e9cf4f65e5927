"""Which function answers which call, and what a token must be allowed for it."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..front import Request, Response
from ..permissions import BOT, allows, level

if TYPE_CHECKING:
    from ..github import LocalGitHub
    from ..repository import Repository

Handler = Callable[..., Response]
ROUTES: list[tuple[str, re.Pattern[str], tuple[str, ...], str, Handler]] = []


def route(method: str, pattern: str, scope: str | tuple[str, ...], needs: str) -> Callable[[Handler], Handler]:
    """Answer a call below /repos/OWNER/NAME for tokens that may read or write one of the scopes."""
    expression = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", re.sub(r"\{(\w+):path\}", r"(?P<\1>.+)", pattern))
    scopes = (scope,) if isinstance(scope, str) else scope

    def add(handler: Handler) -> Handler:
        ROUTES.append((method, re.compile(expression), scopes, needs, handler))
        ROUTES.sort(key=lambda one: ".+" in one[1].pattern)
        return handler

    return add


def answer_call(hub: "LocalGitHub", request: Request, path: str) -> Response:
    """The answer to a call of the REST API, its path without /api/v3."""
    token = hub.tokens.get(request.token) if request.token else None
    if request.token and token is None:
        return Response.error(401, "Bad credentials")
    found = re.fullmatch(r"/repos/([^/]+/[^/]+)(/.*)?", path)
    if not found:
        if token is not None and token.repository and path == "/user":
            return Response.error(403, "Resource not accessible by integration")
        return pass_on(hub, request, path)
    repository = hub.repositories.get(found[1])
    if repository is None or (repository.private and level(token, found[1], True, "metadata") == 0):
        return Response.error(404, "Not Found")
    rest = found[2] or ""
    for method, pattern, scopes, needs, handler in ROUTES:
        match = pattern.fullmatch(rest)
        if match is None or method != request.method:
            continue
        if not allows(token, repository.name, repository.private, scopes, needs):
            if token is None:
                return Response.error(401, "Requires authentication")
            by = "integration" if token.repository else "personal access token"
            return Response.error(403, f"Resource not accessible by {by}")
        return handler(hub, repository, request, **match.groupdict())
    return Response.error(404, f"Not Found: this local GitHub has no {request.method} /repos/OWNER/NAME{rest}")


def pass_on(hub: "LocalGitHub", request: Request, path: str, body: bytes | None = None) -> Response:
    """emulate's answer to the request, its addresses put right."""
    _, _, query = request.target.partition("?")
    token = hub.tokens.get(request.token) if request.token else None
    login = None if token is None else BOT if token.repository else token.login
    content = request.body.read() if body is None else body
    kind = request.headers.get("Content-Type")
    status, headers, value = hub.emulate.send(
        request.method, f"{path}?{query}" if query else path, login, content, kind
    )
    if value is None:
        return Response(status)
    inside = f"http://127.0.0.1:{hub.emulate.port}/"
    links = {name: text.replace(inside, hub.address("/api/v3/")) for name, text in headers.items() if name == "Link"}
    return Response.of(correct_addresses(hub, value), status, links)


def correct_addresses(hub: "LocalGitHub", value: Any) -> Any:
    """The same JSON with the API's addresses where GitHub has them."""
    if isinstance(value, list):
        return [correct_addresses(hub, item) for item in value]
    if not isinstance(value, dict):
        return value
    corrected = {}
    for key, item in value.items():
        if key.endswith("url") and isinstance(item, str):
            item = re.sub(f"^{re.escape(hub.url)}(/(repos|users|orgs)/)", rf"{hub.address('/api/v3')}\1", item)
        corrected[key] = correct_addresses(hub, item)
    if corrected.get("login") == BOT:
        corrected["type"] = "Bot"
    return corrected


def paginate(hub: "LocalGitHub", request: Request, items: list[Any], key: str | None = None) -> Response:
    """One page of a list as GitHub cuts it, with its Link header."""
    size = min(int(request.query.get("per_page", 30)), 100)
    page = int(request.query.get("page", 1))
    last = max(1, -(-len(items) // size))
    links = [("next", page + 1), ("last", last)] if page < last else []
    links += [("first", 1), ("prev", page - 1)] if page > 1 else []
    others = "".join(f"&{name}={value}" for name, value in request.query.items() if name not in ("page", "per_page"))
    header = ", ".join(
        f'<{hub.address(request.path)}?per_page={size}&page={number}{others}>; rel="{name}"' for name, number in links
    )
    shown = items[(page - 1) * size : page * size]
    value = {"total_count": len(items), key: shown} if key else shown
    return Response.of(value, headers={"Link": header} if header else None)


def passing(method: str, pattern: str, scope: str | tuple[str, ...], needs: str) -> None:
    """Leave a call to emulate."""

    def handler(hub: "LocalGitHub", repository: "Repository", request: Request, **_: str) -> Response:
        return pass_on(hub, request, request.path.removeprefix("/api/v3"))

    route(method, pattern, scope, needs)(handler)
