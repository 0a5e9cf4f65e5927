"""The released file answers for raw rows, and cannot run code."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from typing import Any

import pandas
import pytest
from baked import Project
from inside import Inside
from tables import DATA, knob, on_rows, remove

HOSTILE = {
    "a builtin": ("builtins.eval", "refused, it wants to load builtins.eval"),
    "a system call": ("posix.system", "refused, it wants to load posix.system"),
    "a module that a library imported": ("sklearn.utils._joblib.os", "refused"),
    "a foreign class behind a library's name": ("sklearn.base.defaultdict", "refused"),
}


@pytest.fixture(scope="module")
def onnx_project(inside: Inside, fresh: Callable[..., Project]) -> Project:
    project = fresh(300)
    inside("train", project.path)
    return project


@pytest.fixture(scope="module")
def skops_project(inside: Inside, fresh: Callable[..., Project]) -> Project:
    """A project whose model does not convert to ONNX."""
    project = fresh(300)
    inside("train", project.path, estimator="sklearn.neighbors.KNeighborsClassifier")
    return project


@pytest.mark.parametrize("kind", ["onnx", "skops"])
def test_raw_rows_are_predicted_without_the_target(inside: Inside, request: pytest.FixtureRequest, kind: str) -> None:
    project = request.getfixturevalue(f"{kind}_project")
    with_target = inside("predict", project.path, rows=DATA)
    assert list(with_target) == ["prediction", "probability_no", "probability_yes"]
    assert len(with_target["prediction"]) == 300
    project.write("rows.csv", remove("churn")(project.read(DATA)))
    assert inside("predict", project.path, rows="rows.csv") == with_target
    project.write("rows.csv", on_rows(lambda rows: [rows[0], rows[7]])(project.read("rows.csv")))
    alone = inside("predict", project.path, rows="rows.csv")
    assert alone["probability_yes"][0] == pytest.approx(with_target["probability_yes"][6], abs=1e-6)


def test_the_command_writes_predictions_for_a_file(onnx_project: Project, mlops: Callable[..., Any]) -> None:
    mlops(onnx_project, "predict", "data/prepared/test.parquet", "--out", "out.parquet")
    rows = pandas.read_parquet(onnx_project.path / "data/prepared/test.parquet")
    predicted = pandas.read_parquet(onnx_project.path / "out.parquet")
    assert len(rows) == len(predicted) > 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (remove("state"), "lacks the column 'state'"),
        (knob("total_day_calls", "Total Day Calls"), "lacks the column 'total_day_calls'"),
        (lambda text: text.splitlines()[0] + "\n", "has a header but no rows"),
        (on_rows(lambda rows: [rows[0], ["KS", "many", *rows[1][2:]]]), "'account_length' must hold numbers"),
    ],
)
def test_rows_that_break_the_contract_are_refused(
    inside: Inside, onnx_project: Project, change: Callable[[str], str], sentence: str
) -> None:
    onnx_project.write("rows.csv", change(onnx_project.read(DATA)))
    assert sentence in inside("predict", onnx_project.path, rows="rows.csv")


def test_a_model_without_onnx_is_released_as_skops_with_its_types_listed(skops_project: Project) -> None:
    with zipfile.ZipFile(skops_project.path / "models/bundle.zip") as bundle:
        manifest = json.loads(bundle.read("manifest.json"))
        assert "model.skops" in bundle.namelist()
    assert manifest["format"] == "skops" and manifest["why"]
    assert all(name.startswith(("sklearn.", "numpy.", "scipy.")) for name in manifest["trusted"])


def rewrite(project: Project, change: Callable[[dict[str, bytes]], None]) -> None:
    with zipfile.ZipFile(project.path / "models/bundle.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(project.path / "hostile.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def test_a_pipeline_that_refuses_some_extremes_is_named_and_released_for_all_others(
    onnx_project: Project, inside: Inside
) -> None:
    done = inside("export", onnx_project.path, column="international_plan", everything=False)
    assert done["said"] == ""
    (line,) = [line for line in done["heard"].splitlines() if "rows of extremes are refused" in line]
    assert re.match(r"export: \d of 10 rows of extremes are refused, \d by model\.py: the pipeline refuses it \(", line)
    assert "unknown categories" in line and "features.py" not in line


def test_a_pipeline_that_refuses_every_extreme_is_not_taken_for_add_features(
    onnx_project: Project, inside: Inside
) -> None:
    said = inside("export", onnx_project.path, column="", everything=True)["said"]
    assert said.startswith("export: all 10 rows of extremes are refused, ")
    assert "by model.py: the pipeline refuses it (Found unknown categories" in said and "\n" not in said
    assert "features.py" not in said


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bundle_that_asks_for_foreign_code_is_refused(skops_project: Project, inside: Inside, name: str) -> None:
    wanted, sentence = HOSTILE[name]

    def trust(files: dict[str, bytes]) -> None:
        manifest = json.loads(files["manifest.json"])
        files["manifest.json"] = json.dumps({**manifest, "trusted": [*manifest["trusted"], wanted]}).encode()

    rewrite(skops_project, trust)
    assert sentence in inside("predict", skops_project.path, rows=DATA, bundle="hostile.zip")


def test_a_model_that_hides_a_type_from_its_list_is_refused(skops_project: Project, inside: Inside) -> None:
    def hide(files: dict[str, bytes]) -> None:
        content = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(files["model.skops"])) as old, zipfile.ZipFile(content, "w") as new:
            for member in old.namelist():
                text = old.read(member)
                if member == "schema.json":
                    text = json.dumps({**json.loads(text), "__class__": "Popen", "__module__": "subprocess"}).encode()
                new.writestr(member, text)
        files["model.skops"] = content.getvalue()

    rewrite(skops_project, hide)
    assert "refused" in inside("predict", skops_project.path, rows=DATA, bundle="hostile.zip")


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 torn"])
def test_a_damaged_bundle_is_one_sentence(skops_project: Project, inside: Inside, content: bytes) -> None:
    (skops_project.path / "torn.zip").write_bytes(content)
    said = inside("predict", skops_project.path, rows=DATA, bundle="torn.zip")
    assert "not a model bundle" in said and "\n" not in said
