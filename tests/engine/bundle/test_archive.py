"""The released file answers for rows, and cannot run code."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlops_actions.bundle.archive import load_bundle
from mlops_actions.bundle.fitted import check_types, dump_model, load_model, read_model, types_of
from mlops_actions.bundle.parts import read_parts
from mlops_actions.core.errors import UserError
from pipeline import rewrite_zip
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from small_bundles import features_of, fit, release, requests

HOSTILE = {
    "a builtin": ("builtins.eval", "refused, it wants to load builtins.eval"),
    "a system call": ("posix.system", "refused, it wants to load posix.system"),
    "a module that a library imported": ("sklearn.utils._joblib.os", "refused"),
    "a foreign class behind a library's name": ("sklearn.base.defaultdict", "refused"),
    "a class that is not there": ("sklearn.nowhere.Nothing", "refused"),
}
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def neighbors() -> Pipeline:
    return fit(KNeighborsClassifier())


@pytest.fixture(scope="module")
def logistic() -> Pipeline:
    return fit(LogisticRegression())


def edit_manifest(path: Path, **changes: Any) -> None:
    def edit(files: Files) -> None:
        files["manifest.json"] = json.dumps(json.loads(files["manifest.json"]) | changes).encode()

    rewrite_zip(path, edit)


@pytest.mark.parametrize("format", ["onnx", "skops"])
def test_a_bundle_answers_as_the_pipeline_that_it_was_made_from(
    logistic: Pipeline, tmp_path: Path, format: str
) -> None:
    release(tmp_path / "bundle.zip", logistic, format)
    features = features_of(requests())
    bundle = load_bundle(tmp_path / "bundle.zip")
    predictions = bundle.predict(features[["plan", "ratio", "minutes", "age"]])
    np.testing.assert_allclose(predictions.values, logistic.predict_proba(features), atol=1e-6)
    assert predictions.classes == ["no", "yes"] and predictions.labels.tolist() == logistic.predict(features).tolist()
    alone = bundle.predict(features.iloc[[7]]).values
    np.testing.assert_allclose(alone, predictions.values[[7]], atol=1e-6)


def test_a_bundle_decides_by_its_positive_class_and_threshold(logistic: Pipeline, tmp_path: Path) -> None:
    release(tmp_path / "bundle.zip", logistic, positive="no", threshold=0.9)
    predictions = load_bundle(tmp_path / "bundle.zip").predict(features := features_of(requests()))
    assert (predictions.labels == np.where(logistic.predict_proba(features)[:, 0] >= 0.9, "no", "yes")).all()


def test_a_bundle_of_numbers_answers_numbers(tmp_path: Path) -> None:
    pipeline = fit(LinearRegression(), np.arange(60.0))
    release(tmp_path / "bundle.zip", pipeline)
    predictions = load_bundle(tmp_path / "bundle.zip").predict(features := features_of(requests()))
    assert predictions.classes is None and predictions.values.shape == (60,)
    np.testing.assert_allclose(predictions.values, pipeline.predict(features), rtol=1e-4)


def test_a_feature_that_is_not_made_any_more_is_named(logistic: Pipeline, tmp_path: Path) -> None:
    release(tmp_path / "bundle.zip", logistic)
    with pytest.raises(UserError, match=r"the model needs the feature 'ratio', which features\.py does not make"):
        load_bundle(tmp_path / "bundle.zip").predict(features_of(requests()).drop(columns="ratio"))


def test_a_format_of_a_later_version_is_refused(logistic: Pipeline, tmp_path: Path) -> None:
    release(tmp_path / "bundle.zip", logistic)
    rewrite_zip(tmp_path / "bundle.zip", lambda files: files.update({"model.later": files.pop("model.onnx")}))
    manifest = read_manifest(tmp_path / "bundle.zip")
    digests = {name.replace("onnx", "later"): digest for name, digest in manifest["sha256"].items()}
    edit_manifest(tmp_path / "bundle.zip", format="later", sha256=digests)
    with pytest.raises(UserError, match="its format 'later' cannot be read by this version; update the project"):
        load_bundle(tmp_path / "bundle.zip")


def read_manifest(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("manifest.json"))


def test_the_types_that_skops_does_not_know_are_listed(neighbors: Pipeline, tmp_path: Path) -> None:
    manifest = release(tmp_path / "bundle.zip", neighbors, "skops").manifest
    assert manifest["trusted"] == types_of(dump_model(neighbors)) != []
    assert all(name.startswith(("sklearn.", "numpy.", "scipy.")) for name in manifest["trusted"])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bundle_that_asks_for_foreign_code_is_refused(neighbors: Pipeline, tmp_path: Path, name: str) -> None:
    wanted, sentence = HOSTILE[name]
    path = tmp_path / "hostile.zip"
    manifest = release(path, neighbors, "skops").manifest
    edit_manifest(path, trusted=[*manifest["trusted"], wanted])
    with pytest.raises(UserError, match=sentence):
        load_bundle(path)


def test_a_model_that_hides_a_type_from_its_list_is_refused(neighbors: Pipeline, tmp_path: Path) -> None:
    def hide(files: Files) -> None:
        schema = json.loads(files["schema.json"]) | {"__class__": "Popen", "__module__": "subprocess"}
        files["schema.json"] = json.dumps(schema).encode()

    path = tmp_path / "model.skops"
    path.write_bytes(dump_model(neighbors))
    trusted = types_of(path.read_bytes())
    rewrite_zip(path, hide)
    with pytest.raises(UserError, match=r"the bundle: refused, it holds types that it does not list .*Popen"):
        load_model(path.read_bytes(), trusted, "the bundle")


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 torn"])
def test_a_damaged_bundle_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "torn.zip").write_bytes(content)
    with pytest.raises(UserError, match=r"torn\.zip: not a model bundle \(.*\); fetch it again") as refusal:
        load_bundle(tmp_path / "torn.zip")
    assert "\n" not in str(refusal.value)


CHANGED: dict[str, tuple[Callable[[Files], object], str]] = {
    "another model": (lambda files: files.update({"model.onnx": b"x"}), "refused, model.onnx in it is not what manif"),
    "another contract": (lambda files: files.update({"schema.yaml": b"x"}), "refused, schema.yaml in it is not what"),
    "no model": (lambda files: files.pop("model.onnx"), "not a model bundle"),
    "no manifest": (lambda files: files.pop("manifest.json"), "not a model bundle"),
    "a manifest that is none": (lambda files: files.update({"manifest.json": b"[]"}), "not a model bundle"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_bundle_that_was_changed_is_refused(logistic: Pipeline, tmp_path: Path, name: str) -> None:
    change, sentence = CHANGED[name]
    release(tmp_path / "bundle.zip", logistic)
    rewrite_zip(tmp_path / "bundle.zip", change)
    with pytest.raises(UserError, match=sentence):
        read_parts(tmp_path / "bundle.zip")


def test_a_file_that_is_not_there_or_another_is_refused(logistic: Pipeline, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not found; run `mlops train` or `mlops pull`"):
        read_parts(tmp_path / "bundle.zip")
    release(tmp_path / "bundle.zip", logistic)
    with pytest.raises(UserError, match=f"refused, its SHA-256 is not {'0' * 64}; fetch it again"):
        read_parts(tmp_path / "bundle.zip", "0" * 64)


def test_a_released_bundle_says_its_version(logistic: Pipeline, tmp_path: Path) -> None:
    assert release(tmp_path / "bundle.zip", logistic).version is None
    rewrite_zip(tmp_path / "bundle.zip", lambda files: files.update({"release.json": b'{"version": "v1.2.0"}'}))
    assert read_parts(tmp_path / "bundle.zip").version == "v1.2.0"


def test_the_same_model_has_the_same_bytes_and_answers_alike_when_read(tmp_path: Path) -> None:
    first, again = (fit(HistGradientBoostingClassifier(max_iter=5, random_state=0)) for _ in range(2))
    (tmp_path / "model.skops").write_bytes(dump_model(first))
    assert (tmp_path / "model.skops").read_bytes() == dump_model(again)
    features = features_of(requests())
    read = read_model(tmp_path / "model.skops")
    np.testing.assert_array_equal(read.predict_proba(features), first.predict_proba(features))


def test_a_model_that_is_not_there_or_damaged_is_a_sentence(tmp_path: Path, neighbors: Pipeline) -> None:
    with pytest.raises(UserError, match=r"model\.skops: not found; run `mlops train`, which makes it"):
        read_model(tmp_path / "model.skops")
    model = io.BytesIO()
    with zipfile.ZipFile(model, "w") as archive:
        archive.writestr("schema.json", "{}")
    with pytest.raises(UserError, match="the bundle: its skops model cannot be read"):
        load_model(model.getvalue(), types_of(dump_model(neighbors)), "the bundle")


def test_of_xgboost_its_boosters_alone_may_be_loaded() -> None:
    check_types(["xgboost.core.Booster", "xgboost.sklearn.XGBClassifier"], "the model")
    with pytest.raises(UserError, match=r"it wants to load xgboost\.core\.DMatrix"):
        check_types(["xgboost.core.DMatrix"], "the model")
