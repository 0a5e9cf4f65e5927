"""A bundle that somebody made to harm who loads it is refused in one sentence, and nothing in it is run or written."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from mlops_actions.bundle import parts
from mlops_actions.bundle.archive import load_bundle
from mlops_actions.bundle.model import ReleasedModel, check_reference
from mlops_actions.bundle.parts import needs_code, read_parts
from mlops_actions.core import files as core_files
from mlops_actions.core.errors import UserError
from onnx import TensorProto, helper, numpy_helper
from pipeline import rewrite_zip
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from small_bundles import features_of, fit, release, requests

Files = dict[str, bytes]
DEEP = b'{"a":' * 10**5 + b"1" + b"}" * 10**5


def load(path: Path) -> None:
    """Load a bundle as every command does: to look at it, to predict in batches, to serve."""
    found = read_parts(path)
    load_bundle(path).predict(features_of(requests(3)))
    if not needs_code(found.manifest):
        check_reference(ReleasedModel(found, str(path)).answer, found, str(path))


def forge(path: Path, change: Callable[[Files], object]) -> None:
    """Change the files in a bundle, and let its manifest name their digests as who forges one would."""

    def rewrite(files: Files) -> None:
        change(files)
        try:
            manifest = json.loads(files["manifest.json"])
            named = {name: hashlib.sha256(files[name]).hexdigest() for name in manifest["sha256"]}
        except (ValueError, RecursionError, TypeError, KeyError):
            return
        files["manifest.json"] = json.dumps(manifest | {"sha256": named}).encode()

    rewrite_zip(path, rewrite)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bundles that are forged, by their format."""
    folder = tmp_path_factory.mktemp("honest")
    release(folder / "onnx", fit(LogisticRegression()))
    release(folder / "skops", fit(KNeighborsClassifier()), "skops")
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def manifest(**changes: Any) -> Callable[[Files], object]:
    return lambda files: files.update(
        {"manifest.json": json.dumps(json.loads(files["manifest.json"]) | changes).encode()}
    )


def reference(value: Any) -> Callable[[Files], object]:
    return lambda files: files.update({"reference.json": json.dumps(value).encode()})


def graph(change: Callable[[Any], object]) -> Callable[[Files], object]:
    def forged(files: Files) -> None:
        model = onnx.load_from_string(files["model.onnx"])
        change(model)
        files["model.onnx"] = model.SerializeToString()

    return forged


def weights_in(file: str) -> Callable[[Any], object]:
    """Take weights from a file beside the model, which an ONNX graph may."""

    def change(model: Any) -> None:
        weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
        for key, value in {"location": file, "offset": "0", "length": "16"}.items():
            weights.external_data.add(key=key, value=value)
        model.graph.initializer.append(weights)
        model.graph.node.append(helper.make_node("Identity", ["w"], ["seen"]))

    return change


def custom_operator(model: Any) -> None:
    model.graph.node.append(helper.make_node("Evil", [model.graph.output[-1].name], ["done"], domain="evil"))
    model.opset_import.append(helper.make_opsetid("evil", 1))
    model.graph.output[-1].name = "done"


def huge_constant(model: Any) -> None:
    """Multiply the answer by the sum of 10^15 zeros."""
    model.graph.initializer.append(numpy_helper.from_array(np.array([10**15], "int64"), "size"))
    output = model.graph.output[-1]
    model.graph.node.extend(
        [
            helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
            helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
            helper.make_node("Mul", [output.name, "sum"], ["done"]),
        ]
    )
    output.name = "done"


def members(change: Callable[[Files], object], method: int = zipfile.ZIP_STORED) -> Callable[[Files], object]:
    """Change what is in the skops file, which is a zip itself."""

    def forged(files: Files) -> None:
        with zipfile.ZipFile(io.BytesIO(files["model.skops"])) as archive:
            inner = {name: archive.read(name) for name in archive.namelist()}
        change(inner)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", method) as archive:
            for name, content in inner.items():
                archive.writestr(name, content)
        files["model.skops"] = packed.getvalue()

    return forged


def array(content: bytes, method: int = zipfile.ZIP_STORED) -> Callable[[Files], object]:
    """Give every array in a skops file these bytes."""
    return members(lambda inner: inner.update({name: content for name in inner if name.endswith(".npy")}), method)


def pickled() -> bytes:
    saved = io.BytesIO()
    np.save(saved, np.array([{"a": 1}], object), allow_pickle=True)
    return saved.getvalue()


