"""Bad data and bad params are refused in one sentence that says what, where and what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from baked import Project
from process import Inside
from tables import DATA, cell, fill, knob, line, remove


def estimator(name: str) -> Callable[[str], str]:
    """Parameters that name another estimator."""
    return knob("estimator: hist_gradient_boosting", f"estimator: {name}")


PARAMS, SCHEMA = "params.yaml", "schema.yaml"
BROKEN: dict[str, tuple[str, Callable[[str], str | bytes], str]] = {
    "missing column": (DATA, remove("state"), "lacks the column 'state'; add it, or remove it"),
    "new column": (DATA, fill("age", "1"), "has the column 'age', which schema.yaml lacks"),
    "wrong type": (DATA, cell(7, "total_day_calls", "many"),
        "'total_day_calls' must hold numbers, but 1 row (first: row 7: 'many')"),
    "forbidden missing": (DATA, cell(3, "state", "NA"),
        "'state' is missing in 1 row (first: row 3); fill them, or set missing: true"),
    "infinite": (DATA, cell(9, "total_day_calls", "inf"), "must be finite, but 1 row (first: row 9"),
    "beyond float32": (DATA, cell(9, "total_day_calls", "1e300"), "must be finite"),
    "column twice": (DATA, line(0, lambda text: text.replace("area_code", "state")),
        "the column 'state' appears 2 times"),
    "column without a name": (DATA, line(0, lambda text: text.replace("area_code", "")), "column 3 has no name"),
    "empty file": (DATA, lambda _: "", "is empty; put a header and rows"),
    "header only": (DATA, lambda text: text.splitlines()[0] + "\n", "has a header but no rows"),
    "row too short": (DATA, line(5, lambda text: text.rpartition(",")[0]),
        "row 5 has 19 values where the header has 20"),
    "row too long": (DATA, line(5, lambda text: text + ",1"), "row 5 has 21 values where the header has 20"),
    "semicolons": (DATA, lambda text: text.replace(",", ";"), "with commas"),
    "latin-1": (DATA, lambda text: text.replace("KS", "Ä").encode("latin-1"), "is not UTF-8 text"),
    "no target": (DATA, remove("churn"), "lacks the target 'churn'; add it, or correct data.target"),
    "target missing": (DATA, cell(4, "churn", ""), "'churn' is missing in 1 row (first: row 4); remove those rows"),
    "target constant": (DATA, fill("churn", "no"), "'churn' is no in every row"),
    "unknown class": (DATA, cell(4, "churn", "maybe"),
        "'churn' must be one of no, yes, but 1 row (first: row 4: 'maybe')"),
    "key that is not YAML": (PARAMS, lambda text: text + "\n  x: [", "params.yaml: line"),
    "misspelt key": (PARAMS, knob("  estimator:", "  estimatr:"), "did you mean estimator?"),
    "unknown section": (PARAMS, lambda text: text + "\nextra: 1\n",
        "extra is not a known key; use data, split, model, tune, gate, resources"),
    "wrong kind": (PARAMS, knob("  seed: 0", "  seed: many"), "model.seed must be a whole number, not 'many'"),
    "test size": (PARAMS, knob("test_size: 0.2", "test_size: 1.5"), "split.test_size must be less than 1, not 1.5"),
    "split method": (PARAMS, knob("method: hash", "method: random"),
        "split.method must be 'hash' or 'time', not 'random'"),
    "time without column": (PARAMS, knob("method: hash", "method: time"),
        "split.method is time, so it needs split.column"),
    "key unknown": (PARAMS, knob("key: []", "key: [customer]"), "split.key names 'customer', which is no column"),
    "drop the target": (PARAMS, knob("drop: []", "drop: [churn]"), "data.drop names 'churn', which is data.target"),
    "metric of another task": (PARAMS, knob("primary: roc_auc", "primary: rmse"),
        "gate.primary: rmse is a metric of regression, but the task is classification; use accuracy"),
    "threshold misspelt": (PARAMS, knob("    roc_auc: 0.6", "    roc_auk: 0.6"), "did you mean roc_auc?"),
    "task and schema": (PARAMS, knob("task: classification", "task: regression\n#"),
        "roc_auc is a metric of classification, but the task is regression; use rmse"),
    "estimator of another task": (PARAMS, estimator("linear"), "'linear' does not do classification; use logistic"),
    "estimator unknown": (PARAMS, estimator("xgboost"), "'xgboost' is not known; use logistic"),
    "regressor by path": (PARAMS, estimator("sklearn.linear_model.Ridge"), "Ridge does not do classification"),
    "no such class": (PARAMS, estimator("sklearn.linear_model.Rigde"), "cannot import 'sklearn.linear_model.Rigde'"),
    "not an estimator": (PARAMS, estimator("os.path.join"), "is not a scikit-learn estimator"),
    "unknown parameter": (PARAMS, knob("params: {}", "params: {max_itr: 5}"), "did you mean max_iter?"),
    "parameter's value": (PARAMS, knob("params: {}", "params: {max_iter: -1}"),
        "The 'max_iter' parameter of HistGradientBoostingClassifier"),
    "schema's type": (SCHEMA, knob("state: {type: category", "state: {type: text"),
        "schema.yaml: columns.state.type must be"),
    "schema without target": (SCHEMA, knob("target:", "goal:"), "schema.yaml: "),
    "limits of the schema": (SCHEMA, knob("total_day_calls: {type: number,", "total_day_calls: {type: number, max: 9,"),
        "at most 9"),
}  # fmt: skip


@pytest.fixture(scope="module")
def sound(inside: Inside, fresh: Callable[..., Project]) -> dict[str, str]:
    """The files of a project that trains."""
    project = fresh(300)
    inside("prepare", project.path)
    return {name: project.read(name) for name in (DATA, PARAMS, SCHEMA)}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_data_and_params_get_their_sentence(
    sound: dict[str, str], inside: Inside, tmp_path: Path, name: str
) -> None:
    broken, change, sentence = BROKEN[name]
    (tmp_path / "data/raw").mkdir(parents=True)
    for file, text in sound.items():
        content = change(text) if file == broken else text
        (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    said = inside("try", tmp_path)
    assert sentence in said
    assert "\n" not in said and said.endswith((".", "?"))


def test_the_command_line_says_one_sentence_and_fails(fresh: Callable[..., Project], mlops: Callable[..., Any]) -> None:
    project = fresh(300)
    project.write(PARAMS, knob("  seed: 0", "  seed: many")(project.read(PARAMS)))
    done = mlops(project, "stage", "prepare", check=False)
    assert done.returncode == 1
    assert done.stderr == "mlops stage: params.yaml: model.seed must be a whole number, not 'many'.\n"
