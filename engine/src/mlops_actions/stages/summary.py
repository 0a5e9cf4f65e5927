"""What the data looks like, small enough to commit: a change of the data is a readable diff."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from duckdb import DuckDBPyConnection

from ..data.batches import BATCH
from ..data.schema import Schema

SHOWN = 60  # characters of a text in the summary
COUNTED = BATCH  # values that one query counts: of few rows, a query for each column would take longer than its work


class Tally:
    """What is counted of the train and test rows while they pass: how many, how many are missing, and the sums."""

    def __init__(self, types: pa.Schema) -> None:
        self.rows = {"train": 0, "test": 0}
        self.missing = dict.fromkeys(types.names, 0)
        self.sums: dict[str, list[float]] = {name: [] for name in types.names}

    def watch(self, part: str, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Yield the same tables, counted. Sums are exact beyond a table, so the order of the parts does not matter."""
        for table in tables:
            self.rows[part] += table.num_rows
            for name, column in zip(table.column_names, table.columns, strict=True):
                self.missing[name] += column.null_count
                if pa.types.is_floating(column.type):
                    self.sums[name].append(float(np.sum(column.drop_null().to_numpy())))
                elif pa.types.is_boolean(column.type):
                    self.sums[name].append(pc.sum(column).as_py() or 0)
            yield table

    def mean(self, name: str) -> float:
        """Return the mean of a column's known values."""
        return math.fsum(self.sums[name]) / (sum(self.rows.values()) - self.missing[name])


def summarize(database: DuckDBPyConnection, schema: Schema, tally: Tally) -> dict[str, Any]:
    """Return counts, means and the most frequent values of the views `train` and `test`, whose columns are c0, c1 …"""
    rows = sum(tally.rows.values())
    columns: dict[str, object] = {}
    described = {name: schema.columns.get(name, schema.target) for name in tally.missing}
    counted = [number for number, column in enumerate(described.values()) if column.type in ("number", "boolean")]
    distinct = count_distinct(database, counted, rows)
    for number, (name, column) in enumerate(described.items()):
        values = f"(SELECT c{number} AS value FROM train UNION ALL SELECT c{number} FROM test)"
        facts: dict[str, object] = {"type": column.type, "missing": tally.missing[name]}
        known = tally.missing[name] < rows
        if name == schema.target.name and schema.target.values is not None:
            query = f"SELECT value, count(*) FROM {values} GROUP BY value ORDER BY value"
            classes = database.execute(query).fetchall()
            facts |= {"distinct": len(classes), "classes": dict(classes)}
        elif column.type in ("number", "boolean"):
            facts["distinct"] = distinct[number]
            if known:
                facts["mean"] = float(f"{tally.mean(name):.6g}")
        else:
            # How many values there are of each frequency: one pass, even where all of them are different.
            row = database.sql(
                f"""
                SELECT coalesce(sum(many), 0)::BIGINT AS several, arg_max(least, frequency) AS top FROM (
                    SELECT frequency, count(*) AS many, min(value) AS least
                    FROM (SELECT value, count(*) AS frequency FROM {values} WHERE value IS NOT NULL GROUP BY value)
                    GROUP BY frequency)
                """
            ).to_arrow_table()
            facts["distinct"] = row["several"][0].as_py()
            if known:
                facts["top"] = str(row["top"].to_pandas()[0])[:SHOWN]
        columns[name] = facts
    return {"rows": rows, "train_rows": tally.rows["train"], "test_rows": tally.rows["test"], "columns": columns}


def count_distinct(database: DuckDBPyConnection, numbers: list[int], rows: int) -> dict[int, int]:
    """Return how many values each of the columns with these numbers has, of so many rows."""
    many = max(1, COUNTED // max(1, rows))
    counts: dict[int, int] = {}
    for start in range(0, len(numbers), many):
        names = [f"c{number}" for number in numbers[start : start + many]]
        values = " UNION ALL ".join(f"SELECT {', '.join(names)} FROM {part}" for part in ("train", "test"))
        distinct = ", ".join(f"count(DISTINCT {name})" for name in names)
        (counted,) = database.execute(f"SELECT {distinct} FROM ({values})").fetchall()
        counts |= zip(numbers[start : start + many], counted, strict=True)
    return counts
