"""Tags are written and read by git alone, and mean what GTO takes them for."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from clones import git
from gto.api import show
from mlops_actions.registry.tags import annotate
from mlops_actions.registry.versions import Version, current_roles, list_assignments, list_versions, next_number

Tag = Callable[..., None]
BOT = ("bot", "bot@example.org")


@pytest.fixture
def tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tag:
    """`tag(name, commit)`: tag a commit, three of which there are, each a second after the one before."""
    monkeypatch.chdir(tmp_path)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    git("init", "--quiet")
    seconds = iter(range(1_700_000_000, 1_800_000_000))
    commits = []
    for _ in range(3):
        git("commit", "--quiet", "--allow-empty", "--message", "Begin", GIT_COMMITTER_DATE=f"{next(seconds)} +0000")
        commits.append(git("rev-parse", "HEAD"))

    def make(name: str, commit: int, message: str = "why", *options: str) -> None:
        when = f"{next(seconds)} +0200"
        options = options or ("--annotate", f"--message={message}")
        git("tag", *options, name, commits[commit], GIT_COMMITTER_DATE=when)

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
    tag("model@v01.0.0", 0)
    tag("model@newest", 0)
    tag("other@v1.0.0", 0)
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
    assert next_number() == 13

    tag("model@v1.10.0!", 1)
    assert by_git()[0] == by_gto()[0] and [str(version) for version in list_versions()] == ["v2.0.0", "v1.9.0"]
    assert by_git()[1]["prod"] == by_gto()[1]["prod"] == ["v1.9.0"]
    tag("model@v1.10.0#14", 1)
    assert by_git()[0] == by_gto()[0] and len(list_versions()) == 3


def test_a_tag_is_made_as_gto_makes_it(tag: Tag) -> None:
    message = "model v1.0.0: 100 % better\n\n# not a comment"
    annotate("model@v1.0.0", "HEAD", message, BOT)
    (entry,) = show(".", "model")
    assert (entry["author"], entry["author_email"]) == BOT and entry["message"] == message
    assert git("cat-file", "-t", "model@v1.0.0") == "tag"
    assert current_roles()["prod"].reason == message


def test_what_cannot_be_read_in_a_tag_is_replaced(tag: Tag) -> None:
    tag("model@v1.0.0", 0)
    tag("model#prod#1", 0, "caf\udce9")
    (assignment,) = list_assignments()
    assert assignment.reason == "caf\N{REPLACEMENT CHARACTER}"
