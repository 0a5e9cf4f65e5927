"""The bearer token: what needs it, in which forms it is taken, and that a server without one says so."""

import base64
import json
from pathlib import Path
from typing import Any

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
