"""What a server bears: too much, too slow, too large, killed workers, a full day's log, models that fail."""

import hashlib
import http.client
import json
import os
import re
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from baked import Project
from mlops_actions.bundle.archive import load_bundle
from mlops_actions.core.config import PredictionLog, Serving, load_config
from mlops_actions.core.errors import UserError
from mlops_actions.data.prediction_log.journal import Journal
from mlops_actions.data.prediction_log.log import read_predictions, read_truths
from mlops_actions.serving.server import PIPELINED
from mlops_actions.serving.server import serve as run_server
from mlops_actions.stages.predict import predict
from pipeline import rewrite_zip, train_project
from serving import STARTED, Server, children, command_of, is_running, memory, serve, wait_until
from tables import DATA

Serve = Callable[..., Any]
BUNDLE = ("--bundle", "models/bundle.zip")


@pytest.fixture
def serving() -> Serve:
    """`with serving(project, "--workers", "2") as server`: its bundle, served."""
    return lambda project, *words: serve(project, *BUNDLE, *words)


@pytest.fixture
def copied(trained: Project, tmp_path: Path, fresh: Callable[..., Project]) -> Callable[..., Project]:
    """`copied({"serving.port": 1})`: a copy of the trained project, its params changed."""

    def copy(knobs: dict[str, Any] | None = None) -> Project:
        project = fresh(1)
        (project.path / "models").mkdir()
        for name in ("models/bundle.zip", "params.yaml", "schema.yaml", DATA):
            project.path.joinpath(name).write_bytes((trained.path / name).read_bytes())
        project.set(**(knobs or {}))
        return project

    return copy


def kept(project: Project) -> list[dict[str, Any]]:
    """The predictions in a project's log."""
    return read_predictions(project.path / "predictions").to_dict("records")


def truths_of(project: Project) -> list[dict[str, Any]]:
    """The truths that came back."""
    return read_truths(project.path / "predictions").to_dict("records")


def test_a_server_is_small_keeps_every_prediction_and_answers_what_it_was_asked_when_it_is_stopped(
    copied: Callable[..., Project], serving: Serve, rows: list[dict[str, Any]]
) -> None:
    project = copied()
    with serving(project) as server, ThreadPoolExecutor(16) as pool:
        one = server.ask("/predict", rows[0], X_Request_Key="ada").body
        several = server.ask("/predict", [rows[1], {"state": 1}, rows[2]]).body["predictions"]
        truth = server.ask("/feedback", [{"id": one["id"], "truth": "yes"}, {"id": several[2]["id"], "truth": "no"}])
        assert (truth.status, truth.body) == (202, {"kept": 2})
        wait_until(lambda: len(kept(project)) == 3, 10)
        assert {reply.status for reply in pool.map(lambda row: server.ask("/predict", row), rows)} == {200}
        assert memory(server.process.pid) <= 110
        maps = Path(f"/proc/{server.process.pid}/maps").read_text()
        assert not [name for name in ("/pandas/", "/sklearn/", "/pyarrow/", "/scipy/") if name in maps]
        stop_while_asked(server, rows[:200])
    lines = kept(project)
    said = {line["id"]: line for line in lines}
    assert len(lines) == len(said) == 3 + 400 + 16 * 200
    assert list(said)[:3] == [one["id"], several[0]["id"], several[2]["id"]]
    first = said[one["id"]]
    assert json.loads(first["row"]) == rows[0] and first["key"] == "ada" and first["role"] == "champion"
    assert json.loads(first["answer"]) == {name: one[name] for name in ("prediction", "probabilities")}
    assert json.loads(said[several[2]["id"]]["row"]) == rows[2]
    assert {line["id"]: line["truth"] for line in truths_of(project)} == {
        one["id"]: "yes",
        several[2]["id"]: "no",
    }
    assert not list((project.path / "predictions").glob("journal-*")), "the end made Parquet of the journal"


def stop_while_asked(server: Server, rows: list[dict[str, Any]]) -> None:
    """Stop a server while eight clients ask it about these rows, and see each of them answered."""
    with ThreadPoolExecutor(8) as pool:
        connections = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=30) for _ in range(8)]
        body = json.dumps(rows).encode()

        def ask(connection: http.client.HTTPConnection) -> int:
            connection.request("POST", "/predict", body)
            answer = connection.getresponse()
            assert len(json.loads(answer.read())["predictions"]) == len(rows)
            return answer.status

        assert set(pool.map(ask, connections)) == {200}  # the connections are open now
        asked = [pool.submit(ask, connection) for connection in connections]
        time.sleep(0.02)
        assert server.stop() == 0
        assert [one.result() for one in asked] == [200] * 8


