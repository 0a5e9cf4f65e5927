"""The pipeline's outputs: where each is, and its bytes at any revision, as dvc.lock names them."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

from ..core.errors import UserError
from ..core.files import replacing
from ..core.paths import LOCK
from .objects import drop_damaged, find, members, wanted


def locked(path: str, rev: str | None = None) -> str | None:
    """Return the md5 that dvc.lock, in the working tree or at `rev`, gives for the output `path`, or None."""
    return next(iter(wanted(rev=rev, only=[path])), None)


def output_file(path: str, rev: str | None = None) -> Path:
    """Return a file with the bytes of output `path`, in the working tree or at `rev`, fetched where needed.

    Raises:
        UserError: nothing was trained there, or no store has it.
    """
    if rev is None and Path(path).exists():
        return Path(path)
    md5 = _required(path, rev)
    _fetch({md5: path})
    return find(md5) or _fetched_by_dvc(md5, path, rev)


def place_output(path: str, rev: str | None, home: Path) -> None:
    """Copy the directory that is output `path`, as dvc.lock names it here or at `rev`, to its place below `home`.

    Raises:
        UserError: nothing was trained there, or no store has it.
    """
    md5 = _required(path, rev)
    _fetch({md5: path})
    listing = find(md5) or _fetched_by_dvc(md5, path, rev)
    for member, name in members(listing, path).items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(find(member) or _fetched_by_dvc(member, path, rev), home / name)


def place_recorded(path: Path) -> None:
    """Place what dvc.lock names of the output `path` where something else lies, or nothing; any other path stays.

    Raises:
        UserError: what it names is in no store.
    """
    name = os.path.relpath(path)
    md5 = locked(name) if Path(LOCK).exists() and not name.startswith(os.pardir) else None
    if md5 is None or (path.exists() and hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == md5):
        return
    _fetch({md5: name})
    with replacing(path) as partial:
        shutil.copyfile(find(md5) or _fetched_by_dvc(md5, name, None), partial)
    print(f"{name} is now what {LOCK} records.", file=sys.stderr)


def fetch_outputs(*outputs: tuple[str, str | None]) -> None:
    """Bring outputs, each a path and its revision (None: the working tree), that are not here from the store at once.

    Raises:
        UserError: nothing was trained there, or no store has one.
    """
    _fetch({_required(path, rev): path for path, rev in outputs if rev or not Path(path).exists()})


def _required(path: str, rev: str | None) -> str:
    md5 = locked(path, rev)
    if md5 is None:
        raise UserError(f"{rev or LOCK} has no {path}: run `mlops train` first.")
    return md5


def _fetch(objects: dict[str, str]) -> None:
    from . import store

    drop_damaged(objects)
    store.fetch(objects)


def _fetched_by_dvc(md5: str, path: str, rev: str | None) -> Path:
    from dvc.repo import Repo

    from .dvc_repo import readable_errors

    with readable_errors():
        repo = Repo()
        repo.fetch(targets=[path], revs=[rev] if rev else None, workspace=rev is None)
        file = Path(repo.cache.local.oid_to_path(md5))
    if not file.exists():  # DVC warns of it at most
        raise UserError(f"{path} is neither on this machine nor in the DVC remote: run `mlops push` where it is.")
    return file
