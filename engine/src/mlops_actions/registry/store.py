"""The DVC remote that needs no cloud: `.dvc/store` on disk, `refs/dvc/store` on the git remote.

DVC reads and writes the ignored directory; this module moves objects between it and the ref. An object's
name is the md5 of its bytes, so a push is a union, nothing can conflict, and what arrives is checked. DVC's
run-cache stays local: its entries are not named by their content, so nobody could tell a planted one.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from importlib.util import find_spec
from pathlib import Path

from ..core import git, github
from ..core.errors import UserError
from .dvc_config import default_remote
from .objects import NAME, STORE, absent, digest, expand, find_all, place, wanted
from .store_ref import StoreRef, count, first, open_ref, say

MAX_FILE = 95 * 2**20  # GitHub refuses a file over 100 MiB,
MAX_PUSH = 2**28  # and a push over 2 GiB; of less, no server is silent for as long as git waits (git.PATIENCE).
TRIES = 10


class NotStored(UserError):
    """Objects that were asked for are in no store, or in other bytes than their names say."""


def uses_store(root: Path = Path()) -> bool:
    """Return whether DVC's default remote is this store, and not a cloud that DVC reaches by itself."""
    url = default_remote(root)
    return bool(url) and "://" not in url and (root / ".dvc" / url).resolve() == (root / ".dvc/store").resolve()


def require_dvc() -> None:
    """Raise a UserError where DVC is not installed, which alone reaches any other remote than this store."""
    if find_spec("dvc") is None:
        raise UserError(
            "DVC, which reaches the remote of .dvc/config, is not installed here: in the job that publishes it is "
            'once `uv add --group publish "dvc[s3]"` has named it, with what that remote needs.'
        )


def fetch(objects: Mapping[str, str], root: Path = Path(), sources: Iterable[str] | None = None) -> None:
    """Bring `objects` (see `wanted`) into `.dvc/store`, each from the first source that has it.

    A source is a remote's name or a URL, and it is asked for nothing that is on this machine already: origin,
    upstream and the fork that a pull request comes from, unless they are named. A directory's members come with
    it.

    Raises:
        NotStored: no source has an object, or its bytes; all the others are here then.
    """
    if not uses_store(root):
        return
    lacking = absent(objects, root)
    asked = []
    taken: set[str] = set()
    damaged: dict[str, str] = {}
    for source in sources or filter(None, ["origin", "upstream", github.fork_url()]):
        url = _url(source, root)
        if not lacking or url is None:
            continue
        asked.append(git.shown(source))
        with open_ref(url, root) as ref:
            # A second round brings the members of the directories that the first one brought.
            refused: set[str] = set()
            while listed := {md5: lacking[md5] for md5 in lacking if md5 in ref.listing and md5 not in refused}:
                refused |= {*ref.take(listed)}
                taken |= listed.keys() - refused
                lacking = absent(objects, root)
            damaged |= {md5: ref.name for md5 in refused}
    if taken:
        say(f"fetched {measure(place(root / STORE, md5) for md5 in taken)}")
    problems = []
    if bad := [name for md5, name in lacking.items() if md5 in damaged]:
        problems.append(_refusal(bad, next(iter(damaged.values()))))
    if gone := [name for md5, name in lacking.items() if md5 not in damaged]:
        where = f"the store of {' or '.join(asked)}" if asked else "a store, as there is no remote"
        problems.append(f"{first(gone)} is not in {where}: run `mlops push` where the data is.")
    if problems:
        raise NotStored(" ".join(problems))


