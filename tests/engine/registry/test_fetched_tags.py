"""The champion is that by origin's tags of now: they are fetched, and where that fails one line says what it leaves."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from clones import Clone, git
from mlops_actions.registry import versions


@pytest.fixture
def laptop(publisher: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    """A clone of the same origin, in whose folder the test works."""
    git("clone", "--quiet", f"file://{tmp_path}/origin.git", "laptop", cwd=tmp_path)
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
    assert versions.champion_version().name == "v1.1.0"
    assert capfd.readouterr().err.startswith("model@v0.9.0: ignored, for `mlops version` did not make it.")


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
    git("clone", "--quiet", "--bare", "--no-tags", "origin.git", "fork.git", cwd=tmp_path)
    laptop.git("tag", "--delete", "model@v1.0.0")
    laptop.git("remote", "set-url", "origin", f"file://{tmp_path}/fork.git")
    assert versions.refresh_tags() and laptop.versions() == []
    laptop.git("remote", "add", "upstream", f"file://{tmp_path}/origin.git")
    assert versions.refresh_tags() and laptop.versions() == ["model@v1.0.0"]


def test_a_shallow_clone_without_tags_gets_them_or_says_that_it_lacks_some(
    publisher: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.commit("c" * 32)
    publisher.git("push", "--quiet", "origin", "main")
    git("clone", "--quiet", "--depth=1", f"file://{tmp_path}/origin.git", "cut", cwd=tmp_path)
    cut = Clone(tmp_path / "cut")
    monkeypatch.chdir(cut.path)
    assert cut.versions() == []
    assert versions.refresh_tags() and cut.versions() == ["model@v1.0.0"]
    cut.git("remote", "remove", "origin")
    assert not versions.refresh_tags(), "others may be where nobody can ask"
