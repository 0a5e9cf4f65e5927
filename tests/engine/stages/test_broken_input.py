"""Bad data and bad params are refused in one sentence that says what, where and what to do."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from baked import Bake, Project
from mlops_actions import cli
from mlops_actions.bundle.archive import load_bundle
from mlops_actions.core.config import Model, load_config
from mlops_actions.core.errors import UserError
from mlops_actions.core.params_file import update_params
from mlops_actions.core.paths import BUNDLE
from mlops_actions.stages import prepare
from mlops_actions.stages.estimators import make_estimator
from mlops_actions.stages.predict import predict
from pipeline import predict_own_rows, set_up, train_project
from tables import DATA, cell, fill, knob, line, on_rows, remove, setting
from written import LABELS, ROWS, write_table


def estimator(name: str) -> Callable[[str], str]:
    """Parameters that name another estimator."""
    return knob("estimator: hist_gradient_boosting", f"estimator: {name}")


def rule(column: str, words: str) -> Callable[[str], str]:
    """A contract with one rule more."""
    return lambda text: re.sub(rf"(  {column}: {{type: \w+)", rf"\g<1>, {words}", text)


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
    "target missing": (DATA, cell(4, "churn", ""),
        "'churn' is missing in 1 row (first: row 4); fill them, or set missing: true in schema.yaml, which leaves"),
    "target constant": (DATA, fill("churn", "no"), "'churn' is no in every row"),
    "unknown class": (DATA, cell(4, "churn", "maybe"),
        "'churn' must be one of no, yes, but 1 row (first: row 4: 'maybe')"),
    "lists in lists without end": (PARAMS, lambda text: text + "  x: " + "[" * 9999, "not valid YAML: it is nested"),
    "key that is not YAML": (PARAMS, lambda text: text + "\n  x: [", "params.yaml: line"),
    "misspelt key": (PARAMS, knob("  estimator:", "  estimatr:"), "did you mean estimator?"),
    "unknown section": (PARAMS, lambda text: text + "\nextra: 1\n",
        "extra is not a known key; use data, split, history, model, tune, gate, serving, resources"),
    "wrong kind": (PARAMS, setting("model.seed", "many"), "model.seed must be a whole number, not 'many'"),
    "test size": (PARAMS, knob("test_size: 0.2", "test_size: 1.5"), "split.test_size must be less than 1, not 1.5"),
    "split method": (PARAMS, knob("method: hash", "method: random"),
        "split.method must be 'hash' or 'time', not 'random'"),
    "time without column": (PARAMS, knob("method: hash", "method: time"),
        "split.method is time, so it needs split.column"),
    "key unknown": (PARAMS, knob("key: []", "key: [customer]"), "split.key names 'customer', which is no column"),
    "drop the target": (PARAMS, knob("drop: []", "drop: [churn]"), "data.drop names 'churn', which is data.target"),
    "metric of another task": (PARAMS, knob("primary: roc_auc", "primary: rmse"),
        "gate.primary: rmse is a metric of regression, but the task is classification; use accuracy"),
    "threshold misspelt": (PARAMS, knob("{roc_auc: 0.6}", "{roc_auk: 0.6}"), "did you mean roc_auc?"),
    "task and schema": (PARAMS, knob("task: classification", "task: regression\n#"),
        "roc_auc is a metric of classification, but the task is regression; use rmse"),
    "estimator of another task": (PARAMS, estimator("linear"), "'linear' does not do classification; use logistic"),
    "estimator unknown": (PARAMS, estimator("catboost"), "'catboost' is not known; use logistic"),
    "regressor by path": (PARAMS, estimator("sklearn.linear_model.Ridge"), "Ridge does not do classification"),
    "no such class": (PARAMS, estimator("sklearn.linear_model.Rigde"), "cannot import 'sklearn.linear_model.Rigde'"),
    "not an estimator": (PARAMS, estimator("os.path.join"), "is not a scikit-learn estimator"),
    "unknown parameter": (PARAMS, knob("params: {}", "params: {max_itr: 5}"), "did you mean max_iter?"),
    "parameter's value": (PARAMS, knob("params: {}", "params: {max_iter: -1}"),
        "The 'max_iter' parameter of HistGradientBoostingClassifier"),
    "schema's type": (SCHEMA, knob("state: {type: category", "state: {type: string"),
        "schema.yaml: columns.state.type must be"),
    "schema without target": (SCHEMA, knob("target:", "goal:"), "schema.yaml: "),
    "limits of the schema": (SCHEMA, rule("total_day_calls", "max: 9"), "at most 9"),
    "below the schema's limit": (SCHEMA, rule("total_day_calls", "min: 1000"),
        "'total_day_calls' must be at least 1000, but 300 rows (first: row 1: "),
    "unseen category": (SCHEMA, rule("area_code", 'values: ["area_code_408", "area_code_415"]'),
        "'area_code' must be one of area_code_408, area_code_415, but"),
    "too long": (SCHEMA, rule("area_code", "max_length: 3"), "'area_code' must be at most 3 characters long, but"),
    "another pattern": (SCHEMA, rule("area_code", 'pattern: "area_code_4.."'),
        "'area_code' must be text like area_code_4.., but"),
    "not unique": (SCHEMA, rule("state", "unique: true"), "'state' must be unique, but"),
    "two rules broken": (SCHEMA, lambda text: rule("state", "max_length: 1")(rule("area_code", "max_length: 1")(text)),
        "(and 1 more column)"),
    "limit of a text": (SCHEMA, rule("state", "min: 1"), "columns.state is a category, so min means nothing"),
    "limit that is no number": (SCHEMA, rule("total_day_calls", "max: many"),
        "columns.total_day_calls.max must be a number, not 'many'"),
    "pattern that is none": (SCHEMA, rule("state", 'pattern: "("'), "state.pattern is not a regular expression"),
    "format of a number": (SCHEMA, rule("total_day_calls", 'format: "%d"'),
        "columns.total_day_calls.format '%d' is not known; write it like '1,234.5', '1.234,5'"),
    "unit of a text": (SCHEMA, rule("state", 'unit: "€"'), "columns.state is a category, so unit means nothing"),
    "changed type": (DATA, on_rows(lambda rows: [rows[0], *([f"x{row[0]}", *row[1:4], row[5], row[4], *row[6:]]
        for row in rows[1:])]), "'number_vmail_messages' must hold numbers, but 300 rows (first: row 1: "),
    "mixed types": (DATA, cell(7, "account_length", "3 days"),
        "'account_length' must hold numbers, but 1 row (first: row 7: '3 days')"),
}  # fmt: skip


def refusal_of(action: Callable[[], object]) -> str:
    """Return the one sentence in which an action is refused."""
    with pytest.raises(UserError) as refusal:
        action()
    sentence = str(refusal.value)
    assert "\n" not in sentence and sentence.endswith((".", "?"))
    return sentence


@pytest.fixture(scope="module")
def sound(fresh: Callable[..., Project]) -> Project:
    """A project that is set up, and would train."""
    project = fresh(300)
    prepare.run(set_up(project.path))
    return project


@pytest.mark.parametrize("name", BROKEN)
def test_broken_data_and_params_get_their_sentence(sound: Project, tmp_path: Path, name: str) -> None:
    broken, change, sentence = BROKEN[name]
    project = sound.copy(tmp_path / "project")
    content = change(project.read(broken))
    (project.path / broken).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert sentence in refusal_of(lambda: train_project(project.path))


def test_an_estimator_whose_model_is_not_kept_is_refused_before_it_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forest = "from sklearn.ensemble import RandomForestClassifier\nclass Forest(RandomForestClassifier):\n    pass\n"
    (tmp_path / "foresters.py").write_text(forest)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="a model of foresters cannot be kept as a file that is safe to load; use log"):
        make_estimator(Model(estimator="foresters.Forest"), "classification", {})


# What a later row says of one column, of a project in which the table above is set up; then the rule that it breaks.
LATER: dict[str, tuple[str, object, str, str]] = {
    "date written otherwise": ("when", "01/31/2024", "",
        "'when' must hold dates such as 31.01.2026, but 1 row (first: row 2: '01/31/2024') is not"),
    "date that cannot be": ("when", "30.02.2024", "", "'when' must hold dates such as 31.01.2026"),
    "currency changed": ("price", "$ 3", "", "'price' must hold numbers such as 1.234,5 €, but 1 row"),
    "decimal point": ("price", "1,234.50 €", "", "'price' must hold numbers such as 1.234,5 €, but 1 row"),
    "no number": ("share", "much", "", "'share' must hold numbers such as 1,234.5 %, but 1 row (first: row 2: 'much')"),
    "another mark for missing": ("size", "unclear", "", "'size' must hold numbers, but 1 row"),
    "missing where none was": ("note", "", "", "'note' is missing in 1 row (first: row 2); fill them"),
    "a date to come": ("when", "31.12.2999", "future: false",
        "'when' must be no later than now, but 1 row (first: row 2: '2999-12-31"),
    "too early": ("when", "31.12.1999", 'min: "2020-01-01"', "'when' must be 2020-01-01 or later, but 1 row"),
    "too late": ("when", "31.12.2029", "max: 2025-01-01", "'when' must be 2025-01-01 or earlier, but 1 row"),
    "too much": ("price", "99.999,00 €", "max: 50000", "'price' must be at most 50000, but 1 row"),
    "unseen": ("note", "huge", 'values: ["short", "long", "none"]', "must be one of short, long, none, but 1 row"),
    "too long": ("note", "endless", "max_length: 5", "'note' must be at most 5 characters long, but 1 row"),
    "shaped otherwise": ("note", "Short!", 'pattern: "[a-z]+"', "'note' must be text like [a-z]+, but 1 row"),
}  # fmt: skip


@pytest.fixture(scope="module")
def guessing(bake: Bake) -> Project:
    return bake(task="guess")


def test_a_class_of_which_no_row_falls_into_train_is_refused(guessing: Project, tmp_path: Path) -> None:
    labels = [*map(str, range(9)), *LABELS[9:]]
    root = write_table(guessing, tmp_path, "guess", {"target": labels, "note": ["x"] * ROWS}, "target")
    config = set_up(root)
    sentence = refusal_of(lambda: prepare.run(config))
    assert "falls into train; add rows of it or merge it with another" in sentence


@pytest.fixture(scope="module")
def told(guessing: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose columns are written as people write them, trained."""
    root = write_table(guessing, tmp_path_factory.mktemp("told"), "guess", {}, "target")
    update_params(root / PARAMS, {"model.params": {"max_iter": 5}})
    train_project(root)
    predict_own_rows(root)
    return root


