"""Stage 2: what features.sql knows of each entity after each of its events, in a file for each bucket of entities."""

import hashlib
import json
import math
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet

from ..core.config import Config, Resources
from ..core.errors import RowsRefused
from ..core.files import write_file
from ..core.paths import HISTORY
from ..data.database import bounded, connect, first_line, literal, quote
from ..data.history_table import ABOUT, wait
from .events import BUCKETS, open_events
from .features_sql import HistoryQuery, evaluate, load_query
from .history_leaks import refuse_leaks
from .recipes import REVISIONS

KEY = b"key"  # in the metadata of a bucket's file: what it was computed from
COMPANY = 256  # entities a bucket has at least, on average: a small one costs more than it saves
ROWS = 2**14  # of a row group: what a lookup reads


def run(config: Config) -> None:
    """Bring the table up to date; buckets whose events and recipe are the same stay as they are."""
    directory = config.path(HISTORY)
    directory.mkdir(parents=True, exist_ok=True)
    if not config.history.entity:
        _finish(directory, {})
        return print("history: none, since history.entity in params.yaml is empty")
    with tempfile.TemporaryDirectory() as folder, bounded():
        with connect(config.resources) as connection:
            data = open_events(connection, config)
            query = load_query(config, *data)
            wait(config, query.time_type == "TIMESTAMP")
            keys, buckets = _keys(connection, query, config.history.events or config.data.path)
            files = {bucket: directory / f"{bucket:02}.parquet" for bucket in keys}
            changed = [bucket for bucket, file in files.items() if _key_in(file) != keys[bucket]]
            if changed:
                connection.execute(
                    f"COPY (SELECT * REPLACE (__bucket % {buckets} AS __bucket) FROM typed "
                    f"WHERE __bucket % {buckets} IN ({', '.join(map(str, changed))})) "
                    f"TO {literal(folder)} (FORMAT parquet, PARTITION_BY (__bucket), OVERWRITE_OR_IGNORE)"
                )
        workers = min(os.cpu_count() or 1, len(changed)) or 1
        compute = partial(_compute, query=query, resources=config.resources, share=1 / workers)
        jobs = [(Path(folder, f"__bucket={bucket}"), files[bucket], keys[bucket]) for bucket in changed]
        with ThreadPoolExecutor(workers) as pool:
            try:
                list(pool.map(lambda job: compute(*job), jobs))
            finally:
                pool.shutdown(cancel_futures=True)
    features = [name for name in pa.parquet.read_schema(next(iter(files.values()))).names if name not in query.keys]
    about = {
        "entity": list(query.entity),
        "time": query.time,
        "moments": query.time_type == "TIMESTAMP",
        "features": features,
        "buckets": buckets,
        "duckdb": duckdb.__version__,
    }
    _finish(directory, about, *files.values())
    print(
        f"history: {len(features)} features of {', '.join(query.entity)}, "
        f"{len(changed)} of {len(keys)} buckets computed"
    )


def _keys(connection: duckdb.DuckDBPyConnection, query: HistoryQuery, source: str) -> tuple[dict[int, str], int]:
    """For each bucket with events, a digest of all that its features depend on; and how many buckets there may be.

    That is its events, the SQL, this code and DuckDB. Few entities share few buckets: the proof that none depends on
    another one needs company.
    """
    columns = connection.execute("DESCRIBE typed").fetchall()
    recipe = repr((query, [column[:2] for column in columns], REVISIONS["history"], duckdb.__version__))
    names = quote(*(name for name, *_ in columns))
    try:
        parts = connection.execute(f"""
            SELECT __bucket, count(*), sum(hash({names})::HUGEINT), count(DISTINCT ({quote(*query.entity)}))
            FROM typed GROUP BY __bucket ORDER BY __bucket
        """).fetchall()
    except (duckdb.ConversionException, duckdb.InvalidInputException) as error:
        raise RowsRefused(f"{source}: cannot be read as the data is ({first_line(error)}); correct it.") from None
    if not parts:
        raise RowsRefused(f"{source}: no row has all of {', '.join(query.keys)}; add such rows.")
    entities = sum(part[-1] for part in parts)
    buckets = min(BUCKETS, 2 ** int(math.log2(max(entities / COMPANY, 1))))
    digests = {bucket % buckets: hashlib.sha256(recipe.encode()) for bucket, *_ in parts}
    for bucket, *facts in parts:
        digests[bucket % buckets].update(repr((bucket, facts)).encode())
    return {bucket: digest.hexdigest() for bucket, digest in sorted(digests.items())}, buckets


def _key_in(file: Path) -> str | None:
    try:
        return (pa.parquet.read_schema(file).metadata or {}).get(KEY, b"").decode()
    except (OSError, pa.ArrowInvalid):
        return None


def _compute(part: Path, file: Path, key: str, query: HistoryQuery, resources: Resources, share: float) -> None:
    """Write a bucket's file from its events; one thread, so that the bits do not depend on the machine."""
    with connect(resources, share, threads=1) as connection:
        connection.execute(
            "CREATE TABLE everything AS "
            f"SELECT * FROM read_parquet({literal(part / '*.parquet')}, hive_partitioning = false) ORDER BY ALL"
        )
        connection.execute("CREATE TABLE events AS FROM everything")
        connection.execute("SET enable_external_access = false; SET lock_configuration = true")
        features = evaluate(connection, query, "features")
        refuse_leaks(connection, query, features)
        order = quote(*query.keys)
        reader = connection.sql(f"SELECT * FROM features ORDER BY {order}").to_arrow_reader(ROWS)
        schema = reader.schema.with_metadata({KEY: key})
        sink = pa.BufferOutputStream()
        with pa.parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch.replace_schema_metadata(schema.metadata))
    write_file(file, sink.getvalue().to_pybytes())


def _finish(directory: Path, about: dict[str, Any], *files: Path) -> None:
    """Say what the table is, which is these files and no other."""
    write_file(directory / ABOUT, f"{json.dumps(about, indent=2)}\n".encode())
    for file in {*directory.iterdir()} - {directory / ABOUT, *files}:
        file.unlink()
