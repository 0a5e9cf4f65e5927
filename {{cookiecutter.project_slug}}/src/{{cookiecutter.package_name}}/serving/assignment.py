"""Which version holds a stage, and since when."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from ..git import git
from ..versions import MODEL, list_versions

Stage = Literal["canary", "shadow"]


@dataclass(frozen=True)
class Assignment:
    """A version at a stage beside the champion: the tag that put it there, and when."""

    stage: Stage
    version: str
    tag: str
    since: datetime


def find_assignment(stage: Stage) -> Assignment | None:
    """Return what a stage was given to, None where no version holds it."""
    for version in list_versions(stage):
        newest = git(
            "for-each-ref",
            "--sort=-creatordate",
            "--sort=-version:refname",
            f"--points-at={version.commit}",
            "--format=%(creatordate:unix) %(refname:strip=2)",
            f"refs/tags/{MODEL}#{stage}#*",
        ).partition("\n")[0]
        if newest:
            seconds, tag = newest.split(" ", 1)
            return Assignment(stage, version.name, tag, datetime.fromtimestamp(int(seconds), UTC))
    return None
