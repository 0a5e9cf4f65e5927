"""The bearer token: what needs it, in which forms it is taken, and that a server without one says so."""

import base64
import json
import socket
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from baked import Project
from in_process import application
from mlops_actions.core.config import Serving
from mlops_actions.core.errors import UserError
from mlops_actions.core.server_report import SERVER_TOKEN, fetch_report
from mlops_actions.serving.server import serve as run_server
from mlops_actions.serving.token import warning
from serving import serve

TOKEN = "secret-ä-7"
BEARER = (b"authorization", b"Bearer " + TOKEN.encode())
AS_PASSWORD = (b"authorization", b"basic " + base64.b64encode(b"ada:" + TOKEN.encode()))
OPEN = {("POST", "/predict"), ("POST", "/v2/models/model/infer")}
HEALTH = {("GET", "/v2/health/live"), ("GET", "/v2/health/ready"), ("GET", "/v2/models/model/ready")}
REACHED = {"127.0.0.1": False, "localhost": False, "::1": False, "0.0.0.0": True, "::": True, "10.1.2.3": True}
KEPT = {
    ("POST", "/feedback"), ("GET", "/metrics"), ("GET", "/canary"), ("GET", "/openapi.json"), ("GET", "/docs"),
    ("GET", "/v2"), ("GET", "/v2/models/model"),
}  # fmt: skip


def ask_all(bundle: Path, asked: set[tuple[str, str]], *headers: Any, **settings: Any) -> dict[tuple[str, str], int]:
    """The status of each request."""

    with application(bundle, **settings) as app:
        return {one: app.ask(one[1], b"{}", method=one[0], headers=headers).status for one in asked}


