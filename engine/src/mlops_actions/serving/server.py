"""The process, or processes, that listen."""

import asyncio
import fcntl
import os
import socket
import tempfile
import termios
from array import array
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import multiprocess

from ..core.config import Attestation, Serving
from ..core.errors import UserError
from ..data.prediction_log.journal import require_folder
from ..registry.attestation import require_attested
from .app import make_app
from .follow import Follower
from .http import encode
from .lanes import STARTING, Broken, open_lane
from .prometheus import SHARED
from .state import STATE, State, read_state, served_file
from .token import warning

BACKLOG = 2048
DRAINED = 2.0  # seconds in which a client may end its side after this one has ended
LARGEST_HEAD = 2**16  # bytes of a request before its body
PIPELINED = 100  # requests of a client that wait behind one: each is made at once, while everybody else waits
UPGRADING = (b"connection", b"upgrade", b"http2-settings")  # headers of a wish for another protocol
REFUSAL = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s"


class Enough(Exception):
    """No more is read of a connection."""


class Settings(uvicorn.Config):
    """What uvicorn is told, and how many seconds a client may take."""

    seconds = 10.0


class Protocol(HttpToolsProtocol):
    """HTTP with clients that must get on with it, and to whom a server that ends says so before it hangs up.

    A connection that sends no whole request in time, a head without an end or too many requests at once is closed, and
    so is one that takes no answer. Closing a socket that holds
    what was not read resets the connection, and with it an answer on its way: so an end is the end of writing, then
    what still comes is read and dropped until the client has left.
    """

    ending = False  # no request is taken after those that have arrived
    _hung_up = False
    _deaf = False  # what comes is dropped
    _stuck: asyncio.TimerHandle | None = None
    _unseen = 0  # bytes since the last that were a whole head or part of a body

    def connection_made(self, transport) -> None:  # type: ignore[no-untyped-def]
        """Begin to count."""
        super().connection_made(transport)
        assert isinstance(self.config, Settings)
        self._seconds = self.config.seconds
        self._watch = self.loop.call_later(self._seconds, self._give_up)

    def data_received(self, data: bytes) -> None:
        """Read, unless this side has hung up."""
        if self._hung_up or self._deaf:
            return
        self._unseen += len(data)
        self._unset_keepalive_if_required()
        try:
            self._parse(memoryview(data))
        except httptools.HttpParserError as error:
            if not isinstance(error.__context__, Enough):
                self._refuse(b"400 Bad Request", "this is no HTTP/1.1 request")
        if self._unseen > LARGEST_HEAD and not self.transport.is_closing():
            self._refuse(b"431 Request Header Fields Too Large", f"the head has more than {LARGEST_HEAD:,} bytes")

    def _parse(self, data: memoryview) -> None:
        """Take a request in; one that would rather speak another protocol is taken as if it had not said so.

        The parser stops behind the head of such a one, as what follows would be of the other protocol: so another
        parser goes on there, which got the head without the wish.
        """
        while data:
            try:
                return self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as wish:
                data = data[wish.args[0] :]
            method, url = self.parser.get_method(), self.url
            if method == b"CONNECT":
                return self._refuse(b"405 Method Not Allowed", "this server is no proxy")
            kept = [b"%s: %s\r\n" % header for header in self.headers if header[0] not in UPGRADING]
            self.parser = httptools.HttpRequestParser(self)
            self.parser.feed_data(b"%s %s HTTP/1.1\r\n%s\r\n" % (method, url, b"".join(kept)))

    def on_headers_complete(self) -> None:
        """Have the answer closed as this side ends: by hanging up."""
        if self.parser.should_upgrade():
            return
        self._unseen = 0
        super().on_headers_complete()
        if len(self.pipeline) > PIPELINED:
            self._take_no_more()
        self.cycle.keep_alive &= not self.ending
        self.cycle.transport = Line(self)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """Count from here."""
        self._unseen = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop counting, unless this is the rest of a request that was answered before it was there."""
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        if not self.cycle.response_complete:
            self._watch.cancel()

    def on_response_complete(self) -> None:
        """Count for the next request, which may begin as late as keep-alive allows."""
        if self._hung_up:
            return
        super().on_response_complete()
        self._watch.cancel()
        self._watch = self.loop.call_later(self._seconds + self.timeout_keep_alive, self._give_up)

    def pause_writing(self) -> None:
        """Wait for a client that does not read what it asked for, as long as it may take."""
        super().pause_writing()
        self._stuck = self.loop.call_later(self._seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on."""
        if self._stuck:
            self._stuck.cancel()
        super().resume_writing()

    def shutdown(self) -> None:
        """Answer what has arrived, whether it was read or not, and hang up; the rest of a body may come a moment."""
        self.ending = True
        begun = self.cycle and not self.cycle.response_complete
        if begun:
            self.cycle.keep_alive = False
        elif not self._has_unread():
            return self.hang_up()
        if not begun or self.cycle.more_body:
            self._watch.cancel()
            self._watch = self.loop.call_later(DRAINED, self._give_up)

    def hang_up(self) -> None:
        """Say that nothing more is said, and listen for the client's end a moment."""
        if self._hung_up or self.transport.is_closing():
            return
        self._hung_up = True
        if self.cycle and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._unset_keepalive_if_required()
        self._watch.cancel()
        self._watch = self.loop.call_later(DRAINED, self.transport.abort)
        self.flow.resume_reading()
        self.transport.write_eof()

    def connection_lost(self, exc) -> None:  # type: ignore[no-untyped-def]
        """Stop counting."""
        self._watch.cancel()
        if self._stuck:
            self._stuck.cancel()
        super().connection_lost(exc)

    def _take_no_more(self) -> None:
        """Leave out the newest request, and hang up with the answer to the one before it."""
        self.pipeline.popleft()
        self.cycle, _ = self.pipeline[0]
        self.cycle.keep_alive = False
        self._deaf = True
        raise Enough

    def _has_unread(self) -> bool:
        """Return whether the system holds something of this client's that was not read yet."""
        waiting = array("i", [0])
        fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.FIONREAD, waiting)
        return waiting[0] > 0

    def _give_up(self) -> None:
        if not (self.cycle and self.cycle.more_body and not self.cycle.response_started):
            self.hang_up()
        elif self.ending:
            self._refuse(b"503 Service Unavailable", "the server ends, and the body was not complete")
        else:
            self._refuse(b"408 Request Timeout", f"the body was not complete within {self._seconds:g} s")

    def _refuse(self, status: bytes, reason: str) -> None:
        """Answer what is no whole request."""
        if not self.transport.is_closing() and not self._hung_up:
            body = encode({"error": reason})
            self.transport.write(REFUSAL % (status, len(body), body))
            self.hang_up()


