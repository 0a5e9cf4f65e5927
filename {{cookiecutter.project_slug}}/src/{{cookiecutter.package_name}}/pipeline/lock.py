"""Which record of past runs to start from: this tree's, or the newest version's.

Where main is protected, release commits stay on their tags and main's dvc.lock falls behind. What a release trained
need not be trained again, so its record is taken when it leaves less to run.
"""

import shutil
from pathlib import Path

from dvc.stage import Stage

from ..git import show_file
from ..outputs import LOCK, RECORDED
from ..versions import newest_version, refresh_tags
from .stages import outdated_stages

KEPT = Path(".dvc/tmp/recorded")


def start_from_best_lock() -> list[Stage]:
    """Return the stages that would run from the better record, which is then in the tree."""
    if KEPT.exists():  # a run was killed while it tried the other record
        restore()
    outdated = outdated_stages()
    if outdated:
        refresh_tags()
    version = newest_version() if outdated else None
    released = {path: show_file(version.commit, path) for path in RECORDED} if version else {}
    if not released.get(LOCK) or (Path(LOCK).exists() and Path(LOCK).read_bytes() == released[LOCK]):
        return outdated
    keep()
    for path, content in released.items():
        Path(path).write_bytes(content or b"")
    with_released = outdated_stages()
    if len(with_released) < len(outdated):
        shutil.rmtree(KEPT)
        print(f"Starting from what {version} trained.")
        return with_released
    restore()
    return outdated


def keep() -> None:
    """Copy the tree's record aside; the rename says that the copy is whole."""
    partial = KEPT.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for path in filter(Path.exists, map(Path, RECORDED)):
        (partial / path).parent.mkdir(exist_ok=True)
        shutil.copyfile(path, partial / path)
    partial.rename(KEPT)


def restore() -> None:
    """Bring the tree's own record back."""
    for path in map(Path, RECORDED):
        if (KEPT / path).exists():
            shutil.copyfile(KEPT / path, path)
        else:
            path.unlink(missing_ok=True)
    shutil.rmtree(KEPT)
