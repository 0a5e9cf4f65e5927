"""The end of a server that many ask: what has arrived is answered, and no connection is reset."""

import json
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from baked import Project, environment
from crowd import stop_under
from serving import serve, wait_until

CLIENTS = 200


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_is_stopped_answers_what_has_arrived_and_resets_nothing(
    trained: Project, rows: list[dict[str, Any]], workers: str
) -> None:
    with serve(trained, "--bundle", "models/bundle.zip", "--workers", workers) as server:
        crowd = stop_under(server.process, server.port, rows[0], CLIENTS, 5 * CLIENTS)
        assert server.process.wait(60) == 0
    assert (crowd.reset, crowd.lost) == ([], 0), crowd
    assert set(crowd.answers) == {200} and crowd.closing + crowd.late == CLIENTS


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_is_told_so_again_still_ends_in_peace(
    trained: Project, rows: list[dict[str, Any]], workers: str
) -> None:
    body = json.dumps(rows[0]).encode()
    begun = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    with serve(trained, "--bundle", "models/bundle.zip", "--workers", workers) as server:
        with socket.create_connection(("127.0.0.1", server.port), 60) as client:
            client.sendall(begun)
            server.process.send_signal(signal.SIGINT)
            wait_until(lambda: not listens(server.port))
            server.process.send_signal(signal.SIGINT)
            server.process.send_signal(signal.SIGTERM)
            client.sendall(body)
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        assert server.process.wait(60) == 0
        assert "Traceback" not in server.said() and "interrupted" not in server.said()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 10).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_is_stopped_before_it_has_started_ends_in_peace(trained: Project, told: signal.Signals) -> None:
    command = ["mlops", "serve", "--bundle", "models/bundle.zip", "--port", "0"]
    with subprocess.Popen(command, cwd=trained.path, env=environment(), stderr=subprocess.PIPE) as process:
        wait_until(lambda: handles(process.pid, signal.SIGTERM))
        process.send_signal(told)
        assert process.wait(60) == 0 and process.stderr and process.stderr.read() == b""


def handles(pid: int, told: signal.Signals) -> bool:
    """Return whether a process has a handler for a signal; the first process of a container hears no other."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
    return bool(caught >> (told - 1) & 1)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_rest_of_a_body_is_waited_for_a_moment_when_a_server_is_stopped(
    trained: Project, rows: list[dict[str, Any]], workers: str, tmp_path: Path
) -> None:
    patient = trained.copy(tmp_path / "patient")
    patient.set(**{"serving.limits.seconds": 100})
    body = json.dumps(rows[0]).encode()
    begun = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:9]
    with serve(patient, "--bundle", "models/bundle.zip", "--workers", workers) as server:
        clients = [socket.create_connection(("127.0.0.1", server.port), 60) for _ in range(6)]
        for client in clients:
            client.sendall(begun)
        assert server.ask("/predict", rows[0]).status == 200
        server.process.terminate()
        for client in clients[:3]:
            client.sendall(body[9:])
        for client, status in zip(clients, [200, 200, 200, 503, 503, 503], strict=True):
            said = b"".join(iter(lambda client=client: client.recv(10_000), b""))
            assert said.startswith(b"HTTP/1.1 %d " % status)
            client.close()
        assert server.process.wait(30) == 0