def test_a_server_that_nobody_asks_leaves_no_file_in_its_log(tmp_path: Path) -> None:
    Journal(PredictionLog(path=str(tmp_path))).close()
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        ({"id": "1", "truth": "yes"}, "id must be the id of a prediction"),
        ({"id": "8f14e45fceea167a5a36dedd4bea2543-٣", "truth": "yes"}, "id must be the id of a prediction"),
        ({"truth": "yes"}, "must be an object with `id`"),
        ({"id": "8f14e45fceea167a5a36dedd4bea2543-0", "truth": "maybe"}, "truth must be one of no, yes, not 'maybe'"),
        ({"id": "8f14e45fceea167a5a36dedd4bea2543-0", "truth": None}, "must be what the target turned out to be"),
    ],
)
def test_a_truth_that_is_none_is_refused(server: Server, truth: Any, said: str) -> None:
    status, body, _ = server.ask("/feedback", truth)
    assert status == 422 and said in body["error"]
    assert server.ask("/feedback", [truth]).body["error"].startswith("truth 0: ")


def test_a_killed_server_loses_the_last_second_of_its_log_at_most(
    copied: Callable[..., Project], serving: Serve, rows: list[dict[str, Any]]
) -> None:
    project = copied()
    with serving(project) as server:
        # Its first sweep has ended, or it might take the journal of the killed server.
        wait_until(lambda: not any(map(command_of, children(server.process.pid))))
        answered: list[tuple[float, str]] = []

        def ask() -> None:
            while True:
                try:
                    answered.append((time.time(), server.ask("/predict", rows[len(answered) % 400]).body["id"]))
                except (OSError, http.client.HTTPException):
                    return

        asking = threading.Thread(target=ask)
        asking.start()
        wait_until(lambda: len(answered) > 1 and answered[-1][0] - answered[0][0] > 2)
        killed = time.time()
        server.stop(signal.SIGKILL)
        asking.join()
    [journal] = (project.path / "predictions").glob("journal-*.log")
    with journal.open("ab") as file:
        file.write(b"half a record")
    safe = [id for at, id in answered if at < killed - 1]
    assert len(safe) > 20 and set(safe) <= {line["id"] for line in kept(project)}
    with serving(project) as server:
        wait_until(lambda: "ends in half a record: its server was killed" in server.said(), 2 * STARTED)
        wait_until(lambda: not journal.exists())
    assert set(safe) <= {line["id"] for line in kept(project)}


def test_too_many_waiting_rows_get_503_and_when_to_try_again(
    copied: Callable[..., Project], serving: Serve, rows: list[dict[str, Any]]
) -> None:
    with serving(copied({"serving.limits.waiting": 40})) as server:
        before = memory(server.process.pid)
        body = json.dumps(rows[:39]).encode()
        head = f"POST /predict HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        said = []
        for _ in range(5):
            connections = [socket.create_connection(("127.0.0.1", server.port), 30) for _ in range(100)]
            for connection in connections:  # all of them before any is answered
                connection.sendall(head + body)
            said += [b"".join(iter(lambda one=one: one.recv(100_000), b"")) for one in connections]
            for connection in connections:
                connection.close()
        refused = [one for one in said if one.startswith(b"HTTP/1.1 503 ")]
        assert len(refused) + sum(one.startswith(b"HTTP/1.1 200 ") for one in said) == 500
        assert 0 < len(refused) < 500
        assert all(b"\r\nretry-after: 1\r\n" in one and b"too many rows wait" in one for one in refused)
        assert memory(server.process.pid) < before + 30
        assert server.ask("/predict", rows[0]).status == 200


def test_a_body_of_100_mb_is_refused_without_being_held(server: Server) -> None:
    before = memory(server.process.pid)
    status, body, _ = server.ask("/predict", b" " * 100_000_000)
    assert (status, body["error"]) == (413, "the body is larger than 10 MB; send fewer rows at once")
    assert memory(server.process.pid) < before + 25


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /",
        b"GET /v2 HTTP/1.1\r\nHost: a\r\nX: ",
        b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nA: ",
        b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a=",
    ],
)
def test_a_head_or_a_trailer_without_an_end_is_refused_and_not_held(server: Server, begun: bytes) -> None:
    before = memory(server.process.pid)
    with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
        connection.sendall(begun)
        for _ in range(500):
            connection.sendall(b"x" * 65_536)
        said = connection.recv(10_000)
    assert said.startswith(b"HTTP/1.1 431 ") and b"the head has more than 65,536 bytes" in said
    assert memory(server.process.pid) < before + 15


