"""What differs from the champion besides the metrics: params in effect, the data, its contract, and what ran."""

import json
from pathlib import Path

import pytest
from baked import TEMPLATE, Project, bare_project
from mlops_actions.core.config import load_config
from mlops_actions.core.paths import STAGE_TIMES, STAGES, SUMMARY
from mlops_actions.review.changes import data_changes, params_changes, same_recipe, schema_changes, stages_run
from mlops_actions.review.report import Stage, ValueChange

PARAMS = """\
data: {path: rows.csv, target: churn, task: classification}
model: {estimator: logistic, params: {C: 1.0}}
gate: {primary: accuracy}
"""


MODEL = TEMPLATE / "{{cookiecutter.project_slug}}/src/{{cookiecutter.package_name}}/model.py"
LOCK = """\
version = 1

[[package]]
name = "mlops-actions"
version = "1.0.0"
source = { registry = "https://pypi.org/simple" }
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A repository with one commit."""
    shop = bare_project(tmp_path / "shop", PARAMS)
    shop.write("uv.lock", LOCK)
    shop.write("src/shop/model.py", MODEL.read_text())
    shop.path.joinpath(SUMMARY).parent.mkdir(parents=True, exist_ok=True)
    shop.write(str(SUMMARY), json.dumps({"rows": 100, "train_rows": 80, "columns": {"age": {"mean": 40}}}))
    shop.write("schema.yaml", "columns: {age: {min: 18}}\n")
    shop.write("dvc.lock", "stages: {train: {params: {C: 1.0}}}\n")
    shop.run("git", "init", "--quiet")
    shop.commit("Begin")
    monkeypatch.chdir(shop.path)
    return shop


def changed_params() -> dict[str, tuple[str | None, str | None]]:
    return {one.name: (one.champion, one.candidate) for one in params_changes("HEAD", load_config())}


def test_without_a_champion_nothing_differs(shop: Project) -> None:
    assert params_changes(None, load_config()) == data_changes(None) == schema_changes(None) == []


def test_of_the_same_commit_nothing_differs(shop: Project) -> None:
    assert changed_params() == {} and data_changes("HEAD") == schema_changes("HEAD") == [] and same_recipe("HEAD")


def test_a_knob_has_its_value_in_effect_on_both_sides(shop: Project) -> None:
    shop.write("params.yaml", PARAMS.replace("accuracy}", "accuracy, margin: 0.02}").replace("C: 1.0", "C: 0.5"))
    assert changed_params() == {"gate.margin": ("0.01", "0.02"), "model.params.C": ("1.0", "0.5")}


def test_another_estimator_is_compared_by_what_either_side_sets(shop: Project) -> None:
    shop.write("params.yaml", PARAMS.replace("logistic, params: {C: 1.0}", "random_forest"))
    changes = changed_params()
    assert changes["model.estimator"] == ('"logistic"', '"random_forest"')
    assert changes["model.params.C"] == ("1.0", None)


def test_knobs_that_this_engine_does_not_know_are_shown_as_they_are_written(shop: Project) -> None:
    shop.write("params.yaml", PARAMS + "colour: {name: red}\n")
    shop.commit("A knob of another engine")
    shop.write("params.yaml", PARAMS)
    assert changed_params()["colour.name"] == ('"red"', None)


def test_where_the_code_differs_the_champions_own_tells_its_knobs(shop: Project) -> None:
    shop.write("src/shop/features.py", '"""Other features."""\n')
    assert changed_params() == {}
    shop.write("params.yaml", PARAMS.replace("C: 1.0", "C: 0.5"))
    assert changed_params() == {"model.params.C": ("1.0", "0.5")}


def test_code_of_the_champions_that_does_not_run_any_more_leaves_its_knobs_to_this_code(shop: Project) -> None:
    shop.write("pyproject.toml", "[tool.mlops\n")
    shop.commit("Break the project")
    shop.run("git", "checkout", "--quiet", "HEAD^", "--", "pyproject.toml")
    shop.write("src/shop/features.py", '"""Other features."""\n')
    shop.write("params.yaml", PARAMS.replace("C: 1.0", "C: 0.5"))
    assert changed_params() == {"model.params.C": ("1.0", "0.5")}


def test_facts_of_the_data_and_lines_of_its_contract_differ_by_their_path(shop: Project) -> None:
    shop.write(str(SUMMARY), json.dumps({"rows": 120, "train_rows": 80, "columns": {"age": {"mean": 41}}}))
    shop.write("schema.yaml", "columns: {age: {min: 0, max: 99}}\n")
    assert data_changes("HEAD") == [ValueChange("rows", "100", "120"), ValueChange("columns.age.mean", "40", "41")]
    assert schema_changes("HEAD") == [
        ValueChange("columns.age.min", "18", "0"),
        ValueChange("columns.age.max", None, "99"),
    ]


def test_another_recipe_is_one_with_another_lock(shop: Project) -> None:
    shop.write("dvc.lock", "stages: {train: {params: {C: 0.5}}}\n")
    assert not same_recipe("HEAD")


def test_a_stage_that_ran_has_its_seconds(shop: Project) -> None:
    STAGE_TIMES.mkdir(parents=True)
    (STAGE_TIMES / "train").write_text("1.25")
    assert stages_run() == [Stage(name, 1.25 if name == "train" else None) for name in STAGES]
