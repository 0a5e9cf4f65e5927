"""Which record of past runs to start from: this tree's, or the newest version's.

Where main is protected, release commits stay on their tags and main's dvc.lock falls behind. What a release trained
need not be trained again, so its record is taken when it leaves less to run.
"""

from pathlib import Path

from dvc.stage import Stage

from ..core.files import write_file
from ..core.git import show_file
from ..core.paths import LOCK, RECORDED
from ..registry.versions import newest_version, refresh_tags
from .outdated import outdated_stages


def start_from_best_lock() -> list[Stage]:
    """Return the stages that would run from the better record, which is then in the tree."""
    outdated = outdated_stages()
    if outdated:
        refresh_tags()
    version = newest_version() if outdated else None
    released = {path: show_file(version.commit, path) for path in RECORDED} if version else {}
    lock = released.get(LOCK)
    if not lock or (Path(LOCK).exists() and Path(LOCK).read_bytes() == lock):
        return outdated
    if len(outdated_stages(lock)) >= len(outdated):
        return outdated
    for path in reversed(RECORDED):  # the lock last: a run that is killed before it starts from the same two again
        write_file(Path(path), released[path] or b"")
    print(f"Starting from what {version} trained.")
    return outdated_stages()
