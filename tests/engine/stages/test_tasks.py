"""A named positive class, weights of rows and classes, and a transformed target do what they say, and no more."""

import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from baked import Project
from mlops_actions.bundle.archive import load_bundle
from mlops_actions.bundle.fitted import answer_of, read_model
from mlops_actions.core.config import load_config
from mlops_actions.core.errors import UserError
from mlops_actions.core.paths import BUNDLE, PIPELINE, TEST_FEATURES, TEST_ROWS
from mlops_actions.data.table import read_typed
from mlops_actions.stages import export
from mlops_actions.stages.predict import predict
from pipeline import fit_and_score, prepare_data, read_trained, set_up
from tables import DATA, Change, keep

COLUMNS = ("state", "international_plan", "number_vmail_messages", "total_day_minutes", "total_intl_calls",
           "number_customer_service_calls", "churn")  # fmt: skip
QUICK = {"hist_gradient_boosting": {"max_iter": 20, "learning_rate": 0.4}}
Make = Callable[..., Project]


@pytest.fixture(scope="module")
def described(fresh: Make) -> Callable[[str, Change], Project]:
    """`described(task, data)`: a project that is set up for a task on changed data: modify a copy."""
    projects: dict[tuple[str, Change], Project] = {}

    def describe(task: str, data: Change) -> Project:
        if (task, data) not in projects:
            project = projects[task, data] = fresh(600, task)
            project.write(DATA, data(keep(*COLUMNS)(project.read(DATA))))
            set_up(project.path)
        return projects[task, data]

    return describe


@pytest.fixture
def make(described: Callable[[str, Change], Project], tmp_path_factory: pytest.TempPathFactory) -> Make:
    """`make({"model.seed": 1}, task=..., data=...)`: a project, set up, then with knobs that have these values."""

    def change(knobs: dict[str, Any] | None = None, task: str = "classification", data: Change = str) -> Project:
        original = described(task, data)
        unneeded = shutil.ignore_patterns("vendor", ".git", ".github", "deploy", "models")
        root = shutil.copytree(original.path, tmp_path_factory.mktemp("made") / "project", ignore=unneeded)
        project = Project(root)
        project.set(**(knobs or {}))
        return project

    return change


def answers(project: Project, rows: Path | None = None) -> pd.DataFrame:
    """Export a model and return what its bundle answers for rows, else for the test rows."""
    config = load_config(project.path)
    export.run(config)
    return predict(config, rows or project.path / TEST_ROWS, load_bundle(project.path / BUNDLE))


def with_column(name: str, cells: Callable[[int], object]) -> Change:
    """Data with a column more, by the number of the row."""

    def change(text: str) -> str:
        head, *lines = text.splitlines()
        return "\n".join([f"{head},{name}", *(f"{line},{cells(number)}" for number, line in enumerate(lines))]) + "\n"

    return change


def test_the_positive_class_is_the_one_that_is_named(make: Make) -> None:
    quick = {"model.params": QUICK["hist_gradient_boosting"]}
    usual, other = make(quick), make({**quick, "data.positive": "no"})
    metrics = {name: fit_and_score(project.path) for name, project in (("yes", usual), ("no", other))}
    answered = answers(other)
    assert [name for name in answered if name != "prediction"] == ["probability_yes", "probability_no"]
    truth = pd.read_parquet(other.path / TEST_ROWS)["churn"]
    predicted = answered["prediction"]
    for positive, scores in metrics.items():
        right = ((predicted == positive) & (truth == positive)).sum()
        assert right and scores["precision"] == pytest.approx(right / (predicted == positive).sum())
        assert scores["recall"] == pytest.approx(right / (truth == positive).sum())
    for name in ("accuracy", "log_loss", "brier_score", "roc_auc"):
        assert metrics["yes"][name] == pytest.approx(metrics["no"][name], rel=1e-6), "it is about both"
    assert metrics["yes"]["average_precision"] < metrics["no"]["average_precision"]
    for project, label in ((usual, "yes"), (other, "no")):
        assert set(pd.read_csv(project.path / "plots/data/roc.csv")["class"]) == {label}


def weigh(number: int) -> int:
    return number % 3


weighed_rows = with_column("w", weigh)


def repeat(text: str) -> str:
    """The data with each row as often as it weighs."""
    head, *lines = weighed_rows(text).splitlines()
    return "\n".join([head, *(line for number, line in enumerate(lines) for _ in range(weigh(number)))]) + "\n"


