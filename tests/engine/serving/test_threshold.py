"""`model.threshold`: from which probability on the positive class is predicted, alike in every place that predicts."""

import asyncio
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from baked import Project, bare_project
from mlops_actions.bundle.archive import load_bundle
from mlops_actions.core.config import ServingLimits, load_config
from mlops_actions.core.errors import UserError
from mlops_actions.core.paths import BUNDLE
from mlops_actions.serving.lanes import open_lane
from mlops_actions.serving.state import served_file
from mlops_actions.stages import evaluate, export
from mlops_actions.stages.predict import predict
from tables import DATA

THRESHOLD = 0.1


@pytest.fixture(scope="module")
def eager(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The trained project, which calls a customer lost from a probability of 0.1 on."""
    eager = Project(tmp_path_factory.mktemp("eager") / trained.path.name)
    shutil.copytree(trained.path, eager.path)
    eager.set(**{"model.threshold": THRESHOLD})
    config = load_config(eager.path)
    evaluate.run(config)
    export.run(config)
    return eager


@pytest.fixture(scope="module")
def predicted(eager: Project) -> pd.DataFrame:
    """What `mlops predict` answers for the project's own rows."""
    return predict(load_config(eager.path), eager.path / DATA, load_bundle(eager.path / BUNDLE))


@pytest.fixture(scope="module")
def labels(predicted: pd.DataFrame) -> list[str]:
    """What the probabilities and the threshold say."""
    return np.where(predicted["probability_yes"].round(6) >= THRESHOLD, "yes", "no").tolist()


def test_metrics_are_those_of_the_labels_that_the_threshold_gives(trained: Project, eager: Project) -> None:
    before, now = (json.loads(project.read("metrics.json")) for project in (trained, eager))
    assert now["recall"] > before["recall"] and now["roc_auc"] == before["roc_auc"]


def test_predictions_follow_the_threshold(predicted: pd.DataFrame, labels: list[str]) -> None:
    assert predicted["prediction"].tolist() == labels
    assert (predicted["prediction"] == "yes").sum() > (predicted["probability_yes"] > 0.5).sum()


def test_the_server_decides_alike(eager: Project, labels: list[str]) -> None:
    rows = json.loads(pd.read_csv(eager.path / DATA).drop(columns="churn").to_json(orient="records"))

    async def answer() -> list[dict[str, str]]:
        lane = await open_lane(served_file(eager.path / BUNDLE), ServingLimits())
        answers = await lane.answer(rows)
        await lane.close()
        return answers

    answers = asyncio.run(answer())
    assert [answer["prediction"] for answer in answers] == labels


PARAMS = """\
data: {{path: rows.csv, target: churn, task: {task}}}
model: {{estimator: logistic, threshold: {threshold}}}
gate: {{primary: accuracy}}
"""


@pytest.mark.parametrize(
    ("threshold", "task", "sentence"),
    [
        (1.5, "classification", "model.threshold must be less than 1"),
        (0.2, "regression", "model.threshold means nothing in a regression"),
    ],
)
def test_a_threshold_that_means_nothing_is_refused(tmp_path: Path, threshold: float, task: str, sentence: str) -> None:
    project = bare_project(tmp_path / "shop", PARAMS.format(threshold=threshold, task=task))
    with pytest.raises(UserError, match=f"^params.yaml: {sentence}"):
        load_config(project.path)


def test_of_three_classes_the_threshold_is_about_the_one_that_is_named(tmp_path: Path) -> None:
    project = bare_project(tmp_path / "shop", PARAMS.format(threshold=0.2, task="classification"))
    config, values = load_config(project.path), np.array([[0.3, 0.5, 0.2], [0.1, 0.2, 0.7]])
    with pytest.raises(UserError, match=r"^params\.yaml: model\.threshold is about one class of 3; name it in data\."):
        evaluate.as_decided(config, values, ["a", "b", "c"])
    named = config.model_copy(update={"data": config.data.model_copy(update={"positive": "a"})})
    assert evaluate.as_decided(named, values, ["a", "b", "c"]).labels.tolist() == ["a", "c"]
