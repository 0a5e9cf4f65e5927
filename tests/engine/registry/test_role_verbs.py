"""Versions move between champion, canary and shadow: real git, real GTO, a bare origin, several clones."""

import itertools
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import mlops_actions
import pytest
from clones import VERSIONS, Desk, Said, git
from gto.api import deregister
from mlops_actions.core.errors import UserError
from mlops_actions.registry import versions
from mlops_actions.review.champion import find_champion

NOBODY = "No version is published yet"


@pytest.fixture
def hurried(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose moves are of the past, a minute apart: the next need not wait for the clock."""
    minutes = itertools.count(30)

    def run(path: Path, words: tuple[str, ...]) -> Said:
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"2026-01-01T00:{next(minutes)}:00Z")
        return desk.run(path, words)

    return Desk(desk.path, run)


def commit_of(desk: Desk, version: str) -> str:
    return desk.git("rev-parse", f"model@{version}^{{}}")


# The story


def test_a_version_goes_from_shadow_to_canary_to_champion_and_back(hurried: Desk, clone: Callable[[str], Desk]) -> None:
    assert hurried.roles() == {"prod": "v2.0.0"}, "the newest, before any promotion"
    hurried("promote", "v1.0.0", "--reason", "proved").expect(0, "v1.0.0 is champion now.")
    hurried("shadow", "start", "v1.1.0", "--reason", "look first").expect(0, "v1.1.0 is shadow now.")
    assert hurried.roles() == {"prod": "v1.0.0", "shadow": "v1.1.0"}
    hurried("canary", "start", "v1.1.0", "--share", "10", "--reason", "try").expect(0, "with 10% of the traffic now")
    assert hurried.roles() == {"prod": "v1.0.0", "canary": "v1.1.0"}, "a version has one part"
    assert hurried.message("model#canary#3") == "try\n\nShare: 10"
    hurried("promote", "--reason", "better by 2 %").expect(0, "v1.1.0 is champion now.")
    assert hurried.roles() == {"prod": "v1.1.0"}
    hurried("canary", "start", "--reason", "the next").expect(0, "v2.0.0 is canary with 10%")
    assert hurried.roles() == {"prod": "v1.1.0", "canary": "v2.0.0"}
    hurried("rollback", "--reason", "too slow").expect(0, "v1.0.0 is champion now.")
    assert hurried.roles() == {"prod": "v1.0.0", "canary": "v2.0.0"}, "and v1.1.0 is no canary again"
    hurried("canary", "stop", "--reason", "wait").expect(0, "There is no canary now.")
    assert hurried.roles() == {"prod": "v1.0.0"}

    numbers = [int(tag.rpartition("#")[2]) for tag in hurried.tags()]
    assert numbers == list(range(1, len(numbers) + 1)) and hurried.tags() == hurried.published()
    assert clone("bob").roles() == {"prod": "v1.0.0"}
    for tag, commit in ((tag, hurried.git("rev-parse", f"{tag}^{{}}")) for tag in hurried.tags()):
        assert hurried.git("cat-file", "-t", f"refs/tags/{tag}") == "tag", "annotated"
        assert commit in {commit_of(hurried, version) for version in VERSIONS}


def test_a_canary_that_took_the_place_of_another_leaves_nobody_there_when_it_stops(hurried: Desk) -> None:
    hurried("promote", "v1.0.0", "--reason", "first")
    for version in VERSIONS[1:]:
        hurried("canary", "start", version, "--reason", "try").expect(0)
    assert hurried.roles()["canary"] == "v2.0.0"
    hurried("canary", "stop", "--reason", "enough").expect(0)
    assert "canary" not in hurried.roles(), "nor by GTO's count is v1.1.0 back"


def test_the_table_and_the_json_say_who_when_and_why(desk: Desk) -> None:
    said = desk("roles").expect(0, "prod", "v2.0.0", "none was promoted yet", "bot")
    assert "canary" not in said.out
    desk("promote", "v1.0.0", "--reason", "  proved\n in May  ")
    desk("canary", "start", "--share", "2.5%", "--reason", "try")
    lines = desk("roles").expect(0).out.splitlines()
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert [line.split()[0] for line in lines] == ["role", "prod", "canary"]
    assert all(word in lines[1] for word in ("v1.0.0", today, "Ada", "proved in May"))
    assert all(word in lines[2] for word in ("v2.0.0", "2.5%", today, "Ada", "try"))
    canary = json.loads(desk("roles", "--json").out)["canary"]
    when = datetime.fromisoformat(canary.pop("time"))
    assert 0 <= (datetime.now(UTC) - when).total_seconds() < 60
    assert canary == {
        "role": "canary",
        "version": "v2.0.0",
        "tag": "model#canary#2",
        "commit": commit_of(desk, "v2.0.0"),
        "author": "Ada",
        "reason": "try",
        "share": 2.5,
        "rolled_back": None,
    }


@pytest.mark.parametrize(
    ("message", "share", "reason"),
    [
        ("try", None, "try"),
        ("try\n\nShare: 30", 30, "try"),
        ("try\n\nShare: 0", None, "try"),
        ("try\n\nShare: nan", None, "try"),
        ("try\n\nShare: all", None, "try"),
        ("Share: 30", None, "Share: 30"),
        ("Share: 30\n\nmore", None, "Share: 30\n\nmore"),
    ],
)
def test_a_share_is_read_from_the_last_line_alone(desk: Desk, message: str, share: float | None, reason: str) -> None:
    desk.tag("model#prod#1", "v1.0.0", "first", 1)
    desk.tag("model#canary#2", "v1.1.0", message, 2)
    canary = json.loads(desk("roles", "--json").out)["canary"]
    assert (canary["share"], canary["reason"]) == (share, reason)


def test_who_is_champion_is_no_canary_whoever_tagged_it(desk: Desk) -> None:
    desk.tag("model#prod#1", "v1.0.0", "first", 1)
    desk.tag("model#canary#2", "v1.0.0", "by hand\n\nShare: 5", 2)
    assert json.loads(desk("roles", "--json").out).keys() == {"prod"}
    desk.tag("model#staging#3", "v2.0.0", "a role that nobody serves", 3)
    assert json.loads(desk("roles", "--json").out).keys() == {"prod"}


# Rolling back

PASTS = {
    "the one before": ("v1.0.0 v1.1.0", "v1.0.0"),
    "the nearest": ("v1.0.0 v1.1.0 v2.0.0", "v1.1.0"),
    "one that came back": ("v1.0.0 v1.1.0 v1.0.0", "v1.1.0"),
    "twice in a row": ("v1.0.0 v1.1.0 v2.0.0 <v1.1.0", "v1.0.0"),
    "past one that was rolled back": ("v1.0.0 v1.1.0 <v1.0.0 v2.0.0", "v1.0.0"),
    "one that was rolled back and promoted again": ("v1.0.0 v1.1.0 v2.0.0 <v1.1.0 v2.0.0", "v1.1.0"),
    "one that was given prod twice": ("v1.0.0 v1.1.0 v1.1.0", "v1.0.0"),
}


@pytest.mark.parametrize(("past", "champion"), PASTS.values(), ids=PASTS)
def test_a_rollback_undoes_the_promotion(desk: Desk, past: str, champion: str) -> None:
    desk.champions(past)
    left = past.split()[-1].removeprefix("<")
    desk("rollback", "--reason", "errors").expect(0, f"{champion} is champion now.")
    assert desk.roles()["prod"] == champion
    assert desk.message(desk.tags()[-1]) == f"errors\n\nRolled back: {left}"


@pytest.mark.parametrize("past", ["", "v1.0.0", "v1.0.0 v1.1.0 <v1.0.0", "v1.0.0 v1.0.0"])
def test_where_there_is_nothing_to_return_to_a_rollback_says_so(desk: Desk, past: str) -> None:
    desk.champions(past)
    before = desk.tags()
    said = desk("rollback", "--reason", "errors").expect(1, "There is nothing to return to", "mlops promote VERSION")
    assert ("no version was promoted, and v2.0.0 is champion" in said.err) is (not past)
    assert desk.tags() == desk.published() == before


def test_a_rollback_that_is_run_again_does_not_go_further_back_but_another_one_does(desk: Desk) -> None:
    desk.champions("v1.0.0 v1.1.0 v2.0.0")
    desk("rollback", "--reason", "slow").expect(0, "v1.1.0 is champion now.")
    desk("rollback", "--reason", "slow").expect(0, "v1.1.0 is champion already, in place of v2.0.0")
    desk("rollback", "--reason", "wrong, too").expect(0, "v1.0.0 is champion now.")
    desk("rollback", "--reason", "and now?").expect(1, "There is nothing to return to")
    assert desk.published()[3:] == ["model#prod#4", "model#prod#5"]


def test_a_version_that_lost_its_registration_is_nobody_to_return_to(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.champions("v1.0.0 v1.1.0 v2.0.0")
    for role in ("AUTHOR", "COMMITTER"):  # of the machine's own configuration GTO would read the home directory's alone
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
    deregister(desk.path, "model", version="v1.1.0", message="withdrawn")
    desk.git("push", "--quiet", "origin", "refs/tags/model@v1.1.0!")
    desk("rollback", "--reason", "errors").expect(0, "v1.0.0 is champion now.")


# Said again, and refused


@pytest.mark.parametrize(
    "words",
    [
        ("promote", "v1.1.0"),
        ("canary", "start"),
        ("canary", "start", "v1.1.0", "--share", "33.333"),
        ("shadow", "start"),
        ("canary", "stop"),
        ("shadow", "stop"),
    ],
    ids=" ".join,
)
def test_what_is_so_already_is_said_and_leaves_no_tag(desk: Desk, words: tuple[str, ...]) -> None:
    desk.champions("v1.0.0")
    desk(*words, "--reason", "once").expect(0)
    before = desk.published()
    desk(*words, "--reason", "again").expect(0, " already.")
    assert desk.tags() == desk.published() == before


def test_promoting_the_canary_is_said_again_too(hurried: Desk) -> None:
    hurried.champions("v1.0.0")
    hurried("canary", "start", "--reason", "try")
    hurried("promote", "--reason", "better").expect(0, "v2.0.0 is champion now.")
    hurried("promote", "--reason", "better").expect(0, "v2.0.0 is champion already.")
    hurried("promote", "--reason", "another").expect(1, "There is no canary to promote")
    hurried("rollback", "--reason", "better").expect(0, "v1.0.0 is champion now.")
    hurried("promote", "--reason", "better").expect(1, "There is no canary to promote")


def test_another_share_is_another_assignment_of_the_same_version(desk: Desk) -> None:
    desk.champions("v1.0.0")
    for share in ("10", "50"):
        desk("canary", "start", "--share", share, "--reason", "more").expect(0, f"{share}% of the traffic now")
    assert desk.published() == ["model#prod#1", "model#canary#2", "model#canary#3"]
    assert desk.message("model#canary#3") == "more\n\nShare: 50"


WRONG = {
    "an unknown version": (("promote", "v9.9.9"), 1, "v9.9.9 is no version. There are v2.0.0, v1.1.0, v1.0.0."),
    "no canary": (("promote",), 1, "There is no canary to promote: name the version. There are v2.0.0"),
    "the champion as canary": (("canary", "start", "v1.0.0"), 1, "v1.0.0 is the champion: name another version."),
    "the champion as shadow": (("shadow", "start", "v1.0.0"), 1, "v1.0.0 is the champion: name another version."),
    "an unknown canary": (("canary", "start", "1.1"), 1, "1.1 is no version. There are v2.0.0"),
    "no share": (("canary", "start", "--share", "0"), 2, "'0' is no percentage above 0 and up to 100"),
    "too large a share": (("canary", "start", "--share", "101"), 2, "no percentage"),
    "no number": (("canary", "start", "--share", "nan"), 2, "no percentage"),
    "an option for a version": (("canary", "start", "--share=5", "--", "--share=100"), 1, "--share=100 is no version"),
}


@pytest.mark.parametrize(("words", "code", "sentence"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_refused_with_a_sentence(
    desk: Desk, words: tuple[str, ...], code: int, sentence: str
) -> None:
    desk.champions("v1.0.0")
    verb, *others = words
    at = 1 if verb in ("canary", "shadow") else 0
    desk(verb, *others[:at], "--reason", "why not", *others[at:]).expect(code, sentence)
    assert desk.tags() == desk.published() == ["model#prod#1"]


NO_VERSION = {
    "v01.2.3": "v01.2.3 is no version.",
    "V1.0.0": "V1.0.0 is no version.",
    "1.0.0": "1.0.0 is no version.",
    "v1.0.0 ": "'v1.0.0 ' is no version.",
    "v\N{FULLWIDTH DIGIT ONE}.0.0": "'v\N{FULLWIDTH DIGIT ONE}.0.0' is no version.",
    "v1.0.0\N{RIGHT-TO-LEFT OVERRIDE}": r"'v1.0.0\u202e' is no version.",
    "\x1b[2J": r"'\x1b[2J' is no version.",
    "--help": "--help is no version.",
    "v" * 10_000: f"'{'v' * 100}' and so on is no version.",
    "v8.0.0": "model@v8.0.0 is ignored, for `mlops version` did not make it.",
    "model@v8.0.0": "model@v8.0.0 is ignored, for `mlops version` did not make it.",
    "v1.1.0": "v1.1.0 was withdrawn by model@v1.1.0!.",
}


def test_a_name_that_is_no_version_gets_one_sentence_with_the_reason_and_those_there_are(desk: Desk) -> None:
    desk.champions("v1.0.0")
    for name in ("model@v8.0.0", "model@v1.1.0!"):
        desk.git("tag", "--annotate", "--message", "by hand", name, "model@v1.1.0^{}")
        desk.git("push", "--quiet", "origin", f"refs/tags/{name}")
    for name, sentence in NO_VERSION.items():
        for words in (("promote",), ("canary", "start"), ("shadow", "start")):
            said = desk(*words, "--reason", "x", "--", name)
            assert (said.code, said.out) == (1, "")
            assert said.err.splitlines()[-1].endswith(f"{sentence} There are v2.0.0, v1.0.0."), said.err
        if name != "model@v8.0.0":  # as a tag of git's it names a commit, which is compared with like any other
            with pytest.raises(UserError) as refusal:
                find_champion(name)
            expected = sentence.replace("is no version.", "is no version, branch or commit.")
            assert str(refusal.value) == f"{expected} There are v2.0.0, v1.0.0."
    assert desk.published() == ["model#prod#1"]


def test_every_ignored_tag_is_listed_with_its_reason(desk: Desk) -> None:
    desk("roles", "--ignored").expect(0, "No tag is ignored.")
    assert json.loads(desk("roles", "--ignored", "--json").out) == {}
    names = [f"model@v3.0.{number}-rc" for number in range(9)]
    for name in names:
        desk.git("tag", "--annotate", "--message", "by hand", name)
    desk.git("push", "--quiet", "origin", "refs/tags/model@v3*")
    why = "for that is no name of a version or a role"
    said = desk("roles").expect(0, f"model@v3.0.2-rc and 6 more: ignored, {why}; `mlops roles --ignored` lists all.")
    assert said.err.count("\n") == 1
    assert desk("roles", "--ignored").out.splitlines() == [f"{name}: ignored, {why}" for name in names]
    desk.git("remote", "set-url", "origin", "file:///nowhere/origin.git")
    said = desk("roles", "--ignored", "--json").expect(0, "These are the tags by the last fetch: ")
    assert json.loads(said.out) == dict.fromkeys(names, why)


@pytest.mark.parametrize("words", [("promote",), ("rollback",), ("canary", "start"), ("shadow", "stop")], ids=" ".join)
@pytest.mark.parametrize("reason", [(), ("--reason", " \n")], ids=["none", "blank"])
def test_no_reason_is_no_move(desk: Desk, words: tuple[str, ...], reason: tuple[str, ...]) -> None:
    desk(*words, *reason).expect(2, "--reason")
    assert desk.published() == []


def test_before_the_first_version_everything_says_so(tmp_path: Path, desk: Desk) -> None:
    git("init", "--quiet", "--bare", tmp_path / "empty.git", cwd=tmp_path)
    desk.git("remote", "set-url", "origin", str(tmp_path / "empty.git"))
    said = desk("roles").expect(0, f"{NOBODY}.")
    assert "model@v1.0.0, model@v1.1.0, model@v2.0.0: not on origin, and so dropped here." in said.err
    assert json.loads(desk("roles", "--json").out) == {}
    for words in (("promote",), ("promote", "v1.0.0"), ("rollback",), ("canary", "start"), ("shadow", "start")):
        desk(*words, "--reason", "x").expect(1, NOBODY)
    desk("canary", "auto", "--share", "10").expect(0, NOBODY)
    desk("canary", "stop", "--reason", "x").expect(0, "There is no canary already.")


def test_a_canary_needs_a_champion_that_somebody_promoted(desk: Desk) -> None:
    said = desk("canary", "start", "--reason", "try").expect(1, "No version was promoted yet, so v2.0.0, the")
    assert "`mlops promote VERSION`" in said.err


# For every new version


def test_every_new_version_begins_as_canary_once(hurried: Desk) -> None:
    hurried("canary", "auto", "--share", "10").expect(0, "No version was promoted yet", "mlops promote v2.0.0")
    assert hurried.published() == []
    hurried.champions("v1.0.0")
    hurried("canary", "auto", "--share", "10").expect(0, "v2.0.0 is canary with 10% of the traffic now.")
    assert hurried.message("model#canary#2") == "A new version\n\nShare: 10"
    for words in ((), ("canary", "stop", "--reason", "bad")):
        if words:
            hurried(*words).expect(0)
        hurried("canary", "auto", "--share", "10").expect(0, "v2.0.0, the newest version, has or had a role already")
    assert "canary" not in hurried.roles()


# Others at the same time, and the end of a process in the middle


def python(desk: Desk, *words: str, path: str = "", **variables: str) -> subprocess.Popen[str]:
    """`mlops` as a process of its own; `path` is searched for git first."""
    environment = os.environ | {"PATH": f"{path}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.Popen(
        [sys.executable, "-m", "mlops_actions", *words],
        cwd=desk.path,
        env=environment | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> Said:
    out, err = process.communicate(timeout=120)
    return Said(process.returncode, out, err)


@pytest.fixture
def before_push(tmp_path: Path) -> Callable[[str], str]:
    """`before_push("kill -9 $PPID")`: a folder with a git that does this once before it pushes."""

    def make(command: str) -> str:
        folder = tmp_path / "shim"
        folder.mkdir()
        (folder / "first").touch()
        (folder / "git").write_text(
            f'#!/bin/sh\nif [ "$1" = push ] && rm "{folder}/first" 2>/dev/null; then\n{command}\nfi\n'
            f'exec {shutil.which("git")} "$@"\n'
        )
        (folder / "git").chmod(0o755)
        return str(folder)

    return make


def elsewhere(desk: Desk, *words: str) -> str:
    """The shell command with which somebody at another desk runs mlops."""
    return (
        f"(cd {desk.path} && PATH={shlex.quote(os.environ['PATH'])} "
        f"{sys.executable} -m mlops_actions {shlex.join(words)}) >&2 || exit 1"
    )


def test_a_process_that_dies_between_tag_and_push_has_moved_nothing_and_is_made_good_by_the_next(
    desk: Desk, before_push: Callable[[str], str]
) -> None:
    desk.champions("v1.0.0")
    words = ("promote", "v1.1.0", "--reason", "better")
    killed = finish(python(desk, *words, path=before_push("kill -9 $PPID; exit 1")))
    assert killed.code == -9
    assert desk.tags() == ["model#prod#1", "model#prod#2"] and desk.published() == ["model#prod#1"]
    desk(*words).expect(0, "model#prod#2: not on origin, and so dropped here.", "v1.1.0 is champion now.")
    assert desk.tags() == desk.published() == ["model#prod#1", "model#prod#2"]


def test_what_a_dead_process_left_is_never_taken_for_the_champion(
    desk: Desk, before_push: Callable[[str], str]
) -> None:
    desk.champions("v1.0.0")
    shim = before_push("kill -9 $PPID; exit 1")
    finish(python(desk, "promote", "v1.1.0", "--reason", "better", path=shim))
    assert desk.roles() == {"prod": "v1.0.0"}


def test_a_process_that_dies_after_the_push_is_done(desk: Desk, before_push: Callable[[str], str]) -> None:
    desk.champions("v1.0.0 v1.1.0")
    words = ("rollback", "--reason", "errors")
    push = f'{shutil.which("git")} "$@"; kill -9 $PPID; exit 1'
    assert finish(python(desk, *words, path=before_push(push))).code == -9
    assert desk.published() == ["model#prod#1", "model#prod#2", "model#prod#3"]
    desk(*words).expect(0, "v1.0.0 is champion already, in place of v1.1.0")
    assert desk.roles() == {"prod": "v1.0.0"}


def test_of_two_who_promote_different_versions_the_second_is_told(
    desk: Desk, clone: Callable[[str], Desk], before_push: Callable[[str], str]
) -> None:
    desk.champions("v1.0.0")
    bob = clone("bob")
    shim = before_push(elsewhere(bob, "promote", "v1.1.0", "--reason", "bob's"))
    late = finish(python(desk, "promote", "v2.0.0", "--reason", "ada's", path=shim))
    late.expect(1, "Somebody else moved a version at the same time, and nothing was changed here")
    assert desk.tags() == desk.published() == ["model#prod#1", "model#prod#2"]
    assert desk.message("model#prod#2") == "bob's" and desk.roles() == {"prod": "v1.1.0"}


def test_two_rollbacks_at_once_go_back_once(
    desk: Desk, clone: Callable[[str], Desk], before_push: Callable[[str], str]
) -> None:
    desk.champions("v1.0.0 v1.1.0 v2.0.0")
    shim = before_push(elsewhere(clone("bob"), "rollback", "--reason", "bob's"))
    late = finish(python(desk, "rollback", "--reason", "ada's", path=shim))
    late.expect(0, "v1.1.0 is champion already.")
    assert desk.published()[3:] == ["model#prod#4"] and desk.roles() == {"prod": "v1.1.0"}


def test_a_promotion_and_the_end_of_its_canary_arrive_together_or_not_at_all(
    desk: Desk, clone: Callable[[str], Desk], before_push: Callable[[str], str]
) -> None:
    desk.champions("v1.0.0")
    desk("canary", "start", "v1.1.0", "--reason", "try")
    shim = before_push(elsewhere(clone("bob"), "promote", "v2.0.0", "--reason", "bob's"))
    late = finish(python(desk, "promote", "v1.1.0", "--reason", "ada's", path=shim))
    late.expect(1, "Somebody else moved a version")
    assert desk.published() == ["model#prod#1", "model#canary#2", "model#prod#3"]
    assert desk.roles() == {"prod": "v2.0.0", "canary": "v1.1.0"}, "the canary goes on"


def test_many_who_do_the_same_at_once_do_it_once(desk: Desk, clone: Callable[[str], Desk]) -> None:
    desk.champions("v1.0.0")
    desks = [clone(f"clone{number}") for number in range(4)]
    started = [python(one, "promote", "v1.1.0", "--reason", "all agree") for one in desks]
    with ThreadPoolExecutor() as pool:
        ends = list(pool.map(finish, started))
    for end in ends:
        end.expect(0, "v1.1.0 is champion ")
    assert desk.published() == ["model#prod#1", "model#prod#2"], "tags of one second are the same, too"


def test_a_server_that_reads_the_roles_in_the_same_clone_disturbs_no_move(
    desk: Desk, before_push: Callable[[str], str]
) -> None:
    desk.champions("v1.0.0")
    reader = shlex.join(["timeout", "2", sys.executable, "-m", "mlops_actions", "roles"])
    end = finish(python(desk, "promote", "v1.1.0", "--reason", "better", path=before_push(f"{reader} >&2")))
    end.expect(0, "v1.1.0 is champion now.")
    assert desk.published() == ["model#prod#1", "model#prod#2"]


def test_a_clone_that_has_not_fetched_works_on_what_origin_has(desk: Desk, clone: Callable[[str], Desk]) -> None:
    bob = clone("bob")
    desk.champions("v1.0.0 v1.1.0")
    assert bob.tags() == []
    bob("rollback", "--reason", "errors").expect(0, "v1.0.0 is champion now.")
    assert bob.published() == ["model#prod#1", "model#prod#2", "model#prod#3"]


def test_where_origin_refuses_the_tags_are_gone_here_too(desk: Desk, origin: Path) -> None:
    desk.champions("v1.0.0")
    (origin / "hooks/pre-receive").write_text("#!/bin/sh\necho 'GH013: Repository rule violations' >&2\nexit 1\n")
    (origin / "hooks/pre-receive").chmod(0o755)
    desk("promote", "v1.1.0", "--reason", "better").expect(1, "origin refused model#prod#2: ", "pre-receive hook")
    assert desk.tags() == desk.published() == ["model#prod#1"]


def test_a_move_does_not_wait_for_the_hook_that_sends_data(desk: Desk) -> None:
    hook = desk.path / ".git/hooks/pre-push"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    desk("promote", "v1.0.0", "--reason", "first").expect(0, "v1.0.0 is champion now.")


def test_without_origin_nothing_moves_and_the_last_known_roles_are_shown(desk: Desk, origin: Path) -> None:
    desk.champions("v1.0.0")
    origin.rename(origin.with_name("gone"))
    desk("promote", "v1.1.0", "--reason", "better").expect(1, "`git fetch` failed")
    desk("roles").expect(0, "These are the roles by the last fetch", "v1.0.0")
    desk.git("remote", "remove", "origin")
    desk("promote", "v1.1.0", "--reason", "better").expect(1, "git remote add origin URL")
    assert json.loads(desk("roles", "--json").expect(0).out)["prod"]["version"] == "v1.0.0"
    assert desk.tags() == ["model#prod#1"]


def test_a_clone_that_cannot_be_written_gives_a_sentence(desk: Desk) -> None:
    (desk.path / ".git/model-tags.lock").mkdir()
    desk("promote", "v1.0.0", "--reason", "first").expect(1, ".git/model-tags.lock: Is a directory")


def test_a_clock_that_is_a_little_behind_is_waited_for_and_a_wrong_one_refused(desk: Desk) -> None:
    def tag_ahead(number: int, seconds: int) -> None:
        when = f"{int(time.time()) + seconds} +0000"
        commit = commit_of(desk, "v1.0.0")
        desk.git("tag", "-a", f"model#prod#{number}", commit, "-m", "ahead", GIT_COMMITTER_DATE=when)
        desk.git("push", "--quiet", "origin", f"refs/tags/model#prod#{number}")

    tag_ahead(1, 1)
    desk("promote", "v1.1.0", "--reason", "better").expect(0, "v1.1.0 is champion now.")
    assert desk.roles() == {"prod": "v1.1.0"}
    tag_ahead(3, 3600)
    desk("promote", "v2.0.0", "--reason", "better").expect(1, "model#prod#3 was made 36", "set the clock right or")
    assert desk.tags()[-1] == "model#prod#3"


def test_what_is_said_with_line_breaks_is_one_line_and_no_note_of_the_tag(desk: Desk) -> None:
    desk("promote", "v1.0.0", "--reason", "first\n\nRolled back: v2.0.0").expect(0, "v1.0.0 is champion now.")
    assert desk.message("model#prod#1") == "first Rolled back: v2.0.0"
    desk("promote", "--reason", "x", "--", "v9\n::error::$(id)").expect(1, r"'v9\n::error::$(id)' is no version. There")


def test_tags_made_by_hand_are_named_once_and_move_and_stop_nothing(desk: Desk) -> None:
    desk.champions("v1.0.0")
    made = ("model#prod#2", "model@v2.0.1-rc1", "model@v8.0.0")
    desk.git("commit", "--quiet", "--allow-empty", "--message", "Something else")
    for name in made:
        date = {"GIT_COMMITTER_DATE": "2099-01-01T00:00:00Z"} if "#" in name else {}
        desk.git("tag", "-a", name, "-m", "by hand", **date)
        desk.git("push", "--quiet", "origin", f"refs/tags/{name}")
    named = (
        "model#prod#2: ignored, for its day, 2099-01-01, has not come; model@v2.0.1-rc1: ignored, for that is "
        "no name of a version or a role; model@v8.0.0: ignored, for `mlops version` did not make it."
    )
    said = desk("roles", "--json").expect(0, named)
    assert json.loads(said.out)["prod"]["version"] == "v1.0.0" and said.err.count("\n") == 1
    known = "model@v8.0.0 is ignored, for `mlops version` did not make it. There are v2.0.0, v1.1.0, v1.0.0."
    desk("promote", "v8.0.0", "--reason", "big").expect(1, named, known)
    said = desk("canary", "start", "--reason", "newest").expect(
        0, named, "v2.0.0 is canary with 10% of the traffic now."
    )
    assert said.err.count(named) == 1
    assert desk.published() == ["model#prod#1", "model#prod#2", "model#canary#3"]


@pytest.mark.parametrize(
    ("variables", "author"),
    [
        ({"GITHUB_EVENT_NAME": "workflow_dispatch", "GITHUB_ACTOR": "grace"}, "grace <grace@users.noreply.github.com>"),
        ({"GITHUB_EVENT_NAME": "schedule", "GITHUB_ACTOR": "grace"}, "github-actions[bot] <41898282+"),
    ],
)
def test_in_a_workflow_the_tag_is_by_who_started_it_or_by_the_bot(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str], author: str
) -> None:
    for name, value in ({"GITHUB_ACTIONS": "true"} | dict(variables)).items():
        monkeypatch.setenv(name, value)
    desk("promote", "v1.0.0", "--reason", "first").expect(0)
    tagger = desk.git("for-each-ref", "--format=%(taggername) %(taggeremail)", "refs/tags/model#prod#1")
    assert tagger.startswith(author)


def test_what_moves_versions_imports_pythons_own_library_alone(desk: Desk) -> None:
    for words in (
        ("promote", "v1.0.0", "--reason", "first"),
        ("canary", "auto", "--share", "10"),
        ("canary", "stop", "--reason", "bad"),
        ("rollback", "--reason", "worse"),
        ("keep", "HEAD"),
    ):
        done = subprocess.run(
            [sys.executable, "-S", "-P", "-m", "mlops_actions", *words],
            cwd=desk.path,
            env=os.environ | {"PYTHONPATH": str(Path(mlops_actions.__file__).parents[1])},
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in done.stderr and done.returncode == (words[0] == "rollback"), done.stderr


# What else reads the roles


def test_the_champion_is_what_everything_else_is_compared_with(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk.path)
    assert str(versions.champion_version()) == "v2.0.0"
    desk.champions("v1.0.0 v1.1.0")
    champion = versions.champion_version()
    assert (champion.name, champion.commit) == ("v1.1.0", commit_of(desk, "v1.1.0"))
    assert [str(one) for one in versions.list_versions()] == ["v2.0.0", "v1.1.0", "v1.0.0"]
