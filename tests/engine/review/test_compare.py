"""Champion and candidate, measured on the rows on which neither was trained."""

import re

import numpy as np
import pandas as pd
import pytest
import yaml
from baked import Project
from clones import give_version
from duels import Verdict, champion_of, record, retrain
from mlops_actions.core import github
from mlops_actions.core.config import Config, load_config
from mlops_actions.core.paths import TEST_ROWS, TRAIN_ROWS
from mlops_actions.review.champion import Champion, find_baseline, find_champion
from mlops_actions.review.compare import change_of, compare_models, groups_of, notes_of
from mlops_actions.review.gate import rule
from mlops_actions.review.judge import apply_gate, describe, judge
from mlops_actions.review.markdown import render
from mlops_actions.review.page import write_page
from mlops_actions.review.report import ComparedRows, Note
from mlops_actions.review.rivals import Rivals
from mlops_actions.stats import intervals
from mlops_actions.stats.intervals import Interval
from mlops_actions.stats.metrics import METRICS, Predictions
from tables import DATA

OWN_METRICS = """def profit(truth, predicted):
    return float("nan")


def share(truth, predicted):
    return float((truth == "no").mean())
"""


def test_a_metric_of_ones_own_that_is_new_is_said_first_and_one_that_is_undefined_fails(
    duel: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intervals, "BLACK_BOX_RESAMPLES", 50)  # each takes some milliseconds
    champion = champion_of(duel)
    duel.write("src/customer_churn/metrics.py", OWN_METRICS)
    gate = {"gate.primary": "profit", "gate.thresholds": {}, "gate.slices.columns": ["voice_mail_plan"]}
    undefined = Verdict.of(retrain(duel, **{"model.params": {"C": 0.5}, **gate}), champion)
    assert undefined.line == "### ❌ Fails: `profit` is undefined on these test rows"
    assert undefined.row("profit")[1:] == ["–", "–", "", "**undefined**"] and not undefined.report["passed"]
    assert len(undefined.change("roc_auc")) == 3, "the other metrics are there"
    (share,) = [metric["champion"] for metric in undefined.report["metrics"] if metric["name"] == "share"]
    shares = {"name": "share", "before": None, "now": pytest.approx(share)}
    assert undefined.report["redefined"] == [{"name": "profit", "before": None, "now": None}, shares]
    second = [line for line in undefined.comment.splitlines() if line][1]
    begin = "**This changes `metrics.py`**, by which both are judged. By its own and by this one the champion has: "
    assert second.startswith(f"{begin}`profit` – and –; `share` – and 0.")


def test_a_champion_that_was_trained_on_every_row_is_not_compared(duel: Project) -> None:
    champion = champion_of(duel)
    pd.read_parquet(TRAIN_ROWS)[:60].to_parquet(TEST_ROWS)
    record(duel)
    config = load_config()
    report = judge(describe(config, champion), config, champion)
    assert report.incomparable == "it was trained on every one of these test rows"
    assert not any(ruling.rule == "champion" for ruling in report.rulings)
    assert not report.passed, "what cannot be compared does not pass"


def test_a_champion_that_cannot_read_a_renamed_column_has_its_own_copy_of_the_rows(duel: Project) -> None:
    champion = champion_of(duel)
    for name in (DATA, "schema.yaml"):
        duel.write(name, duel.read(name).replace("account_length", "tenure", 1))
    renamed = Verdict.of(retrain(duel), champion)
    rows = renamed.report["rows"]
    assert (
        0 < rows["decided"] < rows["test"] and f"Both answered {rows['decided']} of {rows['test']}" in renamed.comment
    )
    assert (
        "lacks the column 'account_length'" in renamed.comment
        and "it was given its own copy of them" in renamed.comment
    )
    assert [note["kind"] for note in renamed.report["notes"]] == ["own_rows"]
    assert "| `columns.account_length.type` |" in renamed.comment and "| `columns.tenure.type` |" in renamed.comment
    assert " against `v1.0.0`: the interval " in renamed.line and renamed.change()


