"""What the server understands, as OpenAPI, made from the contract of the champion; and a page to try it."""

import html
from typing import Any

from swagger_ui_bundle import swagger_ui_path

from ..bundle.contract import LARGEST
from ..data.cells import MISSING_WORDS
from .feedback import ID
from .http import Scope
from .inference import KINDS
from .worker import ServedVersions

ASSETS = swagger_ui_path
_TYPES = {"number": ["number"], "boolean": ["boolean"], "datetime": ["string"]}
_TEXT = ["string", "number", "boolean"]
_KEY = {
    "name": "X-Request-Key",
    "in": "header",
    "required": False,
    "description": "Whose request it is: the same key is always answered by the same version.",
    "schema": {"type": "string"},
}


async def page(engine: ServedVersions, scope: Scope, body: bytes) -> tuple[int, Any]:
    """Return the page that shows the document and sends requests."""
    assets = html.escape(scope.get("root_path", "") + "/docs/assets")
    return (
        200,
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Predictions</title>
<link rel="stylesheet" href="{assets}/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="{assets}/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({{url: "openapi.json", dom_id: "#page"}})</script>
</body>
</html>
""".encode(),
    )


async def document(engine: ServedVersions, scope: Scope, body: bytes) -> tuple[int, Any]:
    """Return the OpenAPI document of the champion."""
    lane = engine.lane()
    example = lane.example
    predict = {
        "summary": "Predict one row, or a list of rows",
        "description": "A list is answered row by row: a row that breaks the contract has its error in its place. "
        f"At most {engine.settings.limits.waiting} rows at once.",
        "parameters": [_KEY],
        "requestBody": _body({"oneOf": [_ref("Row"), _rows(engine)]}, example),
        "responses": {
            "200": _response("The answer, or a list of them", {"oneOf": [_ref("Answer"), _ref("Answers")]}),
            **_errors(400, 413, 422, 408, 500, 503),
        },
    }
    truth = {
        "type": "object",
        "required": ["id", "truth"],
        "properties": {
            "id": {"type": "string", "pattern": f"^{ID.pattern}$"},
            "truth": {"type": "string", "enum": lane.classes} if lane.classes else {"type": "number"},
        },
    }
    feedback = {
        "summary": "Tell what turned out to be true of a prediction",
        "requestBody": _body({"oneOf": [truth, {"type": "array", "items": truth}]}),
        "responses": {
            "202": _response("They are kept", {"type": "object", "properties": {"kept": {"type": "integer"}}}),
            **_errors(400, 408, 409, 413, 422, 503),
        },
    }
    infer = {
        "summary": "Predict rows, as the Open Inference Protocol has them: a tensor a column",
        "parameters": [_KEY],
        "requestBody": _body(_ref("InferenceRequest"), _as_tensors(example, lane.manifest["contract"])),
        "responses": {
            "200": _response("Tensors: prediction, probabilities, id", {"type": "object"}),
            **_errors(400, 408, 413, 422, 500, 503),
        },
    }
    return 200, {
        "openapi": "3.0.3",
        "info": {
            "title": f"Predictions of {lane.manifest['target']}",
            "version": lane.served.version,
            "description": f"A {lane.manifest['task']} that {lane.manifest['why']}.",
        },
        "paths": {
            "/predict": {"post": predict},
            "/feedback": {"post": feedback},
            "/v2/models/model/infer": {"post": infer},
            "/v2/models/model": {"get": _get("What the model wants and answers")},
            "/v2/health/live": {"get": _get("Whether the server runs")},
            "/v2/health/ready": {"get": _get("Whether predictions are answered", 503)},
        },
        "components": {"schemas": _schemas(lane.manifest["contract"], lane.classes)},
    }


def _schemas(contract: dict[str, Any], classes: list[str] | None) -> dict[str, Any]:
    says = {"type": "string", "enum": classes} if classes else {"type": "number"}
    probabilities: dict[str, Any] = {
        "type": "object",
        "required": classes,
        "properties": {name: {"type": "number", "minimum": 0, "maximum": 1} for name in classes or []},
    }
    properties: dict[str, Any] = {"id": {"type": "string"}, "version": {"type": "string"}, "prediction": says}
    properties |= {"probabilities": probabilities} if classes else {}
    error: dict[str, Any] = {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {"type": "string"},
            "column": {"type": "string", "nullable": True},
            "reason": {"type": "string"},
        },
    }
    tensor = {
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "datatype": {"type": "string"},
            "data": {"type": "array"},
        },
    }
    return {
        "Row": {
            "type": "object",
            "required": [*contract],
            "properties": {name: _column(column) for name, column in contract.items()},
        },
        "Answer": {"type": "object", "required": [*properties], "properties": properties},
        "Answers": {
            "type": "object",
            "required": ["predictions"],
            "properties": {"predictions": {"type": "array", "items": {"oneOf": [_ref("Answer"), _ref("Error")]}}},
        },
        "Error": error,
        "InferenceRequest": {
            "type": "object",
            "required": ["inputs"],
            "properties": {"id": {"type": "string"}, "inputs": {"type": "array", "items": tensor, "minItems": 1}},
        },
    }


def _column(column: dict[str, Any]) -> dict[str, Any]:
    """Return what a column holds, as JSON schema."""
    kind, written = column["type"], column.get("format") or column.get("unit")
    types = list(_TYPES.get(kind, _TEXT))
    if written and kind == "number":
        types.append("string")
    elif written and written.startswith("epoch"):
        types.append("number")
    schema: dict[str, Any] = (
        {"type": types[0]} if len(types) == 1 else {"anyOf": [{"type": type_name} for type_name in types]}
    )
    if kind in ("category", "text") and not column.get("missing"):
        gaps = sorted({*MISSING_WORDS, *column.get("missing_values", [])})
        schema |= {"allOf": [{"pattern": r"\S"}], "not": {"enum": gaps}}
    if kind == "number":
        schema["minimum"] = max(column.get("min", -LARGEST), -LARGEST)
        schema["maximum"] = min(column.get("max", LARGEST), LARGEST)
    if kind == "datetime":
        schema["description"] = f"a moment, in UTC: {column.get('format') or 'ISO 8601'}"
    if kind in ("category", "text"):
        names = (("values", "enum"), ("max_length", "maxLength"), ("pattern", "pattern"))
        schema |= {key: column[name] for name, key in names if name in column}
    if column.get("missing"):
        schema |= {"nullable": True} | ({"enum": [*schema["enum"], None]} if "enum" in schema else {})
    return schema


def _as_tensors(row: dict[str, Any], contract: dict[str, Any]) -> dict[str, Any]:
    tensors = [
        {"name": name, "shape": [1], "datatype": KINDS[contract[name]["type"]], "data": [value]}
        for name, value in row.items()
    ]
    return {"inputs": tensors}


def _rows(engine: ServedVersions) -> dict[str, Any]:
    return {"type": "array", "items": _ref("Row"), "minItems": 1, "maxItems": engine.settings.limits.waiting}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _body(schema: dict[str, Any], example: Any = None) -> dict[str, Any]:
    content = {"schema": schema} | ({} if example is None else {"example": example})
    return {"required": True, "content": {"application/json": content}}


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_MEANS = {
    400: "The body is not understood",
    408: "The body did not arrive in time",
    409: "No log is kept",
    413: "Too large a body",
    422: "What was sent breaks the contract, or has too many rows",
    500: "The model failed",
    503: "Not ready, or too much to do: try again",
}


def _errors(*statuses: int) -> dict[str, Any]:
    return {str(status): _response(_MEANS[status], {"type": "object"}) for status in statuses}


def _get(summary: str, *statuses: int) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": _response(summary, {"type": "object"}), **_errors(*statuses)}}
