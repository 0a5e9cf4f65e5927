"""History features: what was known before a row's time, computed where it changed, alike for training and serving."""

import json
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from baked import Project
from inside import Inside
from shops import PAST, SQL, Shop, orders, parts, put
from tables import knob, setting

TEST = "data/prepared/test.parquet"
NUMBERS = ["orders", "mean_amount", "best", "returns"]


def recompute(rows: pd.DataFrame, delay: pd.Timedelta) -> pd.DataFrame:
    """The features of each row in plain Python, from the events that were known before it."""
    made = []
    for row in rows.itertuples():
        past = rows[(rows["customer"] == row.customer) & (rows["ordered_at"] + delay < row.ordered_at)]
        newest = past.sort_values("ordered_at")["channel"]  # no customer ordered twice at one moment
        made.append(
            {
                "orders": float(len(past)) or np.nan,
                "mean_amount": past["amount"].mean(),
                "best": past["amount"].max(),
                "channel_before": newest.iloc[-1] if len(past) else "(missing)",
                "returns": (past["returned"] == "True").mean(),
            }
        )
    return pd.DataFrame(made)


@pytest.mark.parametrize("delay", [None, "20D"])
def test_a_row_has_what_was_known_before_its_time_and_nothing_else(
    inside: Inside, shop: Shop, delay: str | None
) -> None:
    project = shop(None, SQL, setting("history.delay", delay))
    said = inside("history", project.path)["said"]
    assert said.startswith("history: 5 features of customer"), said
    assert inside("featurize", project.path) == ""
    made = parts(project, "features")
    expected = recompute(parts(project, "prepared"), pd.Timedelta(days=20 if delay else 0))
    assert expected["orders"].notna().mean() > 0.5
    for name in NUMBERS:
        np.testing.assert_allclose(made[name], expected[name].astype("float32"), rtol=1e-6, err_msg=name)
    assert made["channel_before"].tolist() == expected["channel_before"].tolist()
    assert inside("serve", project.path, rows=25) == []


def computed(said: str) -> tuple[int, int]:
    """How many buckets were computed, and how many there are."""
    words = said.split()
    return int(words[words.index("of", words.index("customer,")) - 1]), int(words[words.index("buckets") - 1])


def test_new_rows_compute_what_they_change_and_the_bytes_are_those_of_a_whole_run(inside: Inside, shop: Shop) -> None:
    rows = orders(4500, 2300).dropna()
    old, late = rows["ordered_at"] < "2025-05-01", rows["customer"].isin(["007", "011"])
    project = shop(rows[old | ~late])
    first = inside("history", project.path)
    assert computed(first["said"])[0] == computed(first["said"])[1] == 4
    assert computed(inside("history", project.path)["said"])[0] == 0, "nothing changed"
    put(project, rows)
    appended = inside("history", project.path)
    assert 1 <= computed(appended["said"])[0] <= 2
    assert appended["digests"] == inside("history", shop(rows).path)["digests"] != first["digests"]
    (project.path / "data/history/03.parquet").write_bytes(b"damaged")
    assert inside("history", project.path)["digests"] == appended["digests"]
    put(project, rows[rows["customer"] != "007"])
    fewer = inside("history", project.path)
    assert fewer["digests"] == inside("history", shop(rows[rows["customer"] != "007"]).path)["digests"]
    project.write("features.sql", SQL.replace("max(amount)", "min(amount)"))
    again = inside("history", project.path)
    assert computed(again["said"])[0] == computed(again["said"])[1], "another recipe"
    assert {name for name in again["digests"] if again["digests"][name] == fewer["digests"][name]} == {"table.json"}


def test_a_project_without_history_has_an_empty_one(inside: Inside, fresh: Callable[..., Project]) -> None:
    project = fresh(50)
    project.path.joinpath("features.sql").unlink()
    found = inside("history", project.path)
    assert found["said"] == "history: none, since history.entity in params.yaml is empty"
    assert list(found["digests"]) == ["table.json"]
    assert inside("featurize", project.path) == ""


def visited() -> pd.DataFrame:
    rows = orders(900)[["customer", "ordered_at"]]
    return rows.assign(pages=range(len(rows)))


@pytest.fixture
def visits(shop: Shop) -> Shop:
    """`visits("csv", change)`: a project whose events are visits: another table, with codes that look like numbers."""

    def make(kind: str, change: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table) -> Project:
        name = f"data/raw/visits.{kind}"
        known = "count(*) OVER past AS visits, sum(pages) OVER past AS pages"
        sql = f"SELECT customer, ordered_at, {known} FROM events WINDOW past AS ({PAST})"
        project = shop(None, sql, setting("history.events", name))
        project.write(
            "dvc.yaml", knob("- features.sql\n", f"- features.sql\n      - {name}\n")(project.read("dvc.yaml"))
        )
        table = change(visited())
        table.to_parquet(project.path / name) if kind == "parquet" else table.to_csv(project.path / name, index=False)
        return project

    return make


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_events_may_be_a_table_of_their_own(inside: Inside, visits: Shop, kind: str) -> None:
    project = visits(kind)
    said = inside("history", project.path)["said"]
    assert said.startswith("history: 2 features of customer"), said
    assert inside("featurize", project.path) == ""
    made, events = parts(project, "features"), visited()
    for row, features in zip(parts(project, "prepared").itertuples(), made.itertuples(), strict=True):
        past = events[(events["customer"] == row.customer) & (events["ordered_at"] < row.ordered_at)]
        expected = (len(past), past["pages"].sum()) if len(past) else (np.nan, np.nan)
        np.testing.assert_equal((features.visits, features.pages), expected)
    assert made["visits"].notna().mean() > 0.5


