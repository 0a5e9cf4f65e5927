"""github.com on loopback: a proxy that answers for its hosts, leads to package registries, and refuses all others.

What is below one host on a GitHub Enterprise Server has a host of its own on github.com. Programs that have the
proxy's `environment` make every TLS connection through it, so none of them reaches the real github.com.
"""

import contextlib
import os
import re
import selectors
import socket
import ssl
from base64 import b64encode
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from .front import Application, Front, Handler, Request, Response

WEB = "github.com"
API = "api.github.com"
# What each host has, by where an Enterprise Server has it.
FOLDERS = {
    "/api/v3": API,
    "/api/uploads": "uploads.github.com",
    "/raw": "raw.githubusercontent.com",
    "/storage/releases": "release-assets.githubusercontent.com",
    "/storage/artifacts": "productionresultssa0.blob.core.windows.net",
    "/_runner": "results-receiver.actions.githubusercontent.com",
}
HOSTS = (WEB, *FOLDERS.values())
STORAGE = {host for folder, host in FOLDERS.items() if folder.startswith("/storage/")}
REGISTRIES = ("pypi.org", "files.pythonhosted.org", "registry.npmjs.org")


class Proxy(Front):
    """The proxy; `asked` is each request that it answered, `tunnelled` the hosts it led to, `refused` the others."""

    host = WEB

    def __init__(self, context: ssl.SSLContext) -> None:
        self.server = _Server(("127.0.0.1", 0), _Door)
        self.server.context = context
        self.asked: list[str] = []
        self.tunnelled: set[str] = set()
        self.refused: set[str] = set()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead every TLS connection here, and leave those that do not leave the machine alone.

        gh tells GitHub of some of its commands, on yet another host: here of each, so that none goes unseen.
        """
        here = f"http://127.0.0.1:{self.server.server_address[1]}"
        local = dict.fromkeys(("no_proxy", "NO_PROXY"), "localhost,127.0.0.1")
        programs = {"NODE_USE_ENV_PROXY": "1", "GH_TELEMETRY_SAMPLE_RATE": "100"}
        return local | dict.fromkeys(("https_proxy", "HTTPS_PROXY"), here) | programs

    def address(self, path: str) -> str:
        """The address of what an Enterprise Server has at a path."""
        for folder, host in FOLDERS.items():
            if path == folder or path.startswith(f"{folder}/"):
                return f"https://{host}{path.removeprefix(folder)}"
        return super().address(path)

    def start(self, application: Application) -> None:
        """Begin to serve."""
        self.application = application
        super().start(self)

    def answer(self, request: Request) -> Response:
        """The response of the host that is asked."""
        self.asked.append(f"{request.method} https://{request.host}{request.target}")
        if request.host in STORAGE and "Authorization" in request.headers:
            # Its address alone opens a file there.
            return Response(400, b"<Error><Code>InvalidArgument</Code>Only one auth mechanism allowed</Error>")
        if request.host == API and "User-Agent" not in request.headers:
            return Response(403, b"Request forbidden by administrative rules: it has no User-Agent header.")
        path = find_path(request.host, request.target)
        return self.application.answer(replace(request, target=path)) if path else Response.error(404, "Not Found")


def find_path(host: str, target: str) -> str | None:
    """Where an Enterprise Server has what a host of github.com has at a target; None where that has no such thing."""
    if host == WEB:
        return None if re.match("/(api|raw|storage|_runner)/", target) else target
    if (host, target) == (API, "/graphql"):
        return "/api/graphql"
    folders = {host: folder for folder, host in FOLDERS.items()}
    return folders[host] + target if host in folders else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    context: ssl.SSLContext
    application: Proxy


class _Door(BaseHTTPRequestHandler):
    server: _Server
    timeout = 60

    def do_CONNECT(self) -> None:
        """Speak for a host of GitHub's, or let a registry speak for itself."""
        self.close_connection = True
        host, proxy = self.path.rpartition(":")[0], self.server.application
        if host in HOSTS:
            self._accept()
            with self.server.context.wrap_socket(self.connection, server_side=True) as secured:
                Handler(secured, self.client_address, self.server)
        elif host in find_registries():
            proxy.tunnelled.add(host)
            self._lead_on()
        else:
            proxy.refused.add(host)
            self.send_error(502, f"{host} is not reached from the local GitHub")

    def handle(self) -> None:
        """Let a client go when it likes."""
        with contextlib.suppress(OSError):
            super().handle()

    def _lead_on(self) -> None:
        try:
            other = open_tunnel(self.path)
        except OSError as error:
            self.send_error(502, f"{self.path} is not reached: {error}")
            return
        with other:
            self._accept()
            relay(self.connection, other)

    def _accept(self) -> None:
        self.send_response_only(200, "Connection established")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep the tests' output clean."""


def find_registries() -> set[str]:
    """The hosts that packages come from, those that this machine is told of in its environment included."""
    told = [value for name, value in os.environ.items() if re.match("(?i)UV_|PIP_|NPM_CONFIG_", name)]
    return {*REGISTRIES, *(url for value in told for url in re.findall(r"https://(?:[^/@\s]*@)?([^/:\s]+)", value))}


def open_tunnel(authority: str) -> socket.socket:
    """A connection to a host, by this machine's own proxy where it has one.

    Raises:
        OSError: there is none to be had.
    """
    host, _, port = authority.rpartition(":")
    proxy = None if proxy_bypass(host) else getproxies().get("https")
    if proxy is None:
        return socket.create_connection((host, int(port)), timeout=60)
    upstream = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    connection = socket.create_connection((upstream.hostname, upstream.port or 80), timeout=60)
    request = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"
    if upstream.username:
        words = f"{unquote(upstream.username)}:{unquote(upstream.password or '')}"
        request += f"Proxy-Authorization: Basic {b64encode(words.encode()).decode()}\r\n"
    connection.sendall(f"{request}\r\n".encode())
    with connection.makefile("rb", buffering=0) as answer:
        status = answer.readline()
        while answer.readline().strip():
            pass
    if b" 200 " not in status:
        connection.close()
        raise ConnectionError(f"{upstream.hostname} did not connect to {authority}: {status.decode().strip()}")
    return connection


def relay(one: socket.socket, other: socket.socket) -> None:
    """Pass on what either side says until one has nothing more to say."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(one, selectors.EVENT_READ, other)
        waiting.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in waiting.select():
                said = key.fileobj.recv(1 << 16)
                if not said:
                    return
                key.data.sendall(said)
