"""Tags are written and read by git alone, and mean what GTO takes them for, but those made by hand."""

import datetime as dt
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clones import git, lock_bundle
from gto.api import show
from mlops_actions.core.errors import UserError
from mlops_actions.core.github import BOT
from mlops_actions.registry.numbering import next_version
from mlops_actions.registry.publish import tag_version
from mlops_actions.registry.tags import annotate
from mlops_actions.registry.versions import (
    Version,
    current_roles,
    describe_ignored,
    list_assignments,
    list_versions,
    next_tag,
)

Tag = Callable[..., None]


def day(seconds: int) -> str:
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d}"


@pytest.fixture
def tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tag:
    """`tag(name, commit)`: tag a commit, three of which there are, each a second after the one before.

    Where no message is given it is as `mlops version` does it, or as a role's command.
    """
    monkeypatch.chdir(tmp_path)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    git("init", "--quiet")
    seconds = iter(range(1_700_000_000, 1_800_000_000))
    commits = []
    for letter in "abc":
        lock_bundle(tmp_path, letter * 32)
        git("add", "dvc.lock")
        git("commit", "--quiet", "--message", "Begin", GIT_COMMITTER_DATE=f"{next(seconds)} +0000")
        commits.append(git("rev-parse", "HEAD"))

    def make(name: str, commit: int, message: str = "", *options: str, **variables: str) -> None:
        variables = {"GIT_COMMITTER_DATE": f"{next(seconds)} +0200"} | variables
        if "@" in name and not message and not options:
            monkeypatch.setenv("GIT_COMMITTER_DATE", variables["GIT_COMMITTER_DATE"])
            return tag_version(Version(name.partition("@")[2], commits[commit]), "why")
        git("tag", *(options or ("--annotate", f"--message={message or 'why'}")), name, commits[commit], **variables)

    return make


def by_gto() -> tuple[list[Version], dict[str, list[str]]]:
    """The versions, and the versions of each role, as GTO sees them."""
    entries = [entry for entry in show(".", "model", versions_per_stage=-1) if not entry["discovered"]]
    held: dict[str, list[str]] = {}
    for entry in entries:
        for stage in entry["stages"]:
            held.setdefault(stage["stage"], []).extend(entry["version"] for _ in stage["assignments"])
    return [Version(entry["version"], entry["commit_hexsha"]) for entry in entries], held


def by_git() -> tuple[list[Version], dict[str, list[str]]]:
    """The same, as this engine sees them."""
    held: dict[str, list[str]] = {}
    for one in list_assignments():
        held.setdefault(one.role, []).append(one.version)
    return list_versions(), held


def in_any_order(held: dict[str, list[str]]) -> dict[str, list[str]]:
    return {role: sorted(versions) for role, versions in held.items()}


def test_what_the_tags_say_is_what_gto_says_of_them(tag: Tag) -> None:
    tag("model@v1.9.0", 0)
    tag("model@v1.10.0", 1)
    tag("model@v2.0.0", 2)
    tag("model@v3.0.0", 2, "", "--no-sign")  # lightweight
    tag("model@v01.0.0", 0, "by hand")
    tag("model@newest", 0, "by hand")
    tag("other@v1.0.0", 0, "by hand")
    tag("model#prod#1", 0)
    tag("model#canary#2", 1)
    tag("model#canary#3", 1)
    tag("model#prod", 1)
    tag("model#canary!#4", 1)
    tag("model#shadow#10", 2)
    tag("model#shadow!#11", 2)
    tag("model#shadow#12", 2)
    ours, theirs = by_git(), by_gto()
    assert ours[0] == theirs[0] and [str(version) for version in ours[0]] == ["v2.0.0", "v1.10.0", "v1.9.0"]
    assert in_any_order(ours[1]) == in_any_order(theirs[1])
    assert ours[1] == {"prod": ["v1.9.0", "v1.10.0"], "shadow": ["v2.0.0", "v2.0.0"]}
    assert {role: one.tag for role, one in current_roles().items()} == {
        "prod": "model#prod",
        "shadow": "model#shadow#12",
    }
    assert next_tag("prod", True) == "model#prod#13" and next_tag("prod", False) == "model#prod!#13"

    tag("model@v1.10.0!", 1, "withdrawn")
    assert by_git()[0] == by_gto()[0] and [str(version) for version in list_versions()] == ["v2.0.0", "v1.9.0"]
    assert by_git()[1]["prod"] == by_gto()[1]["prod"] == ["v1.9.0"]