def test_a_row_of_weight_two_counts_as_two_rows(make: Make) -> None:
    # Without the states, whose mean target is that of rows: scikit-learn's TargetEncoder takes no weights.
    knobs = {"model.estimator": "sklearn.tree.DecisionTreeClassifier", "model.params": {"max_depth": 3}}
    weighed = make(knobs | {"data.weight": "w", "data.drop": ["state"]}, data=weighed_rows)
    repeated = make(knobs | {"data.drop": ["w", "state"]}, data=repeat)
    plain = make(knobs | {"data.drop": ["w", "state"]}, data=weighed_rows)
    for project in (weighed, repeated, plain):
        fit_and_score(project.path)
    rows = read_typed(plain.path / TEST_FEATURES).drop(columns="churn")
    chances = [np.asarray(answer_of(read_model(project.path / PIPELINE), rows))
               for project in (weighed, repeated, plain)]  # fmt: skip
    assert chances[0] == pytest.approx(chances[1], abs=1e-6)
    assert chances[0] != pytest.approx(chances[2], abs=1e-3)


def test_rows_to_predict_need_no_weight(make: Make, tmp_path: Path) -> None:
    project = make({"data.weight": "w", "model.estimator": "logistic"}, data=weighed_rows)
    fit_and_score(project.path)
    without = tmp_path / "rows.csv"
    pd.read_csv(project.path / DATA).drop(columns=["w", "churn"]).head(5).to_csv(without, index=False)
    assert len(answers(project, without)) == 5
    inputs = load_bundle(project.path / BUNDLE).manifest["inputs"]
    assert "w" not in inputs["numbers"] + inputs["categories"]


@pytest.mark.parametrize("estimator", ["logistic", "hist_gradient_boosting"])
def test_balanced_is_what_scikit_learn_means_by_it(make: Make, estimator: str) -> None:
    params = QUICK.get(estimator, {})
    chosen = {"model.estimator": estimator, "model.params": params}
    ours = make({**chosen, "model.class_weight": "balanced"})
    theirs = make({**chosen, "model.params": {**params, "class_weight": "balanced"}})
    named = make({**chosen, "model.class_weight": {"yes": 6}})
    metrics = [fit_and_score(project.path) for project in (ours, theirs, named, make(chosen))]
    assert metrics[0] == pytest.approx(metrics[1], rel=1e-4)
    assert metrics[2]["recall"] > metrics[3]["recall"], "what weighs more is found more often"


def without_churn(step: int) -> Change:
    """Data in which every so many rows have no target."""

    def change(text: str) -> str:
        head, *lines = text.splitlines()
        place = head.split(",").index("churn")
        cells = [line.split(",") for line in lines]
        for row in cells[::step]:
            row[place] = "?"
        return "\n".join([head, *map(",".join, cells)]) + "\n"

    return change


def test_rows_without_a_target_are_left_out_and_counted(make: Make) -> None:
    def lines(project: Project, part: str) -> set[str]:
        return set(pd.read_parquet(project.path / f"data/prepared/{part}.parquet").to_csv(index=False).splitlines()[1:])

    project, whole = make(data=without_churn(10)), make()
    assert "# guess: '?' means missing; rows without it, 10.00%, are left out" in project.read("schema.yaml")
    summary, whole_summary = (prepare_data(there.path) for there in (project, whole))
    assert summary["unlabelled"] == 60 and "unlabelled" not in whole_summary
    for part in ("train", "test"):
        assert lines(project, part) < lines(whole, part), "the other rows stay where they are"
    assert summary["train_rows"] + summary["test_rows"] == 540 == summary["rows"]
    project.write(DATA, without_churn(1)(project.read(DATA)))
    with pytest.raises(UserError, match=re.escape(f"{DATA}: the target 'churn' is missing in every row; fill it.")):
        prepare_data(project.path)


def spread(text: str) -> str:
    """The data with a target that spans orders of magnitude."""
    draw = random.Random(0)
    head, *lines = text.splitlines()
    place = head.split(",").index("number_vmail_messages"), head.split(",").index("total_day_minutes")
    rows = [line.split(",") for line in lines]
    for row in rows:
        row[place[0]] = f"{2.718 ** (float(row[place[1]]) / 40 + draw.gauss(0, 0.2)) - 1:.4f}"
    return "\n".join([head, *map(",".join, rows)]) + "\n"


