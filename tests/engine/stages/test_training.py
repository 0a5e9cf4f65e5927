"""Training gives the same bytes for the same inputs, a file that cannot run code, and a model worth having."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from baked import Bake, Project
from inside import Inside
from pyarrow import parquet
from tables import REAL, save

EACH = [
    ("classification", "logistic"),
    ("classification", "random_forest"),
    ("classification", "hist_gradient_boosting"),
    ("regression", "linear"),
    ("regression", "random_forest"),
    ("regression", "hist_gradient_boosting"),
]


@pytest.fixture(scope="module")
def train(inside: Inside, fresh: Callable[..., Project]) -> Callable[[str, str], dict[str, Any]]:
    """`train(task, estimator)`: what training on part of the example gives."""
    projects: dict[str, Project] = {}

    def run(task: str, estimator: str) -> dict[str, Any]:
        if task not in projects:
            projects[task] = fresh(1200, task)
        return inside("train", projects[task].path, estimator=estimator)

    return run


@pytest.mark.parametrize(("task", "estimator"), EACH)
def test_onnx_agrees_with_scikit_learn_and_training_again_gives_the_same_bytes(
    train: Callable[[str, str], dict[str, Any]], task: str, estimator: str
) -> None:
    first = train(task, estimator)
    manifest = first["manifest"]
    assert manifest["format"] == "onnx", manifest["why"]
    assert manifest["parity"]["max_difference"] <= manifest["parity"]["tolerance"]
    assert manifest["trusted"] == []
    assert train(task, estimator)["digests"] == first["digests"]


def test_the_hash_seed_the_process_and_its_threads_do_not_reach_the_bytes(
    inside: Inside, fresh: Callable[..., Project], mlops: Callable[..., Any]
) -> None:
    project = fresh(300)
    digests = [inside("train", project.path)["digests"]]
    for seed, threads in (("1", "2"), ("2", "3")):
        for stage in ("train", "export"):
            mlops(project, "stage", stage, PYTHONHASHSEED=seed, OMP_NUM_THREADS=threads)
        digests.append({name: hashlib.sha256((project.path / name).read_bytes()).hexdigest() for name in digests[0]})
    assert digests[0] == digests[1] == digests[2]


@pytest.mark.parametrize("name", REAL)
def test_real_data_trains_with_no_edit(bake: Bake, inside: Inside, tmp_path: Path, name: str) -> None:
    prepared = []
    for kind in ("parquet", "csv"):
        project = bake(**save(name, tmp_path, kind))
        inside("prepare", project.path)
        prepared.append([(project.path / f"data/prepared/{part}.parquet").read_bytes() for part in ("train", "test")])
    assert prepared[0] == prepared[1], "CSV and Parquet of the same data are prepared alike"
    said = inside("train", project.path)
    features = parquet.read_table(project.path / "data/features/train.parquet").drop([REAL[name][1]])
    texts = features.select([field.name for field in features.schema if str(field.type) != "float"])
    assert not any(column.null_count for column in texts.columns), "a missing text is a constant"
    assert said["manifest"]["format"] == "onnx", said["manifest"]["why"]
    assert said["metrics"]["roc_auc" if REAL[name][2] == "classification" else "r2"] > 0.7


def test_the_schema_has_the_types_that_people_see(bake: Bake, inside: Inside, tmp_path: Path) -> None:
    project = bake(**save("dates and booleans", tmp_path, "csv"))
    inside("prepare", project.path)
    schema = project.read("schema.yaml")
    assert "time_hour: {type: datetime" in schema
    assert "weekend: {type: boolean" in schema
    assert "air_time: {type: number, missing: true}" in schema
    assert "tailnum: {type: category, missing: true}" in schema
