"""Running the commands that are installed beside this one: DVC, pytest, pre-commit."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

PATIENCE = 30  # seconds that an interrupted command has to leave its files whole


def run_tool(*command: str) -> int:
    """Return the exit code of a command of this environment, whether or not the environment is on PATH.

    Its script may name the Python of another environment, of which this one is a copy; its module does not. An
    interruption is the command's as well, which ends before it is raised here.
    """
    name, *options = command
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    module = [sys.executable, "-P", "-m", name.replace("-", "_")]
    # With `close_fds` it would not hold the turn of this command.
    with subprocess.Popen([*module, *options], env={**os.environ, "PATH": path}, close_fds=False) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            _end(process)
            raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let an interrupted process end; a terminal has interrupted it too, `kill` has not."""
    for patience, number in ((1, signal.SIGINT), (PATIENCE, signal.SIGKILL)):
        with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(patience)
            return
        process.send_signal(number)
