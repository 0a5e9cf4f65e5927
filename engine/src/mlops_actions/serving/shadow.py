"""The shadow: it sees every request and answers none, in a process that goes after all others."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from .http import decode
from .lanes import Broken, Lane, Outcome

if TYPE_CHECKING:
    from .worker import Exchange

WAITING = 8 * 2**20  # bytes of rows that may wait for the shadow; it misses those beyond
PAUSE = 5.0  # seconds after a failure

# Told of each request that the shadow saw: its rows, its outcomes (None: it failed), why, and how many seconds it took.
Note = Callable[["Exchange", bytes, list[Outcome] | None, str | None, float], None]


class Shadow:
    """A lane behind a queue of its own; whatever happens to it, nobody waits for it."""

    def __init__(self, lane: Lane, note: Note) -> None:
        """`note` is told of each request that the shadow saw."""
        self.lane, self.missed, self._note = lane, 0, note
        self._queue: deque[tuple[Exchange, bytes]] = deque()
        self._bytes = 0
        self._offered = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def offer(self, exchange: "Exchange", rows: bytes) -> None:
        """Let the shadow see the rows of a request, without waiting."""
        if self._bytes + len(rows) > WAITING:
            self.missed += 1
            return
        self._bytes += len(rows)
        self._queue.append((exchange, rows))
        self._offered.set()

    async def _run(self) -> None:
        while True:
            await self._offered.wait()
            self._offered.clear()
            while self._queue:
                exchange, rows = self._queue.popleft()
                self._bytes -= len(rows)
                started, answers, why = time.perf_counter(), None, None
                try:
                    content = decode(rows)
                    answers = await self.lane.answer(content if exchange.many else [content])
                except Broken as error:
                    why = str(error)
                except Exception as error:  # whatever a row does to it, it must see the next one
                    why = f"{type(error).__name__}: {error}"
                self._note(exchange, rows, answers, why, time.perf_counter() - started)
                if why:
                    await asyncio.sleep(PAUSE)

    async def close(self) -> None:
        """End at once: what it has not seen yet it misses."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self.lane.close()
