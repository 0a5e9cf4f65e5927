"""The prediction log while it is written: appended by a thread, so that no answer waits for a disk.

A journal is a file of records that its worker locks. Whoever finds one that nobody locks, because its worker rotated it
or was killed, makes Parquet of it (`log.py`). A record keeps the bytes of a request and of its answer as they
were: to take them apart is that process's work, not the server's.
"""

import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec

from ...core.config import PredictionLog

FLUSHED = 0.5  # seconds after which a record has left this process
FULL = 2**18  # bytes that are written at once
HELD = 16 * 2**20  # bytes that may wait for a slow disk; records beyond are lost, and counted
LARGEST = 64 * 2**20  # bytes of a journal before it is rotated


class Prediction(msgspec.Struct, tag="prediction", array_like=True):
    """What a version said of some rows of a request, or why it failed.

    `rows` and `answers` are the JSON of one or of a list of them; `numbers` are the rows that it is about (null: all).
    """

    id: str
    time: float  # seconds since 1970
    version: str
    role: str
    key: str | None
    latency_ms: float
    rows: bytes
    numbers: list[int] | None
    answers: bytes | None
    error: str | None


class Truth(msgspec.Struct, tag="truth", array_like=True):
    """What turned out to be true of a prediction."""

    id: str
    time: float
    truth: str


Record = Prediction | Truth
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


def read_records(path: Path) -> tuple[list[Record], bool]:
    """Return the records of a journal, and whether they are all of it: a killed writer may leave half a record."""
    content = memoryview(path.read_bytes())
    records: list[Record] = []
    at = 0
    while at < len(content):
        end = at + 4 + int.from_bytes(content[at : at + 4], "big")
        try:
            records.append(_decode(content[at + 4 : end]))
        except msgspec.MsgspecError:
            return records, False
        at = end
    return records, True


class Journal:
    """Where a worker puts its records."""

    def __init__(self, settings: PredictionLog) -> None:
        """Begin a journal below `settings.path`."""
        assert settings.path is not None
        self.folder, self.settings = Path(settings.path), settings
        self.lost = 0  # records
        self._waiting: list[bytes] = []
        self._held = 0
        self._due, self._ended = threading.Event(), False
        self._sweeper: subprocess.Popen[bytes] | None = None
        self.folder.mkdir(parents=True, exist_ok=True)
        self._begin()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def keep(self, record: Record) -> None:
        """Take a record; within a second it is the operating system's, which writes it even if this process dies."""
        content = _encode(record)
        if self._held + len(content) > HELD:
            self.lost += 1
            return
        self._held += len(content)
        if self._held > FULL:
            self._due.set()
        self._waiting += (len(content).to_bytes(4, "big"), content)

    def close(self) -> None:
        """Write what is held, and let the journal become Parquet."""
        self._ended = True
        self._due.set()
        self._thread.join()

    def _run(self) -> None:
        if not self._is_alone():
            self._sweep()  # what a killed worker left
        while not self._ended:
            self._due.wait(FLUSHED)
            self._due.clear()
            self._flush()
            old = time.time() - self._begun > 60 * self.settings.minutes
            if self._written and (old or self._written > LARGEST):
                os.close(self._file)
                self._begin()
                self._sweep()
        self._flush()
        if self._written or not self._is_alone():
            os.close(self._file)
            self._sweep(last=True)
        else:
            self._path.unlink(missing_ok=True)  # while it is locked: no sweep takes it for abandoned
            os.close(self._file)

    def _is_alone(self) -> bool:
        """Return whether nothing but this journal is in the folder, so that a sweep would have nothing to do."""
        return all(path == self._path for path in self.folder.glob("*"))

    def _begin(self) -> None:
        self._begun, self._written = time.time(), 0
        self._path = self.folder / f"journal-{int(1000 * self._begun):013d}-{os.getpid()}.log"
        while True:
            self._file = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            if os.fstat(self._file).st_nlink:  # else a sweep took it for abandoned before it was locked
                return
            os.close(self._file)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        content = b"".join(waiting)
        if not content:
            return
        try:
            _write(self._file, content)
            self._written += len(content)
        except OSError as error:  # a full disk must not stop the answers
            self.lost += len(waiting) // 2
            print(f"serve: the prediction log loses {len(waiting) // 2} records: {error}", flush=True)
        self._held -= sum(map(len, waiting[1::2]))

    def _sweep(self, last: bool = False) -> None:
        """Have a process make Parquet of the journals that nobody writes any more: aside, or at last and awaited."""
        if last and self._sweeper:
            self._sweeper.wait()
        if self._sweeper and self._sweeper.poll() is None:
            return
        command = [sys.executable, "-P", "-m", f"{__package__}.log", str(self.folder)]
        if self.settings.days:
            command.append(str(self.settings.days))
        # Answers go first, but not alone: on a busy machine the lowest priority of all would starve.
        self._sweeper = subprocess.Popen(command if last else ["nice", *command])
        if last:
            self._sweeper.wait()


def _write(file: int, content: bytes) -> None:
    """Append all of it, or nothing: half a record would hide those after it."""
    end = os.fstat(file).st_size
    view = memoryview(content)
    try:
        while view:
            view = view[os.write(file, view) :]
    except OSError:
        os.ftruncate(file, end)
        raise
