"""Who may do what: the permissions of a token, as GitHub would judge them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

BOT = "github-actions[bot]"
LEVELS = {"none": 0, "read": 1, "write": 2}
SCOPES = (
    "actions", "attestations", "checks", "contents", "deployments", "discussions", "id-token", "issues",
    "packages", "pages", "pull-requests", "statuses",
)  # fmt: skip
READ_ALL = dict.fromkeys(SCOPES, "read")
WRITE_ALL = dict.fromkeys(SCOPES, "write")
# What a new repository's token may do where a workflow says nothing.
DEFAULT = {"contents": "read", "packages": "read"}


@dataclass(frozen=True)
class Token:
    """A user's token, or, with a repository, that of a workflow's run there."""

    value: str
    login: str
    repository: str | None = None
    permissions: Callable[[], Mapping[str, str]] = dict
    note: Callable[[str, str], None] = lambda scope, access: None


def read_permissions(block: object) -> dict[str, str]:
    """The permissions that a workflow's or a job's `permissions:` grants."""
    if block is None:
        return dict(DEFAULT)
    if block == "read-all":
        return dict(READ_ALL)
    if block == "write-all":
        return dict(WRITE_ALL)
    if isinstance(block, Mapping) and set(block) <= set(SCOPES) and set(block.values()) <= set(LEVELS):
        return {str(scope): str(level) for scope, level in block.items()}
    raise ValueError(f"permissions: {block!r} is nothing that GitHub knows.")


def read_only(permissions: Mapping[str, str]) -> dict[str, str]:
    """The same permissions for the run of a fork's pull request."""
    return {scope: "read" if level == "write" else level for scope, level in permissions.items()}


def level(token: Token | None, repository: str, private: bool, scope: str) -> int:
    """What a token may do with a repository's scope: 0 nothing, 1 read, 2 write.

    A workflow's token that lacks a scope is refused even what a public repository shows to everyone, so that
    a workflow which passes here passes in a private repository too.
    """
    public = 0 if private else 1
    if token is None:
        return public
    if token.repository is None:
        return 2 if token.login == repository.split("/")[0] else public
    if token.repository != repository:
        return public
    return 1 if scope == "metadata" else LEVELS[token.permissions().get(scope, "none")]


def allows(token: Token | None, repository: str, private: bool, scopes: Iterable[str], access: str) -> bool:
    """Whether a token may read or write one of the scopes, which is noted as used where the token is a workflow's."""
    for scope in scopes:
        if level(token, repository, private, scope) >= LEVELS[access]:
            if token is not None and token.repository == repository:
                token.note(scope, access)
            return True
    return False
