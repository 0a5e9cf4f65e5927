"""What a candidate is compared with: the champion by origin's tags of now; before there is one, the commit before."""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from baked import run
from mlops_actions.core import github
from mlops_actions.registry import versions
from mlops_actions.review import champion

LOCK = """schema: '2.0'
stages:
  export:
    cmd: mlops stage export
    outs:
    - path: models/bundle.zip
      hash: md5
      md5: {md5}
      size: 3
"""


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith(("GIT_", "GITHUB_", "GH_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    yield
    github.event.cache_clear()


@dataclass(frozen=True)
class Clone:
    """Somebody's clone."""

    path: Path

    def git(self, *words: str) -> str:
        return run("git", *words, cwd=self.path).stdout.strip()

    def commit(self, md5: str) -> str:
        """Commit a lock file that records this bundle, and return the commit."""
        (self.path / "dvc.lock").write_text(LOCK.format(md5=md5))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"Record {md5[0]}")
        return self.git("rev-parse", "HEAD")

    def publish(self, version: str) -> None:
        """Give HEAD a version, here alone."""
        self.git("tag", "--annotate", "--message", version, f"model@{version}")

    def versions(self) -> list[str]:
        return self.git("tag", "--list", "model@*").split()


@pytest.fixture
def publisher(tmp_path: Path) -> Clone:
    """A clone of a bare origin whose version v1.0.0 is on both."""
    run("git", "init", "--quiet", "--bare", "--initial-branch=main", "origin.git", cwd=tmp_path)
    run("git", "clone", "--quiet", "origin.git", "publisher", cwd=tmp_path)
    clone = Clone(tmp_path / "publisher")
    clone.git("checkout", "--quiet", "-b", "main")
    clone.commit("a" * 32)
    clone.publish("v1.0.0")
    clone.git("push", "--quiet", "origin", "main", "model@v1.0.0")
    return clone


@pytest.fixture
def laptop(publisher: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    """A clone of the same origin, in whose folder the test works."""
    run("git", "clone", "--quiet", f"file://{tmp_path}/origin.git", "laptop", cwd=tmp_path)
    monkeypatch.chdir(tmp_path / "laptop")
    return Clone(tmp_path / "laptop")


def release(publisher: Clone, version: str) -> None:
    """Publish a version that only its tag holds, as where main is protected."""
    publisher.git("checkout", "--quiet", "--detach")
    publisher.commit("b" * 32)
    publisher.publish(version)
    publisher.git("push", "--quiet", "origin", f"model@{version}")


def test_the_champion_is_the_one_that_origin_has_now_and_no_tag_of_ones_own_goes(
    publisher: Clone, laptop: Clone, capfd: pytest.CaptureFixture[str]
) -> None:
    laptop.git("tag", "--annotate", "--message", "Mine", "model@v0.9.0")
    release(publisher, "v1.1.0")
    laptop.git("pull", "--quiet")
    assert laptop.versions() == ["model@v0.9.0", "model@v1.0.0"], "git pull brings no tag that main does not hold"
    assert versions.refresh_tags()
    assert laptop.versions() == ["model@v0.9.0", "model@v1.0.0", "model@v1.1.0"]
    assert champion.find_baseline(None, True)[0].name == "v1.1.0"
    assert capfd.readouterr().err == ""


def test_an_origin_that_is_gone_is_one_line_that_names_the_champion_of_the_last_fetch(
    laptop: Clone, capfd: pytest.CaptureFixture[str]
) -> None:
    laptop.git("remote", "set-url", "origin", "file:///nowhere/origin.git")
    assert not versions.refresh_tags()
    said = capfd.readouterr().err
    assert said.startswith("The version tags of origin were not fetched (") and said.count("\n") == 1
    assert said.endswith("): by those of the last fetch the champion is v1.0.0.\n")


def test_an_origin_that_never_answers_is_left_and_nothing_waits_for_it_behind(
    laptop: Clone, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "PATIENCE", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        laptop.git("remote", "set-url", "origin", f"http://127.0.0.1:{silent.getsockname()[1]}/origin.git")
        assert not versions.refresh_tags()
        caller, _ = silent.accept()
        caller.settimeout(30)
        while caller.recv(2**16):  # its request, and then the end: nobody holds the connection any more
            pass
        caller.close()
    assert "not fetched (no answer within 1 seconds): by those of the last fetch" in capfd.readouterr().err


class Refusing(BaseHTTPRequestHandler):
    """Asks for a password."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="private"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_a_private_repository_without_credentials_asks_nobody_and_stops_nothing(
    laptop: Clone, capfd: pytest.CaptureFixture[str]
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    laptop.git("remote", "set-url", "origin", f"http://127.0.0.1:{server.server_port}/origin.git")
    assert not versions.refresh_tags()
    server.shutdown()
    assert "terminal prompts disabled): by those of the last fetch the champion is v1.0.0" in capfd.readouterr().err


def test_before_the_first_push_there_is_no_origin_and_nothing_is_said_of_it(
    publisher: Clone, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    publisher.git("remote", "remove", "origin")
    monkeypatch.chdir(publisher.path)
    assert versions.refresh_tags() and capfd.readouterr().err == ""


def test_a_fork_without_versions_is_judged_by_those_of_upstream(
    publisher: Clone, laptop: Clone, tmp_path: Path
) -> None:
    run("git", "clone", "--quiet", "--bare", "--no-tags", "origin.git", "fork.git", cwd=tmp_path)
    laptop.git("tag", "--delete", "model@v1.0.0")
    laptop.git("remote", "set-url", "origin", f"file://{tmp_path}/fork.git")
    assert versions.refresh_tags() and laptop.versions() == []
    laptop.git("remote", "add", "upstream", f"file://{tmp_path}/origin.git")
    assert versions.refresh_tags() and laptop.versions() == ["model@v1.0.0"]


def test_a_shallow_clone_without_tags_gets_them_and_is_never_taken_for_a_project_without_a_champion(
    publisher: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.commit("c" * 32)
    publisher.git("push", "--quiet", "origin", "main")
    for name in ("cut", "again"):
        run("git", "clone", "--quiet", "--depth=1", f"file://{tmp_path}/origin.git", name, cwd=tmp_path)
    cut, again = Clone(tmp_path / "cut"), Clone(tmp_path / "again")
    assert cut.versions() == []
    monkeypatch.chdir(again.path)
    assert champion.find_baseline(None, versions.refresh_tags())[0].name == "v1.0.0"
    monkeypatch.chdir(cut.path)
    for change in (("set-url", "origin", "file:///nowhere"), ("remove", "origin")):
        cut.git("remote", *change)
        with pytest.raises(Exception, match="this clone is shallow and has no version's tag"):
            champion.find_baseline(None, versions.refresh_tags())


@pytest.fixture
def young(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    """A project in which nothing is released, in whose folder the test works."""
    run("git", "init", "--quiet", "--initial-branch=main", "young", cwd=tmp_path)
    monkeypatch.chdir(tmp_path / "young")
    return Clone(tmp_path / "young")


def keep(clone: Clone, md5: str) -> None:
    """Let the cache hold an object of this name."""
    place = clone.path / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"zip")


def baseline() -> tuple[Any, ...]:
    """The kind and the commit that the candidate is compared with, or why with none."""
    found, notes = champion.find_baseline(None, True)
    return (found.kind, found.commit) if found else tuple((note.kind, *note.names) for note in notes)


def test_before_the_first_release_the_last_commit_is_what_a_model_is_compared_with(young: Clone) -> None:
    (young.path / ".gitignore").write_text(".dvc\n")
    assert baseline() == (), "no commit"
    young.git("add", "--all")
    young.git("commit", "--quiet", "--message", "Nothing is trained")
    assert baseline() == (), "no model"
    recorded = young.commit("a" * 32)
    keep(young, "a" * 32)
    assert baseline() == (("same_model", recorded[:7]),)
    (young.path / "dvc.lock").write_text(LOCK.format(md5="b" * 32))
    assert baseline() == ("head", recorded)


def test_a_model_whose_bytes_are_nowhere_is_not_compared_and_that_is_said(young: Clone) -> None:
    recorded = young.commit("a" * 32)
    (young.path / ".dvc").mkdir()
    (young.path / ".dvc/config").write_text("[core]\n    remote = store\n['remote \"store\"']\n    url = store\n")
    (young.path / "dvc.lock").write_text(LOCK.format(md5="b" * 32))
    ((kind, reason),) = baseline()
    assert kind == "not_fetched" and reason.startswith(f"commit {recorded[:7]}: ") and "models/bundle.zip" in reason


EVENTS: dict[str, Callable[[str], dict[str, Any]]] = {
    "a pull request": lambda base: {"number": 1, "before": "e" * 40, "pull_request": {"base": {"sha": base}}},
    "a merge queue": lambda base: {"merge_group": {"base_sha": base}},
    "a push": lambda base: {"before": base},
}


@pytest.mark.parametrize("event", EVENTS)
def test_in_a_run_the_baseline_is_what_the_change_is_made_to_not_what_its_author_trained(
    young: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    (young.path / ".gitignore").write_text(".dvc\n")
    base = young.commit("a" * 32)
    keep(young, "a" * 32)
    young.git("checkout", "--quiet", "-b", "change")
    young.commit("b" * 32)
    (tmp_path / "event.json").write_text(json.dumps(EVENTS[event](base)))
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
    assert baseline() == ("base", base)


def test_of_a_merge_the_baseline_is_what_it_was_made_on_even_where_the_event_is_older(
    young: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (young.path / ".gitignore").write_text(".dvc\n")
    old = young.commit("a" * 32)
    young.git("checkout", "--quiet", "-b", "change")
    young.git("commit", "--quiet", "--allow-empty", "--message", "Change")
    young.git("checkout", "--quiet", "main")
    newer = young.commit("b" * 32)
    keep(young, "b" * 32)
    young.git("merge", "--quiet", "--no-ff", "--message", "Merge", "change")
    young.commit("c" * 32)
    young.git("reset", "--quiet", "--soft", "HEAD^")
    (tmp_path / "event.json").write_text(json.dumps(EVENTS["a pull request"](old)))
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
    assert baseline() == ("base", newer)


def test_a_first_push_has_nothing_before_it(young: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = young.commit("a" * 32)
    (tmp_path / "event.json").write_text(json.dumps({"before": "0" * 40}))
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
    assert baseline() == (("same_model", recorded[:7]),)
