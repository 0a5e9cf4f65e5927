"""The server's application in this process, without sockets: what it answers to what would arrive."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from mlops_actions.core.config import PredictionLog, Serving
from mlops_actions.serving.app import make_app
from mlops_actions.serving.state import State, served_file
from starlette.types import ASGIApp


class Said(NamedTuple):
    """An answer."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class Application:
    """An application and the loop that it runs in, while it is asked."""

    def __init__(self, app: ASGIApp, runner: asyncio.Runner) -> None:
        self._app, self._runner = app, runner

    def ask(self, path: str, body: bytes = b"", method: str = "POST", headers: Any = ()) -> Said:
        """What a request is answered."""
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "headers": [*headers]}
        self._runner.run(self._app(scope, receive, send))
        return Said(sent[0]["status"], dict(sent[0]["headers"]), b"".join(one.get("body", b"") for one in sent))


@contextmanager
def application(served: Path | State, log: Path | None = None, **settings: Any) -> Iterator[Application]:
    """The application of a bundle, or of the versions in a state, as one worker runs it."""
    state = served if isinstance(served, State) else State(champion=served_file(served))
    app = make_app(Serving(log=PredictionLog(path=str(log) if log else None), **settings), state)
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        try:
            yield Application(app, runner)
        finally:
            runner.run(lifespan.__aexit__(None, None, None))
