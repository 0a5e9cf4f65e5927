"""The first look at the data: how cells are written, what is dropped or split by, and that every guess is said."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest
import yaml
from baked import Bake
from mlops_actions.core.config import load_config
from mlops_actions.data import batches
from mlops_actions.data.values import parse_values
from mlops_actions.setup import describe
from mlops_actions.setup.profile.writing import read_writing

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


@pytest.mark.parametrize("case", WRITTEN)
def test_how_cells_are_written_is_found_and_read(case: str) -> None:
    name, cells, expected, values = WRITTEN[case]
    series = pd.Series(cells, dtype="str" if isinstance(cells[0], str) else None)
    column, guesses = read_writing(name, series)
    written = {"type": column.type, **column.model_dump(exclude_defaults=True)}
    assert expected.items() <= written.items()
    assert ("missing" in written) == (values is not None and None in values)
    parsed, wrong = parse_values(series, column.type, column.format, column.unit, column.missing_values)
    assert not wrong.any()
    if values is not None:
        moments = column.type == "datetime"
        assert [None if pd.isna(cell) else str(cell) if moments else cell for cell in parsed] == [
            cell and str(pd.Timestamp(cell)) if moments else cell for cell in values
        ]
    surprising = written.keys() & {"format", "unit", "missing_values"} or column.type == "text" or "almost" in case
    assert bool(guesses) == bool(surprising), "what is guessed is said, and nothing else"


def test_a_date_that_could_be_read_in_two_ways_says_so() -> None:
    for cells, doubt in ((["01/02/2026", "02/03/2026"], True), (["01/31/2026", "02/03/2026"], False)):
        column, guesses = read_writing("x", pd.Series(cells, dtype="str"))
        assert column.format == "%m/%d/%Y"
        assert ("other way round" in guesses[0]) == doubt


@dataclass(frozen=True)
class Profile:
    """What setup prints of a table, and the two files that it writes: as text, and read."""

    printed: str
    texts: dict[str, str]

    @property
    def params(self) -> dict[str, Any]:
        return cast("dict[str, Any]", yaml.safe_load(self.texts["params.yaml"]))

    @property
    def schema(self) -> dict[str, Any]:
        return cast("dict[str, Any]", yaml.safe_load(self.texts["schema.yaml"]))


Look = Callable[..., Profile]


@pytest.fixture(scope="session")
def params(bake: Bake) -> str:
    """A params.yaml whose task, metric and threshold are to be guessed."""
    return bake(task="guess").read("params.yaml").replace('target: "churn"', 'target: "y"')


@pytest.fixture
def profile(
    params: str,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Look:
    """`profile(frame)`: what setup says and writes of a table whose task is to be found out."""

    def look(frame: pd.DataFrame, sample: int = describe.SAMPLE, change: str = "", to: str = "") -> Profile:
        assert change in params
        root = lay_out(tmp_path_factory.mktemp("profile"), frame, params.replace(change, to, 1))
        monkeypatch.setattr(describe, "SAMPLE", sample)
        capsys.readouterr()
        describe.ensure_schema(load_config(root, guesses=True))
        return Profile(capsys.readouterr().out, texts_of(root))

    return look


def lay_out(root: Path, frame: pd.DataFrame, params: str) -> Path:
    """Return a folder with what setup reads first: a dataset and its params."""
    (root / "data/raw").mkdir(parents=True)
    frame.to_csv(root / "data/raw/dataset.csv", index=False)
    (root / "params.yaml").write_text(params)
    return root


def texts_of(root: Path) -> dict[str, str]:
    return {name: (root / name).read_text() for name in ("params.yaml", "schema.yaml")}


def rows(count: int = 200, **columns: Any) -> pd.DataFrame:
    """A table with noise to learn from, and a target that nothing predicts."""
    draw = random.Random(0)
    noise = {name: [draw.gauss(0, 1) for _ in range(count)] for name in ("a", "b")}
    labels = [draw.choice(["no", "yes"]) for _ in range(count)]
    return pd.DataFrame({**noise, "y": labels, **columns})


def remark(profiled: Profile, line: str) -> str:
    """The comment behind the line of params.yaml that begins so."""
    lines = [one.strip() for one in profiled.texts["params.yaml"].splitlines() if one.strip().startswith(line)]
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
    profile: Look, column: str, cells: list[Any], reason: str
) -> None:
    profiled = profile(rows(**{column: cells}))
    assert profiled.params["data"]["drop"] == [column]
    assert remark(profiled, f"- {column}") == f"guess: {reason}"
    assert re.search(rf"{column} .* dropped", profiled.printed) and reason[:20] in profiled.printed
    assert column in profiled.schema["columns"], "it stays in the contract"


def test_a_table_of_sound_columns_loses_none(profile: Look) -> None:
    profiled = profile(
        rows(year=[1900 + n for n in range(200)], income=[1000 + n * 7919 % 100_003 for n in range(200)])
    )
    assert profiled.params["data"]["drop"] == []
    assert "dropped" not in profiled.printed


def test_the_last_column_is_kept_and_a_hint_says_why_not(profile: Look) -> None:
    profiled = profile(rows(user=[f"u{n}" for n in range(200)])[["user", "y"]])
    assert profiled.params["data"]["drop"] == [] and "kept, for no other column is left" in profiled.printed


def test_leaks_are_sought_where_a_target_is_a_number(profile: Look) -> None:
    price = [round(2.7 ** (n % 97 / 10), 3) for n in range(1, 201)]
    near = [number + n % 7 * 30 for n, number in enumerate(price)]
    profiled = profile(rows(y=price, cents=[f"{100 * number:,.1f}" for number in price], near=near))
    assert profiled.params["data"]["drop"] == ["cents"] and "R² 1.0000" in remark(profiled, "- cents")


def test_rows_of_one_customer_stay_together(profile: Look) -> None:
    who = [n * 7919 % 50 for n in range(200)]
    # What is the same for a customer identifies him, and predicts what is: that is no leak.
    profiled = profile(rows(customer_id=who, income=[n * 31 % 997 for n in who], y=["no", "yes"] * 100))
    assert profiled.params["split"]["key"] == ["customer_id"]
    assert profiled.params["data"]["drop"] == ["customer_id"]
    assert "guess:" in remark(profiled, "key:")
    assert profile(rows(level=[n % 50 for n in range(200)])).params["split"]["key"] == [], "a number, not a name"


def test_time_splits_rows_that_lie_in_its_order_and_is_offered_else(profile: Look) -> None:
    days = pd.date_range("2025-01-01", periods=200).strftime("%d.%m.%Y").tolist()
    for when in (days, days[::-1]):
        split = profile(rows(day=when)).params["split"]
        assert (split["method"], split["column"], split["cutoff"]) == ("time", "day", "2025-06-10")
    profiled = profile(rows(day=[days[n * 7919 % 200] for n in range(200)]))
    assert profiled.params["split"]["method"] == "hash"
    assert "time, with column day and cutoff 2025-06-10" in remark(profiled, "method:")


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
    profile: Look,
    values: list[Any],
    task: str,
    positive: str | None,
    primary: str,
    threshold: float,
) -> None:
    profiled = profile(rows(400, y=[values[n % len(values)] for n in range(400)]))
    data, gate = profiled.params["data"], profiled.params["gate"]
    assert (data["task"], data["positive"]) == (task, positive)
    assert gate["primary"] == primary and gate["thresholds"] == {primary: pytest.approx(threshold, abs=0.006)}
    for line in ("task:", "primary:", "thresholds:", *(["positive:"] if positive else [])):
        assert remark(profiled, line).startswith("guess: "), line


def test_what_somebody_has_set_is_left_alone(profile: Look) -> None:
    table = rows(400, id=[f"u{n}" for n in range(400)], y=["bad", "good"] * 200)
    profiled = profile(table, change="drop: []", to='drop: ["b"]')
    assert profiled.params["data"]["drop"] == ["b", "id"]
    assert profile(table, change="primary: guess", to="primary: f1").params["gate"]["primary"] == "f1"
    assert profile(table, change="positive: null", to="positive: good").params["data"]["positive"] == "good"
    assert profile(table, change="key: []", to="key: [a]").params["split"]["key"] == ["a"]
    assert profile(table, change="task: guess", to="task: classification").params["data"]["task"] == "classification"


def test_every_other_line_of_params_stays_as_it_is(profile: Look, params: str) -> None:
    before = params.splitlines()
    after = profile(rows(400, id=[f"u{n}" for n in range(400)])).texts["params.yaml"].splitlines()
    changed = [line for line in after if line not in before]
    assert all("# guess: " in line or line == "  drop:" for line in changed), changed
    assert [line for line in before if line not in after] == [
        "  task: guess", "  drop: []", "  primary: guess", "  thresholds: {}"
    ]  # fmt: skip


def test_a_second_setup_changes_nothing(params: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = lay_out(tmp_path, rows(y=["bad", "good"] * 100), params)
    describe.ensure_schema(load_config(root, guesses=True))
    assert capsys.readouterr().out
    edited = {name: text.replace("guess: ", "agreed: ") for name, text in texts_of(root).items()}
    for name, text in edited.items():
        (root / name).write_text(text)
    describe.ensure_schema(load_config(root, guesses=True))
    assert capsys.readouterr().out == "" and texts_of(root) == edited


def test_of_many_columns_fewer_rows_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: str) -> None:
    lay_out(tmp_path, rows(1000, n=range(1000)), params)
    config = load_config(tmp_path, guesses=True)
    monkeypatch.setattr(describe, "SAMPLE_CELLS", 4 * 300)
    for batch in (1000, 7):
        monkeypatch.setattr(batches, "WIDEST", 4 * batch)
        sample, total = describe.sample_rows(config)
        assert total == 1000 and list(sample["n"]) == [str(number) for number in range(0, 1000, 4)]


def test_of_many_rows_a_sample_is_looked_at_and_all_are_checked(profile: Look) -> None:
    """The odd one is in none of the rows that are sampled, at the even places."""
    count = 4001
    table = rows(count, number=range(count), gaps=range(count), c=["x", "z"] * 2000 + ["x"])
    table["y"] = ["no"] * 2000 + ["yes"] * 2001
    table.loc[101, "y"], table.loc[2001, "gaps"] = "maybe", None
    table["number"] = table["number"].astype(object)
    table.loc[2003, "number"] = "many"
    profiled = profile(table, sample=1100)
    assert "1,001 of 4,001 rows, evenly spaced" in profiled.printed
    columns = profiled.schema["columns"]
    assert "for 'many' is no number" in profiled.texts["schema.yaml"]
    assert columns["number"]["type"] == "category" and columns["gaps"] == {"type": "number", "missing": True}
    assert profiled.schema["target"]["values"] == ["maybe", "no", "yes"]
