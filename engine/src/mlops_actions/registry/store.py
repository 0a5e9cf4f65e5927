"""The DVC remote that needs no cloud: `.dvc/store` on disk, `refs/dvc/store` on the git remote.

DVC reads and writes the ignored directory; this module moves objects between it and the ref. An object's
name is the md5 of its bytes, so a push is a union, nothing can conflict, and what arrives is checked. DVC's
run-cache stays local: its entries are not named by their content, so nobody could tell a planted one.

Each move works in a bare repository of its own that lasts as long as the move: the ref's latest trees, and
those blobs alone that travel. A killed run leaves no lock and no half object, only a directory that a later
run sweeps. The project's own repository must stay a full clone, or DVC breaks.
"""

import configparser
import hashlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from ..core import git, github
from ..core.errors import UserError
from .objects import NAME, STORE, absent, find, members, place, present, wanted

REF = "refs/dvc/store"
MAX_FILE = 95 * 2**20  # GitHub refuses a file over 100 MiB,
MAX_PUSH = 2**30  # and a push over 2 GiB.
TRIES = 10

_CHUNK = 2**20
_ABANDONED = 24 * 60 * 60
_BARE_CONFIG = [
    ("protocol.version", "2"),
    ("fetch.negotiationAlgorithm", "noop"),  # who says it has a commit is sent none of that commit's blobs
    ("core.fsync", "none"),  # this repository is thrown away
    ("core.looseCompression", "0"),
    ("pack.compression", "1"),  # a CSV file shrinks to less than half, at little cost for what is compressed
    ("core.bigFileThreshold", "1m"),
    ("pack.window", "0"),
    ("gc.auto", "0"),
]
_AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "mlops store"), ("EMAIL", "store@localhost"))
}
_FETCH = ("fetch", "--quiet", "--filter=blob:none", "--no-tags")
# What a server answers when another push was faster, as against one that is not allowed.
_RACED = (
    "[rejected]",
    "cannot lock ref",
    "failed to lock",
    "failed to update ref",
    "incorrect old value",
    "already exists",
)


def uses_store(root: Path = Path()) -> bool:
    """Return whether DVC's default remote is this store, and not a cloud that DVC reaches by itself."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    for file in (root / ".dvc/config", root / ".dvc/config.local"):
        try:
            config.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            raise UserError(f"{file} is not a DVC configuration: restore it with `git checkout {file}`.") from error
    name = config.get("core", "remote", fallback="").strip("\"'")
    url = config.get(f"'remote \"{name}\"'", "url", fallback="").strip("\"'")
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
    it; what no source has is a UserError.
    """
    if not uses_store(root):
        return
    lacking = absent(objects, root)
    asked = []
    taken: list[str] = []
    for source in sources or filter(None, ["origin", "upstream", github.fork_url()]):
        url = _url(source, root)
        if not lacking or url is None:
            continue
        asked.append(git.shown(source))
        with _bare(root, url) as bare:
            # A second round brings the members of the directories that the first one brought.
            while listed := {md5: name for md5, name in lacking.items() if md5 in bare.listing}:
                bare.take(listed)
                taken += listed
                lacking = absent(objects, root)
    if taken:
        _say(f"fetched {measure(place(root / STORE, md5) for md5 in taken)}")
    if lacking:
        where = f"the store of {' or '.join(asked)}" if asked else "a store, as there is no remote"
        name = next(iter(lacking.values())) + (f" (and {len(lacking) - 1} more)" if len(lacking) > 1 else "")
        raise UserError(f"{name} is not in {where}: run `mlops push` where the data is.")


def push(root: Path = Path(), replace: bool = False) -> int:
    """Add to the ref on origin what this machine has and the ref lacks; how many objects that was.

    That is what is in `.dvc/store`, and of DVC's cache what the working tree names. `replace` sends every object
    again, which mends a damaged one. An object that is named and neither here nor there is a UserError.
    """
    if not uses_store(root):
        return 0
    url = git.remote_url("origin", root, push=True)
    if url is None:
        raise UserError("There is no remote to push to: add one with `git remote add origin URL`.")
    named = wanted(root)
    local = _stored(root) | present(named, root)
    if not local and not named:
        return 0
    with _bare(root, url) as bare:
        if lost := [name for md5, name in absent(named, root).items() if md5 not in bare.listing]:
            raise UserError(f"{lost[0]} is neither on this machine nor in the store on {bare.name}: run `mlops train`.")
        new = {md5: file for md5, file in local.items() if replace or md5 not in bare.listing}
        new = _without_large(new, named, root)
        if new:
            _say(f"pushing {measure(new.values())}")
        for batch in _batches(new):
            for attempt in range(TRIES):
                if not batch or bare.add(batch):
                    break
                time.sleep(random.uniform(0, min(4, 0.2 * 2**attempt)))
                bare.refetch()
                if not replace:
                    batch = {md5: file for md5, file in batch.items() if md5 not in bare.listing}
            else:
                raise UserError(f"Other pushes to the store on {bare.name} kept being faster: run `mlops push` again.")
    if new:
        _say(f"pushed {measure(new.values())}")
    return len(new)