def push(root: Path = Path(), replace: bool = False, versions: Mapping[str, str] | None = None) -> int:
    """Add to the ref on origin what this machine has and the ref lacks; how many objects that was.

    That is what is in `.dvc/store`, and of DVC's cache what the working tree names. `replace` also sends what has other
    bytes there, and compares what is there alone with its name.

    Args:
        versions: their commits by their names, to send what these name as well. What of it cannot be sent stops
            nothing then: each is told in a line, and the error comes last.

    Raises:
        UserError: an object that is named is neither here nor there, or there in other bytes than here or, with
            `replace`, than its name says; or it is damaged here, or too large; or origin took nothing.
    """
    if not uses_store(root):
        return 0
    url = git.remote_url("origin", root, push=True)
    if url is None:
        raise UserError("There is no remote to push to: add one with `git remote add origin URL`.")
    told = []

    def tell(problem: str) -> None:
        if versions is None:
            raise UserError(problem)
        told.append(problem)
        say(problem)

    option = "" if versions is None else " --all"
    stored = _stored(root)
    if not (stored or versions or wanted(root)):
        say("nothing to push: no dvc.lock or .dvc file names an object")
        return 0
    with open_ref(url, root) as ref:
        named = _named({"": None, **(versions or {})}, ref, tell, replace)
        names = {
            md5: f"{name} of {version}" if version else name
            for version, objects in reversed(named.items())
            for md5, name in objects.items()
        }
        local = stored | find_all(names, root)
        for version, objects in named.items():
            if lost := [name for md5, name in objects.items() if md5 not in local and md5 not in ref.listing]:
                where = f"{first(lost)} is neither on this machine nor in the store on {ref.name}"
                tell(f"{version}: {where}." if version else f"{where}: `mlops pull` says what helps.")
        known = {md5: file for md5, file in local.items() if md5 in ref.listing and (replace or md5 in names)}
        differing = {md5: known[md5] for md5 in ref.differing(known)}
        new = {md5: file for md5, file in local.items() if md5 not in ref.listing} | (differing if replace else {})
        for md5, problem in _unfit(local if replace else new, names).items():
            new.pop(md5, None)
            if problem:
                tell(problem)
        _send(new, ref, replace)
        if replace:
            _tell_of_damaged({md5: names[md5] for md5 in names if md5 not in local}, ref, tell, option)
        else:
            _tell_of_differing(differing, names, ref, tell, option)
        if not (new or told):
            say(f"nothing {'to replace' if replace else 'new'}: {_total({**names, **local})} there")
    if told:
        raise UserError("the store is not whole: each line above says of what, and what to do.")
    return len(new)


def _tell_of_damaged(names: Mapping[str, str], ref: StoreRef, tell: Callable[[str], None], option: str) -> None:
    """Tell which objects, none of which is on this machine, the ref has in other bytes than their names say."""
    damaged = ref.damaged({md5: name for md5, name in names.items() if md5 in ref.listing})
    if damaged:
        tell(
            f"{first([names[md5] for md5 in damaged])} is damaged in the store on {ref.name} and not on this machine, "
            f"so it was not replaced: `mlops push{option} --replace` sends it where the good data is, and `mlops "
            f"{'doctor' if option else 'pull'}` says what else helps."
        )


def _tell_of_differing(
    files: Mapping[str, Path], names: Mapping[str, str], ref: StoreRef, tell: Callable[[str], None], option: str
) -> None:
    """Tell which of the objects that are here in other bytes than in the ref are damaged, here or there."""
    damaged = _unfit(files, names)
    for problem in damaged.values():
        tell(problem)
    if forged := [names[md5] for md5 in files if md5 not in damaged]:
        tell(
            f"{first(forged)} has other bytes in the store on {ref.name} than its name says: "
            f"`mlops push{option} --replace` sends those that are here."
        )


def _named(
    versions: Mapping[str, str | None], ref: StoreRef, tell: Callable[[str], None], replace: bool
) -> dict[str, dict[str, str]]:
    """Return by version the objects that its commit names, or the working tree; tell what cannot be read."""
    named: dict[str, dict[str, str]] = {}
    for version, commit in versions.items():
        try:
            objects = wanted(ref.root, commit)
            if commit or replace:  # of a directory whose listing is there alone, members may be here
                lacking = absent(objects, ref.root).items()
                listings = {md5: name for md5, name in lacking if md5.endswith(".dir") and md5 in ref.listing}
                damaged = ref.take(listings)
                if damaged and not replace:  # which tells of them among all others
                    tell(f"{version}: {_refusal([listings[md5] for md5 in damaged], ref.name, ' --all')}")
            named[version] = expand(objects, ref.root)
        except UserError as error:
            tell(f"{version}: {error}" if version else str(error))
    return named


