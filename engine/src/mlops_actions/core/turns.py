"""One command at a time changes what lies in the project; a second one says which one runs."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .errors import UserError

LOCK = Path(".dvc/tmp/mlops.lock")


@contextmanager
def turn(verb: str) -> Iterator[None]:
    """Keep the project to this command until it has ended, and every command that it started and that outlived it.

    Raises:
        UserError: another command has its turn, or something else is in the place of the lock.
    """
    with _open_lock() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            other = file.read() or "another command"
            if (process := re.search(r"process (\d+)", other)) and not _is_alive(int(process[1])):
                other = f"what {other} started and left behind when it was killed still"
            raise UserError(f"{other} runs in this project: wait for its end.") from None
        file.truncate(0)
        file.write(f"`mlops {verb}` (process {os.getpid()})")
        file.flush()
        os.set_inheritable(file.fileno(), True)  # DVC, started by run_tool, may outlive a command that is killed
        yield


def _open_lock() -> IO[str]:
    """Open the lock, through no link: a branch may bring one, and what it leads to would be written."""
    if link := next((path for path in (LOCK, *LOCK.parents) if path.is_symlink()), None):
        raise UserError(f"{link} is a link, and no command of a project makes one there: delete it.")
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    if LOCK.exists() and not LOCK.is_file():
        raise UserError(f"{LOCK} is no file, which says whose turn it is: delete it.")
    return os.fdopen(os.open(LOCK, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o644), "a+")


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
