"""Tags as GTO makes them; those that move versions between roles are pushed together: all of a move or nothing."""

import os
import re
import time
from dataclasses import dataclass

from ..core.errors import UserError
from ..core.git import git, run
from ..core.github import BOT
from .keep import refusal
from .versions import list_versions, next_tag, read_tags, tags_to_itself

PATIENCE = 30  # seconds by which clocks may differ


@dataclass(frozen=True)
class RoleChange:
    """One tag to be: a version gets a role, or loses it."""

    version: str
    role: str
    gets: bool
    message: str


def push_changes(changes: list[RoleChange]) -> bool:
    """Tag the changes and push them together; return False, with nothing changed, where somebody else came first.

    Raises:
        UserError: origin refuses the tags for another reason, or this clock is wrong.
    """
    with tags_to_itself():
        await_clock()
        names = [make_tag(change) for change in changes]
        refs = [f"refs/tags/{name}" for name in names]
        # Without the hook that sends the data first: no commit is pushed that origin lacks.
        pushed = run("push", "--atomic", "--no-verify", "origin", *refs)
        if pushed.returncode == 0:
            return True
        git("tag", "--delete", *names)
    if git("ls-remote", "origin", *refs):
        return False
    raise refusal(", ".join(names), pushed.stderr)


def make_tag(change: RoleChange) -> str:
    """Return the name of the tag that was made, here only, for a change.

    Raises:
        UserError: there is no such version.
    """
    commit = next((version.commit for version in list_versions() if version.name == change.version), None)
    if commit is None:
        raise UserError(f"{change.version} is no version any more: see `mlops roles`, then run this again.")
    name = next_tag(change.role, change.gets)
    annotate(name, commit, change.message, tagger())
    return name


def annotate(name: str, commit: str, message: str, author: tuple[str, str]) -> None:
    """Make an annotated tag, here only.

    Raises:
        UserError: there is a tag of that name.
    """
    identity = dict(zip(("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"), author, strict=True))
    options = ("--annotate", "--no-sign", "--cleanup=whitespace", "--file=-")
    git("tag", *options, name, commit, input=message, env=identity)


def tagger() -> tuple[str, str]:
    """Return the name and address of who moves a version: git's, or in a workflow, who started it by hand, or the bot.

    Raises:
        UserError: git has not been told who its user is.
    """
    if os.environ.get("GITHUB_ACTIONS") == "true":
        actor = os.environ.get("GITHUB_ACTOR")
        by_hand = os.environ.get("GITHUB_EVENT_NAME") == "workflow_dispatch"
        return (actor, f"{actor}@users.noreply.github.com") if by_hand and actor else BOT
    identity = re.fullmatch(r"(.+) <(.*)> \d+ \S+", git("var", "GIT_COMMITTER_IDENT"))
    if identity is None:
        raise UserError("git does not know who you are: `git config --global user.name NAME`, and user.email.")
    return identity[1], identity[2]


def await_clock() -> None:
    """Return once this clock is past the newest role tag, as GTO orders tags by their seconds.

    Raises:
        UserError: the clock is far behind.
    """
    newest = max((tag for tag in read_tags() if tag.role), key=lambda tag: tag.time, default=None)
    if newest is None:
        return
    wait = newest.time.timestamp() + 1 - time.time()
    if wait > PATIENCE:
        raise UserError(
            f"By this clock {newest.name} was made {wait:.0f} seconds from now, and a tag of now would not count after "
            "it: set the clock right or, where that tag's time is wrong, delete it on origin."
        )
    time.sleep(max(0.0, wait))
