"""A repository as the server keeps it: bare, and read or changed by git alone."""

import os
import shutil
import subprocess
from pathlib import Path

SETTINGS = {
    "http.receivepack": "true",
    "uploadpack.allowFilter": "true",
    "uploadpack.allowAnySHA1InWant": "true",
    "receive.hideRefs": "refs/pull",
    "gc.auto": "0",
}

NONE = "0" * 40

# What GitHub refuses on receipt, by git and by REST: a bot on a protected branch, a workflow's token that changes
# workflows, and one that points a ref at a commit whose workflows are not those of any branch's tip, even where the
# server has that commit already.
PRE_RECEIVE = """#!/bin/sh
[ "$REMOTE_USER" = "github-actions[bot]" ] || exit 0
workflows() { git rev-parse --verify --quiet "$1:.github/workflows"; }
is_kept() {
  for tip in $(git for-each-ref --format="%(objectname)" refs/heads); do
    [ "$(workflows "$tip")" = "$1" ] && return
  done
  return 1
}
while read -r old new ref; do
  if grep -qxF "$ref" protected-refs 2>/dev/null; then
    echo "GH013: Repository rule violations found for $ref." >&2
    exit 1
  fi
  case "$new" in *[!0]*) ;; *) continue ;; esac
  tree=$(workflows "$new")
  if [ -n "$(git rev-list -1 "$new" --not --all -- .github/workflows)" ] || { [ -n "$tree" ] && ! is_kept "$tree"; }
  then
    echo "refusing to allow a GitHub App to create or update workflow without \\`workflows\\` permission" >&2
    exit 1
  fi
done
"""


class BareRepository:
    """git on one bare repository."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path) -> "BareRepository":
        """A new, empty repository whose default branch is main."""
        path.mkdir(parents=True)
        bare = cls(path)
        bare.git("init", "--quiet", "--bare", "--initial-branch=main")
        for key, value in SETTINGS.items():
            bare.git("config", key, value)
        hook = path / "hooks" / "pre-receive"
        hook.write_text(PRE_RECEIVE)
        hook.chmod(0o755)
        return bare

    def fork(self, path: Path) -> "BareRepository":
        """A new repository with this one's branches and tags."""
        copy = BareRepository.create(path)
        copy.git("fetch", "--quiet", str(self.path), "refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*")
        return copy

    def copy(self, path: Path) -> "BareRepository":
        """A new repository with every ref of this one."""
        shutil.copytree(self.path, path)
        return BareRepository(path)

    def git(self, *arguments: str, author: str = "GitHub") -> str:
        """What git prints."""
        who = ["-c", f"user.name={author}", "-c", f"user.email={author}@users.noreply.github.com"]
        command = ["git", "-C", str(self.path), *who, *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"git {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.strip()

    def write(self, *arguments: str, content: bytes = b"", when: str | None = None, author: str = "GitHub") -> str:
        """The SHA of the object that a git command makes of its standard input."""
        who = {"NAME": author, "EMAIL": f"{author}@users.noreply.github.com"} | ({"DATE": when} if when else {})
        names = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
        command = ["git", "-C", str(self.path), *arguments]
        done = subprocess.run(command, input=content, capture_output=True, env={**os.environ, **names})
        if done.returncode:
            raise RuntimeError(f"git {' '.join(arguments)}: {done.stderr.decode().strip()}")
        return done.stdout.decode().strip()

    def resolve(self, name: str) -> str | None:
        """The commit that a ref, tag or SHA names, or None."""
        try:
            return self.git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        except RuntimeError:
            return None

    def refuse(self, user: str, ref: str, new: str) -> str:
        """Why GitHub does not let a user point a ref at an object that is here, or nothing."""
        hook = subprocess.run(
            [str(self.path.absolute() / "hooks" / "pre-receive")],
            cwd=self.path,
            env={**os.environ, "GIT_DIR": ".", "REMOTE_USER": user},
            input=f"{self.refs().get(ref, (NONE,))[0]} {new} {ref}\n",
            capture_output=True,
            text=True,
        )
        return hook.stderr.strip() if hook.returncode else ""

    def refs(self, prefix: str = "") -> dict[str, tuple[str, str]]:
        """Every ref that starts with the prefix: its object's SHA and type."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname) %(objecttype)").splitlines()
        found = {name: (sha, kind) for name, sha, kind in (line.split() for line in lines)}
        return {name: value for name, value in found.items() if name.startswith(prefix)}

    def contains(self, tip: str, commit: str) -> bool:
        """Whether the commit is the tip or one of its ancestors."""
        try:
            self.git("merge-base", "--is-ancestor", commit, tip)
        except RuntimeError:
            return False
        return True

    def merge(self, base: str, head: str, message: str, author: str) -> str | None:
        """A merge commit of two commits, or None where they conflict."""
        try:
            tree = self.git("merge-tree", "--write-tree", base, head).splitlines()[0]
        except RuntimeError:
            return None
        return self.git("commit-tree", tree, "-p", base, "-p", head, "-m", message, author=author)

    def read(self, commit: str, path: str) -> str:
        """The text of a file at a commit."""
        return self.git("show", f"{commit}:{path}")

    def read_bytes(self, commit: str, path: str) -> bytes | None:
        """The bytes of a file at a commit, None where there is none."""
        done = subprocess.run(
            ["git", "-C", str(self.path), "cat-file", "blob", f"{commit}:{path}"], capture_output=True
        )
        return None if done.returncode else done.stdout

    def files(self, commit: str, directory: str) -> list[str]:
        """The paths of the files directly or deeply in a directory at a commit."""
        return self.git("ls-tree", "-r", "--name-only", commit, "--", directory).splitlines()

    def changed(self, old: str | None, new: str) -> list[str]:
        """The paths that differ between two commits; every path where there is no old one."""
        if old is None or not old.strip("0"):
            return self.git("ls-tree", "-r", "--name-only", new).splitlines()
        return self.git("diff", "--name-only", old, new).splitlines()
