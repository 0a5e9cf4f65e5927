"""What a run that trained hands to the job that publishes: its record, and the objects that the DVC remote lacks.

Who trains runs the owner's code and may write nowhere; who publishes may write and runs none of it. Between them goes
an artifact of the workflow's run, taken as what anybody may have made: a zip file that is never unpacked. Only files of
known names are read in it, and nothing of it is kept before all of it was checked: every object is what its digest
says, and only what a stage of the commit's own dvc.yaml makes is an object.
"""

import hashlib
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from ..core import github
from ..core.errors import UserError
from ..core.files import open_zip, write_file
from ..core.paths import BUNDLE, LOCK, METRICS, RECORDED, SUMMARY
from . import store
from .card import read_facts, read_metrics, read_rows
from .objects import (
    CACHE,
    NAME,
    find,
    load_yaml,
    members,
    output_pattern,
    parse_yaml,
    place,
    wanted_by_lock,
)

ARTIFACT = "trained"
PIPELINE = "dvc.yaml"
MAX_RECORD = 4 * 2**20  # bytes of each recorded file
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others unpack without a bound

_CHUNK = 2**20
_STAGE = re.compile(r"[\w.+=,@/ -]+")


def write_handover(folder: Path) -> None:
    """Write what this tree's run recorded and made into `folder`, which becomes an artifact of the workflow's run.

    Raises:
        UserError: nothing was trained, or an object is neither here nor in the DVC remote; or the folder has anything
            that no run of this writes.
    """
    if others := _foreign(folder):
        raise UserError(f"{folder} has {others[0]}, and would be replaced: name a folder that is new or empty.")
    if absent := [path for path in RECORDED if not Path(path).is_file()]:
        raise UserError(f"there is no {absent[0]}: run `mlops train` first.")
    lacking = missing(_named(load_yaml(LOCK), load_yaml(PIPELINE)))
    for md5, name in [(md5, name) for md5, name in lacking.items() if md5.endswith(".dir")]:
        lacking |= missing(members(_here(md5, name), name))
    shutil.rmtree(folder, ignore_errors=True)
    for path in RECORDED:
        write_file(folder / path, Path(path).read_bytes())
    for md5, name in lacking.items():
        target = folder / _member(md5)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_here(md5, name), target)
    print(f"{folder} has the record of this run and {store.measure(folder / _member(md5) for md5 in lacking)}.")


