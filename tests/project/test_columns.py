"""Every column gets a treatment that is printed, survives what production sends, and does not grow with the data."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from baked import Bake, Project
from inside import Inside
from tables import knob

PARAMS = "params.yaml"
WORDS = ["late", "broken", "refund", "parcel", "slow", "wrong", "kind", "fast", "thanks", "perfect", "again", "colour"]


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


@pytest.fixture(scope="module")
def shop(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Project]:
    """`shop(3, drop="[note]")`: a project about orders that are one of so many classes."""

    def make(classes: int = 2, drop: str = "[]") -> Project:
        folder = tmp_path_factory.mktemp("shop")
        orders(classes=classes).to_csv(folder / "orders.csv", index=False)
        made = bake(folder, dataset=str(folder / "orders.csv"), target="returned", task="classification")
        made.write(PARAMS, knob("  drop: []", f"  drop: {drop}")(made.read(PARAMS)))
        return made

    return make


def test_what_each_column_goes_through_is_printed(inside: Inside, shop: Callable[..., Project]) -> None:
    said = inside("told", shop().path)
    assert said["lines"] == [
        "train: numbers as they are: amount",
        "train: categories with a column for each value: shop, street",
        "train: categories of many values by their mean target: city (40 values)",
        "train: text 1 by its frequent words (TF-IDF): note (13 words)",
        "train: left out, empty or no value in enough rows: empty, order",
    ]
    assert said["format"] == "skops" and "text" in said["why"]
    assert "ORD-0000" not in said["model"] and "Rare Lane" not in said["model"], "the model grows with the data"
    assert "City 12" in said["model"] and "refund" in said["model"]


def test_the_contract_says_which_columns_are_text(inside: Inside, shop: Callable[..., Project]) -> None:
    there = shop()
    inside("profile", there.path)
    schema = knob("note: {type: text", "note: {type: category")(there.read("schema.yaml"))
    there.write("schema.yaml", knob("street: {type: category", "street: {type: text")(schema))
    lines = inside("told", there.path)["lines"]
    assert "train: text 1 by its frequent words (TF-IDF): street (3 words)" in lines
    assert "train: categories with a column for each value: shop, note" in lines


def test_a_text_is_worth_reading(inside: Inside, shop: Callable[..., Project]) -> None:
    with_text, without = (inside("train", shop(drop=drop).path)["metrics"]["roc_auc"] for drop in ("[]", "[note]"))
    assert with_text > without + 0.1


@pytest.mark.parametrize("estimator", ["hist_gradient_boosting", "logistic"])
@pytest.mark.parametrize("classes", [2, 3])
def test_categories_of_many_values_survive_in_onnx(
    inside: Inside, shop: Callable[..., Project], estimator: str, classes: int
) -> None:
    there = shop(classes, drop="[note]")
    manifest = inside("train", there.path, estimator=estimator)["manifest"]
    assert manifest["format"] == "onnx", manifest["why"]
    assert manifest["parity"]["max_difference"] <= manifest["parity"]["tolerance"]


def test_what_was_never_seen_gets_an_answer(inside: Inside, shop: Callable[..., Project]) -> None:
    there = shop()
    inside("train", there.path)
    strange = {"order": "X", "amount": 5, "shop": "fax", "city": "Atlantis", "street": "", "note": "ünheard wörds"}
    rows = [strange | {"empty": None}, dict.fromkeys([*strange, "empty"]), orders().iloc[1].to_dict()]
    pd.DataFrame(rows).to_csv(there.path / "rows.csv", index=False)
    there.write("schema.yaml", there.read("schema.yaml").replace("missing: false", "missing: true"))
    assert len(inside("predict", there.path, rows="rows.csv")["prediction"]) == 3


def test_a_table_of_nothing_but_identifiers_is_a_sentence(inside: Inside, shop: Callable[..., Project]) -> None:
    said = inside("try", shop(drop="[amount, shop, city, street, note]").path)
    assert said.startswith("features.py: no column has") and "\n" not in said


def test_so_many_rows_train_and_no_more_are_read(inside: Inside, fresh: Callable[..., Project], tmp_path: Path) -> None:
    there = fresh(1200)
    there.set(**{"model.rows": 400})
    said: dict[str, Any] = inside("told", there.path)
    assert said["last"].startswith("train: hist_gradient_boosting on 400 rows")
    assert inside("same_rows", there.path, rows=400)
