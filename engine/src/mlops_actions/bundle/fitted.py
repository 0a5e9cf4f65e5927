"""Fitted pipelines as files: the same bytes for the same model, read without running any code of theirs."""

import hashlib
import importlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..core.errors import UserError, need
from ..core.files import open_stored, pack

LIBRARIES = ("sklearn", "numpy", "scipy")
# Of XGBoost these alone: a booster is its trees, read by XGBoost itself.
BOOSTED = ("xgboost.core.Booster", "xgboost.sklearn.XGBClassifier", "xgboost.sklearn.XGBRegressor")


def answer_of(pipeline: Any, features: pd.DataFrame) -> np.ndarray:
    """Return what a fitted pipeline says: probabilities of the classes, or numbers."""
    if hasattr(pipeline, "classes_"):
        return np.asarray(pipeline.predict_proba(features))
    return np.asarray(pipeline.predict(features)).reshape(-1)


def classes_of(pipeline: Any) -> list[str] | None:
    """Return the classes of a fitted classifier in the order of its probabilities."""
    return [str(name) for name in pipeline.classes_] if hasattr(pipeline, "classes_") else None


def dump_model(pipeline: Any) -> bytes:
    """Return a fitted pipeline as skops bytes, the same for the same model, which skops itself does not promise."""
    import skops.io

    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(pipeline))) as archive:
        schema = json.loads(archive.read("schema.json"))
        members = {name: archive.read(name) for name in archive.namelist() if name != "schema.json"}
    numbers: dict[int, int] = {}
    files: dict[str, bytes] = {}

    def rename(node: Any) -> None:
        if isinstance(node, list):
            for child in node:
                rename(child)
        elif isinstance(node, dict):
            if node.get("__class__") == "_BinMapper":  # it notes how many cores fitted it, for nobody to read
                node["content"]["content"]["n_threads"] |= {"content": "1", "__id__": 0}
            if isinstance(node.get("__id__"), int):
                node["__id__"] = numbers.setdefault(node["__id__"], len(numbers) + 1)
            if node.get("file") in members and "__loader__" in node:
                content = members[node["file"]]
                node["file"] = f"{hashlib.sha256(content).hexdigest()[:32]}{Path(node['file']).suffix}"
                files[node["file"]] = content
            for child in node.values():
                rename(child)

    rename(schema)
    return pack({"schema.json": json.dumps(schema, indent=1).encode(), **files})


def read_model(path: Path) -> Any:
    """Return the fitted pipeline that `train` wrote."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run `mlops train`, which makes it.") from None
    return load_model(content, types_of(content), str(path))


def types_of(model: bytes) -> list[str]:
    """Return the types a skops file needs that skops does not know, all of scikit-learn, NumPy, SciPy or XGBoost."""
    import skops.io

    names = sorted(skops.io.get_untrusted_types(data=model))
    check_types(names, "the model")
    return names


def load_model(model: bytes, trusted: list[str], source: str) -> Any:
    """Return the pipeline in skops bytes, built from skops's known types and the trusted ones only."""
    import skops.io

    check_types(trusted, source)
    try:
        open_stored(model).close()
        return skops.io.loads(model, trusted=trusted)
    except skops.io.exceptions.UntrustedTypesFoundException as error:
        raise UserError(f"{source}: refused, it holds types that it does not list ({error}).") from None
    except Exception as error:  # a damaged file fails anywhere inside skops, with any class
        raise UserError(
            f"{source}: its skops model cannot be read ({str(error)[:200] or type(error).__name__}); fetch it again."
        ) from None


def check_types(names: list[str], source: str) -> None:
    """Refuse types that are not classes of the libraries a model is made of."""
    for name in names:
        module, _, attribute = str(name).rpartition(".")
        reason = None
        if name in BOOSTED:
            need("xgboost", source)
        if module.partition(".")[0] in LIBRARIES or name in BOOSTED:
            try:
                reason = getattr(importlib.import_module(module), attribute, None)
            except ImportError:
                reason = None
        # A library's module also holds what it imported, so the class must say that it is the library's own.
        if not (isinstance(reason, type) and reason.__module__.partition(".")[0] in (*LIBRARIES, "xgboost")):
            raise UserError(f"{source}: refused, it wants to load {name}, which is no class of {', '.join(LIBRARIES)}.")
