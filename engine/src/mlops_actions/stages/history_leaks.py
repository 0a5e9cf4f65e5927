"""The proof that features.sql computes a row from its entity's events up to then, and from nothing else."""

from typing import Any, NamedTuple

import duckdb

from ..core.errors import UserError
from ..data.database import literal, quote
from .features_sql import FILE, HistoryQuery, describe, evaluate

CUTS = 64  # of a bucket, if its entities give as many: where they are few, each is cut in up to ROUNDS places
ROUNDS = 8
# Of a number, or of its feature's mean size: the last bits of a sum of floats depend on how they are grouped.
TOLERANCE = 1e-9


class Difference(NamedTuple):
    """A row that two runs disagree about: whose and when, the feature (none: the row itself), and both values."""

    keys: tuple[Any, ...]
    feature: str
    values: tuple[Any, Any]


def refuse_leaks(connection: duckdb.DuckDBPyConnection, query: HistoryQuery, features: list[str]) -> None:
    """Run the query again without what no row may depend on, and compare it with the table `features`.

    Each entity is cut off after one of its moments, or left out where it has but one; events that share a moment come
    in the opposite order. Rows up to the cut must stay the same. The table `everything` has all events.

    Raises:
        UserError: a row changed; the sentence says which, and what it depends on.
    """
    entities = connection.execute(f"SELECT DISTINCT {quote(*query.entity)} FROM everything").fetchall()
    cut = f"NATURAL JOIN cuts WHERE {quote(query.time)} <= __cut"
    for number in range(max(1, min(ROUNDS, CUTS // len(entities)))):
        _choose_cuts(connection, query, number)
        if difference := _run_again(connection, query, features, cut, "DESC", cut):
            raise UserError(f"{FILE}: {_explain(connection, query, features, difference)}")


def _choose_cuts(connection: duckdb.DuckDBPyConnection, query: HistoryQuery, number: int) -> None:
    entity, time = quote(*query.entity), quote(query.time)
    connection.execute(f"""
        CREATE OR REPLACE TABLE cuts AS
        SELECT {entity}, {time} AS __cut FROM (
            SELECT *, row_number() OVER (PARTITION BY {entity} ORDER BY {time}) AS __place,
                count(*) OVER (PARTITION BY {entity}) AS __moments, hash({entity}, {number}) AS __chance
            FROM (SELECT DISTINCT {entity}, {time} FROM everything)
        ) WHERE __place = CASE WHEN __moments > 1 THEN 1 + __chance % (__moments - 1) ELSE __chance % 2 END
    """)


def _run_again(
    connection: duckdb.DuckDBPyConnection,
    query: HistoryQuery,
    features: list[str],
    given: str,
    order: str,
    compared: str,
) -> Difference | None:
    """Return the first difference among the rows `compared` when the query sees the events `given`, in this order."""
    connection.execute(
        f"CREATE OR REPLACE TABLE events AS SELECT everything.* FROM everything {given} ORDER BY ALL {order}"
    )
    evaluate(connection, query, "again")
    kinds = {name: kind for name, kind, *_ in connection.execute("DESCRIBE again").fetchall()}
    cases = " ".join(f"WHEN {_differs(name, kinds[name])} THEN {literal(name)}" for name in features)
    row = connection.execute(f"""
        WITH ours AS (SELECT *, true AS __here FROM features {compared}),
            theirs AS (SELECT *, true AS __here FROM again {compared})
        SELECT {quote(*query.keys)}, ours, theirs,
            CASE WHEN ours.__here IS NULL OR theirs.__here IS NULL THEN '' {cases} END AS __name
        FROM ours FULL JOIN theirs USING ({quote(*query.keys)})
        WHERE __name IS NOT NULL ORDER BY {quote(*query.keys)} LIMIT 1
    """).fetchone()
    if row is None:
        return None
    *keys, ours, theirs, name = row
    return Difference(tuple(keys), name, (ours.get(name), theirs.get(name)))


def _differs(name: str, kind: str) -> str:
    ours, theirs = f"ours.{quote(name)}", f"theirs.{quote(name)}"
    if kind != "DOUBLE":
        return f"{ours} IS DISTINCT FROM {theirs}"
    size = f"greatest(abs({ours}), abs({theirs}), (SELECT avg(abs({quote(name)})) FROM features))"
    return f"({ours} IS NULL) <> ({theirs} IS NULL) OR abs({ours} - {theirs}) > {TOLERANCE} * {size}"


def _explain(
    connection: duckdb.DuckDBPyConnection, query: HistoryQuery, features: list[str], difference: Difference
) -> str:
    """Return what the row depends on, found by taking away one thing at a time."""
    row = {
        name: f"{quote(name)} = {literal(str(value))}" for name, value in zip(query.keys, difference.keys, strict=True)
    }
    this, alone = (f"WHERE {' AND '.join(row[name] for name in names)}" for names in (query.keys, query.entity))
    cure = f"compute it OVER (PARTITION BY {', '.join(query.entity)} ORDER BY {query.time})"
    if shuffled := _run_again(connection, query, features, "", "DESC", this):
        difference, change = shuffled, "the same events in another order"
        cause = "is not determined; use nothing random, and no order of events that share a moment"
    elif lonely := _run_again(connection, query, features, alone, "ASC", this):
        difference, change, cause = lonely, "the events of this entity alone", f"mixes entities; {cure}"
    else:
        change, cause = "the events up to then alone", f"looks into the future; {cure}"
    where, (ours, theirs) = describe(query, difference.keys), difference.values
    if not difference.feature:
        return f"has a row for {where} that comes or goes with {change}: it {cause}."
    return f"{difference.feature!r} for {where} is {ours}, but {theirs} with {change}: it {cause}."