FORGED: dict[str, tuple[str, Callable[[Files], object], str]] = {
    "classes that are a number": ("onnx", manifest(classes=5), "its manifest's classes is '5'"),
    "classes that are no texts": ("onnx", manifest(classes=[None, {}]), "its manifest's classes is"),
    "a threshold that is a text": ("onnx", manifest(threshold="x"), "its manifest's threshold is 'x'"),
    "a format that is a list": ("onnx", manifest(format=[1]), "its manifest's format is '[1]'"),
    "no manifest but its format": (
        "onnx", lambda files: files.update({"manifest.json": json.dumps({key: value for key, value in json.loads(
            files["manifest.json"]).items() if key in ("format", "sha256")}).encode()}), "its manifest lacks 'inputs'"),
    "no inputs": ("onnx", manifest(inputs=None), "not a model bundle"),
    "inputs that are no texts": ("onnx", manifest(inputs={"numbers": [1], "categories": []}), "not a model bundle"),
    "a contract that is a list": ("onnx", manifest(contract=[]), "its manifest's contract is '[]'"),
    "a contract of numbers": ("onnx", manifest(contract={"age": 5}), "its features need"),
    "a contract of no known type": ("onnx", manifest(contract={"age": {"type": "evil"}}), "fails its self-test here"),
    "a step that there is not": (
        "onnx", manifest(features={"kinds": {}, "steps": [["system"]], "outputs": {}}), "its features need 'system'"),
    "steps that are a number": (
        "onnx", manifest(features={"kinds": {}, "steps": 5, "outputs": {}}), "its features need"),
    "a manifest without end": ("onnx", lambda files: files.update({"manifest.json": DEEP}), "not a model bundle"),
    "a number of 100,000 digits": (
        "onnx", lambda files: files.update({"manifest.json": b'{"a":' + b"9" * 10**5 + b"}"}), "not a model bundle"),
    "a version that is an object": (
        "onnx", lambda files: files.update({"release.json": b'{"version": {}}'}), "not a model bundle"),
    "reference rows without end": ("onnx", lambda files: files.update({"reference.json": DEEP}), "not a model bundle"),
    "no reference rows": (
        "onnx", reference({"rows": [], "values": [], "within": []}), "fails its self-test here (IndexError"),
    "a reference that is a list": ("onnx", reference([]), "not a model bundle"),
    "reference rows that are nothing": (
        "onnx", reference({"rows": None, "values": [[0, 1]], "within": [1]}), "fails its self-test here"),
    "a tolerance that is no number": (
        "onnx", reference({"rows": [{}], "values": [[0, 1]], "within": [float("nan")]}), "fails its self-test here"),
    "weights in a file of the machine": ("onnx", graph(weights_in("/etc/passwd")), "its ONNX model cannot be read"),
    "weights in a file above": ("onnx", graph(weights_in("../../etc/passwd")), "its ONNX model cannot be read"),
    "weights in a file that is here": ("onnx", graph(weights_in("weights.bin")), "its ONNX model cannot be read"),
    "an operator of somebody's own": ("onnx", graph(custom_operator), "evil:Evil(-1) is not a registered function"),
    "a constant of 10^15 numbers": ("onnx", graph(huge_constant), "its ONNX model cannot answer these rows"),
    "arrays that are pickles": ("skops", array(pickled()), "Object arrays cannot be loaded when allow_pickle=False"),
    "arrays that unpack without end": (
        "skops", array(bytes(2**20), zipfile.ZIP_DEFLATED), "it unpacks to more than its size"),
    "a schema without end": (
        "skops", members(lambda inner: inner.update({"schema.json": DEEP})), "its skops model cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_bundle_is_one_sentence(
    honest: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    format, change, sentence = FORGED[name]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.bin").write_bytes(bytes(16))
    path = tmp_path / "bundle.zip"
    path.write_bytes(honest[format])
    load(path)
    forge(path, change)
    with pytest.raises(UserError) as refusal:
        load(path)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value) and str(refusal.value).startswith(str(path))


def test_a_file_of_any_name_in_a_bundle_is_written_nowhere(honest: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in/bundle.zip"
    path.write_bytes(honest["onnx"])
    rewrite_zip(path, lambda files: files.update({"../evil": b"x", str(tmp_path / "evil"): b"x"}))
    load(path)
    assert [file.name for file in tmp_path.rglob("*")] == ["in", "bundle.zip"]


def test_a_bundle_that_unpacks_to_more_than_it_is_is_not_unpacked(honest: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(honest["onnx"])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(2**20))
    with pytest.raises(UserError, match="not a model bundle .it unpacks to more than its size.; fetch it again"):
        read_parts(path)


@pytest.mark.parametrize(
    ("module", "limit", "sentence"),
    [(parts, "LARGEST", "is larger than a bundle may be"), (core_files, "LISTING", "its list of files has .* bytes")],
)
def test_a_bundle_too_large_or_of_too_many_files_is_refused_unread(
    honest: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, limit: str, sentence: str
) -> None:
    (tmp_path / "bundle.zip").write_bytes(honest["onnx"])
    monkeypatch.setattr(module, limit, 100)
    with pytest.raises(UserError, match=sentence):
        read_parts(tmp_path / "bundle.zip")
