"""What lies in the working tree is what the record names, or it is not used.

The record is what git has: a `.dvc` file, or the lock of a frozen stage, names a source, which came from outside;
dvc.lock names an output, which a stage made. After `git pull`, `git switch` or `git merge` the record may name other
bytes than those that lie here. DVC by itself would take such a source for an edit and record it over the one that git
brought, and such an output for the recorded one as long as it never fetched that.
"""

import hashlib
import json
import sys
from collections.abc import Collection
from pathlib import Path

from dvc.output import Output
from dvc.stage import Stage

from ..core import git
from ..core.config import Config
from ..core.errors import UserError
from ..core.files import write_file
from ..core.paths import LOCK
from ..registry import store
from ..registry.dvc_repo import open_repo, readable_errors
from ..registry.objects import NAME, absent, digest, drop_damaged, find, wanted
from ..registry.versions import newest_version
from .outdated import is_source, path_of, writes_recipes
from .recipes import write_recipes

PLACING = Path(".dvc/tmp/placing")  # what a run was placing when it was killed, each with its digest: no edit


def settle_inputs(config: Config) -> None:
    """Bring what the stages depend on to what its record names, and recipes.yaml up to date, before any decision.

    Raises:
        UserError: data was edited and not recorded, or what is recorded is in no store.
    """
    place_sources()
    normalise_line_ends()
    write_recipes(config)


def place_sources(force: bool = False) -> None:
    """Place what the record names of every source where something else lies, or nothing though it is on this machine.

    A file that is in DVC's cache was not edited: it is what an earlier record named, stays there, and is replaced.
    Anything else is an edit, which only `force` replaces.

    Raises:
        UserError: a source was edited, its record is in conflict, or what that names is in no store.
    """
    _require_records()
    for out in _recorded_outs(sources=True):
        if not Path(out.fs_path).exists():  # as a link to nothing does not
            _place([out] if find(out.hash_info.value) else [])
        elif (digest := out.get_hash()) == out.hash_info:
            _forget_placing(out)
        else:
            half_placed = not force and _is_half_placed(out)
            if force and not find(digest.value):
                _keep(out)
            former = find(digest.value)
            if not (former or half_placed):
                raise UserError(_edited(out))
            _place([out])
            kept = f"; the former one is {former}" if former else ", of which a killed run had placed a part"
            print(f"{path_of(out)} is now what git names, {_short(out)}{kept}.", flush=True)


def edited_sources() -> list[str]:
    """Return a sentence for every source that was edited and not recorded."""
    others = [out for out in _recorded_outs(sources=True) if Path(out.fs_path).exists()]
    digests = [(out, out.get_hash()) for out in others]
    return [_edited(out) for out, now in digests if now != out.hash_info and not find(now.value)]


def require_outputs(fetch: bool = True) -> None:
    """Place what the record names of every output, as `place_outputs` does.

    Raises:
        UserError: what is recorded is nowhere, or its record names nothing.
    """
    if lost := place_outputs(fetch=fetch):
        raise UserError(f"what {LOCK} records of {_names(lost)} is nowhere: run `mlops train`, which makes it again.")


def place_outputs(
    outdated: Collection[Stage] = (), fetch: bool = True, needed: Collection[str] = (), every: bool = False
) -> list[Stage]:
    """Place what the record names of every output where something else lies, or nothing though it is on this machine.

    Of a stage that will run, what is here and not recorded goes. Without `fetch`, what is not on this machine is left.

    Args:
        needed: the paths of outputs that are fetched where nothing lies either.
        every: fetch each of them; one that lies here and not in DVC's cache is kept there.

    Returns:
        The stages that have to run because what the record names of them is nowhere, in their order.

    Raises:
        UserError: a record names nothing.
    """
    running = {stage.addressing for stage in outdated}
    placed: list[Output] = []
    lost: list[Output] = []
    outs = _recorded_outs(sources=False)
    for out in outs:
        here = Path(out.fs_path).exists()
        if here and out.get_hash() == out.hash_info:
            if every and out.use_cache and out.changed_cache():
                _keep(out)
            continue
        if not out.use_cache:
            if not _restore(out) and out.stage.addressing not in running:
                lost.append(out)
        elif out.stage.addressing in running:
            if here:
                out.remove()
        elif find(out.hash_info.value) or (here and fetch) or every or path_of(out) in needed:
            placed.append(out)
    try:
        _bring(placed)
    except UserError as reason:
        print(reason, file=sys.stderr)
        lost += [out for out in placed if out.changed_cache()]
    _check_out([out for out in placed if out not in lost])
    return list({out.stage.addressing: out.stage for out in outs if out in lost}.values())


