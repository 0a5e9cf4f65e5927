"""A champion that knew no history, or another one, is asked with what it would know."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from mlops_actions.bundle.archive import load_bundle
from mlops_actions.core.config import load_config
from mlops_actions.review.champion import Champion
from mlops_actions.review.rivals import ask, read_predictions
from mlops_actions.stages.predict import predict
from records import set_up_here, train_here
from shops import SQL, Shop, orders, put
from tables import knob
from verbs import call_verb

TEST = "data/prepared/test.parquet"


def test_a_champion_is_asked_with_the_history_that_it_would_know(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = orders(700)
    project = shop(rows[:600], SQL, knob("entity: [customer]", "entity: []"))
    set_up_here(project)
    train_here(project)
    project.commit("A champion without history")
    project.write("params.yaml", knob("entity: []", "entity: [customer]")(project.read("params.yaml")))
    train_here(project)
    shutil.rmtree(project.path / "data/history")  # as on a machine that did not run the stage
    _, _, errors = call_verb(project.path, "compare", "--against", "HEAD")
    report = json.loads(project.read("report/report.json"))
    (score,) = [metric for metric in report["metrics"] if metric["name"] == "roc_auc"]
    assert report["incomparable"] is None and (project.path / "data/history").is_dir(), errors
    assert score["candidate"] > score["champion"] + 0.01, "who returned before returns again"
    project.commit("A champion with history")
    put(project, rows)
    for stage in ("prepare", "history"):
        assert call_verb(project.path, "stage", stage).code == 0
    monkeypatch.chdir(project.path)
    config = load_config()
    here = read_predictions(predict(config, project.path / TEST, load_bundle(project.path / "models/bundle.zip")))
    there = ask(Champion("HEAD", "HEAD"), None, config.data)
    assert len(there.values) == len(pd.read_parquet(TEST)) and np.array_equal(there.values, here.values)
