"""The ref on a git remote that carries the store's objects: what it lists, bringing it here, adding to it.

Each move works in a bare repository of its own that lasts as long as the move: the ref's latest trees, and
those blobs alone that travel. A killed run leaves no lock and no half object, only a directory that a later
run sweeps. The project's own repository must stay a full clone, or DVC breaks.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..core import git
from ..core.errors import UserError
from ..core.files import disk_errors
from .objects import NAME, STORE, place

REF = "refs/dvc/store"

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


@dataclass
class StoreRef:
    """The ref in a bare repository that lasts as long as a move: its trees are here, its blobs are not."""

    directory: Path
    root: Path
    url: str

    def __post_init__(self) -> None:
        config = [*_BARE_CONFIG, *git.access_config(self.root), ("remote.store.url", self.url)]
        env = {"GIT_DIR": str(self.directory), **_AUTHOR}
        self.place: dict[str, Any] = {"cwd": self.root, "env": env, "config": config}
        self.name = git.shown(self.url)
        self._git("init", "--quiet", "--bare", "--template=")
        self.hashed: dict[str, str] = {}
        self.refetch()

    def _run(self, *args: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        return git.run(*args, **self.place, **options)

    def _git(self, *args: str, **options: Any) -> str:
        return git.git(*args, **self.place, **options)

    def refetch(self) -> None:
        """Read the ref's latest commit, if there is one: `tip`, and its `listing` of md5 → blob."""
        fetched = self._run(*_FETCH, "--depth=1", "store", f"+{REF}:{REF}")
        unborn = b"couldn't find remote ref" in fetched.stderr
        if fetched.returncode and not unborn:
            raise UserError(f"The store on {self.name} was not reached: {git.complaint(fetched.stderr)}.")
        self.tip = "" if unborn else self._git("rev-parse", REF)
        if self.tip and (kind := self._git("cat-file", "-t", self.tip)) != "commit":
            raise UserError(
                f"{REF} on {self.name} is a {kind} and no store, as somebody pushed something else there: delete it "
                f"with `git push origin :{REF}`, then `mlops push --all` sends what this machine has."
            )
        self.listing: dict[str, str] = {}
        entries = self._git("ls-tree", "-r", "-z", self.tip, "files/md5/").split("\0") if self.tip else []
        for entry in filter(None, entries):
            _, kind, blob, path = entry.split(maxsplit=3)
            md5 = path.removeprefix("files/md5/").replace("/", "")
            if kind == "blob" and NAME.fullmatch(md5) and path == _path(md5):  # of other paths several make one name
                self.listing[md5] = blob

    def take(self, objects: Mapping[str, str]) -> list[str]:
        """Bring the listed `objects` into `.dvc/store`; return those that are damaged, which stay there."""
        damaged = []
        for md5, file, sound in self.receive(objects):
            if sound:
                target = place(self.root / STORE, md5)
                target.parent.mkdir(parents=True, exist_ok=True)
                file.replace(target)
            else:
                damaged.append(md5)
        return damaged

    def damaged(self, objects: Mapping[str, str]) -> list[str]:
        """Return those of the listed `objects` that are not what their names say; none of them is kept."""
        return [md5 for md5, _, sound in self.receive(objects) if not sound]

    def receive(self, objects: Mapping[str, str]) -> Iterator[tuple[str, Path, bool]]:
        """Yield the listed `objects`, which come in one request: a file with the bytes, and if its name says them."""
        if not objects:
            return
        say(f"fetching {count(objects)}")
        blobs = {md5: self.listing[md5] for md5 in objects}
        lines = "".join(f"{blob}\n" for blob in set(blobs.values()))
        self._git(*_FETCH, "--no-write-fetch-head", "--stdin", "store", input=lines)
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
                yield md5, incoming, digest == md5[:32]

    def differing(self, objects: Mapping[str, Path]) -> list[str]:
        """Return those of the listed `objects` whose files here have other bytes than the ref."""
        kinds = {40: "sha1", 64: "sha256"}  # by a name's length: what a repository's names are digests of
        return [md5 for md5, file in objects.items() if _blob(file, kinds[len(self.listing[md5])]) != self.listing[md5]]

    def add(self, objects: Mapping[str, Path]) -> bool:
        """Push a commit of the ref's tree and `objects`; False where another push was faster."""
        unhashed = {md5: file for md5, file in objects.items() if md5 not in self.hashed}
        lines = "".join(f"{file.resolve()}\n" for file in unhashed.values())
        blobs = self._git("hash-object", "-w", "--no-filters", "--stdin-paths", input=lines).split()
        self.hashed |= zip(unhashed, blobs, strict=True)
        self._git("read-tree", *([self.tip] if self.tip else ["--empty"]))
        entries = (f"100644 {self.hashed[md5]}\t{_path(md5)}\n" for md5 in objects)
        self._git("update-index", "--add", "--index-info", input="".join(entries))
        tree = self._git("write-tree", "--missing-ok")
        parent = ["-p", self.tip] if self.tip else []
        commit = self._git("commit-tree", tree, *parent, "-m", f"Add {count(objects)}")
        pushed = self._run("push", "--porcelain", "--no-verify", "store", f"{commit}:{REF}")
        if pushed.returncode == 0:
            self.tip = commit
            return True
        status = [line for line in pushed.stdout.decode(errors="replace").splitlines() if line.startswith("!")]
        told = status and "unpacker error" not in status[0]  # of which git says more beside it
        reason = status[0].split("\t")[-1] if told else git.complaint(pushed.stderr)
        if status and any(word in reason for word in _RACED):
            return False
        raise UserError(f"The store on {self.name} took no push, so check that you may write there: {reason}.")


@contextmanager
def open_ref(url: str, root: Path = Path()) -> Iterator[StoreRef]:
    """Yield the ref at a URL, read by a repository that is gone afterwards; what a killed run left goes first."""
    parent = root / ".dvc/tmp"
    parent.mkdir(exist_ok=True)
    for left in parent.glob("store-*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left)
    with (
        disk_errors(parent),
        tempfile.TemporaryDirectory(prefix="store-", dir=parent, ignore_cleanup_errors=True) as directory,
    ):
        yield StoreRef(Path(directory).resolve(), root, url)


def _path(md5: str) -> str:
    """Return where an object is in the ref's tree."""
    return f"files/md5/{md5[:2]}/{md5[2:]}"


def _blob(file: Path, kind: str) -> str:
    """Return git's name of a file's bytes, several times as fast as git itself does."""
    digest = hashlib.new(kind, f"blob {file.stat().st_size}\0".encode(), usedforsecurity=False)
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _copy(source: IO[bytes], target: IO[bytes] | None, size: int) -> str:
    """Copy `size` bytes; their md5."""
    digest = hashlib.md5(usedforsecurity=False)
    while size and (chunk := source.read(min(size, _CHUNK))):
        digest.update(chunk)
        if target:
            target.write(chunk)
        size -= len(chunk)
    return digest.hexdigest()


def count(objects: Sized) -> str:
    """Return how many objects these are, in words."""
    return f"{len(objects)} object{'' if len(objects) == 1 else 's'}"


def first(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    return names[0] + (f" (and {len(names) - 1} more)" if len(names) > 1 else "")


def say(what: str) -> None:
    """Tell what the store does."""
    print(f"store: {what}", file=sys.stderr, flush=True)
