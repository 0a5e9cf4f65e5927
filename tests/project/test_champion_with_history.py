"""A champion that knew no history, or another one, is asked with what it would know."""

import json
import shutil
from collections.abc import Callable
from typing import Any

import pandas as pd
from shops import SQL, Shop, orders, put
from tables import knob

TEST = "data/prepared/test.parquet"
ASK = """
from mlops_actions.core.config import load_config
from mlops_actions.bundle.archive import load_bundle
from mlops_actions.stages.predict import predict
from mlops_actions.review.champion import Champion
from mlops_actions.review.rivals import ask, read_predictions
config = load_config()
rows = config.path("data/prepared/test.parquet")
here = read_predictions(predict(config, rows, load_bundle(config.path("models/bundle.zip"))))
there = ask(Champion("HEAD", "HEAD"), None, config.data)
print(len(here.values), (here.values == there.values).all())
"""


def test_a_champion_is_asked_with_the_history_that_it_would_know(
    shop: Shop,
    mlops: Callable[..., Any],
) -> None:
    rows = orders(700)
    project = shop(rows[:600], SQL, knob("entity: [customer]", "entity: []"))
    mlops(project, "setup")
    mlops(project, "train")
    project.commit("A champion without history")
    project.write("params.yaml", knob("entity: []", "entity: [customer]")(project.read("params.yaml")))
    mlops(project, "train")
    shutil.rmtree(project.path / "data/history")  # as on a machine that did not run the stage
    said = mlops(project, "compare", "--against", "HEAD", check=False)
    assert "Traceback" not in said.stderr, said.stderr
    report = json.loads(project.read("report/report.json"))
    (score,) = [metric for metric in report["metrics"] if metric["name"] == "roc_auc"]
    assert report["incomparable"] is None
    assert score["candidate"] > score["champion"] + 0.01, "who returned before returns again"
    project.commit("A champion with history")
    put(project, rows)
    for stage in ("prepare", "history"):
        mlops(project, "stage", stage)
    alike = project.run("python", "-c", ASK, check=False)
    assert alike.stdout.split() == [str(len(pd.read_parquet(project.path / TEST))), "True"], alike.stderr
