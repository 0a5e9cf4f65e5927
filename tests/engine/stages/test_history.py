"""History features: what was known before a row's time, computed where it changed, alike for training and serving."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from baked import Project
from mlops_actions import cli
from mlops_actions.bundle.archive import load_bundle
from mlops_actions.bundle.features import make_features
from mlops_actions.core.config import load_config
from mlops_actions.core.errors import UserError
from mlops_actions.core.paths import BUNDLE, HISTORY, TEST_FEATURES, TEST_ROWS
from mlops_actions.data.history_table import join_history
from mlops_actions.data.schema import load_schema
from mlops_actions.data.table import read_table, read_typed
from mlops_actions.stages import featurize, history, prepare
from mlops_actions.stages.predict import lookup, predict
from pipeline import set_up, train_project
from shops import PAST, SQL, Shop, orders, parts, put
from tables import knob, setting

NUMBERS = ["orders", "mean_amount", "best", "returns"]


class Computed(NamedTuple):
    """What the stage history printed, and the digest of each of its files."""

    line: str
    digests: dict[str, str]


Compute = Callable[[Project], Computed]


@pytest.fixture
def compute(capsys: pytest.CaptureFixture[str]) -> Compute:
    """`compute(project)`: what the stage history makes of a project whose rows are prepared before."""

    def run(project: Project) -> Computed:
        config = load_config(project.path, guesses=True)
        if not project.has_file("schema.yaml"):
            set_up(project.path)
        prepare.run(config)
        capsys.readouterr()
        history.run(config)
        files = sorted((project.path / HISTORY).glob("*"))
        digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
        return Computed(capsys.readouterr().out.strip(), digests)

    return run


def features_that_differ_alone(project: Project, rows: int) -> set[str]:
    """Return the features that differ in any bit from the test rows', when each row comes alone, out of a CSV file."""
    config = load_config(project.path, guesses=True)
    schema, file = load_schema(config.path("schema.yaml")), config.path("alone.csv")
    typed, trained = read_typed(config.path(TEST_ROWS)), read_typed(config.path(TEST_FEATURES))
    names = [name for name in trained if name != config.data.target]
    differing = set()
    for number in range(rows):
        typed.iloc[[number]].drop(columns=config.data.target).to_csv(file, index=False)
        row = schema.apply(read_table(file), with_target=False)
        made = make_features(join_history(row, config), config)
        for name in names:
            if repr(made[name].tolist()) != repr(trained[name].iloc[[number]].tolist()):
                differing.add(name)
    return differing


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
    compute: Compute, shop: Shop, delay: str | None
) -> None:
    project = shop(None, SQL, setting("history.delay", delay))
    assert compute(project).line.startswith("history: 5 features of customer")
    featurize.run(load_config(project.path, guesses=True))
    made = parts(project, "features")
    expected = recompute(parts(project, "prepared"), pd.Timedelta(days=20 if delay else 0))
    assert expected["orders"].notna().mean() > 0.5
    for name in NUMBERS:
        np.testing.assert_allclose(made[name], expected[name].astype("float32"), rtol=1e-6, err_msg=name)
    assert made["channel_before"].tolist() == expected["channel_before"].tolist()
    assert not features_that_differ_alone(project, rows=8)


def buckets(computed: Computed) -> tuple[int, int]:
    """Return how many buckets were computed, and how many there are."""
    words = computed.line.split()
    return int(words[words.index("of", words.index("customer,")) - 1]), int(words[words.index("buckets") - 1])


def test_new_rows_compute_what_they_change_and_the_bytes_are_those_of_a_whole_run(compute: Compute, shop: Shop) -> None:
    rows = orders(4500, 2300).dropna()
    old, late = rows["ordered_at"] < "2025-05-01", rows["customer"].isin(["007", "011"])
    project = shop(rows[old | ~late])
    first = compute(project)
    assert buckets(first) == (4, 4)
    assert buckets(compute(project))[0] == 0, "nothing changed"
    put(project, rows)
    appended = compute(project)
    assert 1 <= buckets(appended)[0] <= 2
    assert appended.digests == compute(shop(rows)).digests != first.digests
    (project.path / "data/history/03.parquet").write_bytes(b"damaged")
    assert compute(project).digests == appended.digests
    put(project, rows[rows["customer"] != "007"])
    fewer = compute(project)
    assert fewer.digests == compute(shop(rows[rows["customer"] != "007"])).digests
    project.write("features.sql", SQL.replace("max(amount)", "min(amount)"))
    again = compute(project)
    assert buckets(again) == (4, 4), "another recipe"
    assert {name for name in again.digests if again.digests[name] == fewer.digests[name]} == {"table.json"}


