"""The user's features.sql: read, checked, and run on events by a database that reaches nothing else."""

import json
import re
from dataclasses import dataclass
from typing import Any

import duckdb

from ..core.config import Config
from ..core.errors import UserError
from ..data.database import first_line, quote

FILE = "features.sql"
_TYPES = {
    "DOUBLE": r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|U?BIGNUM|FLOAT|DOUBLE|DECIMAL.*",
    "BOOLEAN": "BOOLEAN",
    "VARCHAR": r"VARCHAR|ENUM.*|UUID",
    "TIMESTAMP": r"DATE|TIMESTAMP.*",
}
# Functions whose arguments do not decide the result; that age of one moment counts from today, DuckDB does not say.
_UNDETERMINED = """
    SELECT function_name, len(parameters) FROM duckdb_functions() WHERE stability IS NOT NULL
    GROUP BY ALL HAVING bool_and(stability <> 'CONSISTENT') UNION SELECT 'age', 1
"""


@dataclass(frozen=True)
class HistoryQuery:
    """A checked features.sql: its text, the columns that say who and when, and those that features may not be named."""

    text: str
    entity: dict[str, str]
    time: str
    time_type: str
    taken: tuple[str, ...]

    @property
    def keys(self) -> list[str]:
        """The columns that say who and when."""
        return [*self.entity, self.time]