@pytest.mark.parametrize(
    ("estimator", "transform", "format"),
    [
        ("linear", "log1p", "onnx"),
        ("hist_gradient_boosting", "log1p", "onnx"),
        ("hist_gradient_boosting", "yeo-johnson", "skops"),
    ],
)
def test_a_transformed_target_is_learnt_and_answered_in_its_own_unit(
    make: Make, estimator: str, transform: str, format: str
) -> None:
    chosen = {"model.estimator": estimator, "model.params": QUICK.get(estimator, {})}
    project = make({**chosen, "model.transform": transform}, task="regression", data=spread)
    metrics, answered = fit_and_score(project.path), answers(project)["prediction"]
    trained = read_trained(project.path)
    assert trained["manifest"]["format"] == format, trained["manifest"]["why"]
    plain = fit_and_score(make(chosen, task="regression", data=spread).path)
    assert metrics["mape"] < plain["mape"], "relative errors are what a logarithm makes small"
    truth = pd.read_parquet(project.path / TEST_ROWS)["number_vmail_messages"]
    assert (answered - truth).abs().mean() == pytest.approx(metrics["mae"], rel=1e-4)
    fit_and_score(project.path)
    export.run(load_config(project.path))
    assert read_trained(project.path)["digests"] == trained["digests"]


NEIGHBOURS = "sklearn.neighbors.KNeighborsClassifier"
REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "positive class misspelt": ("classification", {"data.positive": "yess"},
        "data.positive is 'yess', which is no class of schema.yaml; did you mean 'yes'?"),
    "positive class unknown": ("classification", {"data.positive": 1},
        "data.positive is '1', which is no class of schema.yaml; the classes are no, yes."),
    "positive number": ("regression", {"data.positive": "a"},
        "data.positive means nothing in a regression"),
    "weighted class misspelt": ("classification", {"model.class_weight": {"ye": 2}},
        "model.class_weight names 'ye', which is no class; did you mean 'yes'?"),
    "negative class weight": ("classification", {"model.class_weight": {"yes": -1}},
        "must be greater than 0, not -1"),
    "class weights of numbers": ("regression", {"model.class_weight": "balanced"},
        "model.class_weight means nothing in a regression"),
    "no weights taken": ("classification",
        {"model.estimator": NEIGHBOURS, "model.class_weight": "balanced"},
        "model.class_weight: KNeighborsClassifier takes no weights"),
    "weights by text": ("classification", {"data.weight": "state"},
        "data.weight names 'state', which is a category; name a number"),
    "weights unknown": ("classification", {"data.weight": "wieght"},
        "data.weight names 'wieght', which is no column"),
    "weights by the target": ("classification", {"data.weight": "churn"},
        "data.weight names 'churn', which is data.target"),
    "weights dropped": ("classification", {"data.weight": "state", "data.drop": ["state"]},
        "data.drop names 'state', which is data.weight"),
    "transformed classes": ("classification", {"model.transform": "log1p"},
        "model.transform means nothing in a classification"),
    "unknown transform": ("regression", {"model.transform": "sqrt"},
        "model.transform must be 'log1p' or 'yeo-johnson', not 'sqrt'"),
    "a transform without an inverse": ("regression",
        {"model.estimator": "linear", "model.transform": "yeo-johnson"},
        "yeo-johnson (lambda -"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_in_one_sentence(make: Make, name: str) -> None:
    task, knobs, sentence = REFUSED[name]
    project = make(knobs, task=task)
    with pytest.raises(UserError, match=re.escape(sentence)) as refusal:
        fit_and_score(project.path)
    assert "\n" not in str(refusal.value) and str(refusal.value).endswith((".", "?"))


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        (lambda n: n - 3, "column 'w' must be at least 0, but 3 rows (first: row 1: '-3.0') are not"),
        (lambda n: "" if n == 4 else 1, "column 'w' is missing in 1 row (first: row 5)"),
        (lambda n: "inf" if n == 4 else 1, "column 'w' must be finite, but 1 row (first: row 5: 'inf')"),
        (lambda n: 0, "data.weight is 0 in every row to train on"),
    ],
)
def test_weights_that_no_row_can_have_are_refused(make: Make, cells: Callable[[int], object], sentence: str) -> None:
    project = make({"data.weight": "w"}, data=weighed_rows)
    unweighed = "\n".join(line.rpartition(",")[0] for line in project.read(DATA).splitlines())
    project.write(DATA, with_column("w", cells)(unweighed))
    with pytest.raises(UserError, match=re.escape(sentence)) as refusal:
        fit_and_score(project.path)
    assert "\n" not in str(refusal.value)


def sink(text: str) -> str:
    """The data with a target that is below -1 throughout."""
    head, *lines = text.splitlines()
    place = head.split(",").index("number_vmail_messages")
    rows = [line.split(",") for line in lines]
    return "\n".join(
        [head, *(",".join([*row[:place], str(-5 - n % 9), *row[place + 1 :]]) for n, row in enumerate(rows)), ""]
    )


def test_a_logarithm_of_what_is_below_minus_one_is_refused(make: Make) -> None:
    project = make({"model.transform": "log1p"}, task="regression", data=sink)
    with pytest.raises(UserError, match="log1p needs a target above -1, but"):
        fit_and_score(project.path)
