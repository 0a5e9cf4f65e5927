"""The Open Inference Protocol, spoken by its official client and by Triton's."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas
import pytest
import tritonclient.http
from baked import Project
from open_inference.openapi.client import OpenInferenceClient
from open_inference.openapi.types import InferenceRequest
from serving import Server
from tables import DATA
from tritonclient.utils import InferenceServerException

INFER = "/v2/models/model/infer"


@pytest.fixture(scope="module")
def table(trained: Project) -> pandas.DataFrame:
    return pandas.read_csv(trained.path / DATA).drop(columns="churn").head(50)


@pytest.fixture(scope="module")
def expected(server: Server, table: pandas.DataFrame) -> list[dict[str, Any]]:
    """What /predict answers."""
    return server.ask("/predict", json.loads(table.to_json(orient="records"))).body["predictions"]


def tensors(table: pandas.DataFrame) -> list[dict[str, Any]]:
    kinds = {"i": "INT64", "f": "FP64"}
    return [
        {
            "name": name,
            "shape": [len(table)],
            "datatype": kinds.get(values.dtype.kind, "BYTES"),
            "data": values.tolist(),
        }
        for name, values in table.items()
    ]


def test_the_official_client_gets_what_predict_answers(
    server: Server, table: pandas.DataFrame, expected: list[dict[str, Any]]
) -> None:
    client = OpenInferenceClient(base_url=server.url)
    client.check_server_liveness()
    client.check_server_readiness()
    client.check_model_readiness("model")
    metadata = client.read_model_metadata("model")
    assert [tensor.name for tensor in metadata.inputs] == list(table)
    said = client.model_infer("model", request=InferenceRequest(id="42", inputs=tensors(table)))
    outputs = {output.name: output for output in said.outputs}
    data = {name: output.data.dict()["__root__"] for name, output in outputs.items()}
    assert said.id == "42" and said.model_version == expected[0]["version"]
    assert list(data["prediction"]) == [answer["prediction"] for answer in expected]
    flat = [value for answer in expected for value in answer["probabilities"].values()]
    assert list(data["probabilities"]) == pytest.approx(flat)


@pytest.mark.parametrize("binary", [True, False])
def test_tritons_client_gets_what_predict_answers(
    server: Server, table: pandas.DataFrame, expected: list[dict[str, Any]], binary: bool
) -> None:
    client = tritonclient.http.InferenceServerClient(f"127.0.0.1:{server.port}")
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("model")
    assert client.get_model_metadata("model")["name"] == "model"
    inputs = []
    for tensor in tensors(table):
        values = np.array(tensor["data"], dtype=object if tensor["datatype"] == "BYTES" else None).reshape(-1, 1)
        inputs.append(tritonclient.http.InferInput(tensor["name"], list(values.shape), tensor["datatype"]))
        inputs[-1].set_data_from_numpy(values, binary_data=binary)
    outputs = [
        tritonclient.http.InferRequestedOutput(name, binary_data=binary) for name in ("prediction", "probabilities")
    ]
    said = client.infer("model", inputs, outputs=outputs, request_id="7")
    assert said.get_response()["id"] == "7"
    assert said.as_numpy("prediction").astype(str).tolist() == [answer["prediction"] for answer in expected]
    probabilities = [list(answer["probabilities"].values()) for answer in expected]
    assert said.as_numpy("probabilities").tolist() == [pytest.approx(row) for row in probabilities]
    with pytest.raises(InferenceServerException, match="'state' is absent"):
        client.infer("model", inputs[1:])


def change(tensor: int, **fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda request: request["inputs"][tensor].update(fields)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda request: request.update(inputs=[]), "must be a list of tensors"),
        (lambda request: request.update(inputs=[7]), "must be a list of tensors"),
        (lambda request: request.update(id=7), "`id` must be text"),
        (lambda request: request.update(outputs=[{"name": "odds"}]), "there is no output 'odds'"),
        (change(1, shape=[2]), "has 50 values, and its shape says 2"),
        (change(1, shape=[25, 2]), "a column has [rows] or [rows, 1]"),
        (change(1, shape=["x"]), "which is none"),
        (change(1, datatype="COMPLEX"), "has the datatype 'COMPLEX'"),
        (change(1, data="text"), "has no `data`"),
        (change(1, data=[1], shape=[1]), "the same number of rows"),
        (change(1, data=["many"] * 50), "row 0: the column 'account_length' must hold a number"),
        (change(1, parameters={"binary_data_size": 8}), "0 bytes are left"),
    ],
)
def test_a_request_that_breaks_the_protocol_is_refused_with_the_reason(
    server: Server, table: pandas.DataFrame, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    request: dict[str, Any] = {"inputs": tensors(table)}
    change(request)
    status, body, _ = server.ask(INFER, request)
    assert status == 400 and said in body["error"]


@pytest.mark.parametrize("content", [b"", b"\x05", b"\x05\x00\x00\x00abc", b"\x01\x00\x00\x00\xff"])
def test_damaged_binary_data_is_refused(server: Server, table: pandas.DataFrame, content: bytes) -> None:
    request: dict[str, Any] = {"inputs": tensors(table.head(1))}
    del request["inputs"][0]["data"]
    request["inputs"][0]["parameters"] = {"binary_data_size": len(content)}
    head = json.dumps(request).encode()
    length = {"Inference_Header_Content_Length": str(len(head))}
    status, body, _ = server.ask(INFER, head + content, **length)
    assert status == 400 and "'state'" in body["error"]
    assert server.ask(INFER, head, Inference_Header_Content_Length="999999").status == 400


def test_only_what_is_served_is_found(server: Server) -> None:
    version = server.ask("/v2/models/model").body["versions"][0]
    assert server.ask(f"/v2/models/model/versions/{version}/ready").status == 200
    assert server.ask("/v2/models/model/versions/v0.0.0").status == 404
    assert server.ask("/v2/models/other/ready").status == 404
    assert server.ask("/v2").body["extensions"] == ["binary_tensor_data"]
