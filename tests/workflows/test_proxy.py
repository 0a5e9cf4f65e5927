"""The proxy that is github.com to the tests: as strict as its hosts, and no way to any other."""

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from desk import OWNER
from local_github import LocalGitHub, Repository, start_github
from local_github.certificate import make_certificate
from local_github.front import Front, Request, Response, read_token
from local_github.proxy import relay

Status = Callable[..., int]


@pytest.fixture(scope="module")
def dot_com(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGitHub]:
    """A local GitHub with the addresses of github.com."""
    with start_github(tmp_path_factory.mktemp("dot-com"), (OWNER,), dot_com=True) as hub:
        yield hub


@pytest.fixture(scope="module")
def private(dot_com: LocalGitHub, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A private repository with a commit, and a release of a file."""
    work = tmp_path_factory.mktemp("work")
    repository = dot_com.create_repository(f"{OWNER}/private", private=True)
    (work / "model.zip").write_text("bytes")
    for command in ("git init -q", "git add .", "git commit -qm First"):
        dot_com.on_laptop(command.split(), work, OWNER)
    repository.connect(work)
    repository.push(work)
    dot_com.on_laptop(["gh", "release", "create", "v1", "model.zip", "--notes="], work, OWNER)
    return repository


@pytest.fixture
def status(dot_com: LocalGitHub, tmp_path: Path) -> Status:
    """`status(url, *options)`: what curl is answered, with the owner's token or as nobody; `got` has the content."""
    token = ["--header", f"Authorization: Bearer {dot_com.people[OWNER].value}"]

    def ask(*options: str, nobody: bool = False) -> int:
        command = ["curl", "--silent", "--output", "got", "--write-out", "%{http_code}", *options]
        return int(dot_com.on_laptop(command + ([] if nobody else token), tmp_path, OWNER))

    return ask


def test_a_releases_file_has_an_address_that_takes_no_token(
    private: Repository, status: Status, tmp_path: Path
) -> None:
    (release,) = private.releases()
    (asset,) = release["assets"]
    assert asset["url"] == f"https://api.github.com/repos/{private.name}/releases/assets/{asset['id']}"
    options = (asset["url"], "--header", "Accept: application/octet-stream")
    assert status(*options) == 302
    assert status(*options, "--location") == 200 and (tmp_path / "got").read_text() == "bytes"
    assert status(*options, "--location-trusted") == 400, "the token went along"
    assert status(asset["browser_download_url"]) == 404, "a private repository's files are had from the API alone"


def test_a_raw_file_is_on_a_host_of_its_own(private: Repository, status: Status, tmp_path: Path) -> None:
    commit = private.bare.resolve("main")
    page = f"https://github.com/{private.name}/raw/{commit}/model.zip"
    assert status(page) == 302
    assert status(page, "--location") == 200 and (tmp_path / "got").read_text() == "bytes"
    assert status(page, nobody=True) == 404
    raw = f"https://raw.githubusercontent.com/{private.name}/{commit}/model.zip"
    assert status(raw, nobody=True) == 404, "its address has a token of its own"


def test_each_host_has_its_own_and_nothing_else(private: Repository, status: Status) -> None:
    call = f"/repos/{private.name}"
    assert status(f"https://api.github.com{call}") == 200
    assert status(f"https://api.github.com{call}", "--user-agent", "") == 403
    for elsewhere in ("github.com/api/v3", "api.github.com/api/v3", "uploads.github.com/api/v3", "github.com"):
        assert status(f"https://{elsewhere}{call}") == 404


OTHERS = {
    "curl": ["curl", "--silent", "--show-error", "https://curl.example/"],
    "gh": ["env", "GH_ENTERPRISE_TOKEN=x", "gh", "api", "--hostname", "gh.example", "user"],
    "git": ["git", "ls-remote", "https://git.example/"],
    "node": ["node", "--eval", "fetch('https://node.example/').catch(error => { throw error.cause })"],
    "python3": ["python3", "-c", "import urllib.request; urllib.request.urlopen('https://python3.example/')"],
    "uv": [
        "env",
        "UV_HTTP_RETRIES=0",
        "uv",
        "pip",
        "install",
        "--target=t",
        "--default-index=https://uv.example/",
        "x",
    ],
}


@pytest.mark.parametrize("program", OTHERS)
def test_no_other_host_is_reached(dot_com: LocalGitHub, tmp_path: Path, program: str) -> None:
    with pytest.raises(RuntimeError, match=r"502|tunnel|\.example is not reached from the local GitHub"):
        dot_com.on_laptop(OTHERS[program], tmp_path, OWNER)
    assert f"{program}.example" in dot_com.front.refused


class Registry:
    """A package registry, as far as a test needs one."""

    def answer(self, request: Request) -> Response:
        return Response(200, f"packages at {request.path}".encode())


class Upstream(BaseHTTPRequestHandler):
    """A machine's own proxy, for those who know its password."""

    def do_CONNECT(self) -> None:
        if read_token(self.headers["Proxy-Authorization"]) != "pass word":
            self.send_error(407)
            return
        with socket.create_connection(("127.0.0.1", int(self.path.rpartition(":")[2]))) as other:
            self.send_response_only(200, "Here you are")
            self.end_headers()
            relay(self.connection, other)


@pytest.mark.parametrize("password", ["", "pass%20word", "wrong"])
def test_a_registry_that_the_machine_is_told_of_is_reached_by_the_machines_own_proxy(
    dot_com: LocalGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    context, trust = make_certificate(tmp_path, "localhost")
    registry = Front(context)
    registry.start(Registry())
    host = registry.host.replace("127.0.0.1", "localhost")
    command = ["curl", "--silent", "--show-error", "--noproxy", "", "--cacert", trust["SSL_CERT_FILE"]]
    command += [f"https://{host}/simple/"]
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    for name in ("no_proxy", "NO_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    if password:
        monkeypatch.setenv("https_proxy", f"http://me:{password}@127.0.0.1:{upstream.server_address[1]}")
    try:
        with pytest.raises(RuntimeError, match="502"):
            dot_com.on_laptop(command, tmp_path, OWNER)
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"https://me:secret@{host}/simple/")
        if password == "wrong":
            with pytest.raises(RuntimeError, match="502"):
                dot_com.on_laptop(command, tmp_path, OWNER)
        else:
            assert dot_com.on_laptop(command, tmp_path, OWNER) == "packages at /simple/"
    finally:
        registry.stop()
        upstream.shutdown()
        upstream.server_close()
