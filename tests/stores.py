"""A store of objects: a project whose DVC remote it is, and an origin that carries it on a ref."""

import hashlib
import json
import subprocess
from pathlib import Path

DVC_CONFIG = "[core]\n    remote = store\n['remote \"store\"']\n    url = store\n"


def sh(*command: str | Path, cwd: Path | None = None, input: str | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, input=input, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Project:
    """A clone with a DVC remote that is the store, and objects that its `.dvc` files name."""

    def __init__(self, path: Path, origin: str):
        self.path = path
        sh("git", "init", "-q", path)
        sh("git", "remote", "add", "origin", origin, cwd=path)
        (path / ".dvc").mkdir()
        (path / ".dvc/config").write_text(DVC_CONFIG)
        (path / ".dvc/.gitignore").write_text("/store\n/cache\n/tmp\n")

    def object(self, md5: str) -> Path:
        return self.path / ".dvc/store/files/md5" / md5[:2] / md5[2:]

    @property
    def objects(self) -> set[str]:
        files = (self.path / ".dvc/store").rglob("*")
        return {file.parent.name + file.name for file in files if file.is_file()}

    def name(self, path: str, md5: str) -> None:
        (self.path / f"{path}.dvc").write_text(f"outs:\n- md5: {md5}\n  hash: md5\n  path: {path}\n")

    def put(self, path: str, data: bytes, suffix: str = "") -> str:
        md5 = hashlib.md5(data).hexdigest() + suffix
        self.object(md5).parent.mkdir(parents=True, exist_ok=True)
        self.object(md5).write_bytes(data)
        if path:
            self.name(path, md5)
        return md5

    def put_directory(self, path: str, files: dict[str, bytes]) -> str:
        members = [{"md5": self.put("", data), "relpath": name} for name, data in files.items()]
        return self.put(path, json.dumps(members).encode(), ".dir")


def make_origin(path: Path) -> Path:
    sh("git", "init", "-q", "--bare", path)
    sh("git", "config", "uploadpack.allowFilter", "true", cwd=path)
    return path


def stored(origin: Path) -> dict[str, str]:
    listing = sh("git", "ls-tree", "-r", "refs/dvc/store", "files/md5/", cwd=origin).splitlines()
    return {
        path[len("files/md5/") :].replace("/", ""): line.split()[2]
        for line in listing
        for path in [line.split("\t")[1]]
    }


def forge(origin: Path, path: str, data: bytes) -> None:
    """Put bytes at a path of the ref, beside what it has, as whoever may write there can."""
    blob = sh("git", "hash-object", "-w", "--stdin", cwd=origin, input=data.decode())
    parent = sh("git", "for-each-ref", "--format=%(objectname)", "refs/dvc/store", cwd=origin)
    sh("git", "read-tree", parent or "--empty", cwd=origin)
    sh("git", "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", cwd=origin)
    parents = ["-p", parent] if parent else []
    who = ("-c", "user.name=Mallory", "-c", "user.email=mallory@example.com")
    commit = sh("git", *who, "commit-tree", *parents, "-m", "Forge", sh("git", "write-tree", cwd=origin), cwd=origin)
    sh("git", "update-ref", "refs/dvc/store", commit, cwd=origin)