TOMORROW = int(time.time()) + 7 * 86_400
MADE = "for `mlops version` did not make it"
NAME = "for that is no name of a version or a role"
LIGHT = "for it is lightweight: nobody signs and no day is in it"
# The tag, its message, how it is made, and why it is nothing.
BY_HAND = {
    "lightweight": ("model@v8.0.0", "", "--no-sign", LIGHT),
    "annotated": ("model@v8.0.0", "a big one", "", MADE),
    "with the words of a version": ("model@v8.0.0", "model v8.0.0: new data, the same recipe", "", MADE),
    "a release candidate": ("model@v2.0.0-rc1", "try it", "", NAME),
    "a number without end": (f"model@v{'9' * 20}.0.0", "huge", "", NAME),
    "of GTO": ("model@v8.0.0#3", "Registering artifact model version v8.0.0", "", MADE),
    "a role of what is no version": ("model#prod#9", "a champion", "of a commit between", "for no version is there"),
    "a role without a reason": ("model#prod#9", "", "--no-sign", LIGHT),
    "a role whose number has no end": (f"model#prod#{'9' * 30}", "huge", "", NAME),
    "a role of a day to come": ("model#prod#9", "too early", "later", f"for its day, {day(TOMORROW)}, has not come"),
    "a version of a day to come": ("model@v8.0.0", "early", "later", f"for its day, {day(TOMORROW)}, has not come"),
}


@pytest.mark.parametrize(("name", "message", "how", "why"), BY_HAND.values(), ids=BY_HAND)
def test_what_somebody_tagged_by_hand_is_named_and_is_nothing(
    tag: Tag, name: str, message: str, how: str, why: str
) -> None:
    tag("model@v1.0.0", 0)
    tag("model@v1.1.0", 2)
    before = current_roles(), list_versions()
    dated = {"GIT_COMMITTER_DATE": f"{TOMORROW} +0000"} if how == "later" else {}
    options = [how] if how.startswith("-") else []
    tag(name, 1 if how == "of a commit between" else 2, message, *options, **dated)
    assert (current_roles(), list_versions()) == before and list_assignments() == []
    assert next_tag("prod", True) in ("model#prod#1", "model#prod#4", "model#prod#10")
    assert describe_ignored() == f"{name}: ignored, {why}."


def test_a_role_is_given_after_one_of_a_day_to_come(tag: Tag) -> None:
    tag("model@v1.0.0", 0)
    tag("model@v1.1.0", 2)
    tag("model#prod#1", 2, GIT_COMMITTER_DATE=f"{TOMORROW} +0000")
    annotate(next_tag("prod", True), git("rev-parse", "model@v1.0.0^{}"), "why", BOT)
    assert current_roles()["prod"].tag == "model#prod#2" and current_roles()["prod"].version == "v1.0.0"


