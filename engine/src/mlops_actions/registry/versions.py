"""The model's versions, annotated tags `model@v1.2.3`, and the roles given to them, `model#prod#1`.

The tags are named and counted as GTO does it; git alone reads and writes them, as the jobs that may push them install
no third party's package that they can do without.

A version is what `mlops version` made, so of the tags that look like one only these count: annotated by the bot, with
the version in the first line of the message, on a commit whose dvc.lock names a bundle, and with the digest that the
message gives of it, where it gives one. (Earlier engines gave none.) A role counts on such a version. Whatever else
somebody made by hand is named and ignored. Who imitates all of that is stopped by an attestation alone.
"""

import datetime as dt
import fcntl
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import UserError
from ..core.git import complaint, git, read_blobs, remote_url, run_briefly
from ..core.github import BOT
from ..core.paths import BUNDLE, LOCK

MODEL = "model"
CHAMPION_ROLE = "prod"
CANARY_ROLE = "canary"
SHADOW_ROLE = "shadow"
ROLES = (CHAMPION_ROLE, CANARY_ROLE, SHADOW_ROLE)
TAGS = (f"refs/tags/{MODEL}@*", f"refs/tags/{MODEL}#*")
PATIENCE = 10  # seconds that origin has to tell its tags where they are wanted, not needed

LONGEST = 100  # characters of a name that somebody gave, in a sentence about it
NAMED = 3  # ignored tags of one reason, in the sentence about them
MESSAGE = 2**20  # bytes of a tag with its message, which is read for each question about roles, by servers too
HUGE = 10**9  # a number that is not counted on from
AHEAD = dt.timedelta(days=1)  # no clock is so far behind: a later tag is a mistake, and would be the last for good

_NUMBER = r"(?:0|[1-9]\d{0,8})"
_NAME = re.compile(
    rf"{MODEL}(?:@(?P<version>v{_NUMBER}\.{_NUMBER}\.{_NUMBER})|#(?P<role>[a-zA-Z0-9](?:[\w/-]*[a-zA-Z0-9])?))"
    r"(?P<cancels>!?)(?:#(?P<number>\d{1,18}))?"
)
_DIGEST = re.compile(r"\n\nBundle: md5 ([0-9a-f]{32})$")
_FIELDS = ("refname:lstrip=2", "*objectname", "*objecttype", "taggerdate:unix", "taggername", "contents")


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
    """A version in a role: by which tag, since when, by whom and why.

    A canary has its share of the traffic, in percent; a champion that came back by a rollback, the version that left.
    Before the first promotion the newest version is the champion, by the tag that registers it.
    """

    role: str
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
        """Return whether somebody gave it the role."""
        return self.tag.startswith(f"{MODEL}#")


@dataclass(frozen=True)
class Tag:
    """An annotated tag that registers a version or gives a role, or that takes back what such a one did."""

    name: str
    commit: str
    time: dt.datetime
    author: str
    message: str
    version: str | None
    role: str | None
    cancels: bool


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
    _name_ignored()


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
    _name_ignored()
    return complete


def _bring_tags(remote: str) -> bool:
    tags = (f"+{tags}:{tags}" for tags in TAGS)
    fetched = run_briefly("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", remote, *tags, seconds=PATIENCE)
    if fetched.returncode:
        champion = champion_version()
        left = f"by those of the last fetch the champion is {champion}" if champion else "none is here"
        print(f"The version tags of {remote} were not fetched ({complaint(fetched.stderr)}): {left}.", file=sys.stderr)
    return not fetched.returncode


def ignored_tags() -> dict[str, str]:
    """Return the tags that look like a version or a role and are none, by name, each with why, as half a sentence."""
    return _divide_tags()[1]


def describe_ignored() -> str:
    """Return the sentence that names the tags which look like a version or a role and are none, or ""."""
    names: dict[str, list[str]] = {}
    for name, why in ignored_tags().items():
        names.setdefault(why, []).append(name)
    parts = (f"{_several(tags)}: ignored, {why}" for why, tags in names.items())
    more = any(len(tags) > NAMED for tags in names.values())
    return f"{'; '.join(parts)}{'; `mlops roles --ignored` lists all' if more else ''}." if names else ""


