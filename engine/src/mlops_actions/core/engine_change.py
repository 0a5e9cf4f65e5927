"""Changing where a project's engine comes from: another wheel, an index, or a folder to patch.

pyproject.toml, uv.lock and vendor/ change together: the lock file is made in a copy of the project, so that until it is
whole nothing here is touched, and what is put in place then is taken back if it does not all get there.
"""

import configparser
import json
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .engine import FOLDER, RECORD, Source, source_here
from .environment import run_uv
from .errors import UserError
from .files import scratch, write_file
from .git import git, list_files
from .owner import LOCKFILE, PYPROJECT
from .paths import DISTRIBUTION, PACKAGE, VENDOR
from .wheel import PATTERN, Wheel, differences, read_record

COPY = Path(".dvc/tmp/engine/copy")  # of the project, in which uv locks
FORMER = Path(".dvc/tmp/engine/former")  # what the files that are being replaced held; there only meanwhile
EMPTY_VENDOR = f"{VENDOR}/README.md"
VERSION = re.compile(r"[0-9]+(\.[0-9]+)*((a|b|rc|\.?post|\.?dev)[0-9]+)*")
SOURCES = "[tool.uv.sources]"
Files = Mapping[str, bytes | None]  # by their paths in the project; None where there is to be none

NO_WHEEL = """\
The engine comes from an index, as uv.lock says; `mlops engine use WHEEL` puts a wheel here again.
The folder stays, because `deploy/Dockerfile` copies it.
"""


def use(engine: str) -> Source:
    """Make a version of an index, or a wheel's file, the project's engine.

    Raises:
        UserError: it is neither, or uv cannot lock; then nothing has changed.
    """
    recover()
    return use_wheel(Path(engine)) if engine.endswith(".whl") else use_version(engine)


def use_wheel(path: Path) -> Source:
    """Make a wheel's file the project's engine: copy it into vendor/, name it in pyproject.toml, and lock.

    Raises:
        UserError: it is no whole wheel of the engine, or uv cannot lock; then nothing has changed.
    """
    wheel = Wheel.read(path)
    if disagreement := next(wheel.disagreements(), None):
        raise UserError(f"{path} does not agree with itself: {disagreement}; have it built again.")
    place = f"{VENDOR}/{wheel.file}"
    text = _with_source(_read_pyproject(), place, editable=False)
    _change({**_cleared(), place: wheel.content, PYPROJECT: _pinned(text, None).encode()})
    return source_here()


def use_version(version: str) -> Source:
    """Take the engine from an index: pin its version in pyproject.toml, let the source line and the wheel go, and lock.

    Raises:
        UserError: it is no version, or uv finds it on no index; then nothing has changed.
    """
    if not VERSION.fullmatch(version):
        raise UserError(f"{version!r} is neither a version, such as 1.2.0, nor the path of a wheel.")
    text = _without_source(_read_pyproject())
    if (pinned := _pinned(text, version)) == text and f"=={version}" not in text:
        raise UserError(f"{PYPROJECT} does not name {DISTRIBUTION} in its dependencies: add `{DISTRIBUTION}[train]`.")
    _change({**_cleared(), EMPTY_VENDOR: NO_WHEEL.encode(), PYPROJECT: pinned.encode()})
    return source_here()


def eject() -> Source:
    """Turn the engine's wheel into a folder of its source, which the project's environment runs as it is.

    Raises:
        UserError: the engine is no wheel here, or uv cannot lock; then nothing has changed.
    """
    recover()
    source = source_here()
    if source.kind == "folder":
        raise UserError(f"the engine is a folder already, {source.place}.")
    if source.wheel is None:
        raise UserError(
            f"the engine comes from {source.place}: `mlops engine use` the file of its wheel first, then eject that."
        )
    if disagreement := next(source.wheel.disagreements(), None):
        raise UserError(f"{source.place} does not agree with itself: {disagreement}; `git restore {source.place}`.")
    text = _with_source(_read_pyproject(), FOLDER, editable=True)
    files = {f"{FOLDER}/{name}": content for name, content in folder_of(source.wheel).items()}
    _change({**_cleared(), **files, PYPROJECT: _pinned(text, None).encode()})
    return source_here()


def folder_of(wheel: Wheel) -> dict[str, bytes]:
    """Return the files of a project that builds what a wheel holds: its source, pyproject.toml, and its RECORD."""
    source = {f"src/{name}": content for name, content in wheel.files.items() if name.startswith(f"{PACKAGE}/")}
    return {**source, PYPROJECT: project_of(wheel).encode(), RECORD: wheel.text(RECORD).encode()}


