"""CML's binary runs in a job that may comment, and no checksum of it is published: the project keeps its own."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest
from baked import TEMPLATE, Bake, Project
from local_github.certificate import make_certificate
from mlops_actions.core import trust as core_trust

Verb = Callable[..., subprocess.CompletedProcess[str]]
Installed = Callable[[], str | None]
VERSION = "v0.20.6"
X64, ARM64 = f"{VERSION}/cml-linux-x64", f"{VERSION}/cml-linux-arm64"
HERE = ARM64 if platform.machine() in ("aarch64", "arm64") else X64
DIGESTS = ".github/actions/setup/cml.sha256"


def line(name: str, content: bytes) -> str:
    """What `sha256sum` prints of a file."""
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n"


def program(name: str) -> bytes:
    """A program that runs, and ends with its name."""
    return Path("/bin/true").read_bytes() + f"\n{name}".encode()


class Releases(ThreadingHTTPServer):
    """A server of CML's releases: `files` by name; one in `cut` breaks off, and one in `held` never begins."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = {name: program(name) for name in (X64, ARM64)}
        self.cut: set[str] = set()
        self.held: set[str] = set()
        self.ended = threading.Event()

    @property
    def lines(self) -> str:
        """The digests of its files, as the project keeps them."""
        return "".join(line(name, self.files[name]) for name in (ARM64, X64))


class Answer(BaseHTTPRequestHandler):
    """The answer to one download."""

    server: Releases

    def do_GET(self) -> None:
        name = self.path[1:]
        if name in self.server.held:
            self.server.ended.wait()
        content = self.server.files.get(name)
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write((content or b"")[: 5 if name in self.server.cut else None])

    def log_message(self, *_: object) -> None:
        """Nothing: pytest shows what matters."""


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Releases]:
    """Releases that this process and those that it starts take for CML's."""
    server = Releases()
    (tmp_path / "tls").mkdir()
    context, trust = make_certificate(tmp_path / "tls", "127.0.0.1")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    for name, value in {**trust, "CML_RELEASES": f"https://127.0.0.1:{server.server_port}"}.items():
        monkeypatch.setenv(name, value)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.ended.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def pristine(bake: Bake) -> Project:
    """A project to copy."""
    return bake()