class Line:
    """A connection as one answer has it: it is written to, and ends by hanging up."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, protocol: Protocol) -> None:
        """Write to the protocol's transport."""
        self.write, self.is_closing = protocol.transport.write, protocol.transport.is_closing
        self.close = protocol.hang_up


class Server(uvicorn.Server):
    """A server that ends without resetting a connection."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in peace, however often and by whichever signal it is told to."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take in the clients that have connected already, listen no more, then answer what has arrived."""
        connected = [client for listening in sockets or [] for client in _accept_all(listening)]
        for server in self.servers:
            server.close()
        for client in connected:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, client)
        await super().shutdown(sockets)

    def _protocol(self) -> Protocol:
        return Protocol(self.config, self.server_state, self.lifespan.state)


class Worker(multiprocess.Process):
    """A process that runs such a server."""

    @property
    def server(self) -> uvicorn.Server:
        """Return the server of this process."""
        if self._server is None:
            self._server = Server(self.config)
        return self._server


class Workers(multiprocess.Multiprocess):
    """Several of them; the process above them listens no longer than they do."""

    def terminate_all(self) -> None:
        """End."""
        for listening in self.sockets:
            listening.close()
        super().terminate_all()


multiprocess.Process = Worker  # type: ignore[misc] # by this name a killed worker is replaced


def _accept_all(listening: socket.socket) -> Iterator[socket.socket]:
    """Yield the connections that the system has made, and that closing would reset."""
    with suppress(BlockingIOError):
        while True:
            client, _ = listening.accept()
            client.setblocking(False)
            yield client


def serve(settings: Serving, bundle: Path | None = None) -> None:
    """Answer requests until a signal ends it: with `bundle` that one version, else those in a role.

    Raises:
        UserError: the address or the log's folder cannot be had, the bundle is refused, or a token is asked for that
            there is not.
    """
    alarm = warning(settings)
    require_folder(settings.log)
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
        if alarm:
            print(alarm, flush=True)
        config.seconds = settings.limits.seconds
        follower = None if fixed else Follower(settings.follow_seconds)
        if follower:
            follower.start()
        try:
            if settings.workers > 1:
                Workers(config, sockets=[listening]).run()
            else:
                Server(config).run(sockets=[listening])
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
        listening.setblocking(False)
        listening.set_inheritable(True)
    except OSError as error:
        listening.close()
        raise UserError(
            f"{settings.host}:{settings.port} cannot be listened on ({error.strerror}); give --host or --port another."
        ) from None
    return listening
