"""The model's versions: GTO's annotated tags `model@v1.2.3`, and the stages given to them, `model#prod#1`."""

import datetime as dt
import fcntl
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import UserError
from ..core.git import complaint, git, remote_url, run_briefly

MODEL = "model"
CHAMPION_STAGE = "prod"
CANARY_STAGE = "canary"
SHADOW_STAGE = "shadow"
STAGES = (CHAMPION_STAGE, CANARY_STAGE, SHADOW_STAGE)
TAGS = (f"refs/tags/{MODEL}@*", f"refs/tags/{MODEL}#*")
PATIENCE = 10  # seconds that origin has to tell its tags where they are wanted, not needed


@dataclass(frozen=True)
class Version:
    """One registered version: its name, as `v1.2.3`, and the commit that its tag points at."""

    name: str
    commit: str

    def __str__(self) -> str:
        """Return the name that people use."""
        return self.name

    @property
    def tag(self) -> str:
        """Return the git tag that registers it."""
        return f"{MODEL}@{self.name}"


@dataclass(frozen=True)
class Assignment:
    """A version at a stage: by which tag, since when, by whom and why.

    A canary has its share of the traffic, in percent; a champion that came back by a rollback, the version that left.
    Before the first promotion the newest version is the champion, by the tag that registers it.
    """

    stage: str
    version: str
    tag: str
    commit: str
    time: dt.datetime
    author: str
    reason: str
    share: float | None = None
    rolled_back: str | None = None

    @property
    def promoted(self) -> bool:
        """Return whether somebody gave it the stage."""
        return self.tag.startswith(f"{MODEL}#")


def fetch_tags() -> None:
    """Make the model's tags here those of origin; one that never got there, as after a kill, is dropped with a word.

    Raises:
        UserError: there is no origin, or it was not reached.
    """
    if remote_url() is None:
        raise UserError("there is no remote named origin, which keeps the versions: `git remote add origin URL` first.")
    with tags_to_itself():
        before = _tags()
        git("fetch", "--quiet", "--prune", "--no-tags", "origin", *(f"+{tags}:{tags}" for tags in TAGS))
        gone = sorted(before - _tags())
    if gone:
        print(f"{', '.join(gone)}: not on origin, and so dropped here.", file=sys.stderr)


def refresh_tags() -> bool:
    """Bring the model's tags that origin has; return whether what is here is then all that it has.

    Nothing goes: a version may be made before it is pushed. Before the first push there is no origin, which is fine;
    where it does not answer, one line says which champion that leaves. A fork may have no version: upstream has them.
    """
    complete = not is_shallow()
    if remote_url() is not None:
        complete = _bring_tags("origin")
    if remote_url("upstream") is not None and not git("tag", "--list", f"{MODEL}@*"):
        complete = _bring_tags("upstream")
    return complete


def _bring_tags(remote: str) -> bool:
    tags = (f"+{tags}:{tags}" for tags in TAGS)
    fetched = run_briefly("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", remote, *tags, seconds=PATIENCE)
    if fetched.returncode:
        champion = champion_version()
        left = f"by those of the last fetch the champion is {champion}" if champion else "none is here"
        print(f"The version tags of {remote} were not fetched ({complaint(fetched.stderr)}): {left}.", file=sys.stderr)
    return not fetched.returncode


def is_shallow() -> bool:
    """Return whether this clone lacks a part of the history, and with it tags."""
    return git("rev-parse", "--is-shallow-repository") == "true"


@contextmanager
def tags_to_itself() -> Iterator[None]:
    """Keep this clone's other processes, such as a server that follows the stages, from the model's tags meanwhile.

    Raises:
        UserError: the clone cannot be written.
    """
    lock = Path(git("rev-parse", "--git-common-dir")) / f"{MODEL}-tags.lock"
    try:
        file = lock.open("w")
    except OSError as error:
        raise UserError(f"{lock}: {error.strerror}; the model's tags are fetched into this clone.") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def list_versions() -> list[Version]:
    """Return the registered versions, the newest first."""
    return [Version(entry["version"], entry["commit_hexsha"]) for entry in _registered()]


def newest_version() -> Version | None:
    """Return the highest registered version, or None before the first."""
    return next(iter(list_versions()), None)


def champion_version() -> Version | None:
    """Return the version in production, else the newest, else None before the first."""
    champion = current_stages().get(CHAMPION_STAGE)
    return Version(champion.version, champion.commit) if champion else None


def list_assignments() -> list[Assignment]:
    """Return each assignment of a stage to a version that still has it by GTO's count, the oldest first."""
    return _assignments(_registered())


def current_stages() -> dict[str, Assignment]:
    """Return the champion (`prod`), the canary and the shadow there are, by their stage; {} before the first version.

    Who is champion is nothing else besides.
    """
    versions = _registered()
    before_any = [_assignment(CHAMPION_STAGE, newest["registrations"][-1]) for newest in versions[:1]]
    last = {one.stage: one for one in [*before_any, *_assignments(versions)]}
    return {
        stage: last[stage]
        for stage in STAGES
        if stage in last and (stage == CHAMPION_STAGE or last[stage].version != last[CHAMPION_STAGE].version)
    }


def _registered() -> list[dict[str, Any]]:
    """Return what GTO knows of each registered version, the newest first."""
    if "tag" not in git("for-each-ref", "--format=%(objecttype)", TAGS[0]).split():  # GTO reads annotated tags alone
        return []  # the usual answer of a young repository, without importing GTO
    from gto.api import show

    return [entry for entry in show(".", MODEL, versions_per_stage=-1) if not entry["discovered"]]


def _assignments(versions: list[dict[str, Any]]) -> list[Assignment]:
    stages = [stage for version in versions for stage in version["stages"]]
    made = [_assignment(stage["stage"], event) for stage in stages for event in stage["assignments"]]
    return sorted(made, key=lambda one: one.time)


def _assignment(stage: str, event: dict[str, Any]) -> Assignment:
    message = event["message"].strip()
    note = re.search(r"\n+(Share|Rolled back): (\S+)$", message)
    kind, value = note.groups() if note else ("", "")
    return Assignment(
        stage=stage,
        version=event["version"],
        tag=event["tag"],
        commit=event["commit_hexsha"],
        time=event["created_at"].astimezone(dt.UTC),
        author=event["author"],
        reason=message[: note.start()] if note else message,
        share=_percent(value) if kind == "Share" else None,
        rolled_back=value if kind == "Rolled back" else None,
    )


def _percent(text: str) -> float | None:
    try:
        share = float(text)
    except ValueError:
        return None
    return share if 0 < share <= 100 else None


def _tags() -> set[str]:
    return set(git("for-each-ref", "--format=%(refname:lstrip=2)", *TAGS).split())