@pytest.fixture
def generated(pristine: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project, in which this process works."""
    project = pristine.copy(tmp_path / "project")
    monkeypatch.chdir(project.path)
    monkeypatch.setenv("PYTHONPATH", str(TEMPLATE / "engine/src"))
    return project


@pytest.fixture
def trust(generated: Project) -> ModuleType:
    """The module that records CML's digests, in the generated project."""
    return core_trust


@pytest.fixture
def mlops(generated: Project) -> Verb:
    """`mlops("trust", "cml")`: the finished command, run by a Python that has no third-party package."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-S", "-m", "mlops_actions", *words]
        return subprocess.run(command, capture_output=True, text=True)

    return run


@pytest.fixture
def install(generated: Project, tmp_path: Path) -> Verb:
    """`install()`: what the step of a runner says that has no CML."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "chmod", "curl", "dirname", "mkdir", "mv", "sha256sum", "uname"):
        (tools / name).symlink_to(str(shutil.which(name)))

    def run() -> subprocess.CompletedProcess[str]:
        runner = {"PATH": str(tools), "RUNNER_TEMP": str(tmp_path), "GITHUB_PATH": str(tmp_path / "added")}
        script = generated.path / ".github/actions/setup/install-cml"
        return subprocess.run([script], env={**os.environ, **runner}, capture_output=True, text=True)

    return run


def runs(program: str) -> bool:
    return subprocess.run([program]).returncode == 0


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    """`installed()`: the name of the `cml` that a runner's next step finds and can run, None where it finds none."""

    def run() -> str | None:
        added = tmp_path / "added"
        program = shutil.which("cml", path=added.read_text().strip()) if added.exists() else None
        return Path(program).read_bytes().rpartition(b"\n")[2].decode() if program and runs(program) else None

    return run


def test_the_binaries_that_were_trusted_are_installed_without_a_word(
    releases: Releases, generated: Project, mlops: Verb, install: Verb, installed: Installed
) -> None:
    assert mlops("trust", "cml").stdout.splitlines()[-1] == f"{DIGESTS} names the binaries of CML {VERSION}: commit it."
    assert generated.read(DIGESTS) == releases.lines
    done = install()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert installed() == HERE


def test_a_run_without_digests_warns_with_the_line_to_commit_which_the_next_run_obeys(
    releases: Releases, generated: Project, install: Verb, installed: Installed
) -> None:
    done = install()
    warning, *more = done.stdout.splitlines()
    assert (done.returncode, done.stderr, more, installed()) == (0, "", [], HERE)
    assert warning.startswith("::warning title=CML is not verified::") and f"Commit {DIGESTS}" in warning
    generated.write(DIGESTS, warning.rpartition(": ")[2] + "\n")
    assert generated.read(DIGESTS) == line(HERE, releases.files[HERE])
    assert install().stdout == ""
    releases.files[HERE] += b"rm -rf /\n"
    assert install().returncode == 1


@pytest.mark.parametrize(
    "digests",
    [
        line(HERE, b"other bytes"),
        line(HERE.replace(VERSION, "v0.20.5"), program(HERE)),
        line(HERE, program(HERE))[1:],
        "",
    ],
    ids=["other bytes", "another version", "a damaged line", "no line"],
)
def test_a_binary_that_the_digests_do_not_name_is_refused_in_one_sentence_and_stays_off_the_path(
    releases: Releases, generated: Project, install: Verb, installed: Installed, digests: str
) -> None:
    generated.write(DIGESTS, digests)
    done = install()
    (said,) = done.stdout.splitlines()
    assert done.returncode == 1 and done.stderr == "" and installed() is None
    assert said.startswith(f"::error title=CML is refused::{DIGESTS} has no line '")
    assert line(HERE, releases.files[HERE]).strip() in said and "mlops trust cml" in said


def test_a_download_that_fails_is_said_in_one_line_and_nothing_is_on_the_path(
    releases: Releases, install: Verb, installed: Installed
) -> None:
    del releases.files[HERE]
    done = install()
    assert done.returncode and "404" in done.stderr and done.stderr.count("\n") == 1 and installed() is None
    assert done.stdout.startswith("::error title=CML was not downloaded::")


def test_other_bytes_under_the_same_version_are_never_recorded_over_the_trusted_ones(
    releases: Releases, generated: Project, mlops: Verb
) -> None:
    mlops("trust", "cml")
    trusted = releases.lines
    assert mlops("trust", "cml").returncode == 0 and generated.read(DIGESTS) == trusted
    releases.files[X64] += b"# from elsewhere"
    done = mlops("trust", "cml")
    assert done.returncode == 1 and generated.read(DIGESTS) == trusted
    assert f"{X64} is not the file that {DIGESTS} names: nothing is recorded." in done.stderr
    assert done.stderr.count("\n") == 1
    generated.write(DIGESTS, line(ARM64, releases.files[ARM64]))
    assert mlops("trust", "cml").returncode == 0 and generated.read(DIGESTS) == releases.lines


def test_another_version_is_chosen_in_one_place_and_takes_the_place_of_the_old_digests(
    releases: Releases, generated: Project, mlops: Verb, install: Verb, installed: Installed
) -> None:
    mlops("trust", "cml")
    script = ".github/actions/setup/install-cml"
    texts = [name for name in generated.files() if not name.endswith(".whl")]
    assert [name for name in texts if VERSION[1:] in generated.read(name)] == sorted([script, DIGESTS])
    generated.write(script, generated.read(script).replace(VERSION, "v0.21.0"))
    new = {name.replace(VERSION, "v0.21.0"): content + b"#" for name, content in releases.files.items()}
    releases.files |= new
    assert install().returncode == 1 and installed() is None
    assert mlops("trust", "cml").returncode == 0
    assert generated.read(DIGESTS) == "".join(line(name, new[name]) for name in sorted(new))
    assert install().stdout == "" and installed() == f"{HERE}#"


def test_line_ends_of_another_editor_in_the_digests_make_no_other_file(
    releases: Releases, generated: Project, install: Verb, installed: Installed, mlops: Verb
) -> None:
    (generated.path / DIGESTS).write_bytes(releases.lines.replace("\n", "\r\n").encode())
    assert install().returncode == 0 and installed() == HERE
    (generated.path / DIGESTS).write_bytes(b"\xff\xfe")
    assert mlops("trust", "cml").returncode == 0 and generated.read(DIGESTS) == releases.lines


def test_a_page_in_the_place_of_the_program_is_neither_recorded_nor_installed(
    releases: Releases, generated: Project, install: Verb, installed: Installed, mlops: Verb
) -> None:
    releases.files = dict.fromkeys(releases.files, b"<html>Log in to the guests' network</html>")
    done = mlops("trust", "cml")
    assert done.returncode == 1 and "is no program" in done.stderr and not generated.has_file(DIGESTS)
    done = install()
    assert done.returncode == 1 and installed() is None and "is no program" in done.stdout


def test_what_is_cut_off_missing_or_not_behind_tls_is_recorded_never(
    releases: Releases, generated: Project, mlops: Verb, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(reason: str) -> None:
        done = mlops("trust", "cml")
        assert done.returncode == 1 and reason in done.stderr and done.stderr.count("\n") == 1, done.stderr
        assert not generated.has_file(DIGESTS)

    releases.cut = {X64}
    refused("cml-linux-x64 could not be fetched: the connection broke off")
    del releases.files[ARM64]
    refused("cml-linux-arm64 could not be fetched: HTTP 404 Not Found")
    plain = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    plain.files, plain.cut, plain.held = {ARM64: b"x", X64: b"y"}, set(), set()
    with plain:
        threading.Thread(target=plain.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        monkeypatch.setenv("CML_RELEASES", f"http://127.0.0.1:{plain.server_port}")
        refused("which is not https")
        plain.shutdown()
    monkeypatch.setenv("CML_RELEASES", f"https://127.0.0.1:{plain.server_port}")
    refused("Connection refused")


def test_setup_records_the_digests_once_where_there_is_a_network(
    releases: Releases, generated: Project, trust: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    trust.trust_cml_within(seconds=60)
    assert generated.read(DIGESTS) == releases.lines
    assert capsys.readouterr().out.startswith(f"setup: {DIGESTS} names ")
    releases.files.clear()
    trust.trust_cml_within(seconds=60)
    assert capsys.readouterr() == ("", "")


def test_setup_neither_fails_nor_waits_where_the_network_gives_nothing(
    releases: Releases, generated: Project, trust: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    releases.held = {ARM64, X64}
    trust.trust_cml_within(seconds=1)
    assert capsys.readouterr().err.startswith("CML's binaries are not recorded (it would take more than 1 s): run ")
    releases.files.clear()
    releases.held = set()
    trust.trust_cml_within(seconds=60)
    out, said = capsys.readouterr()
    assert out == "" and "404" in said and said.count("\n") == 1
    assert not generated.has_file(DIGESTS)
