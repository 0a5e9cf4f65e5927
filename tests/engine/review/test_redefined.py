"""A change of metrics.py: both models are judged by the new file, and the comment has the champion's values by both."""

import json
from pathlib import Path

import numpy as np
import pytest
from baked import Project, bare_project
from mlops_actions.core.config import load_config
from mlops_actions.review.champion import Champion
from mlops_actions.review.redefined import has_other_metrics, redefined_for_same_model, redefined_metrics
from mlops_actions.review.report import Redefined
from mlops_actions.stats.metrics import Predictions

FILE = "src/shop/metrics.py"
PARAMS = """\
data: {path: rows.csv, target: churn, task: classification}
model: {estimator: logistic}
gate: {primary: accuracy}
"""
PROFIT = '''"""What a mailing earns."""


def profit(truth, predictions):
    """Return euros a customer."""
    won = (truth == "yes") & (predictions["prediction"] == "yes")
    return {price} * float(won.mean())
'''
TRUTH = np.array(["yes", "no", "yes", "no"], dtype=object)
ANSWERS = Predictions(np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]]), ["no", "yes"])


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A repository whose first commit, the champion, has no metric of its own."""
    shop = bare_project(tmp_path / "shop", PARAMS)
    shop.write(FILE, '"""None."""\n')
    shop.write("metrics.json", json.dumps({"accuracy": 0.8}))
    shop.run("git", "init", "--quiet")
    shop.commit("Begin")
    monkeypatch.chdir(shop.path)
    return shop


def redefined(commit: str) -> list[Redefined] | None:
    return redefined_metrics(load_config(), Champion("v1.0.0", commit), TRUTH, ANSWERS)


def test_the_champion_has_its_value_by_both_files(shop: Project) -> None:
    assert redefined("HEAD") is None
    shop.write(FILE, PROFIT.format(price=10))
    assert redefined("HEAD") == [Redefined("profit", None, 5.0)]
    commit = shop.commit("Count euros")
    shop.write(FILE, PROFIT.format(price=4) + "\n\ndef hits(truth, predictions):\n    return 1.0\n")
    assert redefined(commit) == [Redefined("profit", 5.0, 2.0), Redefined("hits", None, 1.0)]
    shop.write(FILE, '"""None."""\n')
    assert redefined(commit) == [Redefined("profit", 5.0, None)]


def test_a_file_of_the_champions_that_does_not_run_any_more_leaves_its_value_open(shop: Project) -> None:
    shop.write(FILE, "import gone\n\n\ndef profit(truth, predictions):\n    return 1.0\n")
    commit = shop.commit("Need a library that is gone since")
    shop.write(FILE, PROFIT.format(price=4))
    assert redefined(commit) == [Redefined("profit", None, 2.0)]


@pytest.mark.parametrize("price", ["1 / 0 *", "float('nan') *"])
def test_a_metric_that_fails_or_is_undefined_leaves_its_value_open(shop: Project, price: str) -> None:
    shop.write(FILE, PROFIT.format(price=10))
    commit = shop.commit("Count euros")
    shop.write(FILE, PROFIT.format(price=price))
    assert redefined(commit) == [Redefined("profit", 5.0, None)]


def test_without_a_champion_or_its_answers_nothing_is_measured(shop: Project) -> None:
    config, champion = load_config(), Champion("v1.0.0", "HEAD")
    shop.write(FILE, PROFIT.format(price=4))
    assert redefined_metrics(config, None, TRUTH, None) is None
    assert redefined_metrics(config, champion, TRUTH, None) == []
    assert has_other_metrics(config, champion)


def test_of_the_same_model_each_files_values_are_those_of_its_metrics_json(shop: Project) -> None:
    shop.write("metrics.json", json.dumps({"accuracy": 0.8, "profit": 5.0}))
    assert redefined_for_same_model(Champion("v1.0.0", "HEAD")) == [Redefined("profit", None, 5.0)]
    commit = shop.commit("Count euros")
    shop.write("metrics.json", json.dumps({"accuracy": 0.8, "hits": 1.0}))
    values = redefined_for_same_model(Champion("v1.0.0", commit))
    assert values == [Redefined("hits", None, 1.0), Redefined("profit", 5.0, None)]
