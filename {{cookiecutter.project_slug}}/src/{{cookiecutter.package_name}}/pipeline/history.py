"""Stage 2: what features.sql knows of each entity after each of its events, in a file for each bucket of entities."""

import hashlib
import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet

from .. import database
from .. import history as joins
from ..config import Config, Resources
from ..database import connect, literal, quote
from ..files import write_file
from ..history import ABOUT, wait
from ..outputs import HISTORY
from . import events, features_sql, leaks
from .events import open_events
from .features_sql import Query, evaluate, load_query
from .leaks import refuse_leaks

KEY = b"key"  # in the metadata of a bucket's file: what it was computed from
ROWS = 2**14  # of a row group: what a lookup reads


def run(config: Config) -> None:
    """Brings the table up to date; buckets whose events and recipe are the same stay as they are."""
    directory = config.path(HISTORY)
    directory.mkdir(parents=True, exist_ok=True)
    if not config.history.entity:
        _finish(directory, {})
        return print("history: none, since history.entity in params.yaml is empty")
    with tempfile.TemporaryDirectory() as folder:
        with connect(config.resources) as connection:
            data = open_events(connection, config)
            query = load_query(config, *data)
            wait(config, query.time_type == "TIMESTAMP")
            keys = _keys(connection, query)
            files = {bucket: directory / f"{bucket:02}.parquet" for bucket in keys}
            changed = [bucket for bucket, file in files.items() if _key_in(file) != keys[bucket]]
            if changed:
                connection.execute(
                    f"COPY (SELECT * FROM typed WHERE __bucket IN ({', '.join(map(str, changed))})) "
                    f"TO {literal(folder)} (FORMAT parquet, PARTITION_BY (__bucket), OVERWRITE_OR_IGNORE)"
                )
        workers = min(os.cpu_count() or 1, len(changed)) or 1
        compute = partial(_compute, query=query, resources=config.resources, share=1 / workers)
        with ThreadPoolExecutor(workers) as pool:
            parts = [Path(folder, f"__bucket={bucket}") for bucket in changed]
            done = pool.map(compute, parts, [files[bucket] for bucket in changed], [keys[bucket] for bucket in changed])
            try:
                list(done)
            finally:
                pool.shutdown(cancel_futures=True)
    features = [name for name in pa.parquet.read_schema(next(iter(files.values()))).names if name not in query.keys]
    about = {"entity": list(query.entity), "time": query.time, "moments": query.time_type == "TIMESTAMP"}
    _finish(directory, about | {"features": features, "duckdb": duckdb.__version__}, *files.values())
    print(
        f"history: {len(features)} features of {', '.join(query.entity)}, "
        f"{len(changed)} of {len(keys)} buckets computed"
    )


def _keys(connection: duckdb.DuckDBPyConnection, query: Query) -> dict[int, str]:
    """For each bucket with events, a digest of all that its features depend on: events, SQL, this code, and DuckDB."""
    columns = connection.execute("DESCRIBE typed").fetchall()
    code = [Path(str(module.__file__)).read_bytes() for module in (database, events, features_sql, joins, leaks)]
    recipe = repr((query, [column[:2] for column in columns], code, Path(__file__).read_bytes(), duckdb.__version__))
    names = ", ".join(quote(name) for name, *_ in columns)
    found = connection.execute(
        f"SELECT __bucket, count(*), sum(hash({names})::HUGEINT) FROM typed GROUP BY __bucket ORDER BY __bucket"
    ).fetchall()
    return {bucket: hashlib.sha256(f"{recipe}{rows} {total}".encode()).hexdigest() for bucket, rows, total in found}


def _key_in(file: Path) -> str | None:
    try:
        return (pa.parquet.read_schema(file).metadata or {}).get(KEY, b"").decode()
    except (OSError, pa.ArrowInvalid):
        return None


def _compute(part: Path, file: Path, key: str, query: Query, resources: Resources, share: float) -> None:
    """Writes a bucket's file from its events; one thread, so that the bits do not depend on the machine."""
    with connect(resources, share, threads=1) as connection:
        connection.execute(
            "CREATE TABLE everything AS "
            f"SELECT * FROM read_parquet({literal(part / '*.parquet')}, hive_partitioning = false) ORDER BY ALL"
        )
        connection.execute("CREATE TABLE events AS FROM everything")
        connection.execute("SET enable_external_access = false; SET lock_configuration = true")
        features = evaluate(connection, query, "features")
        refuse_leaks(connection, query, features)
        order = ", ".join(map(quote, query.keys))
        reader = connection.sql(f"SELECT * FROM features ORDER BY {order}").to_arrow_reader(ROWS)
        schema = reader.schema.with_metadata({KEY: key})
        sink = pa.BufferOutputStream()
        with pa.parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch.replace_schema_metadata(schema.metadata))
    write_file(file, sink.getvalue().to_pybytes())


def _finish(directory: Path, about: dict[str, Any], *files: Path) -> None:
    """Says what the table is, which is these files and no other."""
    write_file(directory / ABOUT, f"{json.dumps(about, indent=2)}\n".encode())
    for file in {*directory.iterdir()} - {directory / ABOUT, *files}:
        file.unlink()
