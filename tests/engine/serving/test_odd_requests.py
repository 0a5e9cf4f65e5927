"""Whatever comes in is answered in words: never a 500, never a traceback, never more work than a body is worth."""

import asyncio
import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from baked import Project
from in_process import Application, application
from mlops_actions.core.config import Serving
from mlops_actions.data.prediction_log.log import read_predictions
from mlops_actions.serving.app import Endpoint
from mlops_actions.serving.http import DIGITS, SMALL, Refused, read_json
from mlops_actions.serving.prometheus import Metrics
from mlops_actions.serving.worker import ServedVersions
from odd_requests import OddRequest, odd_requests

CASES = 500
BUNDLE = "models/bundle.zip"


def answer_all(app: Application, requests: list[OddRequest]) -> list[tuple[OddRequest, int, Any]]:
    """Return what each request was answered, as JSON."""
    said = []
    for request in requests:
        status, headers, body = app.ask(request.path, request.body, headers=request.headers)
        assert headers[b"content-type"] == b"application/json"
        said.append((request, status, json.loads(body)))
    return said


def test_odd_requests_get_an_answer_or_a_reason(trained: Project, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    with application(trained.path / BUNDLE, tmp_path / "log") as app:
        first = json.loads(app.ask("/predict", json.dumps(rows[0]).encode()).body)
        said = answer_all(app, list(islice(odd_requests(7, rows, [first["id"]]), CASES)))
    wrong = [(request, status, body) for request, status, body in said if status not in (200, 202, 400, 413, 422)]
    assert not wrong, wrong[0]
    for request, status, body in said:
        problems = body.get("predictions", [body]) if status >= 400 else []
        assert all(isinstance(one["error"], str) and len(one["error"]) < 2000 for one in problems), (request, body)
    answered = {status for _, status, _ in said}
    assert {200, 202, 400, 422} <= answered, "the grammar makes right requests and wrong ones of each kind"
    sent = [body for request, status, body in said if status == 200 and request.path == "/predict"]
    ids = {one["id"] for body in sent for one in body.get("predictions", [body]) if "id" in one}
    assert ids <= set(read_predictions(tmp_path / "log")["id"])


def test_what_escapes_is_a_counted_500_without_a_traceback(trained: Project, capfd: pytest.CaptureFixture[str]) -> None:
    async def fail(engine: ServedVersions, scope: Any, body: bytes) -> tuple[int, Any]:
        return 200, {"share": 1 / int(body)}

    engine = ServedVersions(Serving(), None, Metrics())
    with asyncio.Runner() as runner:
        status, _, body = Application(Endpoint(engine, "/share", fail), runner).ask("/share", b"0")
    assert (status, json.loads(body)) == (500, {"error": "the server failed on this request; its log says where"})
    assert b'mlops_requests_total{path="/share",status="500"} 1.0' in engine.metrics.page(engine)
    said = capfd.readouterr().out
    assert said.startswith("serve: /share failed: ZeroDivisionError: division by zero (test_odd_requests.py:")
    assert said.count("\n") == 1


HEAVY = {
    "values": b"[" + b"1," * 200_000 + b"1]",
    "objects": b"[" + b"{}," * 200_000 + b"{}]",
    "chains": b"[" + (b"[" * 100 + b"]" * 100 + b",") * 2000 + b"1]",
    "keys": b"{" + b",".join(b'"%d":0' % number for number in range(200_000)) + b"}",
    "digits": b"[" + b"1" * (DIGITS + 1) + b"," + b" " * SMALL + b"1]",
    "exact numbers": b"[" + (b"0." + b"1" * 20 + b",") * 10_001 + b"1]",
    "behind an escape": b'["\\\\",' + b"1," * 200_000 + b'"' + b'\\"' * 5000 + b'"]',
}
LIGHT = {
    "commas in a text": b'["' + b"," * 300_000 + b'"]',
    "digits in a text": b'["' + b"1" * 300_000 + b'"]',
    "escaped quotes in a text": b'["' + b'\\"[,' * 100_000 + b'\\\\"]',
    "exact numbers": b"[" + (b"0." + b"1" * 20 + b",") * 10_000 + b"1]",
    "longest number": b"[" + b" " * SMALL + b"1" * DIGITS + b"]",
    "nothing outside of texts": b'"' + b"[" * 200_000 + b'"',
    "as many as may be": b"[" + b"1," * 99_999 + b"1]",
}


@pytest.mark.parametrize("name", HEAVY)
def test_a_body_that_holds_too_much_is_refused_before_it_is_read(name: str) -> None:
    with pytest.raises(Refused, match="holds more than 100,000 values"):
        read_json(HEAVY[name], 100_000)


@pytest.mark.parametrize("name", LIGHT)
def test_what_stands_in_texts_is_not_counted_and_bounds_are_sharp(name: str) -> None:
    assert read_json(LIGHT[name], 100_000) == json.loads(LIGHT[name])


@pytest.mark.parametrize("path", ["/predict", "/v2/models/model/infer"])
def test_a_key_is_no_longer_than_a_name(trained: Project, rows: list[dict[str, Any]], path: str) -> None:
    columns = [
        {"name": name, "shape": [1], "datatype": "BYTES" if isinstance(value, str) else "FP64", "data": [value]}
        for name, value in rows[0].items()
    ]
    body = json.dumps(rows[0] if path == "/predict" else {"inputs": columns}).encode()
    with application(trained.path / BUNDLE) as app:
        assert app.ask(path, body, headers=[(b"x-request-key", b"k" * 256)]).status == 200
        status, _, said = app.ask(path, body, headers=[(b"x-request-key", b"k" * 257)])
    assert (status, json.loads(said)) == (400, {"error": "X-Request-Key has 257 characters, and may have 256"})


def test_a_shape_is_judged_by_its_look_and_rows_before_their_values(
    trained: Project, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    first = next(iter(rows[0]))

    def tensor(**fields: Any) -> bytes:
        return json.dumps({"inputs": [{"name": first, "datatype": "BYTES", "data": ["KS"], **fields}]}).encode()

    asked = {
        tensor(shape=[10**18] * 20_000): f"has the shape [{10**18}, {10**18}, {10**18}, …]; a column has",
        tensor(shape=[1, 1, 1]): "a column has [rows] or [rows, 1]",
        tensor(shape=[2001], data=["KS"]): "2001 rows are more than 2000",
        tensor(shape=[1], name="x" * 100_000): "none of `inputs` is a column that the model knows",
        b"[" + b",".join([b'{"id":"1","truth":"yes"}'] * 2001) + b"]": "2001 truths are more than 2000",
    }

    with application(trained.path / BUNDLE, tmp_path / "log") as app:
        for body, said in asked.items():
            path = "/feedback" if body.startswith(b"[") else "/v2/models/model/infer"
            assert said in json.loads(app.ask(path, body).body)["error"]
