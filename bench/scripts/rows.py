"""Write made-up customers: `rows.py NUMBER FILE`. The same number gives the same rows."""

import sys

import duckdb

ROWS = """
COPY (
    SELECT (hash(i, 1) % 100000) / 100.0 AS amount,
           CASE WHEN hash(i, 2) % 50 = 0 THEN NULL ELSE 18 + hash(i, 3) % 60 END::DOUBLE AS age,
           sqrt((hash(i, 4) % 1000000007) / 1000000007.0) * 30 AS distance,
           ['north', 'south', 'east', 'west', 'centre'][1 + (hash(i, 5) % 5)::INTEGER] AS region,
           'plan ' || (hash(i, 6) % 40) AS plan,
           TIMESTAMP '2020-01-01' + INTERVAL (hash(i, 7) % 157680000) SECOND AS since,
           'C' || lpad((hash(i, 8) % 100000000000)::VARCHAR, 11, '0') AS customer,
           CASE WHEN hash(i, 1) % 100000 + hash(i, 9) % 100000 > 130000 THEN 'yes' ELSE 'no' END AS churn
    FROM range(?) rows(i) ORDER BY i
) TO '{}' (FORMAT parquet, COMPRESSION zstd)
"""

number, file = sys.argv[1:]
duckdb.execute("SET memory_limit = '2GB'")
duckdb.execute(ROWS.format(file), [int(number)])
