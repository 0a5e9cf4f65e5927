"""What lies in the working tree is what the record names, or it is not used.

The record is what git has: a `.dvc` file, or the lock of a frozen stage, names a source, which came from outside; dvc.lock
names an output, which a stage made. After `git pull`, `git switch` or `git merge` the record may name other bytes than
those that lie here. DVC by itself would take such a source for an edit and record it over the one that git brought, and
such an output for the recorded one as long as it never fetched that.
"""

import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path

from dvc.output import Output
from dvc.repo import Repo
from dvc.stage import Stage

from .. import git, store
from ..errors import UserError
from ..files import write_file
from ..objects import find, place, wanted
from ..outputs import LOCK
from ..versions import newest_version
from .stages import is_source, path_of, readable_errors

PLACING = Path(".dvc/tmp/placing")  # the paths that a run was placing when it was killed: their mixture is no edit


def place_sources(fetch: bool = True, force: bool = False) -> None:
    """Place what the record names of every source where something else lies.

    A file that is in DVC's cache was not edited: it is what an earlier record named, stays there, and is replaced.
    Anything else is an edit, which only `force` replaces. Without `fetch`, what is not on this machine stays unplaced.

    Raises:
        UserError: a source was edited, its record is in conflict, or what that names is in no store.
    """
    _require_no_conflict()
    half_placed = PLACING.read_text().splitlines() if PLACING.exists() else []
    for out in _sources():
        if not out.hash_info or not out.exists or (found := out.get_hash()) == out.hash_info:
            continue
        path = path_of(out)
        former = find(found.value)
        if former is None and not force and path not in half_placed:
            raise UserError(_edited(out))
        if not fetch and find(out.hash_info.value) is None:
            print(f"{path} is still the former one; `mlops pull` brings the one that git names now.")
            continue
        print(f"{path} is now what git names, {_short(out)}" + (f"; the former one is {former}" if former else "") + ".")
        _place([out])


def place_outputs(outdated: Collection[Stage] = (), fetch: bool = True) -> list[Stage]:
    """Place what the record names of every output where something else lies, or nothing though it is on this machine.

    Of a stage that will run, what is here and not recorded goes. Without `fetch`, only what is on this machine is placed.

    Returns:
        The stages that have to run for a file that git should have and no commit has: there is no other copy.

    Raises:
        UserError: what is recorded is in no store.
    """
    running = {stage.addressing for stage in outdated}
    placed: list[Output] = []
    lost: list[Stage] = []
    for out in _outputs():
        here = out.exists
        if not out.hash_info or (here and out.get_hash() == out.hash_info):
            continue
        if not out.use_cache:
            if not _restore(out) and out.stage.addressing not in running:
                lost.append(out.stage)
        elif out.stage.addressing in running:
            if here:
                out.remove()
        elif find(out.hash_info.value) or (here and fetch):
            placed.append(out)
    _place(placed)
    return lost


def normalise_line_ends() -> None:
    """Give every text file that a stage depends on the line ends that git keeps it with: a stage depends on content."""
    with readable_errors():
        stages = list(Repo().index.stages)
    paths = sorted({path_of(dep) for stage in stages for dep in stage.deps if dep.is_in_repo and dep.exists})
    if not paths:
        return
    listing = git.git("ls-files", "-z", "--eol", "--cached", "--others", "--exclude-standard", "--", *paths, check=False)
    for entry in filter(None, listing.split("\0")):
        about, _, path = entry.partition("\t")
        if about.split()[1] in ("w/crlf", "w/mixed") and "eol=lf" in about:
            write_file(Path(path), Path(path).read_bytes().replace(b"\r\n", b"\n"))
            print(f"{path} has the line ends again that git keeps it with (LF).")


def _sources() -> list[Output]:
    with readable_errors():
        return [out for stage in Repo().index.stages if is_source(stage) for out in stage.outs]


def _outputs() -> list[Output]:
    with readable_errors():
        return [out for stage in Repo().index.stages if not is_source(stage) for out in stage.outs]


def _place(outs: list[Output]) -> None:
    """Put the recorded bytes of `outs` in their places, fetched where they are not on this machine."""
    if not outs:
        return
    paths = [path_of(out) for out in outs]
    store.fetch(wanted(only=paths))
    with readable_errors():
        repo = outs[0].repo
        repo.fetch(targets=paths)
        write_file(PLACING, "".join(f"{path}\n" for path in paths).encode())
        repo.checkout(targets=paths, force=True)
    PLACING.unlink()


def _restore(out: Output) -> bool:
    """Bring back an output that git keeps, from a commit that has it as dvc.lock recorded it; return whether one has."""
    path, newest = path_of(out), newest_version()
    for commit in filter(None, [git.rev_parse("HEAD"), newest and newest.commit]):
        content = git.show_file(commit, path)
        if content and hashlib.md5(content, usedforsecurity=False).hexdigest() == out.hash_info.value:
            write_file(Path(path), content)
            print(f"{path} is again what {LOCK} records.")
            return True
    return False


def _require_no_conflict() -> None:
    """Raise a UserError where a merge left a `.dvc` file for somebody to choose."""
    for line in git.git("ls-files", "-z", "--unmerged", check=False).split("\0"):
        path = line.partition("\t")[2]
        if path.endswith(".dvc"):
            raise UserError(
                f"{path} is in conflict: both branches changed the data. Take one side with `git checkout --ours {path}` or "
                f"`--theirs`, then `git add {path}` and run this again; rows of the other side are to be added by hand."
            )


def _edited(out: Output) -> str:
    path = path_of(out)
    name = Path(out.stage.path_in_repo).as_posix()
    take = f"uv run dvc add {path}" if name.endswith(".dvc") else f"uv run dvc commit --force {out.stage.addressing}"
    return (
        f"{path} was edited: it is not what {name} names ({_short(out)}), and not in DVC's cache. "
        f"`{take}` takes the edit, `uv run mlops checkout --force` brings back what is recorded."
    )


def _short(out: Output) -> str:
    return str(out.hash_info.value)[:12]
