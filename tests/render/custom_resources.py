"""What the deployed manifests use of resources that Kubernetes itself does not have, as JSON schemas.

They are the fields of gateway.networking.k8s.io/v1 and serving.kserve.io/v1beta1, named as their definitions name them.
A predictor is a pod with fields of its own: what is not named here is validated as a pod.
"""

from typing import Any


def closed(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    """Return the schema of an object with these properties, and no others."""
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


def listing(item: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a list that is not empty."""
    return {"type": "array", "minItems": 1, "items": item}


NAME = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}
METADATA = closed(("name",), name=NAME, annotations={"type": "object", "additionalProperties": {"type": "string"}})
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
PATH = closed(
    ("type", "value"),
    type={"enum": ["Exact", "PathPrefix"]},
    value={"type": "string", "pattern": "^/"},
)
BACKEND = closed(("name", "port"), name=NAME, port=PORT, weight={"type": "integer", "minimum": 0, "maximum": 1_000_000})
RULE = closed(("backendRefs",), matches=listing(closed((), path=PATH)), backendRefs=listing(BACKEND))
HTTP_ROUTE = closed(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "gateway.networking.k8s.io/v1"},
    kind={"const": "HTTPRoute"},
    metadata=METADATA,
    spec=closed(("parentRefs", "rules"), parentRefs=listing(closed(("name",), name=NAME)), rules=listing(RULE)),
)
REPLICAS = {"type": "integer", "minimum": 0}
PREDICTOR = {"canaryTrafficPercent": {"type": "integer", "minimum": 0, "maximum": 100}} | dict.fromkeys(
    ("minReplicas", "maxReplicas"), REPLICAS
)
INFERENCE_SERVICE = closed(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "serving.kserve.io/v1beta1"},
    kind={"const": "InferenceService"},
    metadata=METADATA,
    spec=closed(("predictor",), predictor={"type": "object", "required": ["containers"], "properties": PREDICTOR}),
)