def test_a_client_may_ask_for_the_head_alone_or_wait_before_its_body(
    server: Server, rows: list[dict[str, Any]]
) -> None:
    def read(connection: socket.socket, until: bytes) -> bytes:
        said = b""
        while not said.endswith(until):
            assert (more := connection.recv(10_000)), said
            said += more
        return said

    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(b"HEAD /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        assert read(connection, b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        body = json.dumps(rows[0]).encode()
        head = f"POST /predict HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode())
        assert read(connection, b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert read(connection, b"}").startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"GET /docs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b"".join(iter(lambda: connection.recv(10_000), b"")).rstrip().endswith(b"</html>")
        assert server.ask("/nowhere").status == 404


def test_who_would_rather_speak_another_protocol_is_answered_in_this_one(
    server: Server, rows: list[dict[str, Any]]
) -> None:
    """Java's own client asks so on each connection that it opens."""
    body = json.dumps(rows[0]).encode()
    wish = b"Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
    row = b"POST /predict HTTP/1.1\r\n" + wish + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    chunked = (
        b"POST /predict HTTP/1.1\r\n"
        + wish
        + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    )
    live = b"GET /v2/health/live HTTP/1.1\r\n" + wish + b"\r\n"
    last = b"GET /v2/health/ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    before = server.said()
    for pieces in ([row + live + chunked + live * 90 + last], [bytes([one]) for one in row + chunked + last]):
        with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
            for piece in pieces:
                connection.sendall(piece)
            said = b"".join(iter(lambda: connection.recv(100_000), b""))
        assert said.count(b"HTTP/1.1 200 ") == said.count(b"HTTP/1.1 ") == (94 if len(pieces) == 1 else 3)
        assert said.count(b'"predictions"') + said.count(b'"prediction"') >= 2
    with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
        connection.sendall(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 405 ")
    with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01")  # TLS begins so
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert server.said() == before, "and nothing is said in the log"


def test_slow_clients_are_left_behind_and_nobody_waits_for_them(
    copied: Callable[..., Project], serving: Serve, rows: list[dict[str, Any]]
) -> None:
    with serving(copied({"serving.limits.seconds": 2})) as server:
        mute, slow = (socket.create_connection(("127.0.0.1", server.port), 30) for _ in range(2))
        mute.sendall(b"POST /predict HTT")
        slow.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        begun = time.monotonic()
        assert server.ask("/predict", rows[0]).status == 200 and time.monotonic() - begun < 1.5
        assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
        assert 'mlops_requests_total{path="/predict",status="499"} 1.0' in server.ask("/metrics").body
        assert mute.recv(1000) == b""
        assert time.monotonic() - begun < 10
        mute.close()
        slow.close()
        many = json.dumps(rows[:400] * 5).encode()
        asked = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(many), many)
        deaf = socket.create_connection(("127.0.0.1", server.port), 60)
        with deaf, pytest.raises((ConnectionResetError, BrokenPipeError)):
            for _ in range(99):  # until the answers that nobody reads fill what the system holds
                deaf.sendall(asked)
        assert server.ask("/predict", rows[0]).status == 200


def test_who_asks_for_too_much_at_once_gets_the_first_answers_and_no_more_is_read(server: Server) -> None:
    live = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n"
    last = live[:-2] + b"Connection: close\r\n\r\n"
    for asked in ([live] * PIPELINED + [last], [live] * 20_000 + [last]):
        with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
            connection.sendall(b"".join(asked))
            said = b"".join(iter(lambda: connection.recv(100_000), b""))
        assert said.count(b"HTTP/1.1 200 ") == said.count(b"HTTP/1.1 ") == PIPELINED + 1
        assert said.count(b"connection: close") == 1


def test_more_connections_than_there_are_descriptors_end_with_those_that_have_them(
    trained: Project, serving: Serve
) -> None:
    with serving(trained) as server:
        taken = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (taken + 20, taken + 20))
        idle = [socket.create_connection(("127.0.0.1", server.port), 30) for _ in range(100)]
        with pytest.raises((OSError, http.client.HTTPException)):
            server.ask("/v2/health/live")
        for connection in idle:
            connection.close()
        wait_until(lambda: answers(server))
        assert server.stop() == 0


def answers(server: Server) -> bool:
    """Return whether a server has a descriptor for one more client."""
    try:
        return server.ask("/v2/health/live").status == 200
    except (OSError, http.client.HTTPException):
        return False


def test_a_killed_worker_is_replaced_and_the_others_go_on(
    copied: Callable[..., Project], serving: Serve, rows: list[dict[str, Any]]
) -> None:
    with serving(copied(), "--workers", "2") as server:

        def running() -> list[int]:
            return [pid for pid in children(server.process.pid) if "spawn_main" in command_of(pid)]

        killed, other = workers = running()
        os.kill(killed, signal.SIGKILL)
        answered = 0

        def is_replaced() -> bool:
            nonlocal answered
            with suppress(OSError):  # the connections that the killed one had taken
                answered += server.ask("/predict", rows[0]).status == 200
            return killed not in running() and len(running()) == 2

        wait_until(is_replaced)
        assert answered and other in running()
        assert {server.ask("/predict", row).status for row in rows[:100]} == {200}
        workers += running()
        assert 'mlops_requests_total{path="/predict",status="200"}' in server.ask("/metrics").body
    assert not any(is_running(pid) for pid in workers)


@pytest.fixture(scope="module")
def by_pandas(fresh: Callable[..., Project]) -> Project:
    """A trained project whose features.py is not compiled, and refuses a row."""
    project = fresh(400)
    features = "src/customer_churn/features.py"
    text = project.read(features)
    added = "    rows['odd'] = rows['total_day_calls'].apply(lambda calls: 1 / calls if calls else float('inf'))\n"
    project.write(features, text.replace("    return rows\n", added + "    return rows\n"))
    project.set(**{"serving.limits.seconds": 3, "model.estimator": "logistic"})
    train_project(project.path)
    return project


def test_a_bundle_that_needs_pandas_is_answered_by_a_process_beside_the_server(
    by_pandas: Project, serving: Serve, rows: list[dict[str, Any]]
) -> None:
    root = by_pandas.path
    expected = predict(load_config(root), root / DATA, load_bundle(root / "models/bundle.zip"))["probability_yes"]
    with serving(by_pandas) as server:
        bad = {**rows[0], "total_day_calls": 0}
        said = server.ask("/predict", [*rows, bad]).body["predictions"]
        assert [one["probabilities"]["yes"] for one in said[:-1]] == pytest.approx(list(expected), abs=1e-6)
        assert "beyond what the model can compute" in said[-1]["error"]
        maps = Path(f"/proc/{server.process.pid}/maps").read_text()
        assert "/pandas/" not in maps and "/sklearn/" not in maps
        [child] = [pid for pid in children(server.process.pid) if "serving.child" in command_of(pid)]
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: server.ask("/predict", rows[0]).status == 200)
        [child] = [pid for pid in children(server.process.pid) if "serving.child" in command_of(pid)]
        os.kill(child, signal.SIGSTOP)  # it hangs
        assert server.ask("/predict", rows[0]).status in (500, 503)
        wait_until(lambda: server.ask("/predict", rows[0]).status == 200)
        assert not is_running(child)


