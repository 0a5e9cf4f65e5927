"""No credential crosses to another server: what real servers on loopback hear after a redirect."""

from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest
from mlops_actions.core import http_client
from mlops_actions.core.errors import UserError
from mlops_actions.core.http_client import basic, open_url
from mlops_actions.core.server_report import fetch_report
from mlops_actions.core.trust import digest
from servers import Handler, serve_http

SECRETS = {"Authorization": basic("ada", "secret"), "X-Token": "secret", "Cookie": "session=secret"}
Server = ThreadingHTTPServer


@pytest.fixture
def home() -> Iterator[Server]:
    with serve_http() as server:
        server.files["a.csv"] = b"a\n1\n"
        yield server


@pytest.fixture
def other() -> Iterator[Server]:
    with serve_http() as server:
        server.files["a.csv"] = b"a\n1\n"
        yield server


def hears_secret(server: Server) -> bool:
    """Say whether anything of the last request is a secret."""
    return any("secret" in value or SECRETS["Authorization"] in value for value in server.heard[-1].values())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_another_port_or_host_hears_no_credential(home: Server, other: Server, host: str) -> None:
    home.away = f"http://{host}:{other.server_port}/plain"
    with open_url(f"{home.url}/away/a.csv", {**SECRETS, "Accept": "text/csv"}) as answer:
        assert answer.read() == b"a\n1\n"
    assert hears_secret(home) and not hears_secret(other)
    assert other.heard[-1]["User-Agent"] == "mlops" and other.heard[-1]["Accept"] == "text/csv"
    assert "Referer" not in other.heard[-1]


def test_what_was_dropped_on_the_way_is_not_sent_to_the_first_server_again(home: Server, other: Server) -> None:
    home.away, other.away = f"{other.url}/away", f"{home.url}/plain"
    with open_url(f"{home.url}/away/a.csv", SECRETS):
        pass
    assert home.asked == ["/away/a.csv", "/plain/a.csv"] and not hears_secret(home)


def test_the_same_server_hears_its_credential_again(home: Server) -> None:
    home.away = f"{home.url}/plain"
    with open_url(f"{home.url}/away/a.csv", SECRETS):
        pass
    assert home.asked[-1] == "/plain/a.csv" and hears_secret(home)


def test_a_login_in_an_address_is_sent_to_its_server_alone(home: Server, other: Server) -> None:
    home.away = f"{other.url}/plain"
    with open_url(f"http://ada:secret@127.0.0.1:{home.server_port}/away/a.csv"):
        pass
    assert home.heard[-1]["Authorization"] == SECRETS["Authorization"]
    assert not hears_secret(other) and "Authorization" not in other.heard[-1]


def test_a_password_of_the_proxy_reaches_no_server_behind_it(
    home: Server, other: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://ada:secret@127.0.0.1:{home.server_port}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    home.away = f"{other.url}/plain"
    with open_url("http://far.example/away/a.csv"):
        pass
    assert home.heard[-1]["Proxy-Authorization"] == SECRETS["Authorization"]
    assert other.asked and not hears_secret(other) and "Proxy-Authorization" not in other.heard[-1]


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server behind TLS whose certificate is trusted."""
    with serve_http(tmp_path) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        server.files["a.csv"] = b"a\n1\n"
        yield server


def test_without_tls_the_same_host_hears_no_credential(tls: Server, home: Server) -> None:
    tls.away = f"{home.url}/plain"
    with open_url(f"{tls.url}/away/a.csv", SECRETS):
        pass
    assert hears_secret(tls) and not hears_secret(home)


def test_where_tls_is_asked_for_no_step_is_without(tls: Server, home: Server) -> None:
    """Whoever stands between could lead a step without TLS to a page of their own, by TLS again."""
    tls.away, home.away = f"{home.url}/away", f"{tls.url}/plain"
    with pytest.raises(HTTPError, match=r"302: it leads to http://127\.0\.0\.1, which is not https"):
        open_url(f"{tls.url}/away/a.csv", tls=True)
    assert home.asked == []
    with pytest.raises(URLError, match="which is not https"):
        open_url(f"{home.url}/plain/a.csv", tls=True)


@pytest.mark.parametrize("place", ["file:///etc/passwd#", "ftp://127.0.0.1/", "data:text/csv,a", "gopher://host/"])
def test_a_redirect_to_what_is_no_http_is_refused(home: Server, place: str) -> None:
    home.away = place
    with pytest.raises(HTTPError, match="302"):
        open_url(f"{home.url}/away/a.csv")
    if not place.startswith("data:"):
        with pytest.raises(URLError, match="which is not http or https"):
            open_url(place)


def test_a_server_that_says_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "SECONDS", 0.2)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as mute, pytest.raises(OSError, match="timed out"):
        open_url(f"http://127.0.0.1:{mute.server_port}/a.csv")  # the connection waits in the kernel for ever


def test_a_login_is_shown_in_no_message(home: Server) -> None:
    for refused in (fetch_report, digest):
        with pytest.raises(UserError) as error:
            refused(f"http://ada:s3cr3t@p@127.0.0.1:{home.server_port}/nowhere")
        assert "s3cr3t" not in str(error.value) and "127.0.0.1" in str(error.value)
