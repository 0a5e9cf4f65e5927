"""Many clients at once over connections that stay open, and what became of what each of them had asked."""

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

HEAD = "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"


@dataclass
class Crowd:
    """What a crowd saw: answers by their status, and each request without one by how its connection ended."""

    answers: dict[int, int] = field(default_factory=dict)
    closing: int = 0  # answers that said that the connection closes
    reset: list[str] = field(default_factory=list)
    lost: int = 0  # requests that were whole before the server was told to end, and had no answer
    late: int = 0  # requests that came after that, and had none


async def ask_until_closed(port: int, body: Any, crowd: Crowd, told: Callable[[], float]) -> None:
    """Ask again and again over one connection until the server ends it; `told` says when it was told to."""
    content = json.dumps(body).encode()
    request = HEAD.format(len(content)).encode() + content
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = 0.0
    try:
        while True:
            writer.write(request)
            await writer.drain()
            sent = time.monotonic()
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length:")[2].split()[0]))
            status = int(head.split()[1])
            crowd.answers[status] = crowd.answers.get(status, 0) + 1
            if b"connection: close" in head:
                crowd.closing += 1
                assert await reader.read() == b""
                return
    except asyncio.IncompleteReadError as end:
        crowd.lost += bool(end.partial) or sent < told()
        crowd.late += not end.partial and sent >= told()
    except (ConnectionResetError, BrokenPipeError) as error:
        crowd.reset.append(type(error).__name__)
    finally:
        writer.close()


def stop_under(server: subprocess.Popen[bytes], port: int, body: Any, clients: int, answers: int) -> Crowd:
    """Return what so many clients saw of a server's end, which it was told once they had had so many answers."""
    crowd, told = Crowd(), float("inf")

    async def run() -> None:
        nonlocal told
        asking = [asyncio.create_task(ask_until_closed(port, body, crowd, lambda: told)) for _ in range(clients)]
        while sum(crowd.answers.values()) < answers:
            assert not all(task.done() for task in asking), crowd
            await asyncio.sleep(0)
        told = time.monotonic()
        server.send_signal(signal.SIGTERM)
        await asyncio.gather(*asking)

    asyncio.run(run())
    return crowd