def why_no_version(name: str, otherwise: str) -> str:
    """Return why no version has the name that somebody gave, as a sentence without its end.

    Args:
        name: as `v1.2.3`, or the tag's.
        otherwise: what follows the name where no tag says more.
    """
    tags, ignored = _divide_tags()
    version = name.removeprefix(f"{MODEL}@")
    if why := ignored.get(f"{MODEL}@{version}"):
        return f"{MODEL}@{version} is ignored, {why}"
    if withdrawal := next((tag.name for tag in tags if tag.cancels and tag.version == version), None):
        return f"{version} was withdrawn by {withdrawal}"
    return f"{shown(name)} {otherwise}"


def shown(name: str) -> str:
    """Return a name that somebody gave as a sentence can hold it: of bounded length, and nothing in it unseen."""
    if re.fullmatch(rf"[!-~]{{1,{LONGEST}}}", name):
        return name
    return f"{name[:LONGEST]!r}{' and so on' if len(name) > LONGEST else ''}"


def _several(names: list[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _name_ignored() -> None:
    if sentence := describe_ignored():
        print(sentence, file=sys.stderr)


def is_shallow() -> bool:
    """Return whether this clone lacks a part of the history, and with it tags."""
    return git("rev-parse", "--is-shallow-repository") == "true"


@contextmanager
def tags_to_itself() -> Iterator[None]:
    """Keep this clone's other processes, such as a server that follows the roles, from the model's tags meanwhile.

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
    return _versions(read_tags())


def newest_version() -> Version | None:
    """Return the highest registered version, or None before the first."""
    return next(iter(list_versions()), None)


def champion_version() -> Version | None:
    """Return the version in production, else the newest, else None before the first."""
    champion = current_roles().get(CHAMPION_ROLE)
    return Version(champion.version, champion.commit) if champion else None


def list_assignments() -> list[Assignment]:
    """Return each assignment of a role to a version that still has it by GTO's count, the oldest first."""
    return _assignments(read_tags())


def current_roles() -> dict[str, Assignment]:
    """Return the champion (`prod`), the canary and the shadow there are, by their role; {} before the first version.

    Who is champion is nothing else besides.
    """
    tags = read_tags()
    newest = _versions(tags)[:1]
    before_any = [_assignment(CHAMPION_ROLE, version.name, _registration(version, tags)) for version in newest]
    last = {assignment.role: assignment for assignment in [*before_any, *_assignments(tags)]}
    return {
        role: last[role]
        for role in ROLES
        if role in last and (role == CHAMPION_ROLE or last[role].version != last[CHAMPION_ROLE].version)
    }


def read_tags() -> list[Tag]:
    """Return the model's tags that count, the oldest first; of two at once the one that takes back is the later."""
    return _divide_tags()[0]


def message_of(version: Version, reason: str, md5: str) -> str:
    """Return the message of the tag that registers a version, whose bundle has this MD5."""
    return f"{_opening(version.name)}{' '.join(reason.split())}\n\nBundle: md5 {md5}"


def taken_names() -> set[str]:
    """Return the names that no tag can be given, whoever took them: those of tags, and of the folders they are in."""
    names = (name.split("/") for name in git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/tags/").split())
    return {"/".join(parts[:depth]) for parts in names for depth in range(1, len(parts) + 1)}


def next_tag(role: str, gets: bool) -> str:
    """Return the name of the next tag that gives a role or takes it; no number that somebody made up is the last."""
    names = (_NAME.fullmatch(name) for name in _tags())
    numbers = (int(parsed["number"]) for parsed in names if parsed and parsed["number"])
    number = max((number for number in numbers if number < HUGE), default=0) + 1
    taken = taken_names()
    while (tag := f"{MODEL}#{role}{'' if gets else '!'}#{number}") in taken:
        number += 1
    return tag


def _divide_tags() -> tuple[list[Tag], dict[str, str]]:
    """Return the tags that count, the oldest first, and of each that does not the name and why, as half a sentence."""
    layout = "".join(f"%({field})%00" for field in _FIELDS)
    sizes = git("for-each-ref", "--format=%(refname) %(objectsize)", *TAGS).splitlines()
    short, long = list[str](), list[str]()
    for ref, size in (line.split(" ") for line in sizes):
        (short if int(size) <= MESSAGE else long).append(ref)
    asked = short if long else TAGS
    fields = git("for-each-ref", f"--format={layout}", *asked).split("\0") if asked else []
    rows = [fields[at : at + len(_FIELDS)] for at in range(0, len(fields) - len(_FIELDS) + 1, len(_FIELDS))]
    texts = [[*map(_text, row)] for row in rows]
    read = {row[0]: _tag(*row) for row in texts}
    tags = sorted((tag for tag in read.values() if isinstance(tag, Tag)), key=lambda tag: (tag.time, tag.cancels))
    claims = [tag for tag in tags if _has_words(tag)]
    locks = read_blobs([f"{tag.commit}:./{LOCK}" for tag in claims])
    made = {tag for tag, lock in zip(claims, locks, strict=True) if lock and _names_bundle(lock, tag)}
    versions, commits = {tag.version for tag in made}, {tag.commit for tag in made}
    counted = [
        tag
        for tag in tags
        if tag in made or (tag.cancels and tag.version in versions) or (tag.role and tag.commit in commits)
    ]
    names = {tag.name for tag in counted}
    ignored = {name: _why_ignored(tag) for name, tag in read.items() if name not in names}
    names_of_long = (_text(ref.removeprefix("refs/tags/")) for ref in long)
    return counted, ignored | dict.fromkeys(names_of_long, "for its message is longer than any of ours")


def _why_ignored(tag: Tag | str) -> str:
    if isinstance(tag, str):
        return tag
    return "for no version is there" if tag.role else "for `mlops version` did not make it"


def _has_words(tag: Tag) -> bool:
    """Return whether a tag has the name, the tagger and the message by which `mlops version` registers a version."""
    registers = tag.name == f"{MODEL}@{tag.version}"
    return registers and tag.author == BOT[0] and tag.message.startswith(_opening(str(tag.version)))


def _names_bundle(lock: bytes, tag: Tag) -> bool:
    """Return whether a dvc.lock names a bundle, and with the digest that a tag gives, where it gives one."""
    digest = _DIGEST.search(tag.message)
    return BUNDLE.encode() in lock and (digest is None or digest[1].encode() in lock)


def _opening(version: str) -> str:
    return f"{MODEL} {version}: "


def _text(field: str) -> str:
    """Return what git printed as text that can be printed, whatever somebody wrote into a tag."""
    return field.encode(errors="surrogateescape").decode(errors="replace").strip()


def _tag(name: str, commit: str, kind: str, time: str, author: str, message: str) -> Tag | str:
    """Return the tag, or why there is none that could count, as half a sentence."""
    parsed = _NAME.fullmatch(name)
    if parsed is None:
        return "for that is no name of a version or a role"
    if kind != "commit":
        return f"for it is on a {kind}" if kind else "for it is lightweight: nobody signs and no day is in it"
    try:
        when = dt.datetime.fromtimestamp(int(time or 0), dt.UTC)
    except (ValueError, OverflowError, OSError):
        return "for its day will never come"
    if when > dt.datetime.now(dt.UTC) + AHEAD:
        return f"for its day, {when:%Y-%m-%d}, has not come"
    return Tag(name, commit, when, author, message, parsed["version"], parsed["role"], bool(parsed["cancels"]))


def _versions(tags: list[Tag]) -> list[Version]:
    last = {tag.version: tag for tag in tags if tag.version}
    versions = [Version(name, tag.commit) for name, tag in last.items() if name and not tag.cancels]
    return sorted(versions, key=lambda version: [int(part) for part in version.name[1:].split(".")], reverse=True)


def _registration(version: Version, tags: list[Tag]) -> Tag:
    return [tag for tag in tags if tag.version == version.name][-1]


def _assignments(tags: list[Tag]) -> list[Assignment]:
    names = {version.commit: version.name for version in reversed(_versions(tags))}
    given = [(names[tag.commit], tag.role, tag) for tag in tags if tag.role and tag.commit in names]
    last = {(version, role): tag for version, role, tag in given}
    return [
        _assignment(role, version, tag)
        for version, role, tag in given
        if not tag.cancels and not last[version, role].cancels
    ]


def _assignment(role: str, version: str, tag: Tag) -> Assignment:
    message = _DIGEST.sub("", tag.message)
    note = re.search(r"\n+(Share|Rolled back): (\S+)$", message)
    kind, value = note.groups() if note else ("", "")
    return Assignment(
        role=role,
        version=version,
        tag=tag.name,
        commit=tag.commit,
        time=tag.time,
        author=tag.author,
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
