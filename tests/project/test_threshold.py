"""`model.threshold`: from which probability on the positive class is predicted, alike in every place that predicts."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest
from baked import Project
from serving import serve
from tables import DATA


@pytest.fixture(scope="module")
def eager(trained: Project, mlops: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The trained project, which calls a customer lost from a probability of 0.1 on."""
    path = tmp_path_factory.mktemp("eager") / trained.path.name
    shutil.copytree(trained.path, path)
    project = Project(path)
    project.set(**{"model.threshold": 0.1})
    for stage in ("evaluate", "export"):
        mlops(project, "stage", stage)
    return project


def test_metrics_are_those_of_the_labels_that_the_threshold_gives(trained: Project, eager: Project) -> None:
    before, now = (json.loads(project.read("metrics.json")) for project in (trained, eager))
    assert now["recall"] > before["recall"] and now["roc_auc"] == before["roc_auc"]


def test_the_command_and_the_server_decide_alike(eager: Project, mlops: Callable[..., Any], tmp_path: Path) -> None:
    mlops(eager, "predict", DATA, "--out", str(tmp_path / "said.parquet"))
    said = pandas.read_parquet(tmp_path / "said.parquet")
    labels = ["yes" if probability >= 0.1 else "no" for probability in said["probability_yes"].round(6)]
    assert said["prediction"].tolist() == labels
    assert (said["prediction"] == "yes").sum() > (said["probability_yes"] > 0.5).sum()
    rows = json.loads(pandas.read_csv(eager.path / DATA).drop(columns="churn").to_json(orient="records"))
    with serve(eager, "--bundle", "models/bundle.zip") as server:
        answers = server.ask("/predict", rows).body["predictions"]
    assert [answer["prediction"] for answer in answers] == labels


def test_statistics_follow_what_a_model_decided(statistics: Callable[..., Any]) -> None:
    found = statistics("compare_decided")
    assert found["gain"][0] > 0.1
    for ours, theirs in found.values():
        assert ours == pytest.approx(theirs)


@pytest.mark.parametrize(
    ("threshold", "task", "sentence"),
    [
        (1.5, "classification", "model.threshold must be less than 1"),
        (0.2, "regression", "model.threshold means nothing in a regression"),
    ],
)
def test_a_threshold_that_means_nothing_is_refused(
    trained: Project, mlops: Callable[..., Any], tmp_path: Path, threshold: float, task: str, sentence: str
) -> None:
    shutil.copytree(trained.path, tmp_path / "there", ignore=shutil.ignore_patterns("data", "models"))
    project = Project(tmp_path / "there")
    project.set(**{"model.threshold": threshold, "data.task": task})
    refused = mlops(project, "stage", "evaluate", check=False)
    assert refused.returncode == 1 and sentence in refused.stderr, refused.stderr
