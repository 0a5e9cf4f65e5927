"""The objects that DVC keeps: what its lock and `.dvc` files name, and where each is on this machine.

An object's name is the md5 of its bytes; one whose name ends in `.dir` lists the members of a directory.
"""

import hashlib
import json
import os
import re
import sys
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ..core import git
from ..core.errors import UserError

STORE = Path(".dvc/store/files/md5")
CACHE = Path(".dvc/cache/files/md5")
NAME = re.compile(r"[0-9a-f]{32}(\.dir)?")

T = TypeVar("T", str, list[Any], dict[Any, Any])


def wanted(root: Path = Path(), rev: str | None = None, only: Collection[str] | None = None) -> dict[str, str]:
    """The objects that the lock and `.dvc` files name, md5 → path: of the working tree, or of `rev`.

    `only` keeps those whose path is in it, such as `models/bundle.zip`.
    """
    objects = {}
    for name in git.list_files(rev, cwd=root):
        file = PurePosixPath(name)
        if file.name == "dvc.lock":
            pipeline = _read_yaml(root, rev, file.with_name("dvc.yaml"))
            ours = _not_for_dvc(pipeline)
            stages = _at(_read_yaml(root, rev, file), "stages", dict)
            outs = [
                {**out, "path": os.path.join(_work_directory(pipeline, name), _at(out, "path", str))}
                for name, stage in stages.items()
                for out in _at(stage, "outs", list)
                if not ours.fullmatch(_at(out, "path", str))
            ]
            parent = file.parent
        elif file.suffix == ".dvc":
            content = _read_yaml(root, rev, file)
            outs = [out for out in _at(content, "outs", list) if not _stays(out)]
            parent = file.parent / _at(content, "wdir", str)
        else:
            continue
        for out in outs:
            md5, path = _at(out, "md5", str), os.path.normpath(parent / _at(out, "path", str))
            # Without `hash: md5` the object is DVC 2's, whose name is no plain md5 of its bytes.
            if _at(out, "hash", str) == "md5" and NAME.fullmatch(md5) and (only is None or path in only):
                objects[md5] = path
    return objects


def place(base: Path, md5: str) -> Path:
    """Where an object is below a DVC directory."""
    return base / md5[:2] / md5[2:]


def find(md5: str, root: Path = Path()) -> Path | None:
    """The object's file on this machine, or None."""
    return next((file for base in (STORE, CACHE) if (file := place(root / base, md5)).is_file()), None)


def present(objects: Mapping[str, str], root: Path = Path()) -> dict[str, Path]:
    """The files of those of `objects`, and of their directories' members, that are on this machine."""
    files: dict[str, Path] = {}
    for md5, name in objects.items():
        if file := find(md5, root):
            files |= present(members(file, name), root) if md5.endswith(".dir") else {}
            files[md5] = file
    return files


def absent(objects: Mapping[str, str], root: Path) -> dict[str, str]:
    """Those of `objects`, and of their directories' members, that are not on this machine."""
    lacking = {}
    for md5, name in objects.items():
        file = find(md5, root)
        if file is None:
            lacking[md5] = name
        elif md5.endswith(".dir"):
            lacking |= absent(members(file, name), root)
    return lacking


def drop_damaged(objects: Mapping[str, str], bases: Collection[Path] = (STORE, CACHE)) -> None:
    """Delete what is in `bases` of these objects, and of their directories' members, and is not what its name says.

    DVC believes the name of every file in its cache that is read-only, as all are. Each deletion is said in one line.
    """
    for md5, name in objects.items():
        sound = None
        for file in filter(Path.is_file, (place(base, md5) for base in bases)):
            if digest(file) == md5[:32]:
                sound = file
            else:
                file.unlink()
                print(f"{file} was damaged ({name}), so it is deleted.", file=sys.stderr, flush=True)
        if md5.endswith(".dir") and sound:
            drop_damaged(members(sound, name), bases)


def digest(file: Path) -> str:
    """The md5 of a file's bytes, in hexadecimal digits."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def members(file: Path, name: str) -> dict[str, str]:
    """The objects, md5 → path, in the directory `name` that `file` lists."""
    try:
        listed = {str(member["md5"]): f"{name}/{member['relpath']}" for member in json.loads(file.read_bytes())}
    except (ValueError, TypeError, KeyError):
        listed = {"": ""}
    if not all(re.fullmatch("[0-9a-f]{32}", md5) for md5 in listed):
        raise UserError(f"{file} is not the listing of a directory ({name}): delete it and run `mlops pull`.")
    return listed


def _read_yaml(root: Path, rev: str | None, path: PurePosixPath) -> Any:
    try:
        if rev is not None:
            text = git.show_file(rev, path, root)
        else:
            text = (root / path).read_bytes() if (root / path).is_file() else None
        return _parse_yaml(text or b"")
    except YAMLError as error:
        at = f" at {rev}" if rev else ""
        raise UserError(f"{path}{at} is not valid YAML: `git restore {path}` brings it back.") from error


@cache
def _parse_yaml(text: bytes) -> Any:
    return YAML(typ="safe").load(text)


def _not_for_dvc(pipeline: Any) -> re.Pattern[str]:
    """What the outputs match that `dvc.yaml` keeps from DVC's remote; the lock does not tell them apart."""
    paths = []
    for stage in _at(pipeline, "stages", dict).values():
        stage = _at(stage, "do", dict) or stage
        for out in [out for kind in ("outs", "metrics", "plots") for out in _at(stage, kind, list)]:
            paths += [path for path, flags in out.items() if _stays(flags)] if isinstance(out, dict) else []
    literals = ([re.escape(part) for part in re.split(r"\$\{.*?\}", path)] for path in map(str, paths))
    return re.compile("|".join(".*".join(parts) for parts in literals) or r"(?!)")


def _work_directory(pipeline: Any, stage: str) -> str:
    """What a stage's paths begin at, from the directory of its `dvc.yaml`."""
    return _at(_at(_at(pipeline, "stages", dict), stage, dict), "wdir", str)


def _stays(out: Any) -> bool:
    return isinstance(out, dict) and (out.get("cache") is False or out.get("push") is False)


def _at(content: Any, key: str, kind: type[T]) -> T:
    """The value at `key` where there is one of that kind, else an empty one."""
    value = content.get(key) if isinstance(content, dict) else None
    return value if isinstance(value, kind) else kind()
