"""A server of a generated project, run as its owner runs it, and asked over real sockets."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from baked import Project, environment

STARTED = 60  # seconds, on a machine that does other things as well


class Reply(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]


class Server:
    """A running `mlops serve`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self.log = process, log
        found = wait_until(lambda: re.search(r"http://127\.0\.0\.1:(\d+)", self.said()) or self.ended())
        assert not isinstance(found, bool), self.said()
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def said(self) -> str:
        return self.log.read_text()

    def ended(self) -> bool:
        return self.process.poll() is not None

    def ask(self, path: str, body: Any = None, method: str | None = None, **headers: str) -> Reply:
        """What a request is answered; a body that is not bytes is sent as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        named = {
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        request = urllib.request.Request(self.url + path, data, named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return reply_of(answer.status, answer.read(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            return reply_of(error.code, error.read(), dict(error.headers))

    def is_ready(self) -> bool:
        try:
            return self.ask("/v2/health/ready").status == 200
        except (urllib.error.URLError, ConnectionError):
            assert not self.ended(), self.said()
            return False

    def stop(self, how: int = signal.SIGTERM) -> int:
        if not self.ended():
            self.process.send_signal(how)
        return self.process.wait(60)


def reply_of(status: int, content: bytes, headers: dict[str, str]) -> Reply:
    kind = headers.get("content-type", headers.get("Content-Type", ""))
    return Reply(status, json.loads(content) if "json" in kind else content.decode(), headers)


def wait_until(check: Any, seconds: float = STARTED) -> Any:
    """What `check` answers once that is true."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


@contextmanager
def serve(project: Project, *words: str, ready: bool = True, **variables: str) -> Iterator[Server]:
    """`mlops serve WORDS` of a project on a free port, ended at last."""
    log = project.path / "server.log"
    command = ["mlops", "serve", "--port", "0", *words]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=project.path, env=environment(**variables), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        server = Server(process, log)
        if ready:
            wait_until(server.is_ready)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def memory(pid: int) -> float:
    """What a process holds, in MB."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", text)
    assert found
    return int(found[1]) / 1000


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            found.append(int(path.parent.name))
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def lives(group: int) -> bool:
    """Return whether a process of a group is still there."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            state, _, its = path.read_text().rpartition(")")[2].split()[:3]
            if int(its) == group and state != "Z":
                return True
    return False