def test_git_is_not_asked_for_each_number_that_is_taken(tag: Tag, monkeypatch: pytest.MonkeyPatch) -> None:
    tag("model@v1.0.0", 0)
    commit = git("rev-parse", "HEAD")
    for number in range(1, 60):
        git("update-ref", f"refs/tags/model@v1.0.{number}", commit)
        git("update-ref", f"refs/tags/model@v1.{number}.0", commit)
    started: list[object] = []
    real = subprocess.Popen.__init__

    def count(self: Any, *args: Any, **options: Any) -> None:
        started.append(args)
        real(self, *args, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", count)
    bump = next_version(list_versions()[0], commit)
    assert len(bump.passed) == 59 and bump.version.name in ("v1.0.60", "v1.60.0")
    assert len(started) < 30


def test_what_imitates_a_version_in_part_is_none(tag: Tag) -> None:
    bot = dict(zip(("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"), BOT, strict=True))
    tag("model@v1.0.0", 0, "model v1.0.0: by an earlier engine, which gave no digest", **bot)
    tag("model@v2.0.0", 0, f"model v2.0.0: why\n\nBundle: md5 {'b' * 32}", **bot)  # another commit's
    tag("model@v3.0.0", 0, "model v2.9.0: why", **bot)
    tag("model@v4.0.0", 0, "model v4.0.0: why", GIT_COMMITTER_DATE=f"@{10**17} +0000", **bot)  # of a year without end
    git("tag", "model@v5.0.0", "model@v1.0.0")  # the other tag's object
    git("tag", "--annotate", "--message=model v6.0.0: why", "model@v6.0.0", git("rev-parse", "HEAD:dvc.lock"), **bot)
    git("tag", "--annotate", "--message=model v8.0.0: why", "model@v8.0.0", git("rev-parse", "HEAD^{tree}"), **bot)
    git("rm", "--quiet", "dvc.lock")
    git("commit", "--quiet", "--message", "Nothing was trained")
    git("tag", "--annotate", "--message=model v7.0.0: why", "model@v7.0.0", **bot)
    Path("dvc.lock").write_text("stages: {}\n")
    git("add", "dvc.lock")
    git("commit", "--quiet", "--message", "Nothing but data was recorded")
    git("tag", "--annotate", "--message=model v7.1.0: why", "model@v7.1.0", **bot)
    assert [str(version) for version in list_versions()] == ["v1.0.0"]
    with pytest.raises(UserError, match=r"^[0-9a-f]{10} records no models/bundle\.zip, so it is no version"):
        tag_version(Version("v9.0.0", git("rev-parse", "HEAD")), "why")


def test_many_tags_by_hand_are_named_in_one_line(tag: Tag) -> None:
    for number in range(12):
        tag(f"model@v0.0.{number}-rc", 0, "by hand")
    tag("model@v9.0.0", 0, "by hand")
    assert describe_ignored() == (
        f"model@v0.0.0-rc, model@v0.0.1-rc, model@v0.0.10-rc and 9 more: ignored, {NAME}; "
        f"model@v9.0.0: ignored, {MADE}; `mlops roles --ignored` lists all."
    )


def test_a_role_gets_a_number_that_no_tag_has(tag: Tag) -> None:
    tag("model@v1.0.0", 0)
    for number in (1, 3, 10**9 - 1, 10**9, 10**18 - 1):
        tag(f"model#prod#{number}", 0)
    tag(f"model#prod#{10**9 + 1}/below", 0)  # git makes no tag where it has a folder
    assert next_tag("prod", True) == f"model#prod#{10**9 + 2}"
    annotate(f"model#prod#{10**9 + 2}", "HEAD", "why", BOT)
    assert next_tag("prod", True) == f"model#prod#{10**9 + 3}"


def test_a_version_is_tagged_as_gto_tags_it(tag: Tag) -> None:
    reason = "the contract changed: 100 % better,\n\n# " + "a" * 200_000
    tag_version(Version("v1.0.0", git("rev-parse", "HEAD")), reason)
    (entry,) = show(".", "model")
    assert (entry["author"], entry["author_email"]) == BOT
    said = f"model v1.0.0: {' '.join(reason.split())}"
    assert entry["message"] == f"{said}\n\nBundle: md5 {'c' * 32}"
    assert git("cat-file", "-t", "model@v1.0.0") == "tag"
    assert current_roles()["prod"].reason == said


def test_a_tag_is_made_as_gto_makes_it(tag: Tag) -> None:
    tag("model@v1.0.0", 2)
    message = "100 % better\n\n# not a comment"
    annotate("model#prod#1", "HEAD", message, ("Ada", "ada@example.org"))
    (entry,) = show(".", "model#prod")
    assert entry["version"] == "v1.0.0" and list_assignments()[0].reason == message


def test_what_cannot_be_read_in_a_tag_is_replaced(tag: Tag) -> None:
    tag("model@v1.0.0", 0)
    tag("model#prod#1", 0, "caf\udce9")
    (assignment,) = list_assignments()
    assert assignment.reason == "caf\N{REPLACEMENT CHARACTER}"
