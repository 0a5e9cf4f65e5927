"""`mlops canary settle`: the advice of a server's canary report is done, if it is about the versions of now."""

import json
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from clones import Desk
from servers import serve_http


@pytest.fixture(scope="module")
def web() -> Iterator[ThreadingHTTPServer]:
    with serve_http() as server:
        yield server


def report(web: ThreadingHTTPServer, **changes: object) -> str:
    """The address of a server whose canary report says this."""
    content = {"canary": "v1.1.0", "champion": "v1.0.0", "advice": "watch", "reason": "Too few\n rows."} | changes
    web.files["canary"] = json.dumps(content).encode()
    return f"{web.url}/plain/"


@pytest.fixture
def trying(desk: Desk) -> Desk:
    """A desk whose project tries v1.1.0 as canary beside v1.0.0."""
    desk.champions("v1.0.0")
    desk.tag("model#canary#2", "v1.1.0", "try\n\nShare: 10", 2)
    return desk


def test_the_advice_of_the_report_is_done(trying: Desk, web: ThreadingHTTPServer) -> None:
    trying("canary", "settle", "--url", report(web)).expect(0, "v1.1.0 is watched further: Too few rows.")
    assert trying.roles() == {"prod": "v1.0.0", "canary": "v1.1.0"}
    trying("canary", "settle", "--url", report(web, advice="promote", reason="Better by 2 %.")).expect(0)
    assert trying.roles() == {"prod": "v1.1.0"} and trying.message("model#prod#3") == "Better by 2 %."
    trying("canary", "settle", "--url", "http://127.0.0.1:9").expect(0, "There is no canary: nothing to settle.")
    trying("canary", "start", "--reason", "the next")
    worse = report(web, canary="v2.0.0", champion="v1.1.0", advice="stop", reason="Worse.")
    trying("canary", "settle", "--url", worse).expect(0, "There is no canary now.")
    assert trying.roles() == {"prod": "v1.1.0"} and trying.message(trying.tags()[-1]) == "Worse."


@pytest.mark.parametrize("advice", ["promote", "stop", "watch"])
def test_a_dry_run_tells_the_next_job_what_would_be_done_and_does_nothing(
    trying: Desk, web: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, advice: str
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    (tmp_path / "output").touch()
    trying("canary", "settle", "--dry-run", "--url", report(web, advice=advice)).expect(0)
    assert (tmp_path / "output").read_text() == ("" if advice == "watch" else f"advice={advice}\n")
    assert trying.roles() == {"prod": "v1.0.0", "canary": "v1.1.0"}


SWAPPED = {"canary": "v1.0.0", "champion": "v1.1.0"}


@pytest.mark.parametrize("advice", ["promote", "stop"])
def test_a_report_about_other_versions_moves_nothing(trying: Desk, web: ThreadingHTTPServer, advice: str) -> None:
    for about in ({"canary": "v2.0.0"}, {"champion": "v2.0.0"}, {"canary": None}, SWAPPED):
        said = trying("canary", "settle", "--url", report(web, advice=advice, **about)).expect(0, "nothing is done")
        assert "the roles have v1.1.0 beside v1.0.0" in said.out, about
    assert trying.roles() == {"prod": "v1.0.0", "canary": "v1.1.0"}


def test_a_canary_that_is_stopped_while_the_server_computes_is_not_promoted(
    trying: Desk, clone: Callable[[str], Desk], web: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = clone("bob")
    address = report(web, advice="promote")
    answer = web.RequestHandlerClass.do_GET

    def stop_first(handler: object) -> None:
        bob.tag("model#canary!#3", "v1.1.0", "it harms", 3)
        answer(handler)

    monkeypatch.setattr(web.RequestHandlerClass, "do_GET", stop_first)
    trying("canary", "settle", "--url", address).expect(0, "the roles have no canary: nothing is done.")
    assert trying.roles() == {"prod": "v1.0.0"}


ANSWERS = {
    "not JSON": b"<html>",
    "not UTF-8": b"\xff\xfe",
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "empty": b"{}",
    "a number for a version": b'{"canary": 1, "champion": "v1.0.0", "advice": "promote", "reason": "x"}',
    "unknown advice": b'{"canary": "v1.1.0", "champion": "v1.0.0", "advice": "run", "reason": "x"}',
    "unhashable advice": b'{"canary": "v1.1.0", "champion": "v1.0.0", "advice": ["promote"], "reason": "x"}',
    "no reason": b'{"canary": "v1.1.0", "champion": "v1.0.0", "advice": "promote", "reason": " "}',
    "too long": b'{"reason": "' + b"x" * 1_000_000 + b'"}',
}


def test_what_is_no_report_moves_nothing(trying: Desk, web: ThreadingHTTPServer) -> None:
    for name, answer in ANSWERS.items():
        web.files["canary"] = answer
        said = trying("canary", "settle", "--url", f"{web.url}/plain")
        assert said.code == 1 and "no canary report" in said.err and "Traceback" not in said.err, (name, said)
    assert trying.published() == ["model#prod#1", "model#canary#2"]


UNREACHED = {
    "{web}/down": "does not answer with a report: 503",
    "{web}/cut": "no canary report",
    "http://127.0.0.1:9": "does not answer: ",
    "http://[": "does not answer: ",
    "file:///etc": "must begin with http:// or https://",
    "": "must begin with http:// or https://",
}


def test_a_server_that_is_not_reached_gives_a_sentence(trying: Desk, web: ThreadingHTTPServer) -> None:
    report(web, advice="promote")
    for url, sentence in UNREACHED.items():
        trying("canary", "settle", "--url", url.format(web=web.url)).expect(1, sentence)
    assert trying.published() == ["model#prod#1", "model#canary#2"]
