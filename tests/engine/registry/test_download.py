"""A release's file is fetched from its public address, or with a token by the API: over real TLS."""

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme
from clones import git
from mlops_actions.core.errors import UserError
from mlops_actions.registry.download import api, fetch_asset, origin
from mlops_actions.registry.versions import Version

VERSION = Version("v1.0.0", "a" * 40)
PUBLIC = "/acme/churn/releases/download/model%40v1.0.0/bundle.zip"
API = "/api/v3/repos/acme/churn/releases/"


class GitHub(BaseHTTPRequestHandler):
    """Has one public file, and one release whose file the API moves to another address."""

    def do_GET(self) -> None:
        where, token = self.server.where, self.headers["Authorization"]
        self.server.seen.append((self.path, token))
        if self.path == PUBLIC:
            self.answer(200, b"public")
        elif self.path == f"{API}tags/model%40v1.0.0" and token == "Bearer t0ken":
            asset = {"name": "bundle.zip", "url": f"{where}{API}assets/1"}
            self.answer(200, json.dumps({"assets": [asset]}).encode())
        elif self.path == f"{API}assets/1" and token == "Bearer t0ken":
            self.answer(302, location=f"{where.replace('localhost', '127.0.0.1')}/storage/1")
        elif self.path == "/storage/1":
            self.answer(200, b"by the API")
        else:
            self.answer(404)

    def answer(self, status: int, content: bytes = b"", location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def github(unpublished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """A server of releases, which is origin's and whose certificate is trusted."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), GitHub)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.where, server.seen = f"https://localhost:{server.server_port}", []
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    git("remote", "set-url", "origin", f"{server.where}/acme/churn.git")
    yield server
    server.shutdown()
    server.server_close()


def test_a_public_release_is_read_without_a_token(github: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "of another server")
    assert fetch_asset(VERSION, "bundle.zip") == b"public"
    assert github.seen == [(PUBLIC, None)]
    with pytest.raises(
        UserError, match=r"did not give other\.zip: HTTP 404; in a private repository, set GITHUB_TOKEN"
    ):
        fetch_asset(VERSION, "other.zip")


@pytest.mark.parametrize("variable", ["GITHUB_TOKEN", "GH_TOKEN"])
def test_a_token_goes_to_its_server_and_not_where_that_sends_on(
    github: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv("GITHUB_SERVER_URL", github.where)
    monkeypatch.setenv(variable, "t0ken")
    assert fetch_asset(VERSION, "bundle.zip") == b"by the API"
    assert github.seen[-1] == ("/storage/1", None)
    with pytest.raises(UserError, match=r"did not give other\.zip: it has no such file\."):
        fetch_asset(VERSION, "other.zip")
    monkeypatch.setenv(variable, "wrong")
    with pytest.raises(UserError, match=r"HTTP 404\.$"):
        fetch_asset(VERSION, "bundle.zip")


def test_a_server_that_is_not_there_is_said(unpublished: Path) -> None:
    git("remote", "set-url", "origin", "https://127.0.0.1:9/acme/churn.git")
    with pytest.raises(UserError, match=r"release model@v1\.0\.0 on 127\.0\.0\.1:9 did not give a: .*refused"):
        fetch_asset(VERSION, "a")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://github.com/acme/churn.git", ("github.com", "acme/churn")),
        ("https://me:pw@github.com/acme/churn/", ("github.com", "acme/churn")),
        ("git@github.com:acme/churn.git", ("github.com", "acme/churn")),
        ("ssh://git@acme.ghe.com:22/acme/churn", ("acme.ghe.com", "acme/churn")),
        ("/srv/churn.git", None),
    ],
)
def test_origin_is_where_its_url_says(unpublished: Path, url: str, place: tuple[str, str] | None) -> None:
    git("remote", "set-url", "origin", url)
    if place:
        assert origin() == place
    else:
        with pytest.raises(UserError, match=r"^origin \(/srv/churn\.git\) is no repository on GitHub"):
            origin()


def test_the_api_is_a_host_of_its_own_in_githubs_cloud() -> None:
    assert api("github.com") == "https://api.github.com"
    assert api("acme.ghe.com") == "https://api.acme.ghe.com"
    assert api("git.acme.org") == "https://git.acme.org/api/v3"
