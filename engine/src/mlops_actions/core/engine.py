"""Where a project's engine comes from, and how the engine of another commit is run."""

import hashlib
import importlib.metadata
import importlib.resources
import os
import re
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from .environment import environment_of
from .errors import UserError
from .git import show_file
from .owner import LOCKFILE, PYPROJECT
from .paths import DISTRIBUTION, PACKAGE, VENDOR
from .wheel import PATTERN, Wheel, differences, read_record, unpack

FOLDER = f"{VENDOR}/{DISTRIBUTION}"  # where `mlops engine eject` puts it
RECORD = "RECORD"  # in that folder: the files of the wheel that it was made of
SHOWN = 5  # edited files; more are counted
SourceKind = Literal["wheel", "folder", "index"]
ReadFile = Callable[[str], bytes | None]


@dataclass(frozen=True)
class Source:
    """Where an engine comes from.

    `place` is a wheel's path, a folder or an index. `sha256` is of the wheel: the one that is here, that uv.lock names,
    or that the folder was made of; None where nothing names one.
    """

    kind: SourceKind
    version: str
    place: str
    sha256: str | None
    wheel: Wheel | None = field(default=None, compare=False, repr=False)

    def same_as(self, other: "Source") -> bool:
        """Return whether both are the same bytes, wherever they come from; of two folders nothing is known."""
        if self.sha256 is None or "folder" in (self.kind, other.kind):
            return self.kind != "folder" and self == other
        return self.sha256 == other.sha256


@dataclass(frozen=True)
class Engine:
    """An engine that can be run: by which Python, and what it must find on PYTHONPATH besides its environment."""

    python: str = sys.executable
    path: str | None = None

    def command(self, *words: str) -> list[str]:
        """Return the command line of a verb."""
        return [self.python, "-P", "-m", PACKAGE, *words]

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment variables of a process that runs it."""
        if self == Engine():
            return dict(os.environ)
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        return {**kept, "PYTHONPATH": self.path} if self.path else kept


def source_here(root: Path = Path()) -> Source:
    """Return where the engine of a project, or of a checkout of one, comes from.

    Raises:
        UserError: pyproject.toml does not say it, or names a wheel or a folder that is not there.
    """
    return _source(_reader(root))


def source_at(commit: str) -> Source:
    """Return where the engine came from at a commit of this project.

    Raises:
        UserError: as `source_here`.
    """
    return _source(lambda name: show_file(commit, name))


def engine_of(home: Path, root: Path = Path()) -> Engine:
    """Return the engine that a checkout names, ready to be run: the one that runs here, where it is the same.

    A wheel is unpacked below `root` once for each digest, a folder is run where it is, and what comes from an index is
    installed with all of the checkout's uv.lock, in an environment below `root`.

    Args:
        home: a checkout of one of the project's commits.
        root: the project here.

    Raises:
        UserError: it cannot be read, or uv cannot install it.
    """
    theirs = source_here(home)
    if theirs.same_as(source_here(root)):
        return Engine()
    if path := _import_path(theirs, home, root):
        return Engine(path=path)
    return Engine(environment_of(home, root))


def engine_with_its_libraries(home: Path, root: Path = Path()) -> Engine:
    """Return the engine that a checkout names, to be run with the libraries of the checkout's own uv.lock.

    Raises:
        UserError: as `engine_of`.
    """
    path = _import_path(source_here(home), home, root)
    return Engine(environment_of(home, root, leave_out=DISTRIBUTION if path else None), path)


def _import_path(source: Source, home: Path, root: Path) -> str | None:
    """Return what to import the engine from; None where it comes from an index."""
    if source.wheel:
        return str(unpack(source.wheel, root))
    return str((home / source.place / "src").resolve()) if source.kind == "folder" else None


def describe_engine(root: Path = Path()) -> str:
    """Return which engine a project has, as lines of a name and a value.

    Raises:
        UserError: as `source_here`.
    """
    source = source_here(root)
    made_of = {"wheel": "", "folder": ", ejected from the wheel with the digest below", "index": ", an index"}
    facts = {
        "version": source.version,
        "comes from": source.place + made_of[source.kind],
        "SHA-256": source.sha256 or "not known",
        "edited": _edited(source, root),
    }
    return "\n".join(f"{name:<12}{value}" for name, value in facts.items())


def _edited(source: Source, root: Path) -> str:
    """Return whether the engine that runs here is another than its wheel, in a few words."""
    running = importlib.metadata.version(DISTRIBUTION)
    if running != source.version:
        return f"not known: version {running} runs here; `uv sync` installs {source.version}"
    edited = _edits(source, root, dict(_files(importlib.resources.files(PACKAGE), PACKAGE)))
    if not edited:
        return "no"
    cure = "" if source.kind == "folder" else f"; `uv sync --reinstall-package {DISTRIBUTION}` installs the wheel again"
    return f"yes, {', '.join(edited)}{cure}" if len(edited) <= SHOWN else f"yes, {len(edited)} files of it{cure}"


def _edits(source: Source, root: Path, files: dict[str, bytes]) -> list[str]:
    """Return which of an engine's files are not those of its wheel."""
    record = _record_of(source, root)
    return differences({name: digest for name, digest in record.items() if name.startswith(f"{PACKAGE}/")}, files)


