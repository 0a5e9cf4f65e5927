"""The objects that DVC keeps: what its lock and `.dvc` files name, and where each is on this machine.

An object's name is the md5 of its bytes; one whose name ends in `.dir` lists the members of a directory.
"""

import hashlib
import json
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from ruamel.yaml.error import YAMLError

from ..core import git, plain_yaml
from ..core.errors import UserError
from .dvc_config import moved_cache

STORE = Path(".dvc/store/files/md5")
CACHE = Path(".dvc/cache/files/md5")
NAME = re.compile(r"[0-9a-f]{32}(\.dir)?")

T = TypeVar("T", str, list[Any], dict[Any, Any])


def wanted(root: Path = Path(), rev: str | None = None, only: Collection[str] | None = None) -> dict[str, str]:
    """Return the objects that the lock and `.dvc` files name, md5 → path: of the working tree, or of `rev`.

    `only` keeps those whose path is in it, such as `models/bundle.zip`.
    """
    objects: dict[str, str] = {}
    for name in git.list_files(rev, cwd=root):
        file = PurePosixPath(name)
        if file.name == "dvc.lock":
            pipeline = load_yaml(file.with_name("dvc.yaml"), rev, root)
            named = wanted_by_lock(load_yaml(file, rev, root), pipeline, file.parent)
        elif file.suffix == ".dvc":
            content = load_yaml(file, rev, root)
            outs = [out for out in _at(content, "outs", list) if not _stays(out)]
            named = _named(outs, file.parent / _at(content, "wdir", str))
        else:
            continue
        objects |= {md5: path for md5, path in named if only is None or path in only}
    return objects


def wanted_by_lock(lock: Any, pipeline: Any, parent: PurePosixPath) -> Iterator[tuple[str, str]]:
    """Yield the objects, md5 and path, that the content of a lock names for DVC's remote.

    Args:
        lock: the content of a dvc.lock.
        pipeline: that of the dvc.yaml beside it.
        parent: where both are.
    """
    ours = _not_for_dvc(pipeline)
    for name, stage in _at(lock, "stages", dict).items():
        outs = [out for out in _at(stage, "outs", list) if not ours.fullmatch(_at(out, "path", str))]
        yield from _named(outs, parent / _work_directory(pipeline, name))


def output_pattern(stage: Any) -> re.Pattern[str]:
    """Return what the paths of the outputs match that a stage of a dvc.yaml makes."""
    return _matching(path for path, _ in _outputs(stage))


def _named(outs: list[Any], parent: PurePosixPath) -> Iterator[tuple[str, str]]:
    for out in outs:
        md5 = _at(out, "md5", str)
        # Without `hash: md5` the object is DVC 2's, whose name is no plain md5 of its bytes.
        if _at(out, "hash", str) == "md5" and NAME.fullmatch(md5):
            yield md5, os.path.normpath(parent / _at(out, "path", str))


def place(base: Path, md5: str) -> Path:
    """Return where an object is below a DVC directory."""
    return base / md5[:2] / md5[2:]


def bases(root: Path = Path()) -> tuple[Path, ...]:
    """Return the directories of this machine that have objects."""
    moved = moved_cache(root)
    return root / STORE, root / CACHE, *([moved / "files/md5"] if moved else [])


def find(md5: str, root: Path = Path()) -> Path | None:
    """Return the object's file on this machine, or None."""
    return find_all([md5], root).get(md5)


def find_all(objects: Iterable[str], root: Path = Path()) -> dict[str, Path]:
    """Return the files of those objects that are on this machine."""
    homes = bases(root)
    files = {md5: next((file for home in homes if (file := place(home, md5)).is_file()), None) for md5 in objects}
    return {md5: file for md5, file in files.items() if file}


def expand(objects: Mapping[str, str], root: Path = Path()) -> dict[str, str]:
    """Return these objects, each after the members of its directory, as far as its listing is on this machine.

    Raises:
        UserError: what is here is not the listing of a directory.
    """
    named: dict[str, str] = {}
    listings = find_all((md5 for md5 in objects if md5.endswith(".dir")), root)
    for md5, name in objects.items():
        if md5 in listings:
            named |= members(listings[md5], name)
        named[md5] = name
    return named


def absent(objects: Mapping[str, str], root: Path) -> dict[str, str]:
    """Return those of `objects`, and of their directories' members, that are not on this machine."""
    named = expand(objects, root)
    here = find_all(named, root)
    return {md5: name for md5, name in named.items() if md5 not in here}