def other_model(files: dict[str, bytes]) -> None:
    files["model.onnx"] = files["model.onnx"][:-1] + b"x"


def other_answers(files: dict[str, bytes]) -> None:
    reference, manifest = json.loads(files["reference.json"]), json.loads(files["manifest.json"])
    reference["values"][3] = [1 - value + 1e-4 for value in reference["values"][3]]
    files["reference.json"] = json.dumps(reference).encode()
    manifest["sha256"]["reference.json"] = hashlib.sha256(files["reference.json"]).hexdigest()
    files["manifest.json"] = json.dumps(manifest).encode()


def unknown_step(files: dict[str, bytes]) -> None:
    manifest = json.loads(files["manifest.json"])
    manifest["features"]["steps"].append(["system", 0])
    files["manifest.json"] = json.dumps(manifest).encode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_model, "model.onnx in it is not what manifest.json says"),
        (other_answers, "it fails its self-test here (off by"),
        (unknown_step, "its features need 'system', which this version cannot do"),
        (lambda files: files.pop("reference.json"), "not a model bundle"),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_bundle_that_is_not_what_it_should_be_is_refused_in_one_sentence(
    copied: Callable[..., Project], change: Callable[[dict[str, bytes]], None], said: str, workers: int
) -> None:
    project = copied()
    rewrite_zip(project.path / "models/bundle.zip", change)
    with pytest.raises(UserError, match=re.escape(said)):
        run_server(Serving(port=0, workers=workers), project.path / "models/bundle.zip")


def test_an_address_in_use_is_one_sentence(trained: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"127.0.0.1:{port} cannot be listened on"):
            run_server(Serving(port=port), trained.path / "models/bundle.zip")
