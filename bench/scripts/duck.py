"""What prepare and featurize do to `rows.py`'s customers, in SQL alone: `duck.py FILE FOLDER MEMORY`."""

import json
import sys
from pathlib import Path

import duckdb

file, folder, memory = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
COLUMNS = ["amount", "age", "distance", "region", "plan", "since", "customer", "churn"]
OPTIONS = "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 65536)"
FEATURES = """
    amount::FLOAT, age::FLOAT, distance::FLOAT, ((epoch(since) - 946684800) / 86400)::FLOAT, month(since)::FLOAT,
    (isodow(since) - 1)::FLOAT, hour(since)::FLOAT, region, plan, customer, churn
"""

duckdb.execute(f"SET memory_limit = '{memory}'; SET temp_directory = '{folder}/spill'")
key = f"hash({', '.join(COLUMNS[:-1])})"
for part, side in {"train": ">=", "test": "<"}.items():
    chosen = f"SELECT * FROM '{file}' WHERE {key} {side} {int(0.2 * 2**64)}::UBIGINT"
    duckdb.execute(f"COPY ({chosen} ORDER BY hash({', '.join(COLUMNS)})) TO '{folder}/{part}.parquet' {OPTIONS}")
prepared = f"read_parquet(['{folder}/train.parquet', '{folder}/test.parquet'])"
summary = duckdb.execute(
    f"SELECT count(*), {', '.join(f'count({name})' for name in COLUMNS)}, avg(amount), avg(age), avg(distance) "
    f"FROM {prepared}"
).fetchone()
for name in COLUMNS:
    counted = f"SELECT {name} AS value, count(*) AS frequency FROM {prepared} WHERE {name} IS NOT NULL GROUP BY value"
    top = "" if name in ("amount", "age", "distance") else ", max_by(value, frequency)"
    summary += duckdb.execute(f"SELECT count(*){top} FROM ({counted})").fetchone()
(folder / "summary.json").write_text(json.dumps(summary, default=str))
for part in ("train", "test"):
    chosen = f"SELECT {FEATURES} FROM '{folder}/{part}.parquet'"
    duckdb.execute(f"COPY ({chosen}) TO '{folder}/{part}_features.parquet' {OPTIONS}")
