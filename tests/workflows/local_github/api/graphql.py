"""The two GraphQL queries that `gh release` makes: a draft's number by its tag, and whether a tag exists."""

from typing import TYPE_CHECKING, Any

from ..front import Request, Response
from ..permissions import allows, level
from .releases import list_all

if TYPE_CHECKING:
    from ..github import LocalGitHub


def answer_query(hub: "LocalGitHub", request: Request) -> Response:
    """The answer to one of the two, an error to any other."""
    token = hub.tokens.get(request.token) if request.token else None
    if token is None:
        return Response.error(401, "Bad credentials")
    asked = request.json()
    values = asked.get("variables", {})
    repository = hub.repositories.get(f"{values.get('owner')}/{values.get('name')}")
    if repository is None or not allows(token, repository.name, repository.private, ["contents"], "read"):
        return Response.of({"data": {"repository": None}, "errors": [{"type": "NOT_FOUND", "message": "Not found"}]})
    found: dict[str, Any] | None = None
    if "release(tagName:" in asked["query"]:
        writes = level(token, repository.name, repository.private, "contents") == 2
        for release in list_all(hub, repository) if writes else []:
            if release["tag_name"] == values["tagName"]:
                found = {"release": {"databaseId": release["id"], "isDraft": release["draft"]}}
        return Response.of({"data": {"repository": found or {"release": None}}})
    if "ref(qualifiedName:" in asked["query"]:
        known = values["tagName"] in repository.bare.refs()
        return Response.of({"data": {"repository": {"ref": {"id": values["tagName"] if known else ""}}}})
    message = f"this local GitHub answers no such query: {asked['query']}"
    return Response.of({"errors": [{"type": "UNKNOWN", "message": message}]})
