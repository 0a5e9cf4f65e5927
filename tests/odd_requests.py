"""Requests that no client should send: a grammar of the Open Inference Protocol, and of rows and truths, gone wrong."""

import json
import random
import re
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

DATATYPES = ["BOOL", "UINT8", "INT64", "FP16", "FP32", "FP64", "BYTES"]
# JSON that Python's own would not write: numbers, texts, and what is nested without an end.
WRITTEN = [
    *["9" * 5000, "-" + "9" * 30, "1e400", "-0.0", "1E-999", str(2**63), "0." + "3" * 900],
    *['"\\ud800"', '"\\u0000"', '"' + "x" * 5000 + '"', '"nan"', '"\\"', '"\xff"', '"prediction"', '"BYTES"', '""'],
    "[" * 300 + "]" * 300,
    *['{"a":' * depth for depth in (5, 700, 5000)],
]


class OddRequest(NamedTuple):
    """What is sent, and where to."""

    path: str
    body: bytes
    headers: list[tuple[bytes, bytes]]


def odd_requests(seed: int, rows: list[dict[str, Any]], ids: list[str]) -> Iterator[OddRequest]:
    """Yield requests without an end, always the same of one seed: right ones, with one to four things wrong."""
    draw = random.Random(seed)
    while True:
        path = draw.choice(["/predict", "/predict", "/feedback", *["/v2/models/model/infer"] * 4])
        content: Any = draw.sample(rows, draw.choice([1, 1, 2, 5]))
        binary = b""
        if path == "/feedback":
            content = [{"id": draw.choice(ids), "truth": draw.choice(["yes", "no"])} for _ in content]
        elif path != "/predict":
            content, binary = tensors(draw, content)
        content = content[0] if isinstance(content, list) and len(content) == 1 and draw.random() < 0.5 else content
        content = json.loads(json.dumps(content))
        for _ in range(draw.choice([0, 0, 1, 1, 2, 4])):
            content = spoil(draw, content)
        body = write(content).encode("utf-8", "surrogatepass")
        headers = []
        if binary or draw.random() < 0.1:
            length = draw.choice([str(len(body))] * 8 + ["0", "-1", "9" * 5000, str(len(body) + 1), "x", "١", "1_0"])
            headers.append((b"inference-header-content-length", length.encode("utf-8")))
        if draw.random() < 0.1:
            headers.append((b"x-request-key", draw.choice([b"", b"\xff\xfe", b"k" * 5000])))
        body += binary
        if draw.random() < 0.1:
            at = draw.randrange(len(body))
            body = draw.choice([body[:at], body[:at] + draw.randbytes(3) + body[at:], body[at:], b""])
        yield OddRequest(path, body, headers)


def tensors(draw: random.Random, rows: list[dict[str, Any]]) -> tuple[dict[str, Any], bytes]:
    """Return rows as a request of the protocol, some of its columns as binary data."""
    inputs, binary, count = [], b"", len(rows)
    for name in rows[0]:
        values = [row[name] for row in rows]
        kind = "BYTES" if isinstance(values[0], str) else "FP64"
        tensor = {"name": name, "shape": draw.choice([[count], [count, 1]]), "datatype": kind, "data": values}
        if draw.random() < 0.1:
            content = b"".join(map(packed, values))
            if draw.random() < 0.05:
                content, tensor["datatype"] = draw.randbytes(draw.choice([0, 1, 4, 8])), draw.choice(DATATYPES)
            tensor["parameters"] = {"binary_data_size": len(content)}
            binary += content
        inputs.append(tensor)
    outputs = [{"name": draw.choice(["prediction"] * 9 + ["odds"])}]
    return {"id": "1", "inputs": inputs} | draw.choice([{}, {"outputs": outputs}]), binary


def packed(value: str | float) -> bytes:
    """Return a value as the protocol's binary data has it."""
    if isinstance(value, str):
        return struct.pack("<I", len(value.encode())) + value.encode()
    return struct.pack("<d", value)


def spoil(draw: random.Random, content: Any) -> Any:
    """Return JSON with one thing changed, somewhere in it."""
    held, key = draw.choice([*_places(content)]) if isinstance(content, dict | list) and content else (None, None)
    if held is None:
        return odd(draw)
    what = draw.random()
    if what < 0.15:
        del held[key]
    elif what < 0.25 and isinstance(held, dict):
        held[draw.choice(["predictions", "data", "shape", "", "x" * 300, "outputs", "parameters"])] = odd(draw)
    elif what < 0.35 and isinstance(held, list):
        held.extend([held[key]] * draw.choice([1] * 5 + [3] * 5 + [2500]))
    elif what < 0.45:
        held[key] = [held[key]]
    else:
        held[key] = odd(draw)
    return content


def odd(draw: random.Random) -> Any:
    """Return a value that hardly belongs anywhere."""
    makers: list[Callable[[], Any]] = [
        lambda: draw.choice(
            [None, True, False, 0, -1, 1, 5, 2**31, 10**18, 0.5, "", [], {}, [[]], [None], {"name": []}]
        ),
        lambda: f"@{draw.randrange(len(WRITTEN))}@",
        lambda: f"@{draw.randrange(len(WRITTEN))}@",
        lambda: [draw.choice([1, 2, 10**18])] * draw.choice([1, 2, 3, 3000]),
        lambda: {"predictions": [{"prediction": "yes"}]},
    ]
    return draw.choice(makers)()


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(content) if isinstance(content, dict) else range(len(content)):
        yield content, key
        if isinstance(content[key], dict | list):
            yield from _places(content[key])


def write(content: Any) -> str:
    """Return content as JSON, with the texts of WRITTEN where their numbers stand."""
    return re.sub('"@([0-9]+)@"', lambda found: WRITTEN[int(found[1])], json.dumps(content))
