"""A named positive class, weights of rows and classes, and a transformed target do what they say, and no more."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from baked import Project
from inside import Inside
from tables import DATA

PARAMS = "params.yaml"
Make = Callable[..., Project]


@pytest.fixture
def make(fresh: Make, inside: Inside) -> Make:
    """`make({"model.seed": 1}, task=..., data=...)`: a project, set up, then with knobs that have these values."""

    def change(
        knobs: dict[str, Any] | None = None, task: str = "classification", data: Callable[[str], str] = str
    ) -> Project:
        project = fresh(600, task)
        project.write(DATA, data(project.read(DATA)))
        assert inside("profile", project.path)["refused"] == ""
        project.set(**(knobs or {}))
        return project

    return change


def with_column(name: str, cells: Callable[[int], object]) -> Callable[[str], str]:
    """Data with a column more, by the number of the row."""

    def change(text: str) -> str:
        head, *lines = text.splitlines()
        return "\n".join([f"{head},{name}", *(f"{line},{cells(number)}" for number, line in enumerate(lines))]) + "\n"

    return change


def test_the_positive_class_is_the_one_that_is_named(make: Make, inside: Inside) -> None:
    usual = make()
    other = make({"data.positive": "no"})
    metrics = {name: inside("train", project.path)["metrics"] for name, project in (("yes", usual), ("no", other))}
    rows = inside("predict", other.path, rows="data/prepared/test.parquet")
    assert [name for name in rows if name != "prediction"] == ["probability_yes", "probability_no"]
    truth = pd.read_parquet(other.path / "data/prepared/test.parquet")["churn"]
    said = pd.Series(rows["prediction"])
    for positive, found in metrics.items():
        right = ((said == positive) & (truth == positive)).sum()
        assert found["precision"] == pytest.approx(right / (said == positive).sum())
        assert found["recall"] == pytest.approx(right / (truth == positive).sum())
    for name in ("accuracy", "log_loss", "brier_score", "roc_auc"):
        assert metrics["yes"][name] == pytest.approx(metrics["no"][name], rel=1e-6), "it is about both"
    assert metrics["yes"]["average_precision"] < metrics["no"]["average_precision"]
    for project, label in ((usual, "yes"), (other, "no")):
        assert set(pd.read_csv(project.path / "plots/data/roc.csv")["class"]) == {label}


def test_a_row_of_weight_two_counts_as_two_rows(make: Make, inside: Inside) -> None:
    knobs = {"model.estimator": "sklearn.tree.DecisionTreeClassifier", "model.params": {"max_depth": 3}}
    whole = [n % 3 for n in range(600)]
    weighed = make(knobs | {"data.weight": "w"}, data=with_column("w", whole.__getitem__))

    def repeat(text: str) -> str:
        head, *lines = with_column("w", whole.__getitem__)(text).splitlines()
        return "\n".join([head, *(line for line, times in zip(lines, whole, strict=True) for _ in range(times))]) + "\n"

    repeated = make(knobs | {"data.drop": ["w"]}, data=repeat)
    plain = make(knobs | {"data.drop": ["w"]}, data=with_column("w", whole.__getitem__))
    for project in (weighed, repeated, plain):
        inside("train", project.path)
    said = [
        inside("predict", project.path, rows=str(plain.path / "data/prepared/test.parquet"))["probability_yes"]
        for project in (weighed, repeated, plain)
    ]
    assert said[0] == pytest.approx(said[1], abs=1e-6)
    assert said[0] != pytest.approx(said[2], abs=1e-3)


def test_rows_to_predict_need_no_weight(make: Make, inside: Inside, tmp_path: Path) -> None:
    project = make({"data.weight": "w"}, data=with_column("w", lambda n: 1 + n % 3))
    trained = inside("train", project.path)
    inputs = trained["manifest"]["inputs"]
    assert "w" not in inputs["numbers"] + inputs["categories"]
    without = tmp_path / "rows.csv"
    pd.read_csv(project.path / DATA).drop(columns=["w", "churn"]).head(5).to_csv(without, index=False)
    assert len(inside("predict", project.path, rows=str(without))["prediction"]) == 5


@pytest.mark.parametrize("estimator", ["logistic", "hist_gradient_boosting"])
def test_balanced_is_what_scikit_learn_means_by_it(make: Make, inside: Inside, estimator: str) -> None:
    chosen = {"model.estimator": estimator}
    ours = make({**chosen, "model.class_weight": "balanced"})
    theirs = make({**chosen, "model.params": {"class_weight": "balanced"}})
    named = make({**chosen, "model.class_weight": {"yes": 6}})
    metrics = [inside("train", project.path)["metrics"] for project in (ours, theirs, named, make(chosen))]
    assert metrics[0] == pytest.approx(metrics[1], rel=1e-4)
    assert metrics[2]["recall"] > metrics[3]["recall"], "what weighs more is found more often"


def without_churn(step: int) -> Callable[[str], str]:
    """Data in which every so many rows have no target."""

    def change(text: str) -> str:
        head, *lines = text.splitlines()
        place = head.split(",").index("churn")
        cells = [line.split(",") for line in lines]
        for row in cells[::step]:
            row[place] = "?"
        return "\n".join([head, *map(",".join, cells)]) + "\n"

    return change


def test_rows_without_a_target_are_left_out_and_counted(make: Make, fresh: Make, inside: Inside) -> None:
    project, whole = make(data=without_churn(10)), inside("split", fresh(600).path)
    assert "# guess: '?' means missing; rows without it, 10.00%, are left out" in project.read("schema.yaml")
    found = inside("split", project.path)
    assert found["summary"]["unlabelled"] == 60 and "unlabelled" not in whole["summary"]
    for part in ("train", "test"):
        assert set(found[part]) < set(whole[part]), "the other rows stay where they are"
    assert len(found["train"]) + len(found["test"]) == 540 == found["summary"]["rows"]
    project.write(DATA, without_churn(1)(project.read(DATA)))
    assert inside("split", project.path) == f"{DATA}: the target 'churn' is missing in every row; fill it."


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
    make: Make, inside: Inside, estimator: str, transform: str, format: str
) -> None:
    chosen = {"model.estimator": estimator}
    project = make({**chosen, "model.transform": transform}, task="regression", data=spread)
    trained = inside("train", project.path)
    assert trained["manifest"]["format"] == format, trained["manifest"]["why"]
    assert trained["digests"] == inside("train", project.path)["digests"]
    plain = inside("train", make(chosen, task="regression", data=spread).path)
    assert trained["metrics"]["mape"] < plain["metrics"]["mape"], "relative errors are what a logarithm makes small"
    rows = pd.read_parquet(project.path / "data/prepared/test.parquet")
    said = pd.Series(inside("predict", project.path, rows="data/prepared/test.parquet")["prediction"])
    truth = rows["number_vmail_messages"]
    assert (said - truth).abs().mean() == pytest.approx(trained["metrics"]["mae"], rel=1e-4)


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
def test_what_cannot_be_is_refused_in_one_sentence(make: Make, inside: Inside, name: str) -> None:
    task, knobs, sentence = REFUSED[name]
    said = inside("try", make(knobs, task=task).path)
    assert sentence in said and "\n" not in said and said.endswith((".", "?"))


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        (lambda n: n - 3, "column 'w' must be at least 0, but 3 rows (first: row 1: '-3.0') are not"),
        (lambda n: "" if n == 4 else 1, "column 'w' is missing in 1 row (first: row 5)"),
        (lambda n: "inf" if n == 4 else 1, "column 'w' must be finite, but 1 row (first: row 5: 'inf')"),
        (lambda n: 0, "data.weight is 0 in every row to train on"),
    ],
)
def test_weights_that_no_row_can_have_are_refused(
    make: Make, inside: Inside, cells: Callable[[int], object], sentence: str
) -> None:
    project = make({"data.weight": "w"}, data=with_column("w", lambda n: n % 5))
    project.write(
        DATA, with_column("w", cells)("\n".join(line.rpartition(",")[0] for line in project.read(DATA).splitlines()))
    )
    said = inside("try", project.path)
    assert sentence in said and "\n" not in said


def test_a_logarithm_of_what_is_below_minus_one_is_refused(make: Make, inside: Inside) -> None:
    def sink(text: str) -> str:
        head, *lines = text.splitlines()
        place = head.split(",").index("number_vmail_messages")
        rows = [line.split(",") for line in lines]
        return "\n".join(
            [head, *(",".join([*row[:place], str(-5 - n % 9), *row[place + 1 :]]) for n, row in enumerate(rows))]
        )

    project = make({"model.transform": "log1p"}, task="regression", data=lambda text: sink(text) + "\n")
    assert "log1p needs a target above -1, but" in inside("try", project.path)
