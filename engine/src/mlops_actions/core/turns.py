"""One command at a time changes what lies in the project; a second one says which one runs."""

import fcntl
import os
import re
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
            if (process := re.search(r"process (\d+)", other)) and not _is_alive(int(process[1])):
                other = f"what {other} started and left behind when it was killed still"
            raise UserError(f"{other} runs in this project: wait for its end.") from None
        file.truncate(0)
        file.write(f"`mlops {verb}` (process {os.getpid()})")
        file.flush()
        os.set_inheritable(file.fileno(), True)  # DVC, started by run_tool, may outlive a command that is killed
        yield


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
