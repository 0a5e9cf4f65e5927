"""The first look at the data: how cells are written, what is dropped or split by, and that every guess is said."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from baked import Bake
from inside import Inside

WRITTEN: dict[str, tuple[str, list[Any], dict[str, Any], list[Any]]] = {
    "dollars": ("price", ["$1,234.50", "$12", "-$3.10", "($4.00)"], {"format": "1,234.5", "unit": "$"},
        [1234.5, 12, -3.1, -4]),
    "euros": ("price", ["1.234,50 €", "12 €", "-3,10 €"], {"format": "1.234,5", "unit": "€"}, [1234.5, 12, -3.1]),
    "currency code": ("price", ["USD 5", "USD 10.5"], {"format": "1,234.5", "unit": "USD"}, [5, 10.5]),
    "percent": ("share", ["12 %", "12.5%", "0 %"], {"format": "1,234.5", "unit": "%"}, [12, 12.5, 0]),
    "decimal comma": ("x", ["1,5", "2,25", "1.000,0"], {"format": "1.234,5"}, [1.5, 2.25, 1000]),
    "thousands": ("x", ["1,500", "12,250,000"], {"format": "1,234.5"}, [1500, 12250000]),
    "Swiss thousands": ("x", ["1'234.50", "2'000.00"], {"format": "1,234.5"}, [1234.5, 2000]),
    "narrow spaces": ("x", ["1\u202f234,50", "2\u00a0000,00"], {"format": "1.234,5"}, [1234.5, 2000]),
    "two units": ("x", ["5 %", "€ 3"], {"type": "category"}, ["5 %", "€ 3"]),
    "codes": ("zip", ["00716", "10115"], {"type": "category"}, ["00716", "10115"]),
    "versions": ("x", ["1.2.10", "1.3.11"], {"type": "category"}, ["1.2.10", "1.3.11"]),
    "German date": ("x", ["31.01.2026", "01.02.2026"], {"format": "%d.%m.%Y"}, ["2026-01-31", "2026-02-01"]),
    "American date": ("x", ["01/31/2026", "2/1/2026"], {"format": "%m/%d/%Y"}, ["2026-01-31", "2026-02-01"]),
    "British date": ("x", ["31/01/2026", "01/02/2026"], {"format": "%d/%m/%Y"}, ["2026-01-31", "2026-02-01"]),
    "year first": ("x", ["2026/01/31", "2026/02/01"], {"format": "%Y/%m/%d"}, ["2026-01-31", "2026-02-01"]),
    "month by name": ("x", ["Jan 31, 2026", "Feb 1, 2026"], {"format": "%b %d, %Y"}, ["2026-01-31", "2026-02-01"]),
    "month in capitals": ("x", ["31-JAN-2026", "01-FEB-2026"], {"format": "%d-%b-%Y"}, ["2026-01-31", "2026-02-01"]),
    "afternoon": ("x", ["1/31/2026 1:30 PM", "2/1/2026 1:00 AM"], {"format": "%m/%d/%Y %I:%M %p"},
        ["2026-01-31 13:30", "2026-02-01 01:00"]),
    "month": ("x", ["2026-01", "2026-02"], {"format": "%Y-%m"}, ["2026-01-01", "2026-02-01"]),
    "seconds": ("created_at", ["1769817600", "1769904000"], {"format": "epoch s"}, ["2026-01-31", "2026-02-01"]),
    "milliseconds": ("time", [1769817600000, 1769904000000], {"format": "epoch ms"}, ["2026-01-31", "2026-02-01"]),
    "date as a number": ("date", [20260131, 20260201], {"format": "%Y%m%d"}, ["2026-01-31", "2026-02-01"]),
    "a number that is no date": ("price", [1769817600, 1769904000], {"type": "number"}, [1769817600, 1769904000]),
    "marks for missing": ("x", ["1", "?", "n/a", "3"], {"type": "number", "missing_values": ["?", "n/a"]},
        [1, None, None, 3]),
    "unknown date": ("x", ["31.01.2026", "unknown"], {"format": "%d.%m.%Y", "missing_values": ["unknown"]},
        ["2026-01-31", None]),
    "a sign among categories": ("x", ["a", "b", "?"], {"type": "category", "missing_values": ["?"]}, ["a", "b", None]),
    "a word among categories": ("garage", ["none", "attached"], {"type": "category"}, ["none", "attached"]),
    "far number": ("x", [5, 3, -999, -999, 8], {"type": "number", "missing_values": ["-999"]}, [5, 3, None, None, 8]),
    "almost numbers": ("x", [*map(str, range(30)), "3 days"], {"type": "category"}, None),
    "negative numbers": ("x", [5, -3, -999, 8, -998], {"type": "number"}, [5, -3, -999, 8, -998]),
    "sentences": ("x", ["the quick brown fox", "jumps over the dog", "and so on again"], {"type": "text"}, None),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_how_cells_are_written_is_found_and_read(inside: Inside, tmp_path: Path, name: str) -> None:
    column, cells, expected, values = WRITTEN[name]
    found, guesses, parsed = inside("writing", tmp_path, column=column, cells=cells)
    assert expected.items() <= found.items()
    assert ("missing" in found) == (values is not None and None in values)
    moments = "datetime" in found.values()
    if values is not None:
        said = [cell and str(pd.Timestamp(cell)) for cell in values] if moments else values
        assert parsed == said
    surprising = found.keys() & {"format", "unit", "missing_values"} or found["type"] == "text" or "almost" in name
    assert bool(guesses) == bool(surprising), "what is guessed is said, and nothing else"


def test_a_date_that_could_be_read_in_two_ways_says_so(inside: Inside, tmp_path: Path) -> None:
    for cells, doubt in ((["01/02/2026", "02/03/2026"], True), (["01/31/2026", "02/03/2026"], False)):
        found, guesses, _ = inside("writing", tmp_path, column="x", cells=cells)
        assert found["format"] == "%m/%d/%Y"
        assert ("other way round" in guesses[0]) == doubt


@pytest.fixture(scope="module")
def profile(inside: Inside, bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """`profile(frame, "y")`: what setup says and writes of a table whose task is to be found out."""
    params = bake(task="guess").read("params.yaml").replace('target: "churn"', 'target: "y"')

    def look(frame: pd.DataFrame, sample: int | None = None, change: str = "", to: str = "") -> dict[str, Any]:
        root = tmp_path_factory.mktemp("profile")
        (root / "data/raw").mkdir(parents=True)
        frame.to_csv(root / "data/raw/dataset.csv", index=False)
        assert change in params
        (root / "params.yaml").write_text(params.replace(change, to, 1))
        said = inside("profile", root, sample=sample)
        texts = {name: (root / name).read_text() for name in ("params.yaml", "schema.yaml") if (root / name).exists()}
        read = {name.partition(".")[0]: yaml.safe_load(text) for name, text in texts.items()}
        return {**said, "texts": texts, **read}

    return look


def rows(count: int = 200, **columns: Any) -> pd.DataFrame:
    """A table with noise to learn from, and a target that nothing predicts."""
    draw = random.Random(0)
    noise = {name: [draw.gauss(0, 1) for _ in range(count)] for name in ("a", "b")}
    labels = [draw.choice(["no", "yes"]) for _ in range(count)]
    return pd.DataFrame({**noise, "y": labels, **columns})


def remark(found: dict[str, Any], line: str) -> str:
    """The comment behind the line of params.yaml that begins so."""
    lines = [one.strip() for one in found["texts"]["params.yaml"].splitlines() if one.strip().startswith(line)]
    return lines[0].partition(" # ")[2]


@pytest.mark.parametrize(
    ("column", "cells", "reason"),
    [
        ("empty", [None] * 200, "no value in any row"),
        ("constant", ["x"] * 200, "the same value in every row"),
        ("uuid", [f"u{n * 7919 % 1000}" for n in range(200)], "an identifier: 200 values in 200 rows"),
        ("row", list(range(1, 201)), "an identifier: it counts the rows"),
        ("order_no", [n * 7919 % 100_003 for n in range(1, 201)], "an identifier: a number that never repeats"),
        ("copy", rows()["a"].tolist(), "a copy of a"),
        ("left_on", [f"{9 if label == 'yes' else 3}.0{n % 9}" for n, label in enumerate(rows()["y"])],
            "a suspected leak: alone it predicts the target (ROC AUC 1.0000)"),
    ],
)  # fmt: skip
def test_what_no_model_should_see_is_dropped_with_the_reason(
    profile: Callable[..., dict[str, Any]], column: str, cells: list[Any], reason: str
) -> None:
    found = profile(rows(**{column: cells}))
    assert found["params"]["data"]["drop"] == [column]
    assert remark(found, f"- {column}") == f"guess: {reason}"
    assert re.search(rf"{column} .* dropped", found["printed"]) and reason[:20] in found["printed"]
    assert column in found["schema"]["columns"], "it stays in the contract"


def test_a_table_of_sound_columns_loses_none(profile: Callable[..., dict[str, Any]]) -> None:
    found = profile(rows(year=[1900 + n for n in range(200)], income=[1000 + n * 7919 % 100_003 for n in range(200)]))
    assert found["params"]["data"]["drop"] == []
    assert "dropped" not in found["printed"]


def test_the_last_column_is_kept_and_a_hint_says_why_not(profile: Callable[..., dict[str, Any]]) -> None:
    found = profile(rows(user=[f"u{n}" for n in range(200)])[["user", "y"]])
    assert found["params"]["data"]["drop"] == [] and "kept, for no other column is left" in found["printed"]


def test_leaks_are_sought_where_a_target_is_a_number(profile: Callable[..., dict[str, Any]]) -> None:
    price = [round(2.7 ** (n % 97 / 10), 3) for n in range(1, 201)]
    near = [number + n % 7 * 30 for n, number in enumerate(price)]
    found = profile(rows(y=price, cents=[f"{100 * number:,.1f}" for number in price], near=near))
    assert found["params"]["data"]["drop"] == ["cents"] and "R² 1.0000" in remark(found, "- cents")


def test_rows_of_one_customer_stay_together(profile: Callable[..., dict[str, Any]]) -> None:
    who = [n * 7919 % 50 for n in range(200)]
    # What is the same for a customer identifies him, and predicts what is: that is no leak.
    found = profile(rows(customer_id=who, income=[n * 31 % 997 for n in who], y=["no", "yes"] * 100))
    assert found["params"]["split"]["key"] == ["customer_id"]
    assert found["params"]["data"]["drop"] == ["customer_id"]
    assert "guess:" in remark(found, "key:")
    assert profile(rows(level=[n % 50 for n in range(200)]))["params"]["split"]["key"] == [], "a number, not a name"


def test_time_splits_rows_that_lie_in_its_order_and_is_offered_else(profile: Callable[..., dict[str, Any]]) -> None:
    days = pd.date_range("2025-01-01", periods=200).strftime("%d.%m.%Y").tolist()
    for when in (days, days[::-1]):
        split = profile(rows(day=when))["params"]["split"]
        assert (split["method"], split["column"], split["cutoff"]) == ("time", "day", "2025-06-10")
    found = profile(rows(day=[days[n * 7919 % 200] for n in range(200)]))
    assert found["params"]["split"]["method"] == "hash"
    assert "time, with column day and cutoff 2025-06-10" in remark(found, "method:")


@pytest.mark.parametrize(
    ("values", "task", "positive", "primary", "threshold"),
    [
        (["no", "yes"], "classification", None, "roc_auc", 0.6),
        (["bad", "good"], "classification", "bad", "roc_auc", 0.6),
        (["left", "right", "right"], "classification", "left", "roc_auc", 0.6),
        ([0] * 39 + [1], "classification", None, "average_precision", 0.05),
        ([0, 1, 2, 3], "classification", None, "accuracy", 0.325),
        (["a"] * 8 + ["b", "c"], "classification", None, "f1", 0.37),
        ([n * 7.5 for n in range(100)], "regression", None, "r2", 0.05),
        (list(range(11)), "regression", None, "r2", 0.05),
        ([f"${n},000.50" for n in range(1, 90)], "regression", None, "r2", 0.05),
    ],
)
def test_the_target_decides_task_metric_and_threshold(
    profile: Callable[..., dict[str, Any]],
    values: list[Any],
    task: str,
    positive: str | None,
    primary: str,
    threshold: float,
) -> None:
    found = profile(rows(400, y=[values[n % len(values)] for n in range(400)]))
    data, gate = found["params"]["data"], found["params"]["gate"]
    assert (data["task"], data["positive"]) == (task, positive)
    assert gate["primary"] == primary and gate["thresholds"] == {primary: pytest.approx(threshold, abs=0.006)}
    for line in ("task:", "primary:", "thresholds:", *(["positive:"] if positive else [])):
        assert remark(found, line).startswith("guess: "), line


def test_what_somebody_has_set_is_left_alone(profile: Callable[..., dict[str, Any]]) -> None:
    table = rows(400, id=[f"u{n}" for n in range(400)], y=["bad", "good"] * 200)
    found = profile(table, change="drop: []", to='drop: ["b"]')
    assert found["params"]["data"]["drop"] == ["b", "id"]
    assert profile(table, change="primary: guess", to="primary: f1")["params"]["gate"]["primary"] == "f1"
    assert profile(table, change="positive: null", to="positive: good")["params"]["data"]["positive"] == "good"
    assert profile(table, change="key: []", to="key: [a]")["params"]["split"]["key"] == ["a"]
    assert profile(table, change="task: guess", to="task: classification")["params"]["data"]["task"] == "classification"


def test_every_other_line_of_params_stays_as_it_is(profile: Callable[..., dict[str, Any]], bake: Bake) -> None:
    before = bake(task="guess").read("params.yaml").replace('target: "churn"', 'target: "y"').splitlines()
    after = profile(rows(400, id=[f"u{n}" for n in range(400)]))["texts"]["params.yaml"].splitlines()
    changed = [line for line in after if line not in before]
    assert all("# guess: " in line or line == "  drop:" for line in changed), changed
    assert [line for line in before if line not in after] == [
        "  task: guess", "  drop: []", "  primary: guess", "  thresholds: {}"
    ]  # fmt: skip


def test_a_second_setup_changes_nothing(inside: Inside, bake: Bake, tmp_path: Path) -> None:
    (tmp_path / "data/raw").mkdir(parents=True)
    rows(y=["bad", "good"] * 100).to_csv(tmp_path / "data/raw/dataset.csv", index=False)
    (tmp_path / "params.yaml").write_text(bake(task="guess").read("params.yaml").replace('"churn"', '"y"'))
    first = inside("profile", tmp_path)
    edited = {
        name: (tmp_path / name).read_text().replace("guess: ", "agreed: ") for name in ("params.yaml", "schema.yaml")
    }
    for name, text in edited.items():
        (tmp_path / name).write_text(text)
    assert first["printed"] and inside("profile", tmp_path) == {"printed": "", "refused": ""}
    assert {name: (tmp_path / name).read_text() for name in edited} == edited


def test_of_many_rows_a_sample_is_looked_at_and_all_are_checked(profile: Callable[..., dict[str, Any]]) -> None:
    """The odd one is in none of the rows that are sampled, at the even places."""
    count = 4001
    table = rows(count, number=range(count), gaps=range(count), c=["x", "z"] * 2000 + ["x"])
    table["y"] = ["no"] * 2000 + ["yes"] * 2001
    table.loc[101, "y"], table.loc[2001, "gaps"] = "maybe", None
    table["number"] = table["number"].astype(object)
    table.loc[2003, "number"] = "many"
    found = profile(table, sample=1100)
    assert "1,001 of 4,001 rows, evenly spaced" in found["printed"]
    columns = found["schema"]["columns"]
    assert "for 'many' is no number" in found["texts"]["schema.yaml"]
    assert columns["number"]["type"] == "category" and columns["gaps"] == {"type": "number", "missing": True}
    assert found["schema"]["target"]["values"] == ["maybe", "no", "yes"]
