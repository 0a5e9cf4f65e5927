"""The file that is released: a model, the contract of its rows, and rows to test it by."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..core.errors import UserError
from ..core.files import pack, write_file
from ..stats.metrics import Predictions
from .fitted import answer_of, load_model
from .model import open_onnx
from .parts import MANIFEST, REFERENCE, SCHEMA, read_parts


@dataclass(frozen=True)
class Bundle:
    """A published model: what it is, the contract of its rows, and how it answers."""

    manifest: dict[str, Any]
    schema: str
    answer: Callable[[pd.DataFrame], np.ndarray]

    def predict(self, features: pd.DataFrame) -> Predictions:
        """Return the predictions for a feature table."""
        inputs = self.manifest["inputs"]
        names = [*inputs["numbers"], *inputs["categories"]]
        absent = [name for name in names if name not in features]
        if absent:
            raise UserError(f"the model needs the feature {absent[0]!r}, which features.py does not make; retrain it.")
        predicted = Predictions(self.answer(features[names]), self.manifest["classes"])
        return predicted.about(self.manifest.get("positive")).decide(self.manifest.get("threshold"))


def write_bundle(path: Path, model: bytes, manifest: dict[str, Any], schema: str, reference: dict[str, Any]) -> None:
    """Write the one zip that is released: the model, manifest.json, schema.yaml and reference.json."""
    files = {
        SCHEMA: schema.encode(),
        REFERENCE: (json.dumps(reference, ensure_ascii=False) + "\n").encode(),
        f"model.{manifest['format']}": model,
    }
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    text = json.dumps(manifest | {"sha256": digests}, indent=2, ensure_ascii=False) + "\n"
    write_file(path, pack({MANIFEST: text.encode(), **files}))


def load_bundle(path: Path) -> Bundle:
    """Return a bundle ready to predict; anything in it that could run code is refused."""
    parts = read_parts(path)
    manifest = parts.manifest
    if absent := [name for name in ("inputs", "classes", "trusted") if name not in manifest]:
        raise UserError(f"{path}: its manifest lacks {absent[0]!r}; fetch it again or run `mlops train`.")
    if manifest["format"] == "onnx":
        inputs = manifest["inputs"]
        return Bundle(manifest, parts.schema, onnx_answer(parts.model, inputs["numbers"], inputs["categories"], path))
    if manifest["format"] == "skops":
        pipeline = load_model(parts.model, manifest["trusted"], str(path))
        return Bundle(manifest, parts.schema, lambda features: answer_of(pipeline, features))
    raise UserError(f"{path}: its format {manifest['format']!r} cannot be read by this version; update the project.")


def onnx_answer(
    model: bytes, numbers: list[str], categories: list[str], source: Path | str = "the model"
) -> Callable[[pd.DataFrame], np.ndarray]:
    """Return a function that runs an ONNX model on a feature table."""
    run = open_onnx(model, str(source))

    def answer(features: pd.DataFrame) -> np.ndarray:
        try:
            outputs = run(features[numbers].to_numpy("float32"), features[categories].to_numpy(object))
        except Exception as error:  # onnxruntime raises its own classes, which share no base but this one
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{source}: its ONNX model cannot answer these rows ({reason}); fetch it again.") from None
        return outputs.reshape(-1) if outputs.shape[1] == 1 else outputs

    return answer
