"""`mlops tune` judges by the split's own rules, changes params.yaml only for the better, leaves nothing half done."""

import os
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from baked import NO_CML, Project, environment
from mlops_actions.core.config import load_config
from mlops_actions.core.errors import UserError
from mlops_actions.core.paths import TRAIN_ROWS
from mlops_actions.setup.project import setup
from mlops_actions.setup.tuning.folds import make_folds
from pipeline import prepare_data, search_params, set_up
from serving import STARTED, is_running, wait_until
from tables import DATA, keep

PARAMS = "params.yaml"
COLUMNS = ("international_plan", "total_day_minutes", "number_customer_service_calls", "churn")
# An estimator that says which process it fits in, and goes on for good.
ENDLESS = """

import os
import signal
from pathlib import Path

from sklearn.linear_model import LogisticRegression


class Endless(LogisticRegression):
    def fit(self, *_):
        Path("begins").write_text(str(os.getpid()))
        Path("begins").replace("fits")
        while True:
            signal.pause()
"""
Values = dict[str, list[Any]]


@pytest.fixture
def small(fresh: Callable[..., Project]) -> Callable[..., Project]:
    """`small({"C": [1]})`: a project that searches these values for a logistic regression."""

    def make(values: Values) -> Project:
        there = fresh(400)
        there.write(DATA, keep(*COLUMNS)(there.read(DATA)))
        there.set(**{"model.estimator": "logistic", "tune.params": values, "tune.folds": 2})
        return there

    return make


def test_better_params_are_written_and_every_comment_stays(small: Callable[..., Project]) -> None:
    there = small({"C": [0.02, 0.05], "class_weight": ["balanced"]})
    there.set(**{"model.params": {"C": 1e-6}})
    search = search_params(there.path)
    assert search.params["class_weight"] == "balanced" and search.params["C"] in (0.02, 0.05)
    assert len(search.changed) == 2 and all("params: {" in line for line in search.changed)
    metrics = search.metrics
    assert metrics["best"]["roc_auc"] > metrics["present"]["roc_auc"]
    assert (metrics["folds"], metrics["candidates"]) == (2, 2)
    assert search.table.splitlines()[0] == "rung,rows,roc_auc,spread,params"


@pytest.mark.parametrize(
    ("positive", "threshold", "recall"),
    [("no", None, (0.9, 1)), ("yes", None, (0, 0.6)), ("yes", 0.01, (0.9, 1))],
)
def test_the_positive_class_and_its_threshold_are_minded(
    small: Callable[..., Project], positive: str, threshold: float | None, recall: tuple[float, float]
) -> None:
    there = small({"C": [1e-9]})
    there.set(**{"data.positive": positive, "gate.primary": "recall", "model.threshold": threshold})
    low, high = recall
    assert low <= search_params(there.path).metrics["present"]["recall"] <= high


def test_params_that_nothing_beats_stay(small: Callable[..., Project]) -> None:
    search = search_params(small({"C": [1e-9]}).path)
    assert search.changed == [] and search.params == {}
    assert search.metrics["best"] == search.metrics["present"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"max_itr": [1]},
            "tune.params.max_itr is not a parameter of LogisticRegression; did you mean max_iter?",
        ),
        ({"C": []}, "params.yaml: tune.params.C lists no value; list at least one."),
        ({"C": [-1, -2]}, "params.yaml: every candidate fails"),
    ],
)
def test_a_search_that_cannot_be_is_a_sentence(small: Callable[..., Project], values: Values, sentence: str) -> None:
    there = small(values)
    if values.get("C"):
        there.set(**{"model.params": {"C": -3}})
    with pytest.raises(UserError, match=re.escape(sentence)):
        search_params(there.path)
    assert not (there.path / "tuning").exists()


def test_a_candidate_that_fails_loses(small: Callable[..., Project]) -> None:
    there = small({"C": [-1, 0.1]})
    search = search_params(there.path)
    assert len(search.table.splitlines()) == 4
    assert search.params in ({}, {"C": 0.1})


def divide(project: Project, column: str) -> list[tuple[list[Any], list[Any]]]:
    """Return the values of a column of the training rows on both sides of each fold."""
    set_up(project.path)
    prepare_data(project.path)
    config, rows = load_config(project.path), pd.read_parquet(project.path / TRAIN_ROWS)
    folds = make_folds(config, rows, rows[config.data.target])
    return [(rows[column].iloc[train].tolist(), rows[column].iloc[test].tolist()) for train, test in folds]


def test_groups_never_straddle_folds(fresh: Callable[..., Project]) -> None:
    there = fresh(900)
    there.write(DATA, keep("state", "total_day_minutes", "churn")(there.read(DATA)))
    there.set(**{"split.key": ["state"]})
    folds = divide(there, "state")
    tests = [set(test) for _, test in folds]
    assert len(folds) == 5 and not any(one & other for one in tests for other in tests if one is not other)
    assert not any(set(train) & set(test) for train, test in folds)
    assert divide(there, "state") == folds


def test_the_past_is_judged_by_no_future_and_no_gap(fresh: Callable[..., Project]) -> None:
    there = fresh(900)
    there.write(DATA, keep("account_length", "total_day_minutes", "churn")(there.read(DATA)))
    time = {"method": "time", "column": "account_length", "cutoff": 150, "gap": 3.0}
    there.set(**{f"split.{name}": value for name, value in time.items()})
    folds = divide(there, "account_length")
    assert len(folds) == 5
    for train, test in folds:
        assert max(train) < min(test) - 3


def test_an_interrupted_search_leaves_nothing(
    small: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, said = small({"C": [1]}), tmp_path / "said"
    model = "src/customer_churn/model.py"
    there.write(model, there.read(model) + ENDLESS)
    there.set(**{"model.estimator": "customer_churn.model.Endless"})
    there.run("git", "init", "--quiet")
    monkeypatch.chdir(there.path)
    for name, value in NO_CML.items():
        monkeypatch.setenv(name, value)
    setup()
    before = there.read(PARAMS)
    with said.open("wb") as output:
        process = subprocess.Popen(
            ["mlops", "tune"], env=environment(), start_new_session=True, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: there.has_file("fits") or process.poll() is not None, 2 * STARTED)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 1, said.read_text()
        wait_until(lambda: not is_running(int(there.read("fits"))))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert said.read_text().endswith("\nmlops tune: interrupted\n") and "Traceback" not in said.read_text()
    assert not (there.path / "tuning").exists() and there.read(PARAMS) == before
