"""The prediction log as it is kept: journals become Parquet, and both are read as one table.

Only who reads it, or brings truths as a table, needs pandas: a container has none, and makes Parquet all the same.

What cannot be read stops nothing: a record is set aside in a journal of its own, a file that is none of ours is left
out, and whoever makes Parquet or reads is told.
"""

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from ...core.files import replacing
from .journal import ASIDE, Prediction, Record, Truth, decode_record, read_records, write_records

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
TRUTHS = pa.schema(
    [("id", pa.string()), ("time", pa.timestamp("us", "UTC")), ("truth", pa.string()), ("replaces", pa.bool_())]
)
_SCHEMAS = {"log": PREDICTIONS, "feedback": TRUTHS}
_LATER = {"replaces"}  # columns that older files lack
_DAY = 86_400

Line = tuple[Any, ...]
Tell = Callable[[str], object]


class _Answer(msgspec.Struct, omit_defaults=True):
    """What is kept of an answer: nothing where the row was refused."""

    prediction: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    probabilities: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Answers(msgspec.Struct):
    """The body of an answer to many rows."""

    predictions: list[_Answer]


_decode_row, _decode_rows = msgspec.json.Decoder().decode, msgspec.json.Decoder(list[Any]).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_answers = msgspec.json.Decoder(list[_Answer] | _Answers).decode


def warn(sentence: str) -> None:
    """Tell who reads a log what cannot be read, on stderr."""
    print(f"log: {sentence}", file=sys.stderr)


def sweep(folder: Path, days: float | None = None) -> None:
    """Make Parquet of every journal that nobody writes any more, and delete what is older than so many days."""
    for path in _files(folder, "journal-*.log", _say):
        with _going_on(path, _say), _unlocked(path) as free:
            if free:
                _convert(path)
    for path in (*_files(folder, "*.parquet", _say), *_files(folder, ASIDE, _say)) if days else ():
        with _going_on(path, _say):
            age = time.time() - path.stat().st_mtime
            if age < -_DAY:  # of a clock that was ahead: its days begin now
                os.utime(path)
            elif age > (days or 0) * _DAY:
                path.unlink()


def read_predictions(
    folder: Path, columns: list[str] | None = None, since: datetime | None = None, tell: Tell = warn
) -> "pd.DataFrame":
    """Return every prediction made since a moment, the latest included.

    Args:
        folder: where the log is.
        columns: some of PREDICTIONS, or None for all.
        since: the moment, or None.
        tell: is told in a sentence each what cannot be read, and is left out.
    """
    found = _read(folder, "log", tell, columns, since)
    return found.drop_duplicates(["id", "role"], keep="last")[columns or PREDICTIONS.names].reset_index(drop=True)


def read_truths(folder: Path, tell: Tell = warn) -> "pd.DataFrame":
    """Return every truth that came back, in the order of time, but those that others came to replace.

    An id has several rows where truths contradict each other; a truth that came twice has one, of the first time.
    """
    found = _read(folder, "feedback", tell)
    found["replaces"] = found["replaces"].eq(True)
    if found["replaces"].any():
        replaced = found["time"].where(found["replaces"]).groupby(found["id"]).transform("max")
        found = found[~(found["time"] < replaced)]
    return found.drop_duplicates(["id", "truth"]).drop(columns="replaces").reset_index(drop=True)


def write_truths(folder: Path, truths: "pd.DataFrame", replace: bool = False) -> None:
    """Keep truths that came as a table with the columns id and truth, all of them or none.

    Args:
        folder: where the log is.
        truths: the table.
        replace: whether they count in place of those that came before.
    """
    now, count = time.time(), len(truths)
    told = [truths["id"].astype("str"), [round(now * 1e6)] * count, truths["truth"].astype("str"), [replace] * count]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"feedback-{int(1000 * now):013d}-{os.urandom(4).hex()}.parquet"
    _write(pa.table(dict(zip(TRUTHS.names, told, strict=True)), TRUTHS), path)


def _convert(path: Path) -> None:
    """Make Parquet of a journal, and set aside what of it cannot be read."""
    name = path.stem.removeprefix("journal-")
    aside = path.with_name(f"aside-{name}.log")
    try:
        records, whole = read_records(path)
    except ValueError as error:
        os.replace(path, aside)
        _say(f"{path.name} is set aside as {aside.name}: {error}")
        return
    if not whole:
        _say(f"{path.name} ends in half a record: its server was killed; at most its last second is lost")
    lines, unread = _take_apart(records, *_SCHEMAS)
    for kind, schema in _SCHEMAS.items():
        if lines[kind]:
            _write(_table(lines[kind], schema), path.with_name(f"{kind}-{name}.parquet"))
    if unread:
        write_records(aside, unread)
        _say(f"{_count(unread)} of {path.name} cannot be read: set aside in {aside.name}")
    path.unlink()