@pytest.mark.parametrize("name", LATER)
def test_later_rows_are_refused_in_prepare_and_in_predict_alike(told: Path, tmp_path: Path, name: str) -> None:
    column, cell, words, sentence = LATER[name]
    root = shutil.copytree(told, tmp_path / "project")
    if words:
        schema = (root / SCHEMA).read_text()
        (root / SCHEMA).write_text(re.sub(rf"(  {column}: {{[^}}]*)}}", rf"\1, {words}}}", schema))
    rows = pd.read_csv(root / DATA, dtype=str, keep_default_na=False)
    rows.loc[1, column] = cell
    rows.to_csv(root / DATA, index=False)
    config, bundle = load_config(root), load_bundle(root / BUNDLE)
    assert sentence in refusal_of(lambda: prepare.run(config))
    assert sentence in refusal_of(lambda: predict(config, rows.drop(columns="target"), bundle))


def test_what_is_written_for_people_predicts_like_what_is_typed(told: Path) -> None:
    """Text with euros, and the numbers that prepare made of it."""
    typed = pd.concat([pd.read_parquet(told / f"data/prepared/{part}.parquet") for part in ("train", "test")])
    assert typed["price"].max() == 17_200.5 and typed["share"].max() == 12 and typed["size"].isna().sum() == 14
    assert str(typed["when"].min()) == "2024-01-01 00:00:00"
    raw = pd.read_csv(told / DATA, dtype=str, keep_default_na=False).drop(columns="target")
    config, bundle = load_config(told), load_bundle(told / BUNDLE)
    answers = [predict(config, rows, bundle)["probability_yes"] for rows in (typed, raw)]
    assert sorted(answers[0]) == sorted(answers[1])


def run_verb(root: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Return the exit code of `mlops WORDS` in a project."""
    monkeypatch.chdir(root)
    monkeypatch.setattr("sys.argv", ["mlops", *words])
    return cli.main()


def test_before_setup_other_verbs_say_that_it_is_missing(
    guessing: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_table(guessing, tmp_path, "guess", {}, "target")
    assert run_verb(root, monkeypatch, "predict", "rows.csv") == 1
    assert "data.task is still `guess`; run `mlops setup`" in capsys.readouterr().err


def test_the_command_line_says_one_sentence_and_fails(
    fresh: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = fresh(300)
    project.set(**{"model.seed": "many"})
    assert run_verb(project.path, monkeypatch, "stage", "prepare") == 1
    assert capsys.readouterr().err == "mlops stage: params.yaml: model.seed must be a whole number, not 'many'.\n"
