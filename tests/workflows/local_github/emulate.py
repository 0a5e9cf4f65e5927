"""The emulator of GitHub's API that keeps users, issues, comments, pull requests and releases."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from .tools import find_node, install_emulate


class Emulate:
    """A running emulate@0.12.2; `send` speaks to it as one of its users."""

    def __init__(self, directory: Path, url: str, users: list[str]) -> None:
        seed = {
            "tokens": {login: {"login": login, "scopes": ["repo"]} for login in users},
            "github": {"users": [{"login": login} for login in users]},
        }
        (directory / "emulate.json").write_text(json.dumps(seed))
        self.log = directory / "emulate.log"
        while not self._starts(directory, url):
            if "EADDRINUSE" not in self.log.read_text():
                raise RuntimeError(f"emulate did not start: {self.log.read_text().strip()}")

    def _starts(self, directory: Path, url: str) -> bool:
        """Whether it is up on a port that was free; between the look and the start, another process may take it."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [find_node(), install_emulate(), "start", "--service", "github", "--port", str(self.port)]
        command += ["--seed", directory / "emulate.json", "--base-url", url]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=directory, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            # Its own word: what answers on the port may be another's.
            if "Ready." in self.log.read_text():
                return True
            time.sleep(0.02)
        self.stop()
        return False

    def send(
        self, method: str, path: str, login: str | None = None, body: bytes | None = None, kind: str | None = None
    ) -> tuple[int, dict[str, str], Any]:
        """The status, headers and JSON that emulate answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Content-Type": kind or "application/json"}
        if login:
            headers["Authorization"] = f"token {login}"
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        return (
            answer.status,
            {name.title(): value for name, value in answer.getheaders()},
            json.loads(text) if text else None,
        )

    def call(self, method: str, path: str, login: str, body: Any = None) -> Any:
        """The JSON of a call that must succeed."""
        status, _, answer = self.send(method, path, login, json.dumps(body).encode() if body is not None else None)
        if status >= 400:
            raise RuntimeError(f"emulate answered {status} to {method} {path}: {answer}")
        return answer

    def stop(self) -> None:
        """End the process."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait()