def _take_apart(records: list[bytes], *kinds: str) -> tuple[dict[str, list[Line]], list[bytes]]:
    """Return the lines of each kind that encoded records hold, and the records that cannot be read."""
    lines: dict[str, list[Line]] = {kind: [] for kind in kinds}
    unread = []
    for content in records:
        try:
            record = decode_record(content)
            kind = "log" if isinstance(record, Prediction) else "feedback"
            if kind in lines:
                lines[kind] += _lines(record)
        except Exception:  # whatever is the matter with it, it must not hide the others
            unread.append(content)
    return lines, unread


def _lines(record: Record) -> list[Line]:
    """Return a line for each row that a version answered or failed on, or the line of a truth."""
    at = round(record.time * 1e6)
    if isinstance(record, Truth):
        return [(record.id, at, record.truth, False)]
    rows = _decode_rows(record.rows) if record.many else [_decode_row(record.rows)]
    answers = [None] * len(rows) if record.answers is None else _read_answers(record.answers, record.many)
    about = range(len(rows)) if record.numbers is None else record.numbers
    if len(answers) != len(rows):
        raise ValueError(f"{len(rows)} rows and {len(answers)} answers")
    return [
        (f"{record.id}-{number}", at, record.version, record.role, record.key, _text(rows[number]),
         _text(answer), record.error, record.latency_ms)
        for number in about
        if (answer := answers[number]) is None or answer.prediction is not msgspec.UNSET
    ]  # fmt: skip


def _read_answers(content: bytes, many: bool) -> list[_Answer]:
    if not many:
        return [_decode_answer(content)]
    answers = _decode_answers(content)
    return answers.predictions if isinstance(answers, _Answers) else answers


def _table(lines: list[Line], schema: pa.Schema) -> pa.Table:
    if not lines:
        return schema.empty_table()
    columns = zip(*lines, strict=True)
    return pa.table(
        [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)], schema=schema
    )


def _text(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _write(table: pa.Table, path: Path) -> None:
    with replacing(path) as partial:
        pa.parquet.write_table(table, partial, compression="zstd", write_page_checksum=True)
        with partial.open("rb") as file:
            os.fsync(file)  # its journal, which a disk has had for long, is removed now


def _read(
    folder: Path, kind: str, tell: Tell, columns: list[str] | None = None, since: datetime | None = None
) -> "pd.DataFrame":
    """Return the lines of a kind, in the order of time; those of a journal that becomes Parquet just now come twice."""
    schema = _SCHEMAS[kind]
    wanted = [*dict.fromkeys([*(columns or schema.names), *(("id", "role") if kind == "log" else ()), "time"])]
    recent = None if since is None else pc.field("time") >= pa.scalar(since, schema.field("time").type)
    tables = [schema.empty_table().select(wanted)]
    # Journals first: one that becomes Parquet meanwhile is then read twice rather than not at all.
    for path in _files(folder, "journal-*.log", tell):
        with _going_on(path, tell):
            lines, unread = _take_apart(read_records(path)[0], kind)
            table = _table(lines[kind], schema)
            tables.append((table if recent is None else table.filter(recent)).select(wanted))
            if unread:
                tell(f"{path.name} has records that cannot be read")
    for path in _files(folder, ASIDE, tell):
        with _going_on(path, tell):
            tell(f"{_count(read_records(path)[0])} that could not be read: set aside in {path.name}")
    for path in _files(folder, f"{kind}-*.parquet", tell):
        with _going_on(path, tell):
            if lacking := {*schema.names} - _LATER - {*pa.parquet.read_schema(path).names}:
                raise ValueError(f"it has no column {min(lacking)}")
            tables.append(
                pa.parquet.read_table(
                    path, columns=wanted, schema=schema, filters=recent, page_checksum_verification=True
                )
            )
    return pa.concat_tables(tables).to_pandas().sort_values("time", kind="stable", ignore_index=True)


def _say(sentence: str) -> None:
    """Tell the server's log, which may be on the disk that is full: that must not end a sweep."""
    with suppress(OSError):
        print(f"log: {sentence}", flush=True)


def _count(records: list[bytes]) -> str:
    return f"{len(records):,} record{'s' if len(records) > 1 else ''}"


def _files(folder: Path, pattern: str, tell: Tell) -> Iterator[Path]:
    """Yield the files of such a name in their order; a pipe, which would be waited for without end, is none."""
    for path in sorted(folder.glob(pattern)):
        if path.is_file():
            yield path
        elif path.exists():
            tell(f"{path.name} is passed over: it is no file")


@contextmanager
def _going_on(path: Path, tell: Tell) -> Iterator[None]:
    """Tell what is the matter with one file, and go on with the next; nothing is, where another process was faster."""
    try:
        yield
    except FileNotFoundError:
        return
    except Exception as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        tell(f"{path.name} is passed over: {reason.splitlines()[0]}")


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
    sys.setrecursionlimit(10_000)  # a row nests as deep as its server could read
    sweep(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else None)
