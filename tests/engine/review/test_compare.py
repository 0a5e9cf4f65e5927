"""Champion and candidate, measured on the rows on which neither was trained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from baked import Project
from duels import begin, record
from mlops_actions.core.config import Config, load_config
from mlops_actions.core.paths import TEST_ROWS, TRAIN_ROWS
from mlops_actions.review.champion import Champion
from mlops_actions.review.compare import change_of, compare_models, groups_of, notes_of
from mlops_actions.review.gate import rule
from mlops_actions.review.judge import describe, judge, write
from mlops_actions.review.markdown import render
from mlops_actions.review.report import ComparedRows, Note, Redefined
from mlops_actions.review.rivals import Rivals
from mlops_actions.stages import evaluate, export, featurize, train
from mlops_actions.stats.intervals import Interval
from mlops_actions.stats.metrics import METRICS, Predictions
from pipeline import train_project
from tables import DATA

Begin = Callable[..., Config]


@pytest.fixture(scope="module")
def first(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A repository whose champion is the trained project's model."""
    return begin(trained, tmp_path_factory.mktemp("first"))


@pytest.fixture
def duel(first: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of it, where the test works."""
    duel = first.copy(tmp_path / first.path.name)
    monkeypatch.chdir(duel.path)
    return duel


def champion_of(project: Project) -> Champion:
    return Champion("v1.0.0", project.run("git", "rev-parse", "HEAD").stdout.strip())


def retrain(project: Project, **knobs: Any) -> Config:
    """Change params.yaml, run the stages after prepare, and record what they made."""
    project.set(**knobs)
    config = load_config()
    for stage in (featurize, train, evaluate, export):
        stage.run(config)
    record(project)
    return config


def test_both_models_answer_the_same_rows(duel: Project, capsys: pytest.CaptureFixture[str]) -> None:
    guards = {"log_loss": 0.5}
    config = retrain(duel, **{"model.estimator": "logistic", "gate.guards": guards, "gate.slices.min_rows": 20})
    champion = champion_of(duel)
    report = judge(describe(config, champion), config, champion)
    assert not report.unchanged and report.incomparable is None
    test = len(pd.read_parquet(TEST_ROWS))
    assert report.rows and (report.rows.test, report.rows.decided, report.rows.new) == (test, test, 0)
    metrics = {metric.name: metric for metric in report.metrics}
    for name in (config.gate.primary, "log_loss"):
        metric = metrics[name]
        assert metric.champion != metric.candidate and metric.low <= metric.candidate - metric.champion <= metric.high
    rulings = [(ruling.rule, ruling.subject) for ruling in report.rulings]
    assert ("champion", config.gate.primary) in rulings and ("guard", "log_loss") in rulings
    assert {change.name: change.candidate for change in report.params}["model.estimator"] == '"logistic"'
    assert report.slices and all(part.rows >= 20 for part in report.slices)
    costs = {cost.name: cost for cost in report.costs}
    assert costs["model_mb"].champion and costs["latency_ms"].candidate > 0
    assert report.detectable and report.method
    write(report, Path("report"))
    assert {"report.json", "report.html", "pictures"} == {path.name for path in Path("report").iterdir()}


def test_rows_on_which_the_champion_was_trained_do_not_decide(duel: Project) -> None:
    champion = champion_of(duel)
    test, seen = pd.read_parquet(TEST_ROWS), pd.read_parquet(TRAIN_ROWS)
    pd.concat([test, seen[:15]], ignore_index=True).to_parquet(TEST_ROWS)
    record(duel)
    found = compare_models(load_config(), champion)
    assert (found.rows.trained, found.rows.decided) == (15, len(test)) and found.compared
    assert found.confusion and sum(map(sum, found.confusion.candidate)) == len(test)


def test_a_metric_of_ones_own_that_is_new_is_the_first_thing_that_is_said(duel: Project) -> None:
    champion = champion_of(duel)
    duel.write(
        "src/customer_churn/metrics.py", "def share(truth, predicted):\n    return float((truth == 'no').mean())\n"
    )
    config = load_config()
    report = judge(describe(config, champion), config, champion)
    (share,) = [metric for metric in report.metrics if metric.name == "share"]
    assert report.redefined == [Redefined("share", None, pytest.approx(share.champion))]
    second = [line for line in render(report, run_url=None, commit=None).splitlines() if line][1]
    begin = "**This changes `metrics.py`**, by which both are judged. By its own and by this one the champion has: "
    assert second.startswith(f"{begin}`share` – and 0.")


def test_a_champion_that_was_trained_on_every_row_is_not_compared(duel: Project) -> None:
    champion = champion_of(duel)
    pd.read_parquet(TRAIN_ROWS)[:60].to_parquet(TEST_ROWS)
    record(duel)
    config = load_config()
    report = judge(describe(config, champion), config, champion)
    assert report.incomparable == "it was trained on every one of these test rows"
    assert not any(ruling.rule == "champion" for ruling in report.rulings)
    assert not report.passed, "what cannot be compared does not pass"


def rename_column(project: Project) -> Config:
    """Rename a column of the data, and train anew."""
    project.write(DATA, project.read(DATA).replace("account_length", "weeks", 1))
    (project.path / "schema.yaml").unlink()
    train_project(project.path)
    record(project)
    return load_config()


def test_a_champion_that_cannot_read_a_renamed_column_has_its_own_copy_of_the_rows(duel: Project) -> None:
    champion = champion_of(duel)
    config = rename_column(duel)
    found = compare_models(config, champion)
    assert found.incomparable is None and found.compared
    (own,) = [note for note in found.notes if note.kind == "own_rows"]
    assert "account_length" in own.names[0]
    assert 0 < found.rows.decided <= found.rows.test


def test_a_champion_that_predicts_something_else_is_not_compared(duel: Project) -> None:
    duel.set(**{"data.target": "plan"})
    duel.commit("Predict the plan")
    champion = champion_of(duel)
    duel.set(**{"data.target": "churn"})
    found = compare_models(load_config(), champion)
    assert found.incomparable == "it does classification of plan, not classification of churn"


def test_a_champion_whose_code_fails_is_not_compared_and_both_reasons_are_said(duel: Project) -> None:
    duel.write("src/customer_churn/features.py", "import gone\n")
    duel.commit("Need a library that is gone")
    champion = champion_of(duel)
    duel.run("git", "checkout", "--quiet", "HEAD^", "--", "src")
    found = compare_models(load_config(), champion)
    assert found.incomparable and found.incomparable.startswith("it fails") and "gone" in found.incomparable


def test_a_first_model_is_measured_alone(duel: Project) -> None:
    config = load_config()
    found = compare_models(config, None)
    assert not found.compared and found.intervals == {} and found.slices == [] and found.redefined is None
    assert {metric.name for metric in found.metrics} >= {"accuracy", "roc_auc"}
    assert all(ruling.rule in ("threshold", "cost") for ruling in rule(found, config.gate))
    report = judge(describe(config, None), config, None)
    assert render(report, run_url=None, commit=None).startswith("### ✅ Passes: nothing is released yet")


def test_the_change_of_an_error_is_its_gain_the_other_way_round() -> None:
    interval = Interval(0.1, 0.05, 0.2, 0.02, 9, "")
    assert change_of(METRICS["roc_auc"], interval) == (0.05, 0.2)
    assert change_of(METRICS["log_loss"], interval) == (-0.2, -0.05)


class Table:
    """Rivals of which only the rows matter."""

    def __init__(self, **columns: list[str]) -> None:
        self.table = pd.DataFrame(columns)


@pytest.mark.parametrize(
    ("key", "groups"),
    [(["who"], [0, 1, 0]), (["who", "when"], None), (["gone"], None), ([], None)],
)
def test_rows_are_grouped_by_a_key_that_some_share(duel: Project, key: list[str], groups: list[int] | None) -> None:
    config = load_config()
    config = config.model_copy(update={"split": config.split.model_copy(update={"key": key})})
    found = groups_of(config, Table(who=["a", "b", "a"], when=["1", "1", "2"]))  # type: ignore[arg-type]
    assert found is None if groups is None else np.array_equal(found, groups)


def test_a_model_that_gives_one_answer_and_classes_that_are_absent_are_noted(duel: Project) -> None:
    constant = Predictions(np.tile([0.2, 0.3, 0.5], (4, 1)), ["maybe", "no", "yes"])
    theirs = Predictions(np.random.default_rng(0).dirichlet(np.ones(3), 4), ["no", "once", "yes"])
    rows, nothing = ComparedRows(4, 4, 0, 0, 0, 0), pd.DataFrame()
    rivals = Rivals(None, nothing, nothing, constant, theirs, rows, [], [])  # type: ignore[arg-type]
    assert notes_of(load_config(), rivals, np.array(["no", "no", "yes", "yes"], dtype=object)) == [
        Note("absent_classes", ["maybe"]),
        Note("new_classes", ["maybe"]),
        Note("gone_classes", ["once"]),
        Note("constant", ["candidate"]),
    ]
