"""What features.sql must not do, and what history needs: refused in one sentence, before anything is trained on it."""

from typing import Any

import pandas as pd
import pytest
from baked import Project
from mlops_actions.core.config import load_config
from mlops_actions.core.errors import UserError
from mlops_actions.core.paths import HISTORY
from mlops_actions.stages import featurize, history, prepare
from shops import PAST, SQL, Shop, orders
from tables import knob, setting


def select(feature: str, more: str = "") -> str:
    return f"SELECT customer, ordered_at, {feature} AS known FROM events {more}"


def compute_history(project: Project) -> None:
    """Prepare a project's rows and run its stage history."""
    config = load_config(project.path, guesses=True)
    prepare.run(config)
    history.run(config)


def refusal_of(project: Project) -> str:
    """Return the one sentence in which the history of a project is refused."""
    with pytest.raises(UserError) as refusal:
        compute_history(project)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


FUTURE, OTHERS = "with the events up to then alone: it looks into the future", "of this entity alone: it mixes entities"
LEAKS = {
    "average of all": (select("avg(amount) OVER (PARTITION BY customer)"), FUTURE),
    "maximum of all": (select("max(amount) OVER (PARTITION BY customer)"), FUTURE),
    "following rows": (
        select(f"sum(amount) OVER ({PAST} ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)"),
        FUTURE,
    ),
    "one day ahead": (
        select(f"sum(amount) OVER ({PAST} RANGE BETWEEN INTERVAL 1 DAY PRECEDING AND INTERVAL 1 DAY FOLLOWING)"),
        FUTURE,
    ),
    "next row": (select(f"lead(amount) OVER ({PAST})"), FUTURE),
    "backwards": (select("lag(returned) OVER (PARTITION BY customer ORDER BY ordered_at DESC)"), FUTURE),
    "a total by a subquery": (
        select("(SELECT count(*) FROM events AS e WHERE e.customer = events.customer)"),
        FUTURE,
    ),
    "shifted": (
        f"SELECT customer, ordered_at - INTERVAL 9 DAY AS ordered_at, count(*) OVER ({PAST}) AS n FROM events",
        FUTURE,
    ),
    "whole days": (
        "SELECT customer, date_trunc('day', ordered_at) AS ordered_at, sum(amount) AS n FROM events GROUP BY ALL",
        FUTURE,
    ),
    "a row only if there is a later one": (
        f"SELECT customer, ordered_at, amount AS n FROM events QUALIFY lead(amount) OVER ({PAST}) IS NOT NULL",
        "has a row for customer=0",
    ),
    "target encoding": (
        "WITH rates AS (SELECT channel, avg((returned = 'True')::INTEGER) AS rate FROM events GROUP BY ALL) "
        "SELECT customer, ordered_at, rate FROM events JOIN rates USING (channel)",
        OTHERS,
    ),
    "everybody until then": (select("avg(amount) OVER (ORDER BY ordered_at)"), OTHERS),
    "rank among all": (select("rank() OVER (ORDER BY amount)"), OTHERS),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_refused(shop: Shop, leak: str) -> None:
    sql, expected = LEAKS[leak]
    project = shop(orders(200, 12), sql)
    sentence = refusal_of(project)
    assert sentence.startswith("features.sql: ") and expected in sentence
    assert "customer=0" in sentence and "at 2025-" in sentence
    assert not (project.path / HISTORY / "table.json").exists()


@pytest.mark.parametrize("customers", [1, 2, 600])
def test_a_leak_is_found_however_many_entities_there_are(shop: Shop, customers: int) -> None:
    rows = orders(800, customers + 1).dropna()
    assert "looks into the future" in refusal_of(shop(rows, LEAKS["maximum of all"][0]))


def test_the_order_of_events_that_share_a_moment_must_not_matter(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = orders(200, 12)
    twice = pd.concat([rows, rows.assign(amount=rows["amount"] + 1)])
    sentence = refusal_of(shop(twice, select(f"lag(amount) OVER ({PAST})")))
    assert "has different rows for customer=0" in sentence and "events of one moment must give one row" in sentence
    sql = select("first(amount) OVER past", f"WINDOW past AS ({PAST})")
    assert "another order: it is not determined" in refusal_of(shop(twice, sql))
    capsys.readouterr()
    compute_history(shop(twice, SQL.replace("last(channel)", "max(channel)")))
    assert capsys.readouterr().out.endswith("computed\n")


KNOBS = {
    "no such entity": ("entity: [customer]", "entity: [client]", "history.entity names 'client', which is no column"),
    "no such time": ("time: ordered_at", "time: when", "history.time names 'when', which is no column"),
    "no time": ("time: ordered_at", "time: null", "history.entity needs history.time"),
    "time among entities": ("entity: [customer]", "entity: [ordered_at]", "is in history.entity, too"),
    "the target": ("entity: [customer]", "entity: [returned]", "history.entity names 'returned', which is data.target"),
    "time without order": ("time: ordered_at", "time: channel", "'channel', which has no order; choose a datetime"),
}
ONLY = "it may read the view `events` only"
BROKEN = {
    "syntax": ("SELECT customer,\n  ordered_at\nFORM events", 'features.sql: line 3: syntax error at or near "events"'),
    "unknown column": (
        "SELECT customer, ordered_at,\n  price AS p FROM events",
        'line 2: Referenced column "price" not found',
    ),
    "unknown function": (select("average(amount)"), "Function with name average does not exist"),
    "two statements": (f"{SQL}; {SQL}", "must be one SELECT"),
    "no select": ("CREATE TABLE x AS SELECT 1", "must be one SELECT"),
    "nothing": ("-- later\n", "must be one SELECT"),
    "no entity": ("SELECT ordered_at, amount AS a FROM events", "selects no column 'customer'"),
    "no moment": ("SELECT customer, count(*) AS n FROM events GROUP BY ALL", "selects no column 'ordered_at'"),
    "time as text": (
        "SELECT customer, ordered_at::VARCHAR AS ordered_at, 1 AS n FROM events",
        "'ordered_at' is VARCHAR there, but TIMESTAMP in the data",
    ),
    "no feature": ("SELECT customer, ordered_at FROM events", "selects no feature besides customer, ordered_at"),
    "name of a column": ("SELECT customer, ordered_at, amount FROM events", "'amount' is a column of the data, too"),
    "name of the target": (select("1").replace("known", "Returned"), "'Returned' is a column of the data, too"),
    "lists": (select(f"list(amount) OVER ({PAST})"), "'known' is DOUBLE[]; select numbers, booleans, text and moments"),
    "records": (select("{'a': amount}"), "'known' is STRUCT(a DOUBLE)"),
    "division by zero": (select("amount / 0"), "'known' is infinite for customer=0"),
    "a cast that fails": (select("channel::INTEGER"), "Could not convert string"),
    "several rows a moment": (
        f"SELECT * FROM ({select('1')}), (VALUES (1), (2)) AS t(x)",
        "has different rows for customer=0",
    ),
    "another table": ("SELECT customer, ordered_at, 1 AS n FROM everything", f"reads everything; {ONLY}"),
    "a file": ("SELECT customer, ordered_at, 1 AS n FROM 'data/raw/dataset.csv'", f"dataset.csv; {ONLY}"),
    "a file by a function": (select("(SELECT content FROM read_text('/etc/hostname'))"), f"reads read_text; {ONLY}"),
    "the network": ("SELECT customer, ordered_at, 1 AS n FROM read_csv('http://127.0.0.1:1/x.csv')", ONLY),
    "luck": (select("random()"), "uses random, which is another one in each run"),
    "the clock": (select("date_diff('day', ordered_at, current_date)"), "uses current_date"),
    "the clock's function": (select("date_diff('day', ordered_at, today())"), "uses today"),
    "age from today": (select("date_part('day', age(ordered_at))"), "uses age"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_bad_sql_is_refused_in_a_sentence(shop: Shop, case: str) -> None:
    sql, expected = BROKEN[case]
    sentence = refusal_of(shop(orders(60, 6), sql))
    assert sentence.startswith("features.sql: ") and expected in sentence


@pytest.mark.parametrize("case", KNOBS)
def test_bad_params_are_refused_in_a_sentence(shop: Shop, case: str) -> None:
    old, new, expected = KNOBS[case]
    sentence = refusal_of(shop(orders(60, 6), SQL, knob(old, new)))
    assert sentence.startswith("params.yaml: ") and expected in sentence


@pytest.mark.parametrize("delay", [3, "-3D", "soon"])
def test_a_delay_of_no_length_is_refused(shop: Shop, delay: Any) -> None:
    sentence = refusal_of(shop(orders(60, 6), SQL, setting("history.delay", delay)))
    assert sentence.startswith("params.yaml: history.delay must be a length of time such as 1d")


def test_a_missing_or_odd_file_is_named(shop: Shop) -> None:
    project = shop()
    (project.path / "features.sql").write_bytes(SQL.encode("utf-16"))
    assert refusal_of(project) == "features.sql: is not UTF-8 text; save it as UTF-8."
    (project.path / "features.sql").unlink()
    assert "features.sql: not found; write it, or empty history.entity" in refusal_of(project)
    with pytest.raises(UserError, match="data/history: not found; run `mlops train`"):
        featurize.run(load_config(project.path, guesses=True))