def load_query(config: Config, columns: dict[str, str], events: set[str]) -> HistoryQuery:
    """Return what features.sql says, for data with these `columns` (name → DuckDB type) and those of its `events`."""
    try:
        sql = config.path(FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{FILE}: not found; write it, or empty history.entity in params.yaml.") from None
    except UnicodeDecodeError:
        raise UserError(f"{FILE}: is not UTF-8 text; save it as UTF-8.") from None
    _check_text(sql, events)
    entity = {name: columns[name] for name in config.history.entity}
    time = config.history.time or ""
    return HistoryQuery(sql, entity, time, columns[time], tuple(name.lower() for name in columns))


def evaluate(connection: duckdb.DuckDBPyConnection, query: HistoryQuery, table: str) -> list[str]:
    """Make `table`, one row for each entity and moment, of the table `events`; what comes back are the features."""
    try:
        connection.execute(f"CREATE OR REPLACE TABLE said AS\n{query.text}")
        types = {str(name): str(kind) for name, kind, *_ in connection.execute("DESCRIBE said").fetchall()}
        keys, features = _select(query, types)
        known = " AND ".join(f"{quote(key)} IS NOT NULL" for key in query.keys)
        connection.execute(
            f"CREATE OR REPLACE TABLE {table} AS SELECT DISTINCT {keys}, {features} FROM said WHERE {known}"
        )
    except duckdb.Error as error:
        raise UserError(f"{FILE}: {_explain(error)}") from None
    connection.execute("DROP TABLE said")
    made = {str(name): str(kind) for name, kind, *_ in connection.execute(f"DESCRIBE {table}").fetchall()}
    _check_rows(connection, query, table, [name for name, kind in made.items() if kind == "DOUBLE"])
    return [name for name in made if name not in query.keys]


def describe(query: HistoryQuery, row: tuple[object, ...]) -> str:
    """Return whose and when, as a sentence says it: `customer=42 at 2026-01-31`."""
    *who, when = row
    names = ", ".join(f"{name}={value}" for name, value in zip(query.entity, who, strict=True))
    return f"{names} at {str(when).removesuffix(' 00:00:00')}"


def _check_text(sql: str, events: set[str]) -> None:
    parsed = json.loads(duckdb.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()[0])  # type: ignore[index]
    if parsed["error"] and "position" in parsed:
        line = sql.encode()[: int(parsed["position"])].count(b"\n") + 1
        raise UserError(f"{FILE}: line {line}: {parsed['error_message']}; correct it.")
    if parsed["error"] or len(parsed["statements"]) != 1:
        raise UserError(f"{FILE}: must be one SELECT, whose rows are what is known of an entity after an event.")
    allowed = {"events", *(node["key"].lower() for node in _nodes(parsed) if "materialized" in node.get("value", ()))}
    undetermined = set(duckdb.execute(_UNDETERMINED).fetchall())
    for node in _nodes(parsed):
        source = _source(node)
        if source is not None and source.lower() not in allowed | {"range", "generate_series", "unnest"}:
            raise UserError(f"{FILE}: reads {source}; it may read the view `events` only.")
        name, arguments = node.get("function_name"), len(node.get("arguments") or node.get("children") or [])
        if (
            node.get("type") == "COLUMN_REF"
            and len(node["column_names"]) == 1
            and node["column_names"][0] not in events
        ):
            name, arguments = node["column_names"][0], 0
        if (name, arguments) in undetermined:
            raise UserError(f"{FILE}: uses {name}, which is another one in each run; compute from the events alone.")


def _select(query: HistoryQuery, types: dict[str, str]) -> tuple[str, str]:
    """Return the columns of what was said, as SQL that gives them the types of the data: the keys, and the features."""
    names = {name.lower(): name for name in types}
    keys = {}
    for key in query.keys:
        if key.lower() not in names:
            raise UserError(f"{FILE}: selects no column {key!r}; each row must say whose features it has, and when.")
        keys[names[key.lower()]] = key
    kind = types[names[query.time.lower()]]
    if _kind(query.time, kind) != query.time_type:
        raise UserError(
            f"{FILE}: {query.time!r} is {kind} there, but {query.time_type} in the data; select it as it is."
        )
    features = [name for name in types if name not in keys]
    if not features:
        raise UserError(f"{FILE}: selects no feature besides {', '.join(query.keys)}; add one.")
    for name in features:
        if name.lower() in query.taken:
            raise UserError(f"{FILE}: {name!r} is a column of the data, too; give the feature another name with AS.")
    wanted = {**query.entity, query.time: query.time_type}
    return (
        ", ".join(f"CAST({quote(name)} AS {wanted[key]}) AS {quote(key)}" for name, key in keys.items()),
        ", ".join(_typed(name, _kind(name, types[name])) for name in features),
    )


def _nodes(value: object) -> list[dict[str, Any]]:
    """Return every mapping inside parsed SQL."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return ([value] if isinstance(value, dict) else []) + [node for child in children for node in _nodes(child)]


def _source(node: dict[str, Any]) -> str | None:
    """Return the table, file or table function that a node of parsed SQL reads, if it does."""
    if node.get("type") == "BASE_TABLE":
        return ".".join(filter(None, [node.get("schema_name"), node["table_name"]]))
    return node["function"]["function_name"] if node.get("type") == "TABLE_FUNCTION" else None


def _explain(error: duckdb.Error) -> str:
    text = str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return f"needs more memory or disk than there is ({first_line(error)}); raise resources.memory."
    line = re.search(r"^LINE (\d+):", text, re.MULTILINE)
    problem = text.partition("\n\nLINE ")[0].partition(": ")[2] or text
    where = f"line {int(line[1]) - 1}: " if line and int(line[1]) > 1 else ""
    return f"{where}{' '.join(problem.split())[:300].rstrip('.')}; correct it."


def _kind(name: str, kind: str) -> str:
    for made, pattern in _TYPES.items():
        if re.fullmatch(pattern, kind) and not kind.endswith("]"):
            return made
    raise UserError(f"{FILE}: {name!r} is {kind}; select numbers, booleans, text and moments.")


def _typed(name: str, kind: str) -> str:
    value = f"CAST({quote(name)} AS {kind})"
    if kind == "DOUBLE":  # not a number is missing, and there is one zero
        value = f"CASE WHEN NOT isnan({value}) THEN {value} + 0.0 END"
    return f"{value} AS {quote(name)}"


def _check_rows(connection: duckdb.DuckDBPyConnection, query: HistoryQuery, table: str, numbers: list[str]) -> None:
    keys = quote(*query.keys)
    for name in numbers:
        twice = connection.execute(f"SELECT {keys} FROM {table} WHERE isinf({quote(name)}) LIMIT 1").fetchone()
        if twice:
            raise UserError(f"{FILE}: {name!r} is infinite for {describe(query, twice)}; use nullif where it divides.")
    twice = connection.execute(f"SELECT {keys} FROM {table} GROUP BY ALL HAVING count(*) > 1 LIMIT 1").fetchone()
    if twice:
        raise UserError(
            f"{FILE}: has different rows for {describe(query, twice)}; events of one moment must give one row: "
            "GROUP BY the moment first, or use no ROWS frame, lag or row_number."
        )
