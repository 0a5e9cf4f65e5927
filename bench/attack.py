"""A server under attack: how long a hostile body holds the others up, odd requests, and being stopped under load."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from crowd import stop_under
from in_process import application
from odd_requests import odd_requests

from bench.serving import first_rows, say_below, train

PORT = 8831
LARGEST = 9_990_000  # bytes: what serving.limits.body_mb lets in
BATCHES = 100
POD = 512  # MiB that the pod may have
CASES = 100_000
EXAMPLES = 1500  # of schemathesis, for each operation and phase
STOPS, CLIENTS = 20, 200
INFER = "/v2/models/model/infer"


def measure_attacks(directory: Path) -> bool:
    """Print what the attacks came to; return False where one got further than its bar."""
    project = train(directory)
    rows = first_rows(project, 400)
    with serving(project) as server:
        held = measure_holds(server, rows)
        schema = run_schemathesis()
    odd = answer_odd(project, rows)
    return all([held, schema, odd, *[stop(project, rows, workers) for workers in ("1", "2")]])


@contextmanager
def serving(project: Path, workers: str = "1") -> Iterator[subprocess.Popen[bytes]]:
    """Serve the project's model."""
    log = (project / "attack.log").open("wb")
    command = [str(project / ".venv/bin/mlops"), "serve", "--bundle", "models/bundle.zip", "--port", str(PORT)]
    environment = {**os.environ, "PATH": f"{project / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"}
    server = subprocess.Popen([*command, "--workers", workers], cwd=project, env=environment, stdout=log, stderr=log)
    try:
        while not is_ready():
            if server.poll() is not None:
                raise RuntimeError((project / "attack.log").read_text())
            time.sleep(0.05)
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def is_ready() -> bool:
    """Return whether the server answers."""
    try:
        return ask("GET", "/v2/health/ready") == 200
    except OSError:
        return False


def ask(method: str, path: str, body: bytes | None = None) -> int:
    """Return the status of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    try:
        connection.request(method, path, body)
        return connection.getresponse().status
    finally:
        connection.close()


def hostile_bodies(row: dict[str, Any]) -> dict[str, tuple[str, bytes]]:
    """Return bodies of at most 10 MB, each by what it has too much of, and the path where that hurts."""
    known = next(iter(row))
    category = next(key for key, value in row.items() if isinstance(value, str))
    number = next(key for key, value in row.items() if not isinstance(value, str))

    def many(one: bytes, path: str = "/predict") -> tuple[str, bytes]:
        return path, b"[" + b",".join([one] * (LARGEST // (len(one) + 1))) + b"]"

    def tensor(shape: bytes, data: bytes) -> tuple[str, bytes]:
        named = b'{"inputs":[{"name":%b,"datatype":"FP64",' % json.dumps(known).encode()
        return INFER, named + b'"shape":%b,"data":[%b]}]}' % (shape, data)

    def named(key: str, text: str) -> bytes:
        return json.dumps({**row, key: text}).encode()

    wide = json.dumps({**row, **{f"unknown {number}": number for number in range(40)}}).encode()
    return {
        "a shape of 200,000 factors": tensor(b"[" + b",".join([b"1" + b"0" * 18] * 200_000) + b"]", b"1"),
        "4,000,000 values": tensor(b"[4000000]", b"1," * 3_999_999 + b"1"),
        "150,000 truths": many(b'{"id":"' + b"0" * 32 + b'-0","truth":"yes"}', "/feedback"),
        "700,000 unknown keys": ("/predict", b"{" + b",".join(b'"%x":0' % key for key in range(700_000)) + b"}"),
        "objects": many(b"{}"),
        "lists in lists": many(b"[" * 400 + b"]" * 400),
        "numbers of 4,000 digits": many(b"9" * 4000),
        "texts without a letter": many(b'""'),
        "escapes": ("/predict", b'["' + b"\\\\" * (LARGEST // 2) + b'"]'),
        "one long text": ("/predict", json.dumps({**row, known: "x" * (LARGEST - 2000)}).encode()),
        "a category of nothing but zeros": ("/predict", named(category, "0" * (LARGEST - 3000))),
        "a number with commas": ("/predict", named(number, "1" + ",000" * (LARGEST // 4 - 1000) + "x")),
        "long categories": many(named(category, "N" + "0" * 4000)),
        "texts of a tensor": (
            INFER,
            b'{"inputs":[{"name":%b,"datatype":"BYTES","shape":[2000],"data":[%b]}]}'
            % (json.dumps(category).encode(), b",".join([b'"' + b"x" * 4900 + b'"'] * 2000)),
        ),
        "as many values as may be": ("/predict", b"[" + b",".join([b"1"] * 130_000) + b"]"),
        "as many rows as may be": ("/predict", b"[" + b",".join([json.dumps(row).encode()] * 2000) + b"]"),
        "as many rows, and wide": ("/predict", b"[" + b",".join([wide] * 2000) + b"]"),
        "as many bad rows as may be": ("/predict", b"[" + b",".join([b'{"a":' + b"0" * 1 + b"}"] * 2000) + b"]"),
    }


def measure_holds(server: subprocess.Popen[bytes], rows: list[dict[str, Any]]) -> bool:
    """Print how long each body holds another client's row, and what the process holds at most."""
    batch, one = json.dumps(rows[:100]).encode(), json.dumps(rows[0]).encode()
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)

    def post(body: bytes) -> float:
        started = time.perf_counter()
        connection.request("POST", "/predict", body)
        connection.getresponse().read()
        return time.perf_counter() - started

    met = True
    for name, (path, body) in hostile_bodies(rows[0]).items():
        assert len(body) <= 10_000_000, name
        ordinary = sum(post(batch) for _ in range(BATCHES))
        held = []
        for _ in range(3):
            attack = threading.Thread(target=ask, args=("POST", path, body))
            attack.start()
            while attack.is_alive():
                held.append(post(one))
            attack.join()
        title = f"held by {name} ({1000 * max(held):.0f} ms)"
        met &= say_below(title, max(held) / ordinary, f"× {BATCHES} batches ({1000 * ordinary:.0f} ms)", 1)
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    most = int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
    return met & say_below("the most that the process held", most, "MiB", POD)