def missing(objects: Mapping[str, str], root: Path = Path()) -> dict[str, str]:
    """Return those of `objects` (see `wanted`) that the ref on origin lacks.

    Raises:
        UserError: origin was not reached.
    """
    url = git.remote_url("origin", root)
    if url is None or not objects:
        return dict(objects)
    with _bare(root, url) as bare:
        return {md5: name for md5, name in objects.items() if md5 not in bare.listing}


@dataclass
class _Bare:
    """A bare repository for one move: the ref's trees are here, its blobs are not."""

    directory: Path
    root: Path
    url: str

    def __post_init__(self) -> None:
        config = [*_BARE_CONFIG, *git.access_config(self.root), ("remote.store.url", self.url)]
        env = {"GIT_DIR": str(self.directory), **_AUTHOR}
        self.place: dict[str, Any] = {"cwd": self.root, "env": env, "config": config}
        self.name = git.shown(self.url)
        self.git("init", "--quiet", "--bare", "--template=")
        self.hashed: dict[str, str] = {}
        self.refetch()

    def run(self, *args: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        return git.run(*args, **self.place, **options)

    def git(self, *args: str, **options: Any) -> str:
        return git.git(*args, **self.place, **options)

    def refetch(self) -> None:
        """Read the ref's latest commit, if there is one: `tip`, and its `listing` of md5 → blob."""
        fetched = self.run(*_FETCH, "--depth=1", "store", f"+{REF}:{REF}")
        first = b"couldn't find remote ref" in fetched.stderr
        if fetched.returncode and not first:
            raise UserError(f"The store on {self.name} was not reached: {git.complaint(fetched.stderr)}.")
        self.tip = "" if first else self.git("rev-parse", REF)
        self.listing: dict[str, str] = {}
        entries = self.git("ls-tree", "-r", "-z", self.tip, "files/md5/").split("\0") if self.tip else []
        for entry in filter(None, entries):
            _, kind, blob, path = entry.split(maxsplit=3)
            md5 = path.removeprefix("files/md5/").replace("/", "", 1)
            if kind == "blob" and NAME.fullmatch(md5):
                self.listing[md5] = blob

    def take(self, objects: Mapping[str, str]) -> None:
        """Bring the listed `objects` into `.dvc/store` in one request, if each is what its name says."""
        _say(f"fetching {_count(objects)}")
        blobs = {md5: self.listing[md5] for md5 in objects}
        lines = "".join(f"{blob}\n" for blob in set(blobs.values()))
        self.git(*_FETCH, "--no-write-fetch-head", "--stdin", "store", input=lines)
        incoming = self.directory / "incoming"
        with git.start("cat-file", "--batch", **self.place, stderr=subprocess.DEVNULL) as reader:
            assert reader.stdin and reader.stdout
            for md5, blob in blobs.items():
                reader.stdin.write(f"{blob}\n".encode())
                reader.stdin.flush()
                header = reader.stdout.readline().split()
                if len(header) != 3:
                    raise UserError(f"The store on {self.name} lists {objects[md5]} and did not send it: try again.")
                with incoming.open("wb") as file:
                    digest = _copy(reader.stdout, file, int(header[2]))
                reader.stdout.read(1)
                if digest != md5[:32]:
                    raise UserError(
                        f"{objects[md5]} is damaged in the store on {self.name}, so it was not taken: "
                        "run `mlops push --replace` where the good data is."
                    )
                target = place(self.root / STORE, md5)
                target.parent.mkdir(parents=True, exist_ok=True)
                incoming.replace(target)

    def add(self, objects: Mapping[str, Path]) -> bool:
        """Push a commit of the ref's tree and `objects`; False where another push was faster."""
        self._hash({md5: file for md5, file in objects.items() if md5 not in self.hashed})
        self.git("read-tree", *([self.tip] if self.tip else ["--empty"]))
        entries = (f"100644 {self.hashed[md5]}\tfiles/md5/{md5[:2]}/{md5[2:]}\n" for md5 in objects)
        self.git("update-index", "--add", "--index-info", input="".join(entries))
        tree = self.git("write-tree", "--missing-ok")
        parent = ["-p", self.tip] if self.tip else []
        commit = self.git("commit-tree", tree, *parent, "-m", f"Add {_count(objects)}")
        pushed = self.run("push", "--porcelain", "--no-verify", "store", f"{commit}:{REF}")
        if pushed.returncode == 0:
            self.tip = commit
            return True
        status = [line for line in pushed.stdout.decode(errors="replace").splitlines() if line.startswith("!")]
        reason = status[0].split("\t")[-1] if status else git.complaint(pushed.stderr)
        if status and any(word in reason for word in _RACED):
            return False
        raise UserError(f"The store on {self.name} took no push, so check that you may write there: {reason}.")

    def _hash(self, objects: Mapping[str, Path]) -> None:
        for md5, file in objects.items():
            with file.open("rb") as content:
                if _copy(content, None, file.stat().st_size) != md5[:32]:
                    raise UserError(f"{file} is damaged: delete it and run `mlops push` where the data is good.")
        lines = "".join(f"{file.resolve()}\n" for file in objects.values())
        blobs = self.git("hash-object", "-w", "--no-filters", "--stdin-paths", input=lines)
        self.hashed |= zip(objects, blobs.split(), strict=True)


@contextmanager
def _bare(root: Path, url: str) -> Iterator[_Bare]:
    parent = root / ".dvc/tmp"
    parent.mkdir(exist_ok=True)
    for left in parent.glob("store-*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix="store-", dir=parent, ignore_cleanup_errors=True) as directory:
        yield _Bare(Path(directory).resolve(), root, url)


def _url(source: str, root: Path) -> str | None:
    return git.remote_url(source, root) or (source if ":" in source or "/" in source else None)


def _stored(root: Path) -> dict[str, Path]:
    """Return the objects in `.dvc/store`, directories last: a push in parts never names what it has yet to send."""
    files = sorted((root / STORE).glob("??/*"), key=lambda file: (file.suffix == ".dir", file))
    return {md5: file for file in files if NAME.fullmatch(md5 := file.parent.name + file.name)}


def _without_large(objects: dict[str, Path], named: Mapping[str, str], root: Path) -> dict[str, Path]:
    """`objects` that a git server takes; one that the project names and that is too large is a UserError."""
    large = {md5: file for md5, file in objects.items() if file.stat().st_size > MAX_FILE}
    names = dict(named) if large else {}
    for md5, name in named.items() if large else ():
        if md5.endswith(".dir") and (listing := find(md5, root)):
            names |= members(listing, name)
    for md5 in large.keys() & names.keys():
        raise UserError(
            f"{names[md5]} has {large[md5].stat().st_size / 2**20:.0f} MiB, and a git server takes at most "
            f"{MAX_FILE / 2**20:.0f} MiB a file: give the data a cloud remote, such as "
            "`dvc remote add --default cloud s3://BUCKET/PATH` (GCS, Azure, SSH and WebDAV serve too)."
        )
    return {md5: file for md5, file in objects.items() if md5 not in large}


def _batches(objects: dict[str, Path]) -> Iterator[dict[str, Path]]:
    batch: dict[str, Path] = {}
    size = 0
    for md5, file in objects.items():
        if batch and size + file.stat().st_size > MAX_PUSH:
            yield batch
            batch, size = {}, 0
        batch[md5] = file
        size += file.stat().st_size
    if batch:
        yield batch


def _copy(source: IO[bytes], target: IO[bytes] | None, size: int) -> str:
    """Copy `size` bytes; their md5."""
    digest = hashlib.md5(usedforsecurity=False)
    while size and (chunk := source.read(min(size, _CHUNK))):
        digest.update(chunk)
        if target:
            target.write(chunk)
        size -= len(chunk)
    return digest.hexdigest()


def _count(objects: Sized) -> str:
    return f"{len(objects)} object{'' if len(objects) == 1 else 's'}"


def measure(files: Iterable[Path]) -> str:
    """Return how many objects these files are, and how large together, in words."""
    sizes = [file.stat().st_size for file in files]
    total = sum(sizes)
    return f"{_count(sizes)}, " + (f"{total / 1e6:.1f} MB" if total >= 1e6 else f"{total / 1e3:.1f} kB")


def _say(what: str) -> None:
    print(f"store: {what}", file=sys.stderr, flush=True)
