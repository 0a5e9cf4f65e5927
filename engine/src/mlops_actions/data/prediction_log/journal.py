"""The prediction log while it is written: appended by a thread, so that no answer waits for a disk.

A journal is a file of records that its worker locks. Whoever finds one that nobody locks, because its worker rotated it
or was killed, makes Parquet of it (`log.py`). A record keeps the bytes of a request and of its answer as they
were: to take them apart is that process's work, not the server's.

Behind each record stands the journal's mark, random bytes that no client knows: whatever a record holds and
however it is damaged, the next one begins behind the next mark.
"""

import fcntl
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec

from ...core.config import PredictionLog
from ...core.errors import UserError
from ...core.files import write_file

FLUSHED = 0.5  # seconds after which a record has left this process
FULL = 2**18  # bytes that are written at once
HELD = 16 * 2**20  # bytes that may wait for a slow disk; records beyond are lost, and counted
LARGEST = 32 * 2**20  # bytes of a journal before it is rotated: to make Parquet of it takes 300 MB
FORMAT = b"mlops journal 2\n"  # how a journal begins; then comes its mark
MARK = 16  # bytes
ASIDE = "aside-*.log"  # journals of the records that could not be read

Time = Annotated[float, msgspec.Meta(ge=0, lt=2**33)]  # seconds since 1970


class Prediction(msgspec.Struct, tag="prediction", array_like=True):
    """What a version said of some rows of a request, or why it failed.

    `rows` and `answers` are JSON: a list where there are `many`, else one row and its answer. `numbers` are the rows
    that it is about (null: all).
    """

    id: str
    time: Time
    version: str
    role: str
    key: str | None
    latency_ms: float
    rows: bytes
    many: bool
    numbers: list[Annotated[int, msgspec.Meta(ge=0)]] | None
    answers: bytes | None
    error: str | None


class Truth(msgspec.Struct, tag="truth", array_like=True):
    """What turned out to be true of a prediction."""

    id: str
    time: Time
    truth: str


Record = Prediction | Truth
_encode = msgspec.msgpack.Encoder().encode
decode_record = msgspec.msgpack.Decoder(Record).decode


def read_records(path: Path) -> tuple[list[bytes], bool]:
    """Return the records of a journal, encoded, and whether the last is whole: a killed writer may leave half of it.

    Raises:
        ValueError: it is no journal of this version.
    """
    content = path.read_bytes()
    if not FORMAT.startswith(content[: len(FORMAT)]):
        raise ValueError("it is no journal that this version can read")
    mark = content[len(FORMAT) :][:MARK]
    if len(mark) < MARK:  # nothing was written yet, or its writer was killed at once
        return [], not content
    _, *records, rest = content.split(mark)
    return ([*records, rest], False) if rest else (records, True)


def write_records(path: Path, records: list[bytes]) -> None:
    """Write a journal of encoded records, in place of the one that may be there."""
    mark = os.urandom(MARK)
    write_file(path, FORMAT + mark + mark.join([*records, b""]))


def require_folder(settings: PredictionLog) -> None:
    """Make the folder of the log.

    Raises:
        UserError: that is impossible, or it may not be written.
    """
    if settings.path is None:
        return
    folder = Path(settings.path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK | os.X_OK) else "it may not be written"
    except (FileExistsError, NotADirectoryError):
        reason = "there is something else than a folder"
    except (OSError, ValueError) as error:  # a character that no path has is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
    if reason:
        raise UserError(
            f"the prediction log cannot be kept in {folder}, for {reason}: mend that, or name another folder by --log "
            "or serving.log.path."
        )


