"""The process, or processes, that listen."""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from functools import partial
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

from ..core.config import Attestation, Serving
from ..core.errors import UserError
from ..registry.attestation import require_attested
from .app import make_app
from .follow import Follower
from .http import encode
from .lanes import STARTING, Broken, open_lane
from .prometheus import SHARED
from .state import STATE, State, read_state, served_file

BACKLOG = 2048
SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
)


class Settings(uvicorn.Config):
    """What uvicorn is told, and how many seconds a client may take."""

    seconds = 10.0


class Protocol(HttpToolsProtocol):
    """HTTP from clients that must get on with it: a connection that sends no whole request in time is closed."""

    def connection_made(self, transport) -> None:  # type: ignore[no-untyped-def]
        """Begin to count."""
        super().connection_made(transport)
        assert isinstance(self.config, Settings)
        self._seconds = self.config.seconds
        self._watch = self.loop.call_later(self._seconds, self._give_up)

    def on_message_complete(self) -> None:
        """Stop counting, unless this is the rest of a request that was answered before it was there."""
        super().on_message_complete()
        if not self.cycle.response_complete:
            self._watch.cancel()

    def on_response_complete(self) -> None:
        """Count for the next request, which may begin as late as keep-alive allows."""
        super().on_response_complete()
        self._watch.cancel()
        self._watch = self.loop.call_later(self._seconds + self.timeout_keep_alive, self._give_up)

    def connection_lost(self, exc) -> None:  # type: ignore[no-untyped-def]
        """Stop counting."""
        self._watch.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if self.transport.is_closing():
            return
        if self.cycle and self.cycle.more_body and not self.cycle.response_started:
            body = encode({"error": f"the body was not complete within {self._seconds:g} s"})
            self.transport.write(SLOW % len(body) + body)
        self.transport.close()


def serve(settings: Serving, bundle: Path | None = None) -> None:
    """Answer requests until a signal ends it: with `bundle` that one version, else those in a role.

    Raises:
        UserError: the address cannot be had, or the bundle is refused.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn ends in peace first, then sends it again
    if bundle:
        require_attested(bundle, settings.attestation)
    elif settings.attestation.required:
        forget_unattested(settings.attestation)
    fixed = asyncio.run(_only(bundle, settings)) if bundle else None
    with tempfile.TemporaryDirectory(prefix="mlops-metrics-") as shared, _listen(settings) as listening:
        if settings.workers > 1:
            os.environ[SHARED] = shared
        config = Settings(
            partial(make_app, settings, fixed),
            factory=True,
            workers=settings.workers,
            loop="uvloop",
            http=Protocol,
            ws="none",
            lifespan="on",
            access_log=False,
            log_level="warning",
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=int(settings.limits.seconds) + 1,
            timeout_worker_healthcheck=int(STARTING),  # else a slow machine ends its workers before they have begun
        )
        host, port = listening.getsockname()[:2]
        print(f"serve: http://{host}:{port}/docs with {settings.workers} worker(s)", flush=True)
        config.seconds = settings.limits.seconds
        follower = None if fixed else Follower(settings.follow_seconds)
        if follower:
            follower.start()
        try:
            if settings.workers > 1:
                Multiprocess(config, sockets=[listening]).run()
            else:
                uvicorn.Server(config).run(sockets=[listening])
        finally:
            if follower:
                follower.end()


def forget_unattested(settings: Attestation) -> None:
    """Forget what was served last, if not all of it is attested by now; the follower says what is to be served."""
    try:
        state = read_state() or State()
        for served in filter(None, (state.champion, state.canary, state.shadow)):
            require_attested(Path(served.bundle), settings)
    except UserError as error:
        print(f"serve: {error}", flush=True)
        STATE.unlink()


async def _only(bundle: Path, settings: Serving) -> State:
    """Return the state that serves one bundle, which answers as it should."""
    served = served_file(bundle)
    try:
        lane = await open_lane(served, settings.limits)
    except Broken as error:
        raise UserError(f"{bundle}: {error}.") from None
    await lane.close()
    return State(champion=served)


def _listen(settings: Serving) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
        listening.listen(BACKLOG)
        listening.set_inheritable(True)
    except OSError as error:
        listening.close()
        raise UserError(
            f"{settings.host}:{settings.port} cannot be listened on ({error.strerror}); give --host or --port another."
        ) from None
    return listening
