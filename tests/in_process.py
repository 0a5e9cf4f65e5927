"""The server's application in this process, without sockets: what it answers to what would arrive."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from mlops_actions.core.config import PredictionLog, Serving
from mlops_actions.serving.app import make_app
from mlops_actions.serving.state import State, served_file


class Said(NamedTuple):
    """An answer."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class Application:
    """A running application."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def ask(self, path: str, body: bytes = b"", method: str = "POST", headers: Any = ()) -> Said:
        """Return what a request is answered."""
        sent: list[dict[str, Any]] = []
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": [*headers], "root_path": "", "scheme": "http", "http_version": "1.1",
        }  # fmt: skip

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        content = b"".join(message.get("body", b"") for message in sent)
        return Said(sent[0]["status"], dict(sent[0]["headers"]), content)


@asynccontextmanager
async def application(bundle: Path, log: Path | None = None, **settings: Any) -> AsyncIterator[Application]:
    """Run the application of a bundle, as one worker does."""
    kept = PredictionLog(path=str(log) if log else None)
    app = make_app(Serving(log=kept, **settings), State(champion=served_file(bundle)))
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    running = asyncio.create_task(app({"type": "lifespan", "state": {}}, events.get, said.put))
    await events.put({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    try:
        yield Application(app)
    finally:
        await events.put({"type": "lifespan.shutdown"})
        await running