def place_kept() -> str:
    """Place what is on this machine of all that the record names; return what helps with the rest, in words."""
    place_outputs(fetch=False)
    sources, results = ([out for out in _recorded_outs(kind) if out.use_cache] for kind in (True, False))
    lost = [out for out in sources + results if absent({str(out.hash_info.value): path_of(out)}, Path())]
    _place([out for out in sources if out not in lost and not Path(out.fs_path).exists()])
    helps = [_renewal(out) for out in sources if out in lost]
    if made := [path_of(out) for out in results if out in lost]:
        helps.append(f"`mlops train --lost` makes {_few(made)} again")
    return f"Where nobody has it: {'; '.join(helps)}." if helps else ""


def _renewal(out: Output) -> str:
    """Return in words how data is replaced whose recorded bytes nobody has any more."""
    path = path_of(out)
    if not _record_of(out).endswith(".dvc"):
        return f"`mlops ingest` fetches {path} anew"
    return f"put the data at {path}, and `uv run dvc add {path}` records it"


def normalise_line_ends() -> None:
    """Give every text file that a stage depends on the line ends that git keeps it with: a stage depends on content."""
    with readable_errors():
        stages = list(open_repo().index.stages)
    paths = sorted({path_of(dep) for stage in stages for dep in stage.deps if dep.is_in_repo and dep.exists})
    if not paths:
        return
    listing = git.git(
        "ls-files", "-z", "--eol", "--cached", "--others", "--exclude-standard", "--", *paths, check=False
    )
    for entry in filter(None, listing.split("\0")):
        about, _, path = entry.partition("\t")
        if about.split()[1] in ("w/crlf", "w/mixed") and "eol=lf" in about:
            write_file(Path(path), Path(path).read_bytes().replace(b"\r\n", b"\n"))
            print(f"{path} has the line ends again that git keeps it with (LF).")


def _recorded_outs(sources: bool) -> list[Output]:
    """Return the sources or the outputs of which the record names the bytes, in the order of the stages.

    Raises:
        UserError: a record is cut off, has something else in the place of a digest, or names a place outside.
    """
    if Path(LOCK).is_file() and not Path(LOCK).read_bytes().endswith(b"\n"):
        raise UserError(f"{LOCK} ends within a line: `git restore {LOCK}` brings it back.")
    with readable_errors():
        stages = [
            stage for stage in open_repo().index.stages if is_source(stage) == sources and not writes_recipes(stage)
        ]
    if empty := [stage.path_in_repo for stage in stages if not stage.outs]:
        raise UserError(f"{empty[0]} names no data: `git restore {empty[0]}` brings it back.")
    outs = [out for stage in stages for out in stage.outs if out.hash_info or stage.is_data_source]
    outs = [out for out in outs if (out.hash_info.name or "md5").startswith("md5")]
    for out in outs:
        record = _record_of(out)
        if not out.is_in_repo:
            raise UserError(f"{record} names {path_of(out)}, which is not in this project: name a place in it.")
        if link := _committed_link(Path(path_of(out))):
            raise UserError(
                f"{record} names {path_of(out)}, and {link} is a link that was committed: nothing is placed through "
                "one, as a branch could lead anywhere by it. Delete it, or name another place."
            )
        if not NAME.fullmatch(str(out.hash_info.value)):
            raise UserError(f"{record} names no digest of {path_of(out)}: `git restore {record}` brings it back.")
    return outs


def _committed_link(path: Path) -> Path | None:
    """Return the first folder on the way to a path that git has as a link; one that git has not is the owner's own."""
    links = (parent for parent in reversed(path.parents) if parent.is_symlink())
    return next((link for link in links if git.git("ls-files", "--", str(link))), None)


def _keep(out: Output) -> None:
    """Keep what lies in the place of an output in DVC's cache."""
    with readable_errors():
        out.commit(relink=False)


def _is_half_placed(out: Output) -> bool:
    """Return whether a killed run left a folder as a mixture of files that are all kept: nothing in it is an edit.

    Raises:
        UserError: something else was put into it since.
    """
    folder = Path(out.fs_path)
    if not folder.is_dir() or _entry(out) not in _placing():
        return False
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    others = [file.relative_to(out.repo.root_dir).as_posix() for file in files if not find(digest(file))]
    if others:
        raise UserError(
            f"{path_of(out)} is half what {_record_of(out)} names, as a run that placed it was killed, and has "
            f"{_few(others)} besides: move that elsewhere, and run this again."
        )
    return True


def _placing() -> list[str]:
    return PLACING.read_text().splitlines() if PLACING.exists() else []


def _forget_placing(out: Output) -> None:
    """Note that an output is whole: what is done to it from now on is an edit."""
    lines = _placing()
    others = [line for line in lines if line.partition(" ")[2] != path_of(out)]
    if others != lines:
        write_file(PLACING, "".join(f"{line}\n" for line in others).encode())