class Journal:
    """Where a worker puts its records."""

    def __init__(self, settings: PredictionLog) -> None:
        """Keep journals below `settings.path`."""
        assert settings.path is not None
        self.folder, self.settings = Path(settings.path), settings
        self.lost = 0  # records
        self._waiting: list[bytes] = []
        self._held = 0
        self._lock = threading.Lock()  # of what both threads change
        self._due, self._ended = threading.Event(), False
        self._sweeper: subprocess.Popen[bytes] | None = None
        self._file: int | None = None  # until there is something to write
        self._begun, self._written, self._records = time.monotonic(), 0, 0  # bytes, and records, of the journal
        self._why: str | None = None  # what keeps records from the disk, as it was said
        self._missed = 0  # records, since then
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def keep(self, record: Record) -> None:
        """Take a record; within a second it is the operating system's, which writes it even if this process dies."""
        content = _encode(record)
        with self._lock:
            if self._held + len(content) > HELD:
                self.lost += 1
                return
            self._held += len(content)
            self._waiting.append(content)
        if self._held > FULL:
            self._due.set()

    def count_aside(self) -> int:
        """Return how many files hold what could not be read."""
        return sum(1 for _ in self.folder.glob(ASIDE))

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
            old = time.monotonic() - self._begun > 60 * self.settings.minutes
            if self._written and (old or self._written > LARGEST):
                self._rotate()
        self._flush()
        if self._file is not None and not self._written:
            self._path.unlink(missing_ok=True)  # while it is locked: no sweep takes it for abandoned
        self._end()
        if not self._is_alone():
            self._sweep(last=True)

    def _is_alone(self) -> bool:
        """Return whether nothing is in the folder, so that a sweep would have nothing to do."""
        try:
            return not any(self.folder.iterdir())
        except OSError as error:
            return isinstance(error, FileNotFoundError)  # else the sweep says what is the matter with it

    def _begin(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        while True:
            # The time is for people and the order; a clock that was set back must not give a name twice.
            path = self.folder / f"journal-{int(1000 * time.time()):013d}-{os.urandom(4).hex()}.log"
            file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o644)
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file).st_nlink:  # else a sweep took it for abandoned before it was locked
                break
            os.close(file)
        self._path, self._file, self._mark = path, file, os.urandom(MARK)
        self._begun, self._written, self._records = time.monotonic(), 0, 0

    def _rotate(self) -> None:
        """Begin another journal and have this one made Parquet; it goes on where that fails."""
        file = self._file
        assert file is not None, "something was written"
        try:
            self._begin()
        except OSError as error:
            _say(f"the prediction log goes on in {self._path.name}, for {error}")
        else:
            os.close(file)
            self._sweep()

    def _flush(self) -> None:
        """Write what waits, or lose it: neither a full disk nor a folder that is gone must stop the answers."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        lost, why = 0, None
        try:
            if self._file is not None and not os.fstat(self._file).st_nlink:
                lost, why = self._records, f"{self._path} was removed"
                self._end()
            if waiting:
                self._append(waiting)
        except OSError as error:
            lost += len(waiting)
            why = error.strerror or str(error)
        with self._lock:
            self._held -= sum(map(len, waiting))
            self.lost += lost
        if why or waiting:
            self._tell(lost, why)

    def _append(self, records: list[bytes]) -> None:
        if self._file is None:
            self._begin()
        assert self._file is not None
        content = self._mark.join([*records, b""])
        if not self._written:
            content = FORMAT + self._mark + content
        _write(self._file, content)
        self._written += len(content)
        self._records += len(records)

    def _tell(self, lost: int, why: str | None) -> None:
        """Say once why records are lost, and once how many were as the next ones are written."""
        self._missed += lost
        if why and why != self._why:
            _say(f"the prediction log loses records, counted in mlops_log_lost, until it can be written: {why}")
        elif self._why and not why:
            _say(f"the prediction log is written again; it lost {self._missed:,} records")
            self._missed = 0
        self._why = why

    def _end(self) -> None:
        """Leave the journal."""
        file, self._file, self._written, self._records = self._file, None, 0, 0
        if file is not None:
            with suppress(OSError):  # what a network's disk says only now
                os.close(file)

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
        try:
            self._sweeper = subprocess.Popen(command if last else ["nice", *command])
        except OSError as error:  # the next sweep does its work as well
            _say(f"no Parquet is made of the prediction log now: {error}")
            return
        if last:
            self._sweeper.wait()


def _say(sentence: str) -> None:
    """Tell the server's log, which may be on the disk that is full: that must not end the thread."""
    with suppress(OSError):
        print(f"serve: {sentence}", flush=True)


def _write(file: int, content: bytes) -> None:
    """Append all of it, or nothing: half a record would spoil the one after it."""
    end = os.fstat(file).st_size
    view = memoryview(content)
    try:
        while view:
            view = view[os.write(file, view) :]
    except OSError:
        os.ftruncate(file, end)
        raise
