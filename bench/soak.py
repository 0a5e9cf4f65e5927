"""A server under load while versions move, workers are killed and clients misbehave: what was held, what was lost."""

import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_actions.core.params_file import update_params

from bench.serving import first_rows, train

SECONDS = 60
CLIENTS = 8
EACH = 3.0  # seconds between faults
SAFE = 1.0  # seconds before a kill, whose records may be lost
READING = 0.1  # seconds after it in which clients may still read what it had answered
STEADY = 3.0  # seconds for which it must be ready
GROWTH = 30.0  # MB that a worker may grow
KEPT = """
import json, sys
from pathlib import Path
from mlops_actions.data.prediction_log.log import read_predictions
said = read_predictions(Path("predictions"), ["id", "role"])
print(json.dumps(said.loc[said["role"] != "shadow", "id"].tolist()))
"""


@dataclass
class Tally:
    """What the clients saw: when each row was answered, and how requests ended."""

    answered: dict[str, float] = field(default_factory=dict)
    ended: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    versions: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


class Fixture:
    """A clone that serves, its origin, and what may be done to both."""

    def __init__(self, directory: Path) -> None:
        self.path = train(directory)
        self.bare = directory / "origin.git"
        who = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.com"}
        self.environment = {
            **os.environ, **who, **{name.replace("AUTHOR", "COMMITTER"): value for name, value in who.items()},
            "PATH": f"{self.path / '.venv/bin'}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip
        self.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", str(self.bare))
        self.run("git", "remote", "add", "origin", str(self.bare))
        self.publish("v1.0.0")
        self.change("params.yaml", "params: {}", "params: {max_iter: 50}")
        self.run("mlops", "train")
        self.publish("v1.1.0")
        self.run("mlops", "promote", "v1.0.0", "--reason", "to begin with")
        update_params(self.path / "params.yaml", {"serving.follow_seconds": 1})

    def run(self, *words: str) -> str:
        """Return what a command prints in the clone."""
        done = subprocess.run(words, cwd=self.path, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def change(self, file: str, old: str, new: str) -> None:
        """Change a text in a file."""
        path = self.path / file
        path.write_text(path.read_text().replace(old, new, 1))

    def publish(self, version: str) -> None:
        """Make a version of what was trained."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--no-verify", "--message", version)
        self.run("mlops", "push")
        self.run("mlops", "version")


def measure_soak(directory: Path) -> bool:
    """Print what a minute of load and faults came to; return False where something was lost."""
    fixture = Fixture(directory)
    rows = first_rows(fixture.path, 400)
    log = (fixture.path / "soak.log").open("wb")
    command = ["mlops", "serve", "--port", "8830", "--workers", "2"]
    server = subprocess.Popen(command, cwd=fixture.path, env=fixture.environment, stdout=log, stderr=log)
    try:
        wait_ready(server)
        tally, stop, killed = Tally(), threading.Event(), []
        began: dict[int, float] = {}
        clients = [threading.Thread(target=ask, args=(tally, stop, rows, number)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        done = Counter[str]()
        faults = make_faults(fixture, server.pid, killed)
        ends, number = time.monotonic() + SECONDS, 0
        while time.monotonic() < ends:
            time.sleep(EACH)
            began |= {pid: memory(pid) for pid in workers(server.pid) if pid not in began}
            name, fault = faults[number % len(faults)]
            fault()
            done[name] += 1
            number += 1
        grown = max(memory(pid) - began[pid] for pid in workers(server.pid) if pid in began)
        stop.set()
        for client in clients:
            client.join()
    finally:
        server.terminate()
        code = server.wait(60)
    kept = set(json.loads(fixture.run("python", "-c", KEPT)))
    lost = {id: at for id, at in tally.answered.items() if id not in kept}
    excused = [at for at in lost.values() if any(-READING <= kill - at <= SAFE for kill in killed)]
    print(f"A soak of {SECONDS} s, {CLIENTS} clients, 2 workers, among {dict(done)}:")
    print(f"  {sum(tally.ended.values()):,} requests, {len(tally.answered):,} rows answered by {dict(tally.versions)}")
    print(f"  how requests ended: {dict(tally.ended)} (closed: by the {len(killed)} workers that were killed)")
    for reason, times in tally.refused.items():
        print(f"  refused {times} times: {reason}")
    ordered = sorted(tally.seconds)
    p99 = ordered[int(0.99 * len(ordered))]
    print(f"  median {1000 * statistics.median(ordered):.2f} ms, 99 % within {1000 * p99:.1f} ms")
    print(f"  rows missing in the log: {len(lost)}, {len(excused)} of them of the last second of a killed worker")
    print(f"  a worker grew by {grown:.0f} MB; exit code {code}")
    met = (
        len(lost) == len(excused)
        and set(tally.ended) <= {"200", "closed"}
        and tally.ended["closed"] <= CLIENTS * len(killed)
        and len(tally.versions) == 2
        and grown <= GROWTH
        and code == 0
    )
    print(f"  {'PASS' if met else 'MISS'}", flush=True)
    return met


def ask(tally: Tally, stop: threading.Event, rows: list[dict[str, Any]], number: int) -> None:
    """Ask without a pause until the end, one row or twenty."""
    connection, turn = http.client.HTTPConnection("127.0.0.1", 8830, timeout=30), number
    while not stop.is_set():
        turn += 1
        body = rows[turn % 400] if turn % 5 else [rows[(turn + offset) % 400] for offset in range(20)]
        started = time.perf_counter()
        try:
            connection.request("POST", "/predict", json.dumps(body), {"X-Request-Key": f"{number} {turn % 97}"})
            answer = connection.getresponse()
            said = json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            tally.ended["closed"] += 1
            connection.close()
            continue
        tally.seconds.append(time.perf_counter() - started)
        tally.ended[str(answer.status)] += 1
        if answer.status != 200:
            tally.refused[str(said.get("error"))] += 1
        else:
            for one in said.get("predictions", [said]):
                tally.answered[one["id"]] = time.time()
                tally.versions[one["version"]] += 1


def make_faults(fixture: Fixture, server: int, killed: list[float]) -> list[tuple[str, Callable[[], Any]]]:
    """Return what happens to the server in turn, by name."""

    def move(*words: str) -> Callable[[], Any]:
        return lambda: fixture.run("mlops", *words, "--reason", f"soak {time.time()}")

    def kill() -> None:
        worker = workers(server)[0]
        os.kill(worker, signal.SIGKILL)
        killed.append(time.time())

    def flood() -> None:
        send(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n", b" " * 100_000_000)

    def dawdle() -> None:
        head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
        for _ in range(50):
            threading.Thread(target=send, args=(head, b"{"), daemon=True).start()

    return [
        ("canary", move("canary", "start", "v1.1.0", "--share", "30")),
        ("killed worker", kill),
        ("promotion", move("promote", "v1.1.0")),
        ("100 MB body", flood),
        ("rollback", move("rollback")),
        ("shadow", move("shadow", "start", "v1.1.0")),
        ("50 slow clients", dawdle),
        ("end of the shadow", move("shadow", "stop")),
    ]


def send(head: bytes, body: bytes) -> None:
    """Send a request that the server must get rid of."""
    with socket.create_connection(("127.0.0.1", 8830), 60) as connection:
        try:
            connection.sendall(head + body)
            connection.recv(1000)
        except OSError:
            return


def workers(server: int) -> list[int]:
    """Return the processes that answer."""
    said = subprocess.run(["ps", "--ppid", str(server), "-o", "pid=,args="], capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in said.splitlines() if "spawn_main" in line]


def memory(pid: int) -> float:
    """Return what a process holds, in MB; nothing once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1000


def wait_ready(server: subprocess.Popen[bytes]) -> None:
    """Wait until no worker has been unready for a while, in which each looks at the state several times."""
    deadline = time.monotonic() + 120
    since = time.monotonic()
    while time.monotonic() - since < STEADY:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the server does not get ready; soak.log in the project says why")
        connection = http.client.HTTPConnection("127.0.0.1", 8830, timeout=5)
        try:
            connection.request("GET", "/v2/health/ready")
            ready = connection.getresponse().status == 200
        except OSError:
            ready = False
        finally:
            connection.close()
        if not ready:
            since = time.monotonic()
        time.sleep(0.01)