def _entry(out: Output) -> str:
    return f"{out.hash_info.value} {path_of(out)}"


def _place(outs: list[Output]) -> None:
    """Put the recorded bytes of `outs` in their places, fetched where they are not on this machine, all or none.

    Raises:
        UserError: the bytes of one are in no store.
    """
    _bring(outs)
    _check_out(outs)


def _bring(outs: list[Output]) -> None:
    """Bring the recorded bytes of `outs` into DVC's cache, fetched where they are not on this machine.

    Raises:
        UserError: the bytes of one are in no store; those of the others are here then.
    """
    for out in outs:
        drop_damaged({str(out.hash_info.value): path_of(out)})
    lost: UserError | None = None
    if paths := [path_of(out) for out in outs if out.changed_cache()]:
        try:
            store.fetch(wanted(only=paths))
        except UserError as error:
            lost = error
            paths = [path for path in paths if not absent(wanted(only=[path]), Path())]
    if paths:
        with readable_errors():
            outs[0].repo.fetch(targets=paths)
    if lost:
        raise lost
    for out in outs:
        if out.changed_cache():
            raise UserError(
                f"{path_of(out)} is not placed: what {_record_of(out)} names of it ({_short(out)}) is neither here nor "
                "in the DVC remote, or that was not reached. Run `mlops push` where the data is, then this again."
            )


def _check_out(outs: list[Output]) -> None:
    """Put the bytes of `outs` in their places, which DVC's cache has."""
    if outs:
        write_file(PLACING, "".join(f"{_entry(out)}\n" for out in outs).encode())
        with readable_errors(), outs[0].repo.lock:
            for out in outs:
                out.checkout(force=True)
        PLACING.unlink()


def _restore(out: Output) -> bool:
    """Bring back an output that git keeps, from a commit that has it as dvc.lock records it; return whether one has."""
    path, newest = path_of(out), newest_version()
    for commit in filter(None, [git.rev_parse("HEAD"), newest.commit if newest else None]):
        content = git.show_file(commit, path)
        if content and _md5(content) == out.hash_info.value:
            write_file(Path(path), content)
            print(f"{path} is again what {LOCK} records.")
            return True
    return False


def _require_records() -> None:
    """Raise a UserError where a `.dvc` file is gone or empty, or left by a merge for somebody to choose."""
    named = wanted().values()
    for path in git.git("ls-files", "-z", "--deleted", "--", "*.dvc", check=False).split("\0"):
        if path and path.removesuffix(".dvc") not in named:  # else an ingest stage names it now
            raise UserError(f"{path} is gone, which names data: `git restore {path}` brings it back.")
    for path in git.list_files():
        if path.endswith(".dvc") and Path(path).is_file() and not Path(path).read_bytes().strip():
            raise UserError(f"{path} is empty, which names data: `git restore {path}` brings it back.")
    for line in git.git("ls-files", "-z", "--unmerged", "--", "*.dvc", check=False).split("\0"):
        if path := line.partition("\t")[2]:
            raise UserError(
                f"{path} is in conflict: both branches changed the data. `git checkout --theirs {path}` and "
                f"`git add {path}`, then `uv run mlops checkout`, place their file and name where yours is kept, whose "
                f"rows you add to it (or the other way round, with `--ours`)."
            )


def _edited(out: Output) -> str:
    path, record = path_of(out), _record_of(out)
    take = f"uv run dvc add {path}" if record.endswith(".dvc") else f"uv run dvc commit --force {out.stage.addressing}"
    where = f" ({_few(others)})" if (others := _edited_members(out)) else ""
    return (
        f"{path} was edited{where}: it is not what {record} names ({_short(out)}), and not in DVC's cache. "
        f"`{take}` records yours in the place of that one; `uv run mlops checkout --force` brings that one back and "
        "keeps yours in the cache. If a colleague's rows are in that one, bring it back, and add yours to it."
    )


def _edited_members(out: Output) -> list[str]:
    """Return which files of a folder are not what its record names, as far as the record is on this machine."""
    folder, listing = Path(out.fs_path), find(str(out.hash_info.value))
    if not folder.is_dir() or listing is None:
        return []
    files = [file for file in folder.rglob("*") if file.is_file()]
    here = {(file.relative_to(folder).as_posix(), digest(file)) for file in files}
    named = {(member["relpath"], member["md5"]) for member in json.loads(listing.read_bytes())}
    return sorted({name for name, _ in here ^ named})


def _record_of(out: Output) -> str:
    """Return the file that names the bytes of an output."""
    file = Path(out.stage.path_in_repo)
    return (file if file.suffix == ".dvc" else file.with_name(LOCK)).as_posix()


def _short(out: Output) -> str:
    return str(out.hash_info.value)[:12]


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _names(stages: list[Stage]) -> str:
    return ", ".join(stage.addressing for stage in stages)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
