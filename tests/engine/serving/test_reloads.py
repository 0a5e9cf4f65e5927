"""Versions come and go while two hundred clients ask on connections that stay open: each of them gets every answer."""

import asyncio
import json
import socket
from collections import Counter
from pathlib import Path

import msgspec
import pytest
import uvicorn
from mlops_actions.core.config import CanaryLimits, PredictionLog, Serving
from mlops_actions.serving.app import make_app
from mlops_actions.serving.server import Protocol, Settings
from mlops_actions.serving.state import Served, State, served_file, write_state
from pipeline import rewrite_zip
from serving import STARTED
from sklearn.linear_model import LogisticRegression
from small_bundles import fit, release, requests

CLIENTS = 200
BODY = json.dumps(requests(1)[0]).encode()
REQUEST = (
    b"POST /predict HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\nx-request-key: %d\r\n"
    b"content-length: %d\r\n\r\n%s"
)


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> list[Served]:
    """Three versions, each of which answers otherwise than the others."""
    made = []
    for number in range(3):
        path = tmp_path_factory.mktemp("versions") / "bundle.zip"
        release(path, fit(LogisticRegression(C=10.0 ** (number - 1))))
        stamp = json.dumps({"version": f"v{number + 1}.0.0"}).encode()
        rewrite_zip(path, lambda files, stamp=stamp: files.update({"release.json": stamp}))
        made.append(served_file(path))
    return made


class Client:
    """One that asks again as soon as it has its answer, on one connection, until it is to end."""

    def __init__(self, number: int) -> None:
        self.request = REQUEST % (number, len(BODY), BODY)
        self.answers: list[tuple[str, float]] = []
        self.ended = False

    async def ask(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not self.ended:
            writer.write(self.request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            answer = json.loads(await reader.readexactly(length))
            self.answers.append((answer["version"], answer["probabilities"]["yes"]))
        writer.close()
        await writer.wait_closed()


def names(state: State) -> set[str]:
    """The versions that may answer."""
    return {served.version for served in (state.champion, state.canary) if served}


def test_two_hundred_clients_miss_nothing_while_versions_come_and_go(
    versions: list[Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mlops_actions.serving.app.LOOK", 0.01)
    first, second, third = versions
    half = [msgspec.structs.replace(served, assignment=f"canary {served.version}", share=50) for served in versions]
    states = [
        State(first),
        State(second),
        State(first, canary=half[1]),
        State(first, canary=half[2]),
        State(third, canary=half[1]),
        State(second, shadow=third),
        State(first),
    ]
    settings = Serving(log=PredictionLog(path=None), canary=CanaryLimits(max_latency_ratio=10**6))
    clients = [Client(number) for number in range(CLIENTS)]
    asking: list[asyncio.Task[None]] = []

    async def passing() -> None:
        """Let some time pass, in which every client keeps its connection."""
        for task in asking:
            if task.done():
                task.result()
        await asyncio.sleep(0.01)

    async def all_got(allowed: set[str], since: list[int]) -> None:
        """Wait until every client has got an answer that it asked for since, and see whose."""
        while not all(len(client.answers) > begun + 1 for client, begun in zip(clients, since, strict=True)):
            await passing()
        for client, begun in zip(clients, since, strict=True):
            assert {version for version, _ in client.answers[begun + 1 :]} <= allowed

    async def reload_under_load() -> None:
        write_state(states[0])
        app = make_app(settings)
        engine = app.direct["POST", "/predict"].engine
        listening = socket.create_server(("127.0.0.1", 0), backlog=CLIENTS)
        server = uvicorn.Server(Settings(app, http=Protocol, ws="none", lifespan="on", log_level="warning"))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not (engine.champion and server.started):
            await asyncio.sleep(0.01)
        asking.extend(asyncio.create_task(client.ask(listening.getsockname()[1])) for client in clients)
        await all_got(names(states[0]), [-1] * CLIENTS)
        for before, after in zip(states, states[1:], strict=False):
            since = [len(client.answers) for client in clients]
            write_state(after)
            while engine.roles() != roles_of(after):
                await passing()
            for client, begun in zip(clients, since, strict=True):
                assert {version for version, _ in client.answers[begun:]} <= names(before) | names(after)
            await all_got(names(after), [len(client.answers) for client in clients])
        for client in clients:
            client.ended = True
        await asyncio.gather(*asking)
        server.should_exit = True
        await serving

    asyncio.run(asyncio.wait_for(reload_under_load(), STARTED))
    answers = Counter(answer for client in clients for answer in client.answers)
    assert {version for version, _ in answers} == {served.version for served in versions}
    assert len({value for _, value in answers}) == len(answers) == 3, "each version says one thing of the row, its own"


def roles_of(state: State) -> dict[str, str]:
    """What a worker says that it serves, when it serves a state."""
    roles = {"champion": state.champion, "canary": state.canary, "shadow": state.shadow}
    return {role: served.version for role, served in roles.items() if served}
