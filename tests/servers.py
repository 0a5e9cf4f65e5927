"""Real sources of rows on this machine: an HTTP server with moods, S3, PostgreSQL. Each ends with its `with`."""

import base64
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import trustme

LOGIN = base64.b64encode(b"ada:secret").decode()


class Handler(BaseHTTPRequestHandler):
    """Serves `server.files`; the first part of a path says how: /flaky fails twice, /away leads to another server…"""

    def do_GET(self) -> None:
        path = re.sub("^http://[^/]+", "", self.path)  # a proxy is asked for whole addresses
        mood, _, name = path.strip("/").partition("/")
        content = self.server.files.get(name.partition("?")[0])
        self.server.asked.append(self.path)
        self.server.heard.append(self.headers)
        if mood == "moved":
            self.answer(302, b"", location=f"/plain/{name}")
        elif mood == "away":
            self.answer(302, location=f"{self.server.away}/{name}")
        elif mood == "login" and self.headers["Authorization"] != f"Basic {LOGIN}":
            self.answer(401)
        elif mood == "down" or (mood == "flaky" and self.server.asked.count(self.path) < 3):
            self.answer(503)
        elif content is None:
            self.answer(404)
        elif mood == "page":
            self.answer(200, b"<html>Sign in</html>", content_type="text/html; charset=utf-8")
        else:
            self.answer(200, content, cut=mood == "cut")

    def do_HEAD(self) -> None:
        self.do_GET()

    def answer(self, status: int, content: bytes = b"", cut: bool = False, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[: len(content) // 2] if cut else content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve_http(
    authority: Path | None = None, handler: type[BaseHTTPRequestHandler] = Handler
) -> Iterator[ThreadingHTTPServer]:
    """A server at `url`: a test fills its `files`, and `away` for redirects, and reads what was `asked` and `heard`.

    With a folder for the `ca.pem` of an authority of its own, it is behind TLS.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.files, server.asked, server.heard, server.away = {}, [], [], ""
    server.url = f"http{'s' if authority else ''}://127.0.0.1:{server.server_port}"
    if authority:
        signing, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        signing.cert_pem.write_to_path(authority / "ca.pem")
        signing.issue_cert("127.0.0.1", "localhost").configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serve_s3(log: Path) -> Iterator[tuple[dict[str, str], object]]:
    """The environment that reaches an S3 server, and a client of it."""
    port = free_port()
    command = [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT) as server:
        try:
            wait_for(port, server, log)
            yield (
                environment,
                boto3.client(
                    "s3",
                    endpoint_url=environment["AWS_ENDPOINT_URL"],
                    aws_access_key_id="key",
                    aws_secret_access_key="secret",
                    region_name="us-east-1",
                ),
            )
        finally:
            server.terminate()


def find_postgres() -> Path | None:
    """The directory of PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    path = shutil.which("initdb")
    return Path(path).resolve().parent if path else found[-1].parent if found else None


@contextmanager
def serve_postgres(bin: Path) -> Iterator[str]:
    """The URL of a PostgreSQL server with a database of the user ada, who needs a password to reach it."""
    # The server refuses to be root's, and pytest's directories are root's alone.
    as_owner = ["runuser", "-u", "nobody", "--"] if os.getuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        port, log, secret = free_port(), folder / "log", folder / "secret"
        secret.write_text("secret\n")
        if as_owner:
            for path in (folder, secret):
                shutil.chown(path, "nobody")
        initialise = [bin / "initdb", "-D", folder / "data", "-U", "ada", "--auth=scram-sha-256", f"--pwfile={secret}"]
        subprocess.run([*as_owner, *initialise], check=True, stdout=subprocess.DEVNULL, cwd=folder)
        command = [*as_owner, bin / "postgres", "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", folder]
        with subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT, cwd=folder) as server:
            try:
                wait_for(port, server, log)
                yield f"postgresql://ada@127.0.0.1:{port}/postgres"
            finally:
                server.terminate()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server takes connections; one that ends instead is an error with what it said."""
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"no server on port {port}: {log.read_text()}")
