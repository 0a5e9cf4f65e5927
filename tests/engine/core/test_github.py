"""GitHub through the real `gh`: a server that never ends is left, and no other host hears the job's token."""

import socket
import sys
from pathlib import Path

import pytest
from mlops_actions.core import github
from mlops_actions.core.errors import UserError
from servers import Handler, serve_http


class Leading(Handler):
    """GitHub's API, which leads to the files elsewhere."""

    def do_GET(self) -> None:
        self.server.heard.append(self.headers)
        self.answer(302, location=f"{self.server.away}/plain/a.zip")


@pytest.fixture(autouse=True)
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    monkeypatch.setenv("GH_CONFIG_DIR", str(tmp_path / "gh"))
    monkeypatch.setenv("GITHUB_TOKEN", "t0ken")
    monkeypatch.setenv("GITHUB_REPOSITORY", "acme/churn")


def test_the_token_goes_to_no_other_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with serve_http(tmp_path, Leading) as api, serve_http() as storage:
        storage.files["a.zip"] = b"bytes"
        api.away = f"http://localhost:{storage.server_port}"
        monkeypatch.setenv("GITHUB_SERVER_URL", api.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        github.download("actions/artifacts/1/zip", tmp_path / "a.zip")
        assert (tmp_path / "a.zip").read_bytes() == b"bytes"
        assert "t0ken" in api.heard[-1]["Authorization"] and storage.heard[-1]["Authorization"] is None


def test_a_server_that_never_ends_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("GITHUB_SERVER_URL", f"https://127.0.0.1:{mute.getsockname()[1]}")
        with pytest.raises(UserError, match=r"^gh api repos/acme/churn/a: 127\.0\.0\.1:\d+ did not end it in 1 s"):
            github.gh("api", "repos/acme/churn/a", seconds=1)