def test_a_project_without_history_has_an_empty_one(compute: Compute, fresh: Callable[..., Project]) -> None:
    project = fresh(50)
    project.path.joinpath("features.sql").unlink()
    computed = compute(project)
    assert computed.line == "history: none, since history.entity in params.yaml is empty"
    assert list(computed.digests) == ["table.json"]
    featurize.run(load_config(project.path, guesses=True))
    assert len(read_typed(project.path / TEST_FEATURES)) == len(read_typed(project.path / TEST_ROWS)) > 0


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
def test_events_may_be_a_table_of_their_own(compute: Compute, visits: Shop, kind: str) -> None:
    project = visits(kind)
    assert compute(project).line.startswith("history: 2 features of customer")
    featurize.run(load_config(project.path, guesses=True))
    made, events = parts(project, "features"), visited()
    for row, features in zip(parts(project, "prepared").itertuples(), made.itertuples(), strict=True):
        past = events[(events["customer"] == row.customer) & (events["ordered_at"] < row.ordered_at)]
        expected = (len(past), past["pages"].sum()) if len(past) else (np.nan, np.nan)
        np.testing.assert_equal((features.visits, features.pages), expected)
    assert made["visits"].notna().mean() > 0.5


def test_events_of_another_table_are_refused_in_a_sentence(compute: Compute, visits: Shop) -> None:
    def said(project: Project) -> str:
        with pytest.raises(UserError) as refusal:
            compute(project)
        return str(refusal.value)

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


def test_an_entity_is_looked_up_by_now_and_at_a_moment(
    compute: Compute, shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = shop(None, SQL, knob("drop: []", "drop: [customer, ordered_at]"))
    compute(project)
    config = load_config(project.path, guesses=True)
    rows = parts(project, "prepared").query("customer == '007'").sort_values("ordered_at")
    for at, past in ((None, rows), (rows["ordered_at"].iloc[3], rows.iloc[:3]), ("2024-01-01", rows.iloc[:0])):
        known = lookup(config, {"customer": "007"}, at)
        assert list(known) == ["orders", "mean_amount", "best", "channel_before", "returns"]
        if len(past):
            assert known["orders"] == len(past) and known["best"] == past["amount"].max()
            assert known["channel_before"] == past["channel"].iloc[-1]
        else:
            assert set(known.values()) == {None}
    with pytest.raises(UserError, match="the entity has the keys customer, not client"):
        lookup(config, {"client": "7"})
    with pytest.raises(UserError, match="'ordered_at' must hold ISO dates such as 2026-01-31"):
        lookup(config, {"customer": "7"}, "noon")
    set_up(project.path)
    capsys.readouterr()
    monkeypatch.chdir(project.path)
    at = str(rows["ordered_at"].iloc[3])
    monkeypatch.setattr("sys.argv", ["mlops", "features", "--key", "customer=007", "--at", at])
    assert cli.main() == 0
    printed = dict(line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert printed == {name: str(value) for name, value in lookup(config, {"customer": "007"}, at).items()}


def test_rows_to_predict_need_the_entity_and_without_a_time_get_what_is_known_by_now(shop: Shop) -> None:
    project = shop(None, SQL, knob("drop: []", "drop: [customer, ordered_at]"))
    train_project(project.path)
    config, bundle = load_config(project.path), load_bundle(project.path / BUNDLE)
    rows = pd.DataFrame({"customer": ["007", "008", "stranger"], "channel": "web", "amount": 20.0})
    by_now = predict(config, rows, bundle)
    pd.testing.assert_frame_equal(by_now, predict(config, rows.assign(ordered_at="2030-01-01"), bundle))
    now = by_now["probability_True"]
    before = predict(config, rows.assign(ordered_at="2020-01-01"), bundle)["probability_True"]
    assert now[0] != before[0] and now[1] != before[1] and now[2] == before[2] == before[0]
    with pytest.raises(UserError, match="the rows: lacks the column 'customer'"):
        predict(config, rows.drop(columns="customer"), bundle)
