"""git's smart HTTP protocol, by git's own http-backend."""

import os
import subprocess
from collections.abc import Iterator
from http.client import parse_headers
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

PASSED = {
    "Content-Type": "CONTENT_TYPE",
    "Content-Encoding": "HTTP_CONTENT_ENCODING",
    "Git-Protocol": "GIT_PROTOCOL",
    "Accept": "HTTP_ACCEPT",
}


def wants_push(target: str) -> bool:
    """Whether a request is part of a push."""
    return "git-receive-pack" in target


def run_backend(
    root: Path, method: str, target: str, headers: dict[str, str], body: IO[bytes], user: str
) -> tuple[int, dict[str, str], Iterator[bytes]]:
    """The status, headers and content of http-backend's answer; `body` is a real file at its start."""
    url = urlsplit(target)
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "REQUEST_METHOD": method,
        "PATH_INFO": url.path,
        "QUERY_STRING": url.query,
        "CONTENT_LENGTH": str(os.fstat(body.fileno()).st_size),
        "REMOTE_USER": user,
        **{name: headers[header] for header, name in PASSED.items() if header in headers},
    }
    process = subprocess.Popen(
        ["git", "http-backend"], env=environment, stdin=body, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    answer = dict(parse_headers(process.stdout).items())
    status = int(answer.pop("Status", "200").split()[0])
    return status, answer, _content(process)


def _content(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    with process:
        while chunk := process.stdout.read1(1 << 16):
            yield chunk