def project_of(wheel: Wheel) -> str:
    """Return the pyproject.toml of a wheel's source, from what its METADATA says."""
    requirements: dict[str, list[str]] = {"": [], **{name: [] for name in wheel.metadata.get_all("Provides-Extra", [])}}
    for line in wheel.metadata.get_all("Requires-Dist", []):
        requirement, _, marker = line.partition(" ; ")
        extra = re.search(r"(?:^| and )extra == ['\"]([^'\"]+)['\"]$", marker)
        rest = marker[: extra.start()] if extra else marker
        requirements[extra[1] if extra else ""].append(f"{requirement} ; {rest}" if rest else requirement)
    scripts = configparser.ConfigParser()
    scripts.read_string(wheel.text("entry_points.txt"))
    builder = re.search(r"^Generator: uv (\S+)$", wheel.text("WHEEL"), re.MULTILINE)
    extras = [f"{name} = {_array(lines)}" for name, lines in requirements.items() if name]
    return "\n".join(
        [
            f"# The engine, ejected from {wheel.file}: yours to patch. `mlops engine use` takes a wheel again.",
            "[project]",
            f'name = "{DISTRIBUTION}"',
            f'version = "{wheel.version}"',
            f"requires-python = {json.dumps(wheel.metadata['Requires-Python'])}",
            f"dependencies = {_array(requirements[''])}",
            "",
            "[project.optional-dependencies]",
            *extras,
            "",
            "[project.scripts]",
            *(f'{name} = "{target}"' for name, target in scripts.items("console_scripts")),
            "",
            "[build-system]",
            f'requires = ["uv_build{f"=={builder[1]}" if builder else ""}"]',
            'build-backend = "uv_build"',
            "",
            "[tool.mlops]",
            f'wheel = "{wheel.file}" # what it was made of',
            f'sha256 = "{wheel.digest}"',
            "",
        ]
    )


def was_killed() -> bool:
    """Return whether a change of the engine ended, or is, half-way: the one that has its turn knows which."""
    return FORMER.is_dir()


def recover() -> None:
    """Take back a change that was killed while its files were put in place."""
    if was_killed():
        _restore()
        print("A change of the engine was killed half-way; what was here before it is back.")


def _array(lines: list[str]) -> str:
    return "[" + "".join(f"\n    {json.dumps(line)}," for line in lines) + ("\n]" if lines else "]")


def _read_pyproject() -> str:
    """Return the text of pyproject.toml.

    Raises:
        UserError: there is none, or it is no TOML.
    """
    try:
        text = Path(PYPROJECT).read_text("utf-8")
        tomllib.loads(text)
    except FileNotFoundError:
        raise UserError(f"{PYPROJECT}: not found in {Path.cwd()}; run this in the project.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{PYPROJECT} cannot be read as TOML ({error}): correct it.") from None
    return text


def _cleared() -> dict[str, None]:
    """Return the files of the engine that is here, which go.

    Raises:
        UserError: it is a folder with patches that git does not have.
    """
    if Path(FOLDER).is_dir() and _is_patched() and git("status", "--porcelain", "--", FOLDER):
        raise UserError(f"{FOLDER} has patches that are not committed, and would go: commit them first.")
    files = [*Path(VENDOR).glob(PATTERN), *(path for path in Path(FOLDER).rglob("*") if path.is_file())]
    return dict.fromkeys([*(path.as_posix() for path in files), EMPTY_VENDOR])


def _is_patched() -> bool:
    """Return whether the folder's source is another than that of the wheel which it was made of."""
    source, record = Path(FOLDER, "src"), Path(FOLDER, RECORD)
    files = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if path.is_file()}
    here = {name: path.read_bytes() for name, path in files.items() if path.suffix != ".pyc"}
    listed = read_record(record.read_text("utf-8")) if record.is_file() else {}
    return bool(differences({name: listed[name] for name in listed if name.startswith(f"{PACKAGE}/")}, here))


def _with_source(text: str, place: str, editable: bool) -> str:
    """Return the text of pyproject.toml with the engine taken from a path."""
    line = f'{DISTRIBUTION} = {{ path = "{place}"{", editable = true" if editable else ""} }}'
    wanted = tomllib.loads(text)
    sources = wanted.setdefault("tool", {}).setdefault("uv", {}).setdefault("sources", {})
    sources[DISTRIBUTION] = {"path": place, **({"editable": True} if editable else {})}
    if _SOURCE_LINE.search(text):
        text = _SOURCE_LINE.sub(f"{line}\n", text, count=1)
    elif SOURCES in text:
        text = text.replace(SOURCES, f"{SOURCES}\n{line}", 1)
    else:
        before, after = _split_after_table(text, "[tool.uv]")
        text = f"{before}\n{SOURCES}\n{line}\n{after}"
    return _proved(text, wanted)