def _foreign(folder: Path) -> list[str]:
    """Return the names in a folder if it is not as `write_handover` leaves one."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    ours = {Path(path).parts[0] for path in (*RECORDED, _member("0" * 32))}
    others = [name for name in names if name not in ours]
    return others or ([] if LOCK in names else names)


def take_handover(packed: Path | None = None) -> None:
    """Bring what a run that trained this commit handed over into the tree's record and DVC's cache.

    Args:
        packed: the artifact's zip file; without one it is fetched from this run of the workflow.

    Raises:
        UserError: there is none, or anything in it is not what this commit's pipeline makes; then nothing is taken.
    """
    if packed and not packed.is_file():
        raise UserError(f"there is no {packed}: name the artifact's zip file, or none to have it fetched.")
    parent = Path(".dvc/tmp")
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="handover-", dir=parent) as directory:
        file = packed or _fetch(Path(directory) / "artifact.zip")
        try:
            with open_zip(file) as archive:
                record, objects = _check(_Archive(archive, Path(directory)))
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise refusal(f"it is no whole zip file ({error})") from None
        size = store.measure(objects.values())
        for md5, content in objects.items():
            target = place(CACHE, md5)
            target.parent.mkdir(parents=True, exist_ok=True)
            content.chmod(0o444)  # as DVC keeps what nobody may edit
            content.replace(target)
    for path in reversed(RECORDED):  # the lock last: what it names is here by then
        write_file(Path(path), record[path])
    print(f"Took the record of the run that trained, and {size}.")


def missing(objects: Mapping[str, str]) -> dict[str, str]:
    """Return those of `objects` that the DVC remote lacks, be it the repository's own store or another one.

    Raises:
        UserError: it was not reached.
    """
    if store.uses_store():
        return store.missing(objects)
    store.require_dvc()
    from dvc.repo import Repo

    from .dvc_repo import readable_errors

    with readable_errors():
        remote = Repo().cloud.get_remote_odb()
    try:
        there = set(remote.oids_exist(list(objects)))
    except Exception as error:  # every kind of remote has its own
        raise UserError(f"the DVC remote did not say what it has ({error}): try again.") from error
    return {md5: name for md5, name in objects.items() if md5 not in there}


def refusal(why: str) -> UserError:
    """Return the error that the artifact is not taken; whatever is quoted, the runner reads no command in it."""
    line = " ".join(why.split()).replace("##[", "## [")
    return UserError(f"the artifact `{ARTIFACT}` of the job that trained is refused: {line}; nothing of it was taken.")


class _Archive:
    """The files of a zip file by their names, none of which says where anything is written."""

    def __init__(self, archive: zipfile.ZipFile, aside: Path) -> None:
        files = [info for info in archive.infolist() if not info.is_dir()]
        self.files = {info.filename: info for info in files}
        self._archive, self._aside = archive, aside
        if len(self.files) < len(files):
            raise refusal("it has two files of one name")
        if others := [info for info in files if info.compress_type not in METHODS]:
            raise refusal(f"{_quoted(others[0].filename)} in it is packed by another method than artifacts are")

    def read(self, name: str) -> bytes:
        """Return the bytes of a recorded file."""
        if name not in self.files:
            raise refusal(f"it has no {name}")
        with self._archive.open(self.files[name]) as content:
            record = content.read(MAX_RECORD + 1)
        if len(record) > MAX_RECORD:
            raise refusal(f"its {name} has more than {MAX_RECORD:,} bytes")
        return record

    def extract(self, objects: Mapping[str, str]) -> dict[str, Path]:
        """Return a file with the bytes of each of `objects` that the archive has, which are what its name says."""
        extracted = {md5: self._aside / md5 for md5 in objects if _member(md5) in self.files}
        for md5, file in extracted.items():
            digest = hashlib.md5(usedforsecurity=False)
            with self._archive.open(self.files[_member(md5)]) as content, file.open("wb") as target:
                while chunk := content.read(_CHUNK):
                    digest.update(chunk)
                    target.write(chunk)
            if digest.hexdigest() != md5[:32]:
                raise refusal(f"the bytes of {_quoted(objects[md5])} are not those that its {LOCK} names")
        return extracted


def _check(archive: _Archive) -> tuple[dict[str, bytes], dict[str, Path]]:
    """Return the recorded files and the objects of an artifact: all that it has, each as it must be."""
    record = {path: archive.read(path) for path in RECORDED}
    try:
        lock = parse_yaml(record[LOCK])
    except ValueError as error:
        raise refusal(f"its {LOCK} cannot be read, {error}") from None
    pipeline = load_yaml(PIPELINE)
    _check_lock(lock, pipeline)
    _check_record(record, lock)
    named = _named(lock, pipeline)
    objects = archive.extract(named)
    for md5 in [md5 for md5 in objects if md5.endswith(".dir")]:
        named |= _require(partial(members, name=named[md5]), objects[md5])
    objects |= archive.extract({md5: path for md5, path in named.items() if md5 not in objects})
    if others := sorted(archive.files.keys() - {*RECORDED, *map(_member, objects)}):
        raise refusal(f"it has {_quoted(others[0])}, which its {LOCK} does not name")
    if lost := missing({md5: path for md5, path in named.items() if md5 not in objects}):
        raise refusal(f"it lacks {_quoted(next(iter(lost.values())))}, which the DVC remote lacks as well")
    for md5, path in named.items():
        if path == BUNDLE and md5 in objects:
            _require(read_facts, objects[md5])
    return record, objects


def _check_lock(lock: Any, pipeline: Any) -> None:
    """Refuse a lock that names what no stage of the pipeline makes.

    DVC leaves what it recorded of a stage that is gone: that is fine as the commit has it.
    """
    committed, defined = _stages(load_yaml(LOCK, "HEAD")), _stages(pipeline)
    for name, stage in _stages(lock).items():
        if name in committed and stage == committed[name]:
            continue
        definition = defined.get(str(name).partition("@")[0])
        if definition is None or not _STAGE.fullmatch(str(name)):
            raise refusal(f"its {LOCK} has the stage {_quoted(name)}, and {PIPELINE} has not")
        if not isinstance(stage, dict) or not isinstance(stage.get("cmd"), str | list):
            raise refusal(f"its {LOCK} does not say what the stage {_quoted(name)} ran")
        _entries(name, stage, "deps")
        made = output_pattern(definition)
        for out in _entries(name, stage, "outs"):
            path = PurePosixPath(out["path"])
            if not made.fullmatch(out["path"]) or path.is_absolute() or ".." in path.parts:
                raise refusal(f"its {LOCK} names {_quoted(path)}, which the stage {_quoted(name)} does not make")
            if out.get("hash") != "md5" or not NAME.fullmatch(str(out.get("md5"))):
                raise refusal(f"its {LOCK} has no digest of {_quoted(path)}")


def _check_record(record: Mapping[str, bytes], lock: Any) -> None:
    """Refuse recorded files that are not what the lock names, or do not hold what they must."""
    outs = [out for stage in _stages(lock).values() for out in stage.get("outs", [])]
    named = {out["path"]: out.get("md5") for out in outs}
    for path in (METRICS, SUMMARY):
        if named.get(path) != hashlib.md5(record[path], usedforsecurity=False).hexdigest():
            raise refusal(f"its {path} is not what its {LOCK} names")
    _require(read_metrics, record[METRICS])
    _require(read_rows, record[SUMMARY])


def _require(read: Callable[[Any], Any], what: Any) -> Any:
    """Return what is read, or refuse the artifact for the reason that it cannot be."""
    try:
        return read(what)
    except UserError as error:
        raise refusal(str(error).rstrip(".")) from None


def _stages(content: Any) -> dict[str, Any]:
    stages = content.get("stages", {}) if isinstance(content, dict) else {} if content is None else None
    if not isinstance(stages, dict):
        raise refusal(f"its {LOCK} has no stages")
    return stages


def _entries(name: str, stage: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    entries = stage.get(kind, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and _is_path(entry) for entry in entries):
        raise refusal(f"its {LOCK} names no files as {kind} of the stage {_quoted(name)}")
    return entries


def _is_path(entry: dict[str, Any]) -> bool:
    path = entry.get("path")
    return isinstance(path, str) and path.isprintable()


def _named(lock: Any, pipeline: Any) -> dict[str, str]:
    return dict(wanted_by_lock(lock, pipeline, PurePosixPath()))


def _member(md5: str) -> str:
    """Return the name that an object has in the artifact."""
    return f"objects/{md5[:2]}/{md5[2:]}"


def _here(md5: str, name: str) -> Path:
    file = find(md5)
    if file is None:
        raise UserError(f"{name} is neither on this machine nor in the DVC remote: run `mlops train` first.")
    return file


def _fetch(file: Path) -> Path:
    """Return the file into which the newest artifact of this run was downloaded, whichever attempt made it."""
    listed = github.api(f"actions/runs/{github.run_id()}/artifacts", "-f", f"name={ARTIFACT}", "-f", "per_page=100")
    artifacts = [
        artifact for artifact in listed["artifacts"] if artifact["name"] == ARTIFACT and not artifact["expired"]
    ]
    if not artifacts:
        raise UserError(f"this run has no artifact `{ARTIFACT}`, or none any more: run all of its jobs again.")
    newest = max(artifacts, key=lambda artifact: artifact["id"])
    github.download(f"actions/artifacts/{newest['id']}/zip", file)
    return file


def _quoted(text: object) -> str:
    return repr(str(text)[:100])
