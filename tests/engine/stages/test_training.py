"""Training gives the same bytes for the same inputs, a file that cannot run code, and a model worth having."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from baked import Bake, Project
from mlops_actions.core.config import load_config
from mlops_actions.core.paths import TEST_ROWS, TRAIN_FEATURES, TRAIN_ROWS
from mlops_actions.stages import evaluate, export, featurize, history, prepare, train
from pipeline import read_trained, set_up
from pyarrow import parquet
from tables import DATA, REAL, keep, save

COLUMNS = ("state", "area_code", "voice_mail_plan", "number_vmail_messages", "total_day_minutes", "churn")
FEW = {"hist_gradient_boosting": {"max_iter": 10}, "random_forest": {"n_estimators": 10}}
# As `mlops stage NAME`, of several in one process.
STAGES = """
import sys
from mlops_actions import cli
for name in sys.argv[1:]:
    sys.argv = ["mlops", "stage", name]
    assert cli.main() == 0
"""
EACH = [
    ("classification", "logistic"),
    ("classification", "random_forest"),
    ("classification", "hist_gradient_boosting"),
    ("regression", "linear"),
    ("regression", "random_forest"),
    ("regression", "hist_gradient_boosting"),
]


@pytest.fixture(scope="module")
def featurized(fresh: Callable[..., Project]) -> Callable[[str], Project]:
    """`featurized("regression")`: a project of the example whose features are made."""
    projects: dict[str, Project] = {}

    def make(task: str) -> Project:
        if task not in projects:
            project = projects[task] = fresh(400, task)
            project.write(DATA, keep(*COLUMNS)(project.read(DATA)))
            config = set_up(project.path)
            for stage in (prepare, history, featurize):
                stage.run(config)
        return projects[task]

    return make


def fit(project: Project) -> dict[str, Any]:
    """Run the stages from train on, and return what `read_trained` says."""
    config = load_config(project.path)
    for stage in (train, evaluate, export):
        stage.run(config)
    return read_trained(project.path)


@pytest.mark.parametrize(("task", "estimator"), EACH)
def test_onnx_agrees_with_scikit_learn_and_training_again_gives_the_same_bytes(
    featurized: Callable[[str], Project], task: str, estimator: str
) -> None:
    project = featurized(task)
    project.set(**{"model.estimator": estimator, "model.params": FEW.get(estimator, {})})
    first = fit(project)
    manifest = first["manifest"]
    assert manifest["format"] == "onnx", manifest["why"]
    assert manifest["parity"]["max_difference"] <= manifest["parity"]["tolerance"]
    assert manifest["trusted"] == []
    assert manifest["params"].items() >= {"random_state": 0, **FEW.get(estimator, {})}.items()
    assert fit(project)["digests"] == first["digests"]


def test_the_hash_seed_the_process_and_its_threads_do_not_reach_the_bytes(
    featurized: Callable[[str], Project],
) -> None:
    project = featurized("classification")
    project.set(**{"model.estimator": "hist_gradient_boosting", "model.params": {"max_iter": 20}})
    here = fit(project)["digests"]
    project.run(sys.executable, "-c", STAGES, "train", "export", PYTHONHASHSEED="1", OMP_NUM_THREADS="2")
    assert {name: hashlib.sha256((project.path / name).read_bytes()).hexdigest() for name in here} == here


def real_project(bake: Bake, folder: Path, name: str, kind: str) -> Project:
    """A project of somebody's data, set up and prepared."""
    project = bake(**save(name, folder, kind))
    prepare.run(set_up(project.path))
    return project


@pytest.mark.parametrize("name", REAL)
def test_real_data_trains_with_no_edit(bake: Bake, tmp_path: Path, name: str) -> None:
    prepared = []
    for kind in ("parquet", "csv"):
        project = real_project(bake, tmp_path, name, kind)
        prepared.append([(project.path / rows).read_bytes() for rows in (TRAIN_ROWS, TEST_ROWS)])
    assert prepared[0] == prepared[1], "CSV and Parquet of the same data are prepared alike"
    project.set(**{"model.params": {"max_iter": 20, "learning_rate": 0.3}})
    for stage in (history, featurize):
        stage.run(load_config(project.path))
    trained = fit(project)
    features = parquet.read_table(project.path / TRAIN_FEATURES).drop([REAL[name][1]])
    texts = features.select([field.name for field in features.schema if str(field.type) != "float"])
    assert not any(column.null_count for column in texts.columns), "a missing text is a constant"
    assert trained["manifest"]["format"] == "onnx", trained["manifest"]["why"]
    assert trained["metrics"]["roc_auc" if REAL[name][2] == "classification" else "r2"] > 0.7


def test_the_schema_has_the_types_that_people_see(bake: Bake, tmp_path: Path) -> None:
    schema = real_project(bake, tmp_path, "dates and booleans", "csv").read("schema.yaml")
    assert "time_hour: {type: datetime" in schema
    assert "weekend: {type: boolean" in schema
    assert "air_time: {type: number, missing: true}" in schema
    assert "tailnum: {type: category, missing: true}" in schema