def _send(objects: Mapping[str, Path], ref: StoreRef, replace: bool) -> None:
    """Add objects to the ref, or none where there are none, however many others do so at the same time."""
    if not objects:
        return
    say(f"pushing {measure(objects.values())}")
    for batch in _batches(objects):
        for attempt in range(TRIES):
            if not batch or ref.add(batch):
                break
            time.sleep(random.uniform(0, min(4, 0.2 * 2**attempt)))
            ref.refetch()
            if not replace:
                batch = {md5: file for md5, file in batch.items() if md5 not in ref.listing}
        else:
            raise UserError(f"Other pushes to the store on {ref.name} kept being faster: run `mlops push` again.")
    say(f"pushed {measure(objects.values())}")


def missing(objects: Mapping[str, str], root: Path = Path()) -> dict[str, str]:
    """Return those of `objects` (see `wanted`) that the ref on origin lacks.

    Raises:
        UserError: origin was not reached.
    """
    url = git.remote_url("origin", root)
    if url is None or not objects:
        return dict(objects)
    with open_ref(url, root) as ref:
        return {md5: name for md5, name in objects.items() if md5 not in ref.listing}


def _refusal(names: list[str], where: str, option: str = "") -> str:
    """Return in words that objects were not taken, and what helps."""
    return (
        f"{first(names)} is damaged in the store on {where}, so it was not taken: "
        f"run `mlops push{option} --replace` where the good data is."
    )


def _url(source: str, root: Path) -> str | None:
    return git.remote_url(source, root) or (source if ":" in source or "/" in source else None)


def _stored(root: Path) -> dict[str, Path]:
    """Return the objects in `.dvc/store`."""
    files = sorted((root / STORE).glob("??/*"))
    return {md5: file for file in files if NAME.fullmatch(md5 := file.parent.name + file.name)}


def _unfit(objects: Mapping[str, Path], names: Mapping[str, str]) -> dict[str, str]:
    """Return why those of `objects` are not to be sent that are damaged or too large; "" where nothing names it."""
    sizes = {md5: file.stat().st_size for md5, file in objects.items()}
    large = {
        md5: _too_large(names[md5], size) if md5 in names else "" for md5, size in sizes.items() if size > MAX_FILE
    }
    return large | {
        md5: f"{file}{_holding(md5, names)} is damaged: delete it and run `mlops push` where the data is good."
        for md5, file in objects.items()
        if md5 not in large and digest(file) != md5[:32]
    }


def _holding(md5: str, names: Mapping[str, str]) -> str:
    return f" (of {names[md5]})" if md5 in names else ""


def _too_large(name: str, size: int) -> str:
    return (
        f"{name} has {size / 2**20:.0f} MiB, and a git server takes at most {MAX_FILE / 2**20:.0f} MiB a file: give "
        "the data a cloud remote, such as `dvc remote add --default cloud s3://BUCKET/PATH` (GCS, Azure, SSH and "
        "WebDAV serve too)."
    )


def _batches(objects: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    """Yield the parts of a push, directories last: none names what has yet to be sent."""
    batch: dict[str, Path] = {}
    size = 0
    for md5, file in sorted(objects.items(), key=lambda item: item[0].endswith(".dir")):
        if batch and size + file.stat().st_size > MAX_PUSH:
            yield batch
            batch, size = {}, 0
        batch[md5] = file
        size += file.stat().st_size
    if batch:
        yield batch


def _total(objects: Sized) -> str:
    return f"all {len(objects)} objects are" if len(objects) != 1 else "the one object is"


def measure(files: Iterable[Path]) -> str:
    """Return how many objects these files are, and how large together, in words."""
    sizes = [file.stat().st_size for file in files]
    total = sum(sizes)
    return f"{count(sizes)}, " + (f"{total / 1e6:.1f} MB" if total >= 1e6 else f"{total / 1e3:.1f} kB")