@pytest.fixture
def bundle(trained: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(SERVER_TOKEN, TOKEN)
    return trained.path / "models/bundle.zip"


def test_all_but_predictions_and_health_needs_the_token(bundle: Path) -> None:
    said = ask_all(bundle, OPEN | HEALTH | KEPT)
    assert {one for one, status in said.items() if status == 401} == KEPT


def test_predictions_need_it_where_params_say_so(bundle: Path) -> None:
    said = ask_all(bundle, OPEN | HEALTH | KEPT, protect="everything")
    assert {one for one, status in said.items() if status == 401} == KEPT | OPEN


@pytest.mark.parametrize("header", [BEARER, AS_PASSWORD])
def test_the_token_opens_as_a_bearer_and_as_a_browsers_password(bundle: Path, header: Any) -> None:
    assert 401 not in ask_all(bundle, (OPEN | KEPT) - {("GET", "/canary")}, header, protect="everything").values()


OTHERS = [
    *[b"", b"Bearer", b"Bearer secret", TOKEN.encode(), b"Token " + TOKEN.encode()],
    *[b"Basic !", b"Basic YWRh", b"Bearer \xff\xfe"],
]


@pytest.mark.parametrize("header", OTHERS)
def test_anything_else_is_refused_with_what_is_wanted(bundle: Path, header: bytes) -> None:
    with application(bundle) as app:
        said = app.ask("/metrics", method="GET", headers=[(b"authorization", header)])
    assert said.status == 401 and b"www-authenticate" in said.headers
    assert json.loads(said.body) == {"error": "this needs the server's MLOPS_TOKEN, as `Authorization: Bearer …`"}


TRICKS = [
    *[b"//feedback", b"/FEEDBACK", b"/x/../feedback", b"/./feedback", b"/%66eedback", b"/%2e/feedback", b"/feedback/"],
    *[b"/feedback;x", b"/feedback?token=1", b"/feedback%00", b"/feedback%2f", b"/predict/../feedback", b"\\feedback"],
    *[
        b"/predict%2f..%2ffeedback",
        b"http://a/feedback",
        b"http://a:1@b/feedback",
        b"feedback",
        b"*",
        b"/live/../metrics",
    ],
    *[b"/live/../metrics", b"/metrics/ready", b"/metrics?/live", b"/metrics#/live", b"/v2/models/live"],
    *[b"/v2/models/model/versions/ready", b"/canary/predict", b"/docs/assets/../../metrics"],
    *[b"/docs/assets/..%2f..%2fmetrics", b"/v2/models/ready/infer"],
]
HEADERS = [
    [],
    [b"Authorization: Bearer x", b"Authorization: Bearer " + TOKEN.encode()],
    [b"Authorization: Bearer " + b"x" * 60_000],
    [b"Authorization: Basic " + b"\xff" * 100],
    [b"X-Original-URL: /predict", b"X-Forwarded-For: 127.0.0.1", b"X-HTTP-Method-Override: GET"],
]


def test_no_path_and_no_header_leads_around_the_token(trained: Project, rows: list[dict[str, Any]]) -> None:
    """The first of two tokens counts, as any other rule would let whoever adds a header choose."""
    with serve(trained, "--bundle", "models/bundle.zip", MLOPS_TOKEN=TOKEN) as server:
        id = server.ask("/predict", rows[0]).body["id"]
        truth = json.dumps({"id": id, "truth": "no"}).encode()
        for headers in HEADERS:
            for target in (*TRICKS, b"/feedback", b"/metrics"):
                for method in (b"GET", b"POST", b"HEAD", b"OPTIONS", b"get"):
                    said = ask_raw(server.port, method, target, headers, truth)
                    assert said.status in (307, 400, 401, 404, 405), (method, target, headers, said)
        said = ask_raw(server.port, b"POST", b"/feedback", [b"Authorization: Bearer " + TOKEN.encode()], truth)
        assert said.status == 202


class Raw(NamedTuple):
    status: int
    head: bytes


def ask_raw(port: int, method: bytes, target: bytes, headers: list[bytes], body: bytes) -> Raw:
    """What a request is answered whose target no client would send."""
    lines = [b"%b %b HTTP/1.1" % (method, target), b"Host: a", b"Connection: close", b"Content-Length: %d" % len(body)]
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(b"\r\n".join([*lines, *headers, b"", body]))
        said = b"".join(iter(lambda: connection.recv(100_000), b""))
    return Raw(int(said.split()[1]), said.partition(b"\r\n\r\n")[0])


def test_without_a_token_nothing_needs_one(trained: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SERVER_TOKEN, "")
    asked = (OPEN | HEALTH | KEPT) - {("GET", "/canary")}
    assert 401 not in ask_all(trained.path / "models/bundle.zip", asked, protect="everything").values()


def test_a_line_end_around_the_token_is_not_its_own(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SERVER_TOKEN, f" {TOKEN}\n")
    assert ask_all(bundle, {("GET", "/metrics")}, BEARER) == {("GET", "/metrics"): 200}


def test_a_server_that_is_to_ask_for_a_token_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SERVER_TOKEN, "\n")
    with pytest.raises(UserError, match="serving.protect is everything, so set MLOPS_TOKEN"):
        run_server(Serving(protect="everything"))


def test_who_asks_for_the_report_brings_the_token(trained: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SERVER_TOKEN, "secret")
    with serve(trained, "--bundle", "models/bundle.zip", MLOPS_TOKEN="secret") as server:
        with pytest.raises(UserError, match="409: .*canary"):
            fetch_report(server.url)
        monkeypatch.setenv(SERVER_TOKEN, "another")
        with pytest.raises(UserError, match="/canary asks for a token, and it does not take the one that is set; set"):
            fetch_report(server.url)
        monkeypatch.delenv(SERVER_TOKEN)
        with pytest.raises(UserError, match="/canary asks for a token, and none is set; set MLOPS_TOKEN to the"):
            fetch_report(server.url)


@pytest.mark.parametrize("host", REACHED)
def test_a_server_that_others_reach_says_that_it_asks_for_no_token(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.delenv(SERVER_TOKEN, raising=False)
    assert bool(warning(Serving(host=host))) == REACHED[host]
    monkeypatch.setenv(SERVER_TOKEN, TOKEN)
    assert not warning(Serving(host=host))