def predict_the_plan(project: Project) -> Config:
    """Predict another column, use the old target as one more to predict from, and train anew."""
    contract = yaml.safe_load(project.read("schema.yaml"))
    contract["target"]["name"] = "international_plan"
    contract["columns"]["churn"] = contract["columns"].pop("international_plan")
    project.write("schema.yaml", yaml.safe_dump(contract))
    return retrain(project, **{"data.target": "international_plan", "gate.thresholds": {"roc_auc": 0.1}})


def test_a_champion_that_predicts_something_else_is_not_compared_unless_told_so(duel: Project) -> None:
    champion = champion_of(duel)
    refused = Verdict.of(predict_the_plan(duel), champion)
    assert refused.line == "### ❌ Fails: the champion could not be run on these test rows"
    reason = "it does classification of churn, not classification of international_plan"
    assert f"The champion was not compared: `{reason}`" in refused.comment and not refused.report["passed"]
    assert refused.row("roc_auc")[1] == "–" and float(refused.row("roc_auc")[2]) > 0

    duel.set(**{"gate.compare": False})
    allowed = Verdict.of(load_config(), champion)
    assert allowed.line == "### ✅ Passes on thresholds alone: the champion could not be run on these test rows"
    assert allowed.row("roc_auc")[-1] == "threshold met" and reason in allowed.comment and allowed.report["passed"]


def test_a_champion_whose_code_fails_is_not_compared_and_both_reasons_are_said(duel: Project) -> None:
    duel.write("src/customer_churn/features.py", "import gone\n")
    duel.commit("Need a library that is gone")
    champion = champion_of(duel)
    duel.run("git", "checkout", "--quiet", "HEAD^", "--", "src")
    found = compare_models(load_config(), champion)
    assert found.incomparable and found.incomparable.startswith("it fails") and "gone" in found.incomparable


def test_a_first_model_is_measured_alone(duel: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_EVENT_PATH", raising=False)
    github.event.cache_clear()
    config = load_config()
    found = compare_models(config, None)
    assert not found.compared and found.intervals == {} and found.slices == [] and found.redefined is None
    assert {metric.name for metric in found.metrics} >= {"accuracy", "roc_auc"}
    assert all(ruling.rule in ("threshold", "cost") for ruling in rule(found, config.gate))

    base = champion_of(duel).commit[:7]
    baseline, notes = find_baseline(None, all_tags=True)
    assert baseline is None
    report = apply_gate(describe(config, None, notes), config, found)
    same = Verdict(report.to_json())
    assert same.line == "### ✅ Passes: nothing is released yet to compare it with, and every threshold is met"
    assert f"- Commit `{base}` records this very model: nothing was compared." in same.comment
    assert re.search(r"^\| metric \| champion none \| candidate \| change \(95%\) \| ruling \|$", same.comment, re.M)
    assert same.row("roc_auc")[1] == "–" and same.row("roc_auc")[3:] == ["", "threshold met"]
    assert re.search(r"^On \d{3} test rows\.$", same.comment, re.M)
    assert "unchanged" not in same.comment, "nothing is said of what was not compared"
    shown = render(report, run_url=None, commit=None, pictures={"roc-light": "https://github.example/roc.png"})
    assert '"https://github.example/roc.png"' in shown


def test_a_version_a_branch_and_a_commit_may_name_the_same_model_which_is_called_as_it_was_asked_for(
    duel: Project,
) -> None:
    commit = champion_of(duel).commit
    give_version(duel.path, "v1.0.0")
    duel.run("git", "branch", "tuned")
    for name, kind in (("v1.0.0", "champion"), ("tuned", "named"), (commit, "named")):
        found = find_champion(name)
        assert found == Champion(name, commit, kind)
        report = describe(load_config(), found)
        text = render(report, run_url=None, commit=None)
        assert report.unchanged and f"`{name}`, byte for byte" in text and name in write_page(report)
        assert ("champion" in text) == (kind == "champion")


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
