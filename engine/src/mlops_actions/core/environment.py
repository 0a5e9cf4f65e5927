"""uv, and the environments that it makes of a uv.lock of another commit."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from .errors import UserError
from .owner import LOCKFILE

ENVIRONMENTS = Path(".dvc/tmp/environments")  # by the digest of their uv.lock
KEPT = 5  # environments: each has hundreds of megabytes, though uv shares files between them


def find_uv() -> str:
    """Return the command that uv is: the one that runs this, the one on PATH, or the Makefile's own.

    Raises:
        UserError: there is none.
    """
    places = (os.environ.get("UV"), shutil.which("uv"), ".uv/bin/uv")
    uv = next((place for place in places if place and os.access(place, os.X_OK)), None)
    if uv is None:
        raise UserError("uv is not on PATH: install it (https://docs.astral.sh/uv), or run `make setup`.")
    return str(Path(uv).absolute())


def run_uv(*words: str | Path, cwd: Path, variables: Mapping[str, str] | None = None) -> None:
    """Run uv in a folder.

    Raises:
        UserError: there is no uv, or it failed; the text has its reason, on one line.
    """
    kept = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    environment = {**kept, "NO_COLOR": "1", "UV_NO_PROGRESS": "1", **(variables or {})}
    command = [find_uv(), *map(str, words)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise UserError(f"`uv {words[0]}` failed: {reason_of(done.stderr)}.")


def reason_of(stderr: str) -> str:
    """Return on one line why uv failed, without the frame that it draws and the hints below."""
    lines = [line.strip(" ×╰├─▶│╭·") for line in stderr.splitlines()]
    begins = [line.lstrip().startswith(("×", "error:")) for line in stderr.splitlines()]
    start = begins.index(True) if True in begins else 0
    reason = " ".join(line.removeprefix("error: ") for line in lines[start:] if line)
    return (reason.partition(" hint: ")[0] or "it gave no reason").rstrip(".")


def environment_of(home: Path, root: Path = Path(), leave_out: str | None = None) -> str:
    """Return the Python of an environment with the libraries of a checkout's uv.lock, made where it is not there yet.

    uv brings what is there up to date, so that a killed run leaves nothing half made.

    Args:
        home: a checkout of one of the project's commits.
        root: the project here, below which environments are kept by the digest of their uv.lock.
        leave_out: a package that is not installed, though what it requires is.

    Raises:
        UserError: the checkout has no uv.lock, or uv cannot install it.
    """
    lock = home / LOCKFILE
    if not lock.is_file():
        raise UserError(f"there is no {LOCKFILE} to install.")
    place = (root / ENVIRONMENTS / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]).resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    print(f"Installing what the {LOCKFILE} of another commit names into {place}", file=sys.stderr, flush=True)
    left_out = ["--no-install-package", leave_out] if leave_out else []
    run_uv(
        *("sync", "--quiet", "--locked", "--no-dev", "--no-editable", *left_out),
        cwd=home,
        variables={"UV_PROJECT_ENVIRONMENT": str(place)},
    )
    os.utime(place)
    _drop_old(place.parent)
    return str(place / "bin" / "python")


def _drop_old(folder: Path) -> None:
    """Delete all but the environments that were used last."""
    by_age = sorted(folder.iterdir(), key=lambda place: place.stat().st_mtime, reverse=True)
    for place in by_age[KEPT:]:
        shutil.rmtree(place, ignore_errors=True)
