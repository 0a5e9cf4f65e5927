"""The Open Inference Protocol, version 2, as KServe, Triton and MLServer speak it: a tensor a column.

https://github.com/kserve/open-inference-protocol, with Triton's extension for binary data in requests.
"""

import math
import re
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np

from ..bundle.contract import Problem, shown
from ..registry.versions import MODEL
from .http import Refused, Scope, encode, header, read_json, request_key
from .worker import ServedVersions

KINDS = {"number": "FP64", "boolean": "BOOL", "datetime": "BYTES", "category": "BYTES", "text": "BYTES"}
DTYPES = {
    "BOOL": "?", "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "<i1", "INT16": "<i2",
    "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
LENGTH_OF_JSON = b"inference-header-content-length"
LIKELY = "probabilities"
OUTPUTS = ("prediction", LIKELY, "id")


async def live(engine: ServedVersions, scope: Scope, body: bytes) -> tuple[int, Any]:
    """Return whether the server runs."""
    return 200, {"live": True}


async def ready(engine: ServedVersions, scope: Scope, body: bytes) -> tuple[int, Any]:
    """Return whether predictions are answered, and which versions are not served though they should be."""
    answer = {"ready": engine.champion is not None, "roles": engine.roles()}
    answer |= {"problems": engine.problems} if engine.problems else {}
    return (200, answer) if engine.champion else (503, answer | {"error": engine.why})


async def server(engine: ServedVersions, scope: Scope, body: bytes) -> tuple[int, Any]:
    """Return what the server is."""
    return 200, {"name": "mlops", "version": "2", "extensions": ["binary_tensor_data"]}


async def model_ready(engine: ServedVersions, scope: Scope, body: bytes) -> tuple[int, Any]:
    """Return whether the model answers."""
    name, version = _addressed(engine, scope)
    return 200, {"name": name, "ready": True, "version": version}


async def model(engine: ServedVersions, scope: Scope, body: bytes) -> tuple[int, Any]:
    """Return what the model wants, and what it answers."""
    name, version = _addressed(engine, scope)
    lane = engine.lane()
    inputs = [
        {"name": column, "datatype": KINDS[rules["type"]], "shape": [-1]}
        for column, rules in lane.manifest["contract"].items()
    ]
    kind = "BYTES" if lane.classes else "FP64"
    outputs: list[dict[str, Any]] = [{"name": "prediction", "datatype": kind, "shape": [-1]}]
    if lane.classes:
        shape = [-1, len(lane.classes)]
        outputs.append(
            {"name": "probabilities", "datatype": "FP64", "shape": shape, "parameters": _labels(lane.classes)}
        )
    outputs.append({"name": "id", "datatype": "BYTES", "shape": [-1]})
    return 200, {
        "name": name,
        "versions": [version],
        "platform": f"mlops_{lane.manifest['format']}",
        "inputs": inputs,
        "outputs": outputs,
    }


async def infer(engine: ServedVersions, scope: Scope, body: bytes) -> tuple[int, Any]:
    """Return the answers for rows that come as a tensor a column; a bad row refuses all, as the protocol says."""
    name, _ = _addressed(engine, scope)
    request, binary = _split(scope, body, engine.most_values())
    rows = _rows(request, binary, engine)
    wanted = _wanted(request, OUTPUTS if engine.lane().classes else tuple(each for each in OUTPUTS if each != LIKELY))
    exchange = await engine.predict(rows, request_key(scope))
    answers: list[dict[str, Any]] = []
    for number, outcome in enumerate(exchange.outcomes):
        if isinstance(outcome, Problem):
            what = "" if outcome.column is None else f"the column {outcome.column!r} "
            raise Refused(400, f"row {number}: {what}{outcome.reason}")
        answers.append(outcome)
    engine.keep(exchange, encode(rows), encode(answers))
    labels = list(answers[0].get(LIKELY, {}))
    predictions = [answer["prediction"] for answer in answers]
    outputs = [_output("prediction", "BYTES" if labels else "FP64", [len(rows)], predictions)]
    if labels:
        flat = [probability for answer in answers for probability in answer[LIKELY].values()]
        outputs.append(_output(LIKELY, "FP64", [len(rows), len(labels)], flat))
        outputs[-1]["parameters"] = _labels(labels)
    outputs.append(_output("id", "BYTES", [len(rows)], [answer["id"] for answer in answers]))
    content = {
        "model_name": name,
        "model_version": answers[0]["version"],
        "outputs": [output for output in outputs if output["name"] in wanted],
    }
    return 200, content | ({"id": request["id"]} if request.get("id") else {})


def _output(name: str, datatype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def _labels(classes: list[str]) -> dict[str, str]:
    return {"labels": encode(classes).decode()}


def _addressed(engine: ServedVersions, scope: Scope) -> tuple[str, str]:
    """Return the model's name and version, where the path names a version that is served."""
    name, version = scope["path_params"]["name"], scope["path_params"].get("version")
    if name != MODEL:
        raise Refused(404, f"there is no model {name!r}; the one that is served is {MODEL!r}")
    served = engine.lane().served.version
    if version not in (None, served):
        raise Refused(404, f"the version {version!r} is not the champion, which is {served!r}")
    return name, served


def _split(scope: Scope, body: bytes, most: int) -> tuple[dict[str, Any], memoryview]:
    """Return the JSON of a request, which holds at most so many values, and the binary data behind it."""
    head_length = header(scope, LENGTH_OF_JSON)
    length = len(body)
    if head_length is not None:
        if not re.fullmatch("[0-9]{1,18}", head_length) or int(head_length) > len(body):
            raise Refused(
                400, f"Inference-Header-Content-Length is {shown(head_length)}, and the body has {len(body)} bytes"
            )
        length = int(head_length)
    request = read_json(body[:length], most)
    if not isinstance(request, dict):
        raise Refused(400, "the body must be an object with `inputs`")
    if not isinstance(request.get("id", ""), str):
        raise Refused(400, f"`id` must be text, not {shown(request['id'])}")
    return request, memoryview(body)[length:]


def _wanted(request: dict[str, Any], there: Sequence[str]) -> Sequence[str]:
    """Return which outputs are asked for: all where none is named."""
    outputs = request.get("outputs")
    if outputs is None:
        return there
    if not isinstance(outputs, list) or not all(isinstance(output, dict) for output in outputs):
        raise Refused(400, "`outputs` must be a list of objects with a `name`")
    asked = [output.get("name") for output in outputs]
    if unknown := [name for name in asked if not isinstance(name, str) or name not in there]:
        raise Refused(400, f"there is no output {shown(unknown[0])}; ask for {', '.join(there)}")
    return asked or there


def _rows(request: dict[str, Any], binary: memoryview, engine: ServedVersions) -> list[dict[str, Any]]:
    """Return the rows in a request's tensors, of the columns that the contract knows."""
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or not inputs or not all(isinstance(one, dict) for one in inputs):
        raise Refused(400, "`inputs` must be a list of tensors, one for each column")
    known, columns = engine.lane().manifest["contract"], dict[str, list[Any]]()
    for tensor in inputs:
        name, shape = tensor.get("name"), tensor.get("shape")
        if not isinstance(name, str) or not isinstance(shape, list) or not shape:
            raise Refused(400, "each of `inputs` needs `name`, `shape`, `datatype` and `data`")
        if name in columns:
            raise Refused(400, f"the input {shown(name)} is there twice")
        if not all(isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in shape):
            raise Refused(400, f"the input {shown(name)} has the shape [{_listed(shape)}], which is none")
        if shape[1:] not in ([], [1]):
            raise Refused(
                400, f"the input {shown(name)} has the shape [{_listed(shape)}]; a column has [rows] or [rows, 1]"
            )
        engine.require_few(shape[0])
        content, binary = _own(name, tensor, binary)
        if name in known:
            columns[name] = _values(name, tensor, shape[0], content)
    sizes = {len(values) for values in columns.values()}
    if not columns:
        raise Refused(400, "none of `inputs` is a column that the model knows")
    if len(sizes) != 1 or not max(sizes):
        raise Refused(400, "every input must have the same number of rows, one at least")
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _listed(shape: list[Any]) -> str:
    return ", ".join([*map(shown, shape[:3]), *(["…"] if len(shape) > 3 else [])])


def _own(name: str, tensor: dict[str, Any], binary: memoryview) -> tuple[memoryview | None, memoryview]:
    """Return the binary data of a tensor, None where it has none, and that of those after it."""
    parameters = tensor.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise Refused(400, f"the input {shown(name)} has `parameters` that are no object")
    size = parameters.get("binary_data_size")
    if size is None:
        return None, binary
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(binary):
        raise Refused(
            400, f"the input {shown(name)} has binary_data_size {shown(size)}, and {len(binary)} bytes are left"
        )
    return binary[:size], binary[size:]


def _values(name: str, tensor: dict[str, Any], rows: int, content: memoryview | None) -> list[Any]:
    """Return the values of a tensor of so many rows, which are in its binary data or in its JSON."""
    datatype, values = tensor.get("datatype"), tensor.get("data")
    if not isinstance(datatype, str) or (datatype != "BYTES" and datatype not in DTYPES):
        names = f"{', '.join(DTYPES)}, BYTES"
        raise Refused(400, f"the input {shown(name)} has the datatype {shown(datatype)}; give one of {names}")
    if content is not None:
        read = _texts if datatype == "BYTES" else _numbers
        values = read(name, content, rows, DTYPES.get(datatype, ""))
    elif not isinstance(values, list):
        raise Refused(400, f"the input {shown(name)} has no `data`")
    elif values and all(isinstance(value, list) and len(value) == 1 for value in values):
        values = [value for [value] in values]
    if len(values) != rows:
        raise Refused(400, f"the input {shown(name)} has {len(values)} values, and its shape says {rows}")
    if datatype == "BOOL":
        values = [bool(value) if value in (0, 1) else value for value in values]
    return [None if isinstance(value, float) and math.isnan(value) else value for value in values]


def _texts(name: str, content: memoryview, rows: int, _: str) -> list[str]:
    """Return texts, each of which stands after its length in four bytes; one more than there should be is enough."""
    texts, at = list[str](), 0
    while at < len(content) and len(texts) <= rows:
        size = struct.unpack_from("<I", content, at)[0] if at + 4 <= len(content) else len(content)
        if at + 4 + size > len(content):
            raise Refused(400, f"the binary data of {shown(name)} ends within a text")
        try:
            texts.append(str(content[at + 4 : at + 4 + size], "utf-8"))
        except UnicodeDecodeError:
            raise Refused(400, f"the binary data of {shown(name)} is not UTF-8") from None
        at += 4 + size
    return texts


def _numbers(name: str, content: memoryview, rows: int, dtype: str) -> list[Any]:
    size = np.dtype(dtype).itemsize
    if len(content) != rows * size:
        raise Refused(
            400, f"the binary data of {shown(name)} has {len(content)} bytes, and {rows} rows of it have {rows * size}"
        )
    return np.frombuffer(content, dtype).tolist()


Handler = Callable[[ServedVersions, Scope, bytes], Awaitable[tuple[int, Any]]]
_MODEL = "/v2/models/{name}"
_VERSION = _MODEL + "/versions/{version}"
ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/v2/health/live", live),
    ("GET", "/v2/health/ready", ready),
    ("GET", "/v2", server),
    *[("GET", path, model) for path in (_MODEL, _VERSION)],
    *[("GET", f"{path}/ready", model_ready) for path in (_MODEL, _VERSION)],
    *[("POST", f"{path}/infer", infer) for path in (_MODEL, _VERSION)],
]
