"""Every column gets a treatment that is printed, survives what production sends, and does not grow with the data."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from baked import Project
from mlops_actions.bundle.archive import onnx_answer
from mlops_actions.bundle.convert import convert
from mlops_actions.bundle.fitted import answer_of, dump_model
from mlops_actions.core.config import Config, Data, Model, load_config
from mlops_actions.core.errors import UserError
from mlops_actions.core.paths import TRAIN_FEATURES
from mlops_actions.data.table import columns_of, kinds_of
from mlops_actions.data.values import MISSING_CATEGORY
from mlops_actions.stages import featurize, history, prepare, train
from mlops_actions.stages.proof import PROBABILITY_TOLERANCE
from pipeline import set_up
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline
from tables import DATA, knob

WORDS = ["late", "broken", "refund", "parcel", "slow", "wrong", "kind", "fast", "thanks", "perfect", "again", "colour"]
NUMBERS = ["amount", "empty"]


def orders(rows: int = 900, classes: int = 2) -> pd.DataFrame:
    """Orders whose complaint, city and number tell whether they come back, with an identifier of each."""
    luck = random.Random(0)
    made = []
    for number in range(rows):
        note = " ".join(luck.choices(WORDS, k=7))
        city = luck.randrange(40)
        drive = 2 * ("refund" in note) + 2 * ("broken" in note) - ("thanks" in note) + (city < 8) + luck.gauss(0, 0.7)
        made.append(
            {
                "order": f"ORD-{number:07d}",
                "amount": round(luck.uniform(1, 90), 2),
                "shop": luck.choice(["web", "app", "store"]),
                "city": f"City {city}",
                "street": luck.choice(["Elm Street", "Main Street"]) if number % 300 else f"Rare Lane {number}",
                "note": note if number % 50 else None,
                "empty": None,
                "returned": f"class {min(int(max(drive, 0)), classes - 1)}",
            }
        )
    return pd.DataFrame(made)


def features_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows as the model sees them."""
    texts = [name for name in rows if name not in (*NUMBERS, "returned")]
    return rows[NUMBERS].astype("float32").join(rows[texts].fillna(MISSING_CATEGORY).astype("str"))


@dataclass
class Trainer:
    """Fits the pipeline of a generated project's model.py to orders."""

    project: Project

    def fit(self, rows: pd.DataFrame, *drop: str, estimator: str = "hist_gradient_boosting") -> Pipeline:
        data = Data(path=DATA, target="returned", task="classification")
        params = {"max_iter": 30, "learning_rate": 0.2} if estimator == "hist_gradient_boosting" else {}
        config = Config(root=self.project.path, data=data, model=Model(estimator=estimator, params=params))
        return train.fit(config, features_of(rows).drop(columns=[*drop]), {}, rows["returned"])


@pytest.fixture(scope="module")
def trainer(fresh: Callable[..., Project]) -> Trainer:
    return Trainer(fresh(1))


def test_what_each_column_goes_through_is_printed(trainer: Trainer, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline = trainer.fit(orders())
    assert capsys.readouterr().out.splitlines() == [
        "train: numbers as they are: amount",
        "train: categories with a column for each value: shop, street",
        "train: categories of many values by their mean target: city (40 values)",
        "train: text 1 by its frequent words (TF-IDF): note (13 words)",
        "train: left out, empty or no value in enough rows: empty, order",
    ]
    model = dump_model(pipeline).decode("latin-1")
    assert "ORD-0000" not in model and "Rare Lane" not in model, "the model grows with the data"
    assert "City 12" in model and "refund" in model
    onnx, why = convert(pipeline, *columns_of(features_of(orders())))
    assert onnx is None and "text" in why


def test_the_contract_says_which_columns_are_text(fresh: Callable[..., Project]) -> None:
    project = fresh(1)
    orders().drop(columns=["order", "empty"]).to_csv(project.path / DATA, index=False)
    project.write("params.yaml", knob('target: "churn"', "target: returned")(project.read("params.yaml")))
    set_up(project.path)
    schema = knob("note: {type: text", "note: {type: category")(project.read("schema.yaml"))
    project.write("schema.yaml", knob("street: {type: category", "street: {type: text")(schema))
    config = load_config(project.path)
    for stage in (prepare, history, featurize):
        stage.run(config)
    kinds = kinds_of(project.path / TRAIN_FEATURES)
    assert (kinds["note"], kinds["street"], kinds["shop"]) == ("category", "text", "category")


def test_a_text_is_worth_reading(trainer: Trainer) -> None:
    rows = orders()
    known, new = rows[:700], rows[700:]
    scores = {}
    for drop in ((), ("note",)):
        said = answer_of(trainer.fit(known, *drop), features_of(new))
        scores[drop] = roc_auc_score(new["returned"], said[:, 1])
    assert scores[()] > scores[("note",)] + 0.1


@pytest.mark.parametrize("estimator", ["hist_gradient_boosting", "logistic"])
@pytest.mark.parametrize("classes", [2, 3])
def test_categories_of_many_values_survive_in_onnx(trainer: Trainer, estimator: str, classes: int) -> None:
    rows = orders(classes=classes)
    pipeline = trainer.fit(rows, "note", estimator=estimator)
    features = features_of(pd.concat([rows, strange()], ignore_index=True)).drop(columns="note")
    numbers, categories = columns_of(features)
    onnx, why = convert(pipeline, numbers, categories)
    assert onnx, why
    expected = answer_of(pipeline, features)
    assert expected.shape == (903, classes)
    np.testing.assert_allclose(onnx_answer(onnx, numbers, categories)(features), expected, 0, PROBABILITY_TOLERANCE)


def strange() -> pd.DataFrame:
    """Return an order of values never seen, one of which nothing is known, and a usual one."""
    unseen: dict[str, Any] = {"order": "X", "amount": 5, "shop": "fax", "city": "Atlantis", "street": ""}
    unseen |= {"note": "ünheard wörds", "empty": None, "returned": "class 0"}
    return pd.DataFrame([unseen, {"returned": "class 0"}, orders(2).iloc[1].to_dict()])


def test_what_was_never_seen_gets_an_answer(trainer: Trainer) -> None:
    answers = answer_of(trainer.fit(orders()), features_of(strange()))
    assert answers.shape == (3, 2) and np.isfinite(answers).all()


def test_a_table_of_nothing_but_identifiers_is_a_sentence(trainer: Trainer) -> None:
    with pytest.raises(UserError, match=r"features\.py: no column has .*; add one") as refusal:
        trainer.fit(orders(), "amount", "shop", "city", "street", "note")
    assert "\n" not in str(refusal.value)


def test_so_many_rows_train(fresh: Callable[..., Project], capsys: pytest.CaptureFixture[str]) -> None:
    project = fresh(400)
    project.set(**{"model.rows": 100, "model.params": {"max_iter": 5}})
    config = set_up(project.path)
    for stage in (prepare, history, featurize, train):
        stage.run(config)
    assert capsys.readouterr().out.splitlines()[-1].startswith("train: hist_gradient_boosting on 100 rows")
