"""Running the commands that are installed beside this one: DVC, pytest, pre-commit."""

import os
import subprocess
import sys
from pathlib import Path


def run_tool(*command: str) -> int:
    """Return the exit code of a command of this environment, whether or not the environment is on PATH.

    Its script may name the Python of another environment, of which this one is a copy; its module does not.
    """
    name, *options = command
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    module = [sys.executable, "-P", "-m", name.replace("-", "_")]
    return subprocess.run([*module, *options], env={**os.environ, "PATH": path}).returncode
