"""One command at a time changes what lies in the project; a second one says which one runs."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UserError

LOCK = Path(".dvc/tmp/mlops.lock")


@contextmanager
def turn(verb: str) -> Iterator[None]:
    """Keep the project to this command until it has ended, and every command that it started and that outlived it.

    Raises:
        UserError: another command has its turn.
    """
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            other = file.read() or "another command"
            raise UserError(f"{other} runs in this project: wait for its end.") from None
        file.truncate(0)
        file.write(f"`mlops {verb}` (process {os.getpid()})")
        file.flush()
        os.set_inheritable(file.fileno(), True)  # DVC, started by run_tool, may outlive a command that is killed
        yield
