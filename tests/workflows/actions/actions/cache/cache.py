"""Restore and save caches as GitHub scopes them: a run writes its ref's and reads its ref's, then main's."""

import glob
import hashlib
import os
import sys
import tarfile
from pathlib import Path
from urllib.parse import quote


def read_input(name: str) -> str:
    """An input of the action."""
    return os.environ.get(f"INPUT_{name.upper()}", "").strip()


def find_archive(scopes: list[Path], version: str, key: str, prefixes: list[str]) -> Path | None:
    """The archive of the key, else the newest of a prefix, the run's own scope before main's."""
    for scope in scopes:
        exact = scope / version / f"{quote(key, safe='')}.tar"
        if exact.exists():
            return exact
        for prefix in [key, *prefixes]:
            found = list(scope.glob(f"{version}/{glob.escape(quote(prefix, safe=''))}*.tar"))
            if found:
                return max(found, key=lambda path: path.stat().st_mtime_ns)
    return None


def restore() -> None:
    """Unpack what is found and say what it was."""
    found = find_archive(scopes, version, key, read_input("restore-keys").split())
    matched = found.stem if found else ""
    hit = matched == quote(key, safe="")
    with open(os.environ["GITHUB_OUTPUT"], "a") as outputs:
        outputs.write(f"cache-hit={'true' if hit else 'false' if found else ''}\n")
        outputs.write(f"cache-primary-key={key}\ncache-matched-key={matched}\n")
    if found is None and read_input("fail-on-cache-miss") == "true":
        sys.exit(f"Failed to restore cache entry. Input key: {key}")
    if found and read_input("lookup-only") != "true":
        with tarfile.open(found) as archive:
            for member in archive:
                place, _, member.name = member.name.partition("/")
                if member.islnk():
                    member.linkname = member.linkname.partition("/")[2]
                archive.extract(member, PLACES[place])
    print(f"Cache restored from key: {matched}" if found else f"Cache not found for input keys: {key}")


def save() -> None:
    """Pack the paths under the key; a key that exists keeps what it has."""
    target = scopes[0] / version / f"{quote(key, safe='')}.tar"
    found = [path for pattern in paths for path in glob.glob(pattern, recursive=True, include_hidden=True)]
    if find_archive(scopes, version, key, []) == target or not found:
        print(f"Cache not saved: {'nothing to save' if not found else 'the key exists'}")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    with tarfile.open(partial, "w") as archive:
        for path in found:
            place = next(name for name, base in PLACES.items() if Path(path).is_relative_to(base))
            archive.add(path, f"{place}/{Path(path).relative_to(PLACES[place])}")
    partial.rename(target)
    print(f"Cache saved with key: {key}")


# Each run has directories of its own here, where a hosted runner's are always the same.
PLACES = {"workspace": Path(os.environ["GITHUB_WORKSPACE"]), "home": Path.home(), "root": Path("/")}
asked = [line.strip() for line in read_input("path").splitlines() if line.strip()]
paths = [str(PLACES["workspace"] / Path(line).expanduser()) for line in asked]
version = hashlib.sha256("\n".join(asked).encode()).hexdigest()[:16]
key = read_input("key")
scopes = [Path(scope) for scope in os.environ["LOCAL_GITHUB_CACHES"].split(os.pathsep)]
{"restore": restore, "save": save}[sys.argv[1]]()