def _without_source(text: str) -> str:
    """Return the text of pyproject.toml without the engine's source; a section that is empty then goes as well."""
    wanted = tomllib.loads(text)
    sources = wanted.get("tool", {}).get("uv", {}).get("sources", {})
    sources.pop(DISTRIBUTION, None)
    text = _SOURCE_LINE.sub("", text, count=1)
    if not sources:
        wanted.get("tool", {}).get("uv", {}).pop("sources", None)
        text = re.sub(rf"\n*^{re.escape(SOURCES)}\n(?=\n*(\[|\Z))", "\n", text, count=1, flags=re.MULTILINE)
    return _proved(text, wanted)


def _pinned(text: str, version: str | None) -> str:
    """Return the text of pyproject.toml with the engine's version pinned in its dependencies, or with no pin."""
    wanted = tomllib.loads(text)
    dependencies = wanted.get("project", {}).get("dependencies", [])
    for number, requirement in enumerate(dependencies):
        if match := _REQUIREMENT.fullmatch(requirement):
            dependencies[number] = match["name"] + (f"=={version}" if version else "")
            text = text.replace(json.dumps(requirement), json.dumps(dependencies[number]), 1)
    return _proved(text, wanted)


def _proved(text: str, wanted: object) -> str:
    """Return the text, once it is sure that it says what it should and everything else as before."""
    try:
        proved = tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        proved = False
    if not proved:
        raise UserError(
            f"{PYPROJECT} is not written as this can edit it: put `{DISTRIBUTION} = {{ path = … }}` on a line of its "
            f"own below {SOURCES}, and `{DISTRIBUTION}[train]` into dependencies between double quotes."
        )
    return text


def _split_after_table(text: str, header: str) -> tuple[str, str]:
    """Return the text up to the end of a table, and from the next one on."""
    start = text.find(f"{header}\n")
    following = text.find("\n[", start + 1) if start >= 0 else -1
    return (text[:following], text[following:]) if following >= 0 else (f"{text.rstrip()}\n", "")


def _change(files: Files) -> None:
    """Lock a copy of the project with these files in it, and put them and its lock file in place."""
    with _copy(files) as copy:
        try:
            run_uv("lock", "--quiet", "--upgrade-package", DISTRIBUTION, cwd=copy)
        except UserError as error:
            raise UserError(f"{str(error).rstrip('.')}; nothing has changed.") from None
        _put({**files, LOCKFILE: (copy / LOCKFILE).read_bytes()})


@contextmanager
def _copy(files: Files) -> Iterator[Path]:
    """Give a copy of what git has of the project, or might, with these files in it."""
    with scratch(COPY) as copy:
        for name in {*list_files()} - {*files}:
            if Path(name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(name, copy / name)
        for name, content in files.items():
            if content is not None:
                write_file(copy / name, content)
        yield copy


def _put(files: Files) -> None:
    """Write and delete these files, all or none."""
    held = {name: Path(name).read_bytes() for name in files if Path(name).is_file()}
    names = {name: str(number) if name in held else None for number, name in enumerate(files)}
    with scratch(FORMER.with_name("writing")) as writing:
        for name, kept in held.items():
            write_file(writing / str(names[name]), kept)
        write_file(writing / "names.json", json.dumps(names).encode())
        writing.rename(FORMER)
        writing.mkdir()
    try:
        for name, content in files.items():
            if content is None:
                Path(name).unlink(missing_ok=True)
            else:
                write_file(Path(name), content)
    except BaseException:
        _restore()
        raise
    _forget_former()


def _restore() -> None:
    """Bring back what was here before a change."""
    names: dict[str, str | None] = json.loads((FORMER / "names.json").read_bytes())
    for name, kept in names.items():
        if kept is None:
            Path(name).unlink(missing_ok=True)
        else:
            write_file(Path(name), (FORMER / kept).read_bytes())
    _forget_former()


def _forget_former() -> None:
    done = FORMER.with_name("done")
    shutil.rmtree(done, ignore_errors=True)
    FORMER.rename(done)  # from here on there is nothing to bring back
    shutil.rmtree(done)
    _drop_empty_folder()


def _drop_empty_folder() -> None:
    """Delete what is left of a folder whose files went; what Python compiled there goes too."""
    folder = Path(FOLDER)
    if folder.is_dir() and not any(path.is_file() and path.suffix != ".pyc" for path in folder.rglob("*")):
        shutil.rmtree(folder)


_SOURCE_LINE = re.compile(rf'^(?:{DISTRIBUTION}|"{DISTRIBUTION}") *= *\{{[^\n]*\}}[^\n]*\n', re.MULTILINE)
_REQUIREMENT = re.compile(rf"(?P<name>{DISTRIBUTION}(?:\[[a-z, ]*\])?) *(?:[=<>!~][^;]*)?")