def edited_digest(root: Path = Path()) -> str | None:
    """Return a digest of an ejected engine's source, 32 hexadecimal digits; None where it is that of its wheel.

    Raises:
        UserError: the folder lacks the RECORD of the wheel that it was made of.
    """
    folder = root / FOLDER
    if not folder.is_dir():
        return None
    files = dict(_files(folder / "src" / PACKAGE, PACKAGE))
    if not _edits(Source("folder", "", FOLDER, None), root, files):
        return None
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:32]


def check_engine(root: Path = Path()) -> None:
    """Refuse an engine whose name, version and digest do not agree with each other and with uv.lock.

    Raises:
        UserError: they do not; the text says what differs.
    """
    source = source_here(root)
    stray = [path.name for path in sorted((root / VENDOR).glob(PATTERN)) if f"{VENDOR}/{path.name}" != source.place]
    if stray:
        raise UserError(f"{VENDOR}/ holds {stray[0]}, which {PYPROJECT} does not name: delete it.")
    if source.wheel and (disagreement := next(source.wheel.disagreements(), None)):
        raise UserError(
            f"{source.place} does not agree with itself: {disagreement}; `git log -- {VENDOR}` says who changed it."
        )
    locked = _locked(_reader(root))
    if source.kind != "index" and source.version != locked.get("version"):
        raise UserError(
            f"{source.place} is version {source.version} of the engine and {LOCKFILE} has "
            f"{locked.get('version')}: `uv lock` brings them together."
        )
    if source.wheel and source.sha256 != (named := _locked_digest(locked)):
        raise UserError(
            f"{source.place} has the SHA-256 {source.sha256} and {LOCKFILE} names {named}: if this wheel is meant, "
            f"`uv lock --upgrade-package {DISTRIBUTION}` records it; if not, `git restore {source.place}`."
        )


def _reader(root: Path) -> ReadFile:
    return lambda name: (root / name).read_bytes() if (root / name).is_file() else None


def _source(read: ReadFile) -> Source:
    pyproject = _toml(read, PYPROJECT)
    entry = pyproject.get("tool", {}).get("uv", {}).get("sources", {}).get(DISTRIBUTION)
    place = entry.get("path") if isinstance(entry, dict) else None
    if place is None:
        locked = _locked(read)
        return Source("index", str(locked["version"]), _registry(locked), _locked_digest(locked))
    if place.endswith(".whl"):
        content = read(place)
        if content is None:
            raise UserError(
                f"{PYPROJECT} takes the engine from {place}, which is not there: `git restore {place}` brings it back."
            )
        wheel = Wheel.of(place, content)
        return Source("wheel", wheel.version, place, wheel.digest, wheel)
    folder = _toml(read, f"{place}/{PYPROJECT}")
    origin = folder.get("tool", {}).get("mlops", {})
    return Source("folder", str(folder.get("project", {}).get("version")), place, origin.get("sha256"))


def _toml(read: ReadFile, name: str) -> dict[str, Any]:
    content = read(name)
    if content is None:
        raise UserError(f"{name}: not found; `git restore {name}` brings back what was committed.")
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{name} cannot be read as TOML ({error}): correct it.") from None


def _locked(read: ReadFile) -> dict[str, Any]:
    """Return what uv.lock says of the engine; the rest of a large file is not parsed."""
    text = (read(LOCKFILE) or b"").decode(errors="replace").replace("\r\n", "\n")
    block = re.search(
        rf'^\[\[package\]\]\nname = "{DISTRIBUTION}"\n.*?(?=^\[\[package\]\]\n|\Z)', text, re.DOTALL | re.MULTILINE
    )
    try:
        (package,) = tomllib.loads(block[0] if block else "").get("package", [{}])
    except tomllib.TOMLDecodeError:
        package = {}
    if "version" not in package:
        raise UserError(f"{LOCKFILE} has no {DISTRIBUTION}, the engine: `uv lock` writes it anew.")
    return dict(package)


def _locked_digest(locked: dict[str, Any]) -> str | None:
    (first, *_) = locked.get("wheels") or [{}]
    return str(first["hash"]).removeprefix("sha256:") if "hash" in first else None


def _registry(locked: dict[str, Any]) -> str:
    return str(next(iter(locked.get("source", {}).values()), "an index"))


def _record_of(source: Source, root: Path) -> dict[str, str]:
    """Return the RECORD of the wheel that an engine is, or was made of or installed from."""
    if source.wheel:
        return source.wheel.record
    if source.kind == "folder":
        path = root / source.place / RECORD
        text = path.read_text("utf-8") if path.is_file() else None
    else:
        text = importlib.metadata.distribution(DISTRIBUTION).read_text(RECORD)
    if text is None:
        raise UserError(f"{source.place} has no {RECORD} to compare with: make the folder anew from its wheel.")
    return read_record(text)


def _files(folder: Traversable, name: str) -> list[tuple[str, bytes]]:
    """Return every file below a folder, or in a zip file, with its path; what Python compiled is left out."""
    files: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        path = f"{name}/{entry.name}"
        if entry.is_dir():
            files += _files(entry, path) if entry.name != "__pycache__" else []
        else:
            files.append((path, entry.read_bytes()))
    return files