def test_events_of_another_table_are_refused_in_a_sentence(inside: Inside, visits: Shop) -> None:
    def said(project: Project) -> str:
        return inside("history", project.path)["said"]

    lacking = visits("csv", lambda table: table.drop(columns="customer"))
    assert "data/raw/visits.csv: lacks the column 'customer', which history in params.yaml names" in said(lacking)
    nobody = visits("csv", lambda table: table.assign(customer=None))
    assert "data/raw/visits.csv: no row has all of customer, ordered_at" in said(nobody)
    words = visits("csv", lambda table: table.assign(ordered_at="soon"))
    assert "data/raw/visits.csv: cannot be read as the data is" in said(words)
    assert "history.events 'data/raw/visits.json' is neither .csv nor .parquet" in said(visits("json"))
    gone = visits("csv")
    (gone.path / "data/raw/visits.csv").unlink()
    assert "data/raw/visits.csv: not found; put the events there" in said(gone)
    broken = visits("parquet")
    (broken.path / "data/raw/visits.parquet").write_bytes(b"PAR1")
    assert "data/raw/visits.parquet: cannot be read" in said(broken)
    forgotten = visits("csv")
    forgotten.write("dvc.yaml", forgotten.read("dvc.yaml").replace("      - data/raw/visits.csv\n", ""))
    assert "add data/raw/visits.csv to the deps of the stage history" in said(forgotten)


def test_an_entity_is_looked_up_by_now_and_at_a_moment(inside: Inside, shop: Shop) -> None:
    project = shop(None, SQL, knob("drop: []", "drop: [customer, ordered_at]"))
    assert inside("history", project.path)["said"].startswith("history: ")
    rows = parts(project, "prepared").query("customer == '007'").sort_values("ordered_at")
    for at, past in ((None, rows), (rows["ordered_at"].iloc[3], rows.iloc[:3]), ("2024-01-01", rows.iloc[:0])):
        words = ["features", "--key", "customer=007", *([] if at is None else ["--at", str(at)])]
        code, said, heard = inside("hear", project.path, words=words)
        known = dict(line.split("\t") for line in heard.splitlines())
        assert code == 0 and list(known) == ["orders", "mean_amount", "best", "channel_before", "returns"], said
        if len(past):
            assert float(known["orders"]) == len(past) and float(known["best"]) == past["amount"].max()
            assert known["channel_before"] == past["channel"].iloc[-1]
        else:
            assert set(known.values()) == {"None"}
    for words, expected in (
        (["--key", "client=7"], "the entity has the keys customer, not client"),
        (["--key", "customer=7", "--at", "noon"], "'ordered_at' must hold ISO dates such as 2026-01-31"),
    ):
        code, said, _ = inside("hear", project.path, words=["features", *words])
        assert code == 1 and expected in said and "Traceback" not in said


def test_rows_to_predict_need_the_entity_and_without_a_time_get_what_is_known_by_now(
    inside: Inside, shop: Shop
) -> None:
    project = shop(None, SQL, knob("drop: []", "drop: [customer, ordered_at]"))
    inside("train", project.path)
    rows = pd.DataFrame({"customer": ["007", "008", "stranger"], "channel": "web", "amount": 20.0})
    latest = rows.assign(ordered_at="2030-01-01")
    first = rows.assign(ordered_at="2020-01-01")
    tables = {"by now": rows, "latest": latest, "first": first, "nobody": rows.drop(columns="customer")}
    answers = {}
    for name, table in tables.items():
        table.to_csv(project.path / "rows.csv", index=False)
        answers[name] = inside("predict", project.path, rows="rows.csv")
    assert answers["by now"] == answers["latest"]
    now, before = (answers[name]["probability_True"] for name in ("by now", "first"))
    assert now[0] != before[0] and now[1] != before[1] and now[2] == before[2] == before[0]
    assert "rows.csv: lacks the column 'customer'" in answers["nobody"]


ASK = """
from mlops_actions.core.config import load_config
from mlops_actions.bundle.archive import load_bundle
from mlops_actions.stages.predict import predict
from mlops_actions.review.champion import Champion
from mlops_actions.review.rivals import ask, read_predictions
config = load_config()
rows = config.path("data/prepared/test.parquet")
here = read_predictions(predict(config, rows, load_bundle(config.path("models/bundle.zip"))))
there = ask(Champion("HEAD", "HEAD"), None, config.data)
print(len(here.values), (here.values == there.values).all())
"""


def test_a_champion_is_asked_with_the_history_that_it_would_know(
    shop: Shop,
    mlops: Callable[..., Any],
) -> None:
    rows = orders(700)
    project = shop(rows[:600], SQL, knob("entity: [customer]", "entity: []"))
    mlops(project, "setup")
    mlops(project, "train")
    project.commit("A champion without history")
    project.write("params.yaml", knob("entity: []", "entity: [customer]")(project.read("params.yaml")))
    mlops(project, "train")
    shutil.rmtree(project.path / "data/history")  # as on a machine that did not run the stage
    said = mlops(project, "compare", "--against", "HEAD", check=False)
    assert "Traceback" not in said.stderr, said.stderr
    report = json.loads(project.read("report/report.json"))
    (score,) = [metric for metric in report["metrics"] if metric["name"] == "roc_auc"]
    assert report["incomparable"] is None
    assert score["candidate"] > score["champion"] + 0.01, "who returned before returns again"
    project.commit("A champion with history")
    put(project, rows)
    for stage in ("prepare", "history"):
        mlops(project, "stage", stage)
    alike = project.run("python", "-c", ASK, check=False)
    assert alike.stdout.split() == [str(len(pd.read_parquet(project.path / TEST))), "True"], alike.stderr
