"""Bodies that clients have begun hold a bounded memory together, and keep no small one out."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from mlops_actions.serving.http import SMALL, TOGETHER, Bodies, Gone, Refused

LARGEST = 1_000_000
CHUNK = b"x" * 50_000


class Client:
    """What one client sends, and what came of it."""

    def __init__(self, bodies: Bodies) -> None:
        self._sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.read = asyncio.ensure_future(bodies.read(self._sent.get))

    async def send(self, chunks: Iterable[bytes], more: bool = True) -> None:
        for chunk in chunks:
            self._sent.put_nowait({"type": "http.request", "body": chunk, "more_body": True})
        if not more:
            self._sent.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        while not self._sent.empty():
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def leave(self) -> None:
        self._sent.put_nowait({"type": "http.disconnect"})
        with pytest.raises(Gone):
            await self.read


def test_bodies_on_their_way_hold_so_much_together() -> None:
    async def play() -> None:
        bodies = Bodies(LARGEST)
        slow = [Client(bodies) for _ in range(TOGETHER)]
        for client in slow:
            await client.send([CHUNK] * 20)
        small, large, whole = Client(bodies), Client(bodies), Client(bodies)
        await small.send([b"y" * SMALL], more=False)
        assert await small.read == b"y" * SMALL
        await large.send([CHUNK] * 15, more=False)
        await whole.send([CHUNK * 20], more=False)
        for client in (large, whole):
            with pytest.raises(Refused, match=r"bodies of [89] MB are on their way already") as refused:
                await client.read
            assert refused.value.status == 503 and refused.value.headers == ((b"retry-after", b"1"),)
        await slow[0].leave()
        await slow[1].send([], more=False)
        assert await slow[1].read == CHUNK * 20
        again = Client(bodies)
        await again.send([CHUNK] * 20, more=False)
        assert await again.read == CHUNK * 20, "whoever is refused, leaves or is complete makes room"
        for client in slow[2:]:
            await client.leave()

    asyncio.run(play())


@pytest.mark.parametrize("chunks", [[CHUNK] * 21, [CHUNK * 21], [CHUNK * 21, b"", b"z"]])
def test_a_body_that_is_too_large_is_read_to_its_end_and_refused(chunks: list[bytes]) -> None:
    async def play() -> None:
        bodies = Bodies(LARGEST)
        for _ in range(2 * TOGETHER):
            client = Client(bodies)
            await client.send(chunks)
            assert not client.read.done(), "it listens when all is read"
            await client.send([], more=False)
            with pytest.raises(Refused, match="the body is larger than 1 MB") as refused:
                await client.read
            assert refused.value.status == 413

    asyncio.run(play())
