"""The prediction log as it is kept: journals become Parquet, and both are read as one table.

Only who reads it, or brings truths as a table, needs pandas: a container has none, and makes Parquet all the same.
"""

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from ...core.files import replacing
from .journal import Prediction, Record, Truth, read_records

if TYPE_CHECKING:
    import pandas as pd

PREDICTIONS = pa.schema(
    [
        ("id", pa.string()),
        ("time", pa.timestamp("us", "UTC")),
        ("version", pa.string()),
        ("role", pa.string()),
        ("key", pa.string()),
        ("row", pa.string()),
        ("answer", pa.string()),
        ("error", pa.string()),
        ("latency_ms", pa.float64()),
    ]
)
ANSWER = ("prediction", "probabilities")
TRUTHS = pa.schema([("id", pa.string()), ("time", pa.timestamp("us", "UTC")), ("truth", pa.string())])
_DAY = 86_400


def sweep(folder: Path, days: float | None = None) -> None:
    """Make Parquet of every journal that nobody writes any more, and delete Parquet older than so many days."""
    for path in sorted(folder.glob("journal-*.log")):
        with _unlocked(path) as free:
            if free:
                _convert(path)
    for path in folder.glob("*.parquet") if days else ():
        if path.stat().st_mtime < time.time() - (days or 0) * _DAY:
            path.unlink(missing_ok=True)


def read_predictions(folder: Path, columns: list[str] | None = None, since: datetime | None = None) -> "pd.DataFrame":
    """Return every prediction made since a moment, the latest included; the columns are some or all of PREDICTIONS."""
    return _read(folder, "log", PREDICTIONS, ["id", "role"], columns, since)


def read_truths(folder: Path) -> "pd.DataFrame":
    """Return every truth that came back; of an id that has several, the last one."""
    return _read(folder, "feedback", TRUTHS, ["id"])


def write_truths(folder: Path, truths: "pd.DataFrame") -> None:
    """Keep truths that came as a table with the columns id and truth, all of them or none."""
    now = time.time()
    times = [round(now * 1e6)] * len(truths)
    table = pa.table({"id": truths["id"].astype("str"), "time": times, "truth": truths["truth"].astype("str")}, TRUTHS)
    folder.mkdir(parents=True, exist_ok=True)
    _write(table, folder / f"feedback-{int(1000 * now):013d}-{os.getpid()}.parquet")


def _convert(path: Path) -> None:
    name = path.stem.removeprefix("journal-")
    records, whole = read_records(path)
    if not whole:
        print(f"log: {path.name} ends in half a record: its server was killed; at most its last second is lost")
    tables = {"log": _predictions(records), "feedback": _truths(records)}
    for kind, table in tables.items():
        if len(table):
            _write(table, path.with_name(f"{kind}-{name}.parquet"))
    path.unlink()


def _predictions(records: list[Record]) -> pa.Table:
    """Return a line for each row that a version answered or failed on."""
    lines: list[tuple[Any, ...]] = []
    for record in records:
        if not isinstance(record, Prediction):
            continue
        rows = as_list(msgspec.json.decode(record.rows))
        answers = None if record.answers is None else as_list(msgspec.json.decode(record.answers))
        at = round(record.time * 1e6)
        for number in range(len(rows)) if record.numbers is None else record.numbers:
            answer = None
            if answers is not None:
                if "prediction" not in answers[number]:  # the row was refused
                    continue
                answer = {name: answers[number][name] for name in ANSWER if name in answers[number]}
            lines.append(
                (f"{record.id}-{number}", at, record.version, record.role, record.key, _text(rows[number]),
                 _text(answer), record.error, record.latency_ms)
            )  # fmt: skip
    return _table(lines, PREDICTIONS)


def _truths(records: list[Record]) -> pa.Table:
    return _table(
        [(record.id, round(record.time * 1e6), record.truth) for record in records if isinstance(record, Truth)], TRUTHS
    )


def _table(lines: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    if not lines:
        return schema.empty_table()
    columns = zip(*lines, strict=True)
    return pa.table(
        [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)], schema=schema
    )


def as_list(content: Any) -> list[Any]:
    """Return the rows of a body, or the answers to them, one or many."""
    if isinstance(content, dict) and isinstance(content.get("predictions"), list):
        return content["predictions"]
    return content if isinstance(content, list) else [content]


def _text(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _write(table: pa.Table, path: Path) -> None:
    with replacing(path) as partial:
        pa.parquet.write_table(table, partial, compression="zstd")


def _read(
    folder: Path,
    kind: str,
    schema: pa.Schema,
    unique: list[str],
    columns: list[str] | None = None,
    since: datetime | None = None,
) -> "pd.DataFrame":
    # Journals first: one that becomes Parquet meanwhile is then read twice rather than not at all.
    names = columns or schema.names
    wanted = [*dict.fromkeys([*names, *unique, "time"])]
    recent = None if since is None else pc.field("time") >= pa.scalar(since, schema.field("time").type)
    tables = []
    for path in sorted(folder.glob("journal-*.log")):
        with suppress(FileNotFoundError):
            records, _ = read_records(path)
            table = _predictions(records) if kind == "log" else _truths(records)
            tables.append((table if recent is None else table.filter(recent)).select(wanted))
    for path in sorted(folder.glob(f"{kind}-*.parquet")):
        with suppress(FileNotFoundError):
            tables.append(pa.parquet.read_table(path, columns=wanted, schema=schema, filters=recent))
    frame = pa.concat_tables([schema.empty_table().select(wanted), *tables]).to_pandas()
    frame = frame.sort_values("time", kind="stable").drop_duplicates(unique, keep="last")
    return frame[names].reset_index(drop=True)


@contextmanager
def _unlocked(path: Path) -> Iterator[bool]:
    """Yield whether nobody writes a journal, which then is ours until the end."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # another process was faster
        yield False
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield path.exists()
    finally:
        os.close(file)


if __name__ == "__main__":
    sweep(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else None)