def drop_damaged(objects: Mapping[str, str]) -> None:
    """Delete what is here of these objects, and of their directories' members, and is not what its name says.

    DVC believes the name of every file in its cache that is read-only, as all are. Each deletion is said in one line.
    """
    homes = bases()
    for md5, name in objects.items():
        sound = None
        for file in filter(Path.is_file, (place(home, md5) for home in homes)):
            if digest(file) == md5[:32]:
                sound = file
            else:
                file.unlink()
                print(f"{file} was damaged ({name}), so it is deleted.", file=sys.stderr, flush=True)
        if md5.endswith(".dir") and sound:
            drop_damaged(members(sound, name))


def digest(file: Path) -> str:
    """Return the md5 of a file's bytes, in hexadecimal digits."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def members(file: Path, name: str) -> dict[str, str]:
    """Return the objects, md5 → path, in the directory `name` that `file` lists."""
    try:
        listed = [(str(member["md5"]), str(member["relpath"])) for member in json.loads(file.read_bytes())]
    except (ValueError, TypeError, KeyError, RecursionError):
        listed = [("", "")]
    if not all(re.fullmatch("[0-9a-f]{32}", md5) and _stays_below(path) for md5, path in listed):
        raise UserError(f"{file} is not the listing of a directory ({name}): delete it and run `mlops pull`.")
    return {md5: f"{name}/{path}" for md5, path in listed}


def _stays_below(path: str) -> bool:
    """Return whether a path leads to nothing outside the directory that it starts from."""
    parts = PurePosixPath(path).parts
    return bool(parts) and parts[0] != "/" and ".." not in parts and "\0" not in path


def load_yaml(path: str | PurePosixPath, rev: str | None = None, root: Path = Path()) -> Any:
    """Return the content of a YAML file, in the working tree or at `rev`, which is shared: read it only.

    Raises:
        UserError: it is not YAML.
    """
    try:
        if rev is not None:
            text = git.show_file(rev, path, root)
        else:
            text = (root / path).read_bytes() if (root / path).is_file() else None
        return _parsed(text or b"")
    except (YAMLError, RecursionError) as error:
        at = f" at {rev}" if rev else ""
        raise UserError(f"{path}{at} is not valid YAML: `git restore {path}` brings it back.") from error


def parse_yaml(text: bytes) -> Any:
    """Return the content of a YAML text, which is shared: read it only.

    Raises:
        ValueError: it is not YAML.
    """
    try:
        return _parsed(text)
    except (YAMLError, RecursionError) as error:
        raise ValueError("it is not YAML") from error


@cache
def _parsed(text: bytes) -> Any:
    return plain_yaml.load(text)


def _not_for_dvc(pipeline: Any) -> re.Pattern[str]:
    """Return what the outputs match that `dvc.yaml` keeps from DVC's remote; the lock does not tell them apart."""
    stages = _at(pipeline, "stages", dict).values()
    return _matching(path for stage in stages for path, flags in _outputs(stage) if _stays(flags))


def _outputs(stage: Any) -> Iterator[tuple[str, Any]]:
    """Yield the path of each output of a stage in a dvc.yaml, which may hold variables, and what is said of it."""
    stage = _at(stage, "do", dict) or stage
    for out in [out for kind in ("outs", "metrics", "plots") for out in _at(stage, kind, list)]:
        yield from ((str(path), flags) for path, flags in out.items()) if isinstance(out, dict) else [(str(out), None)]


def _matching(paths: Iterable[str]) -> re.Pattern[str]:
    """Return what these paths match, with anything in the place of a variable."""
    literals = ([re.escape(part) for part in re.split(r"\$\{.*?\}", path)] for path in paths)
    return re.compile("|".join(".*".join(parts) for parts in literals) or r"(?!)")


def _work_directory(pipeline: Any, stage: str) -> str:
    """Return what a stage's paths begin at, from the directory of its `dvc.yaml`."""
    return _at(_at(_at(pipeline, "stages", dict), stage, dict), "wdir", str)


def _stays(out: Any) -> bool:
    return isinstance(out, dict) and (out.get("cache") is False or out.get("push") is False)


def _at(content: Any, key: str, kind: type[T]) -> T:
    """Return the value at `key` where there is one of that kind, else an empty one."""
    value = content.get(key) if isinstance(content, dict) else None
    return value if isinstance(value, kind) else kind()