def run_schemathesis() -> bool:
    """Print whether the server keeps to its OpenAPI document, whatever schemathesis makes of it."""
    command = [Path(sys.executable).with_name("schemathesis"), "run", f"http://127.0.0.1:{PORT}/openapi.json"]
    options = ["--max-examples", str(EXAMPLES), "--checks", "not_a_server_error", "--no-color"]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    lines = [line.strip() for line in done.stdout.splitlines() if "generated" in line or "Test cases" in line]
    print(f"  schemathesis: {' '.join(lines)}  {'MISS' if done.returncode else 'PASS'}", flush=True)
    if done.returncode:
        print(done.stdout[-3000:])
    return not done.returncode


def answer_odd(project: Path, rows: list[dict[str, Any]]) -> bool:
    """Print how odd requests are answered, of which none may fail the server."""
    ended: Counter[int] = Counter()
    with application(project / "models/bundle.zip", project / "odd") as app:
        first = json.loads(app.ask("/predict", json.dumps(rows[0]).encode()).body)
        for request in islice(odd_requests(int(time.time()), rows, [first["id"]]), CASES):
            status, _, body = app.ask(request.path, request.body, headers=request.headers)
            json.loads(body)
            ended[status] += 1
            if status >= 500:
                print(f"  {request}: {body!r}", flush=True)
    met = max(ended) < 500
    print(f"  {CASES:,} odd requests ended with {dict(ended)}  {'PASS' if met else 'MISS'}", flush=True)
    return met


def stop(project: Path, rows: list[dict[str, Any]], workers: str) -> bool:
    """Print what clients see of a server that is stopped while they ask."""
    lost, ended = Counter[str](), Counter[int]()
    for _ in range(STOPS):
        with serving(project, workers) as server:
            crowd = stop_under(server, PORT, rows[0], CLIENTS, 5 * CLIENTS)
        ended.update(crowd.answers)
        lost.update({"reset": len(crowd.reset), "whole and not answered": crowd.lost, "came too late": crowd.late})
    met = not lost["reset"] and not lost["whole and not answered"] and set(ended) == {200}
    print(f"  {STOPS} stops, {workers} worker(s), {CLIENTS} clients: {dict(ended)}, {dict(lost)}", end="  ")
    print("PASS" if met else "MISS", flush=True)
    return met
