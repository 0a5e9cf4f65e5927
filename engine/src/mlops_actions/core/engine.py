"""The engine that a project names: its wheel in vendor/, and how the engine of another commit is run."""

import hashlib
import shutil
import tempfile
import zipfile
from pathlib import Path

from .errors import UserError

PACKAGE = __name__.partition(".")[0]
VENDOR = "vendor"
WHEEL = "mlops_actions-*.whl"
UNPACKED = Path(".dvc/tmp/engines")  # by digest: what was unpacked is imported faster than a zip, and once compiled


def find_wheel(root: Path) -> Path | None:
    """Return the engine's wheel in a project, or None where it comes from an index.

    Args:
        root: the project's top, or a checkout of one of its commits.

    Raises:
        UserError: there are two.
    """
    wheels = sorted((root / VENDOR).glob(WHEEL))
    if len(wheels) > 1:
        raise UserError(f"{VENDOR}/ holds {' and '.join(wheel.name for wheel in wheels)}: delete all but one.")
    return wheels[0] if wheels else None


def digest_of(wheel: Path) -> str:
    """Return a wheel's SHA-256, in hexadecimal digits."""
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def python_path(home: Path, root: Path = Path()) -> str | None:
    """Return what PYTHONPATH must be for the engine of a checkout, or None where it is the one that runs here.

    Args:
        home: a checkout of one of the project's commits.
        root: the project here.

    Raises:
        UserError: the wheel cannot be read.
    """
    theirs, ours = find_wheel(home), find_wheel(root)
    if theirs is None or (ours is not None and digest_of(theirs) == digest_of(ours)):
        return None
    return str(unpack(theirs, root))


def unpack(wheel: Path, root: Path = Path()) -> Path:
    """Return the folder with a wheel's content, unpacked below `root` once for each digest.

    Raises:
        UserError: it is not a wheel, or not a whole one.
    """
    place = (root / UNPACKED / digest_of(wheel)[:16]).resolve()
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".", dir=place.parent))
    try:
        with zipfile.ZipFile(wheel) as content:
            content.extractall(partial)
        partial.rename(place)
    except zipfile.BadZipFile:
        raise UserError(f"{wheel} is not a wheel, or not a whole one: `git restore {wheel}` brings it back.") from None
    except OSError:  # another process was faster
        if not place.is_dir():
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return place
