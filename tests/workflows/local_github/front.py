"""The TLS server that everything talks to: git, the API, and what runs upload."""

import base64
import json
import ssl
import tempfile
import threading
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO, Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass
class Request:
    """What a client asks; `body` is a file at its start."""

    method: str
    target: str
    headers: dict[str, str]
    body: IO[bytes]
    token: str | None
    host: str

    @property
    def path(self) -> str:
        """The path without its query, decoded."""
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters."""
        return dict(parse_qsl(urlsplit(self.target).query))

    def json(self) -> Any:
        """The body as JSON, an empty one as an empty object."""
        text = self.body.read()
        return json.loads(text) if text else {}


@dataclass
class Response:
    """What the server answers: bytes, or chunks of them."""

    status: int = 200
    content: bytes | Iterable[bytes] = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> "Response":
        """An answer in JSON."""
        kind = {"Content-Type": "application/json; charset=utf-8"}
        return cls(status, json.dumps(value).encode(), {**kind, **(headers or {})})

    @classmethod
    def error(cls, status: int, message: str) -> "Response":
        """An error as GitHub words it."""
        return cls.of({"message": message, "documentation_url": "https://docs.github.com/rest"}, status)


class Application(Protocol):
    """What answers the requests."""

    def answer(self, request: Request) -> Response:
        """The response to a request."""


class Front:
    """A TLS server on a free port of loopback, with all that a GitHub Enterprise Server has below its one host."""

    environment: Mapping[str, str] = {}

    def __init__(self, context: ssl.SSLContext) -> None:
        self.server = _Server(("127.0.0.1", 0), Handler)
        self.server.context = context
        self.host = f"127.0.0.1:{self.server.server_address[1]}"

    def address(self, path: str) -> str:
        """The address of a path."""
        return f"https://{self.host}{path}"

    def start(self, application: Application) -> None:
        """Begin to serve."""
        self.server.application = application
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Serve no more."""
        if hasattr(self, "thread"):
            self.server.shutdown()
            self.thread.join()
        self.server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    context: ssl.SSLContext
    application: Application

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread, so that a silent client blocks nobody."""
        request.settimeout(60)
        try:
            with self.context.wrap_socket(request, server_side=True) as secured:
                self.RequestHandlerClass(secured, client_address, self)
        except OSError:
            pass


class Handler(BaseHTTPRequestHandler):
    """Has the server's application answer what comes over a connection that is secured."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    server: _Server

    def handle_any(self) -> None:
        """Answer one request."""
        with tempfile.TemporaryFile() as body:
            self._receive(body)
            body.seek(0)
            headers = {name.title(): value for name, value in self.headers.items()}
            token, host = read_token(headers.get("Authorization")), headers.get("Host", "")
            request = Request(self.command, self.path, headers, body, token, host)
            try:
                response = self.server.application.answer(request)
            except Exception:
                response = Response.error(500, traceback.format_exc())
            self._send(response)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

    def _receive(self, body: IO[bytes]) -> None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body.write(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        else:
            body.write(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        body.flush()

    def _send(self, response: Response) -> None:
        whole = isinstance(response.content, bytes)
        self.send_response(response.status)
        for name, value in response.headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        if whole and response.status != 204:
            self.send_header("Content-Length", str(len(response.content)))
        elif not whole:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.command == "HEAD":
            return
        if whole:
            self.wfile.write(response.content)
            return
        for chunk in response.content:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep the tests' output clean."""


def read_token(header: str | None) -> str | None:
    """The token in an Authorization header, whichever of GitHub's forms it has."""
    kind, _, value = (header or "").partition(" ")
    if kind.lower() == "basic":
        return base64.b64decode(value).decode().partition(":")[2] or None
    return value.strip() or None
