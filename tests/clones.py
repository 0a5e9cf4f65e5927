"""An origin whose versions move between roles, and clones of it in which mlops runs: real git, GTO's tags."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import pytest
from gto.api import show
from mlops_actions import cli
from mlops_actions.registry.publish import tag_version
from mlops_actions.registry.versions import Version

LOCK = """schema: '2.0'
stages:
  export:
    cmd: mlops stage export
    outs:
    - path: models/bundle.zip
      hash: md5
      md5: {md5}
      size: 3
"""
VERSIONS = ("v1.0.0", "v1.1.0", "v2.0.0")
GITCONFIG = "[user]\nname = Ada\nemail = ada@example.org\n[init]\ndefaultBranch = main\n[core]\nfsync = none\n"


@pytest.fixture
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let git know Ada alone, and nothing of the machine that it runs on."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "GITHUB_", "GH_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "gitconfig").write_text(GITCONFIG)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def git(*words: str | Path, cwd: Path | None = None, **variables: str) -> str:
    """Return what git prints."""
    done = subprocess.run(
        ["git", *map(str, words)], cwd=cwd, env=os.environ | variables, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def lock_bundle(folder: Path, md5: str) -> None:
    """Write a dvc.lock that names the digest of a bundle."""
    (folder / "dvc.lock").write_text(LOCK.format(md5=md5))


def give_version(folder: Path, version: str) -> None:
    """Tag the commit that is checked out as `mlops version` does, here alone."""
    with chdir(folder):
        tag_version(Version(version, git("rev-parse", "HEAD")), "why")


def in_order(tags: Iterable[str]) -> list[str]:
    return sorted(tags, key=lambda tag: int(tag.rpartition("#")[2]))


@dataclass(frozen=True)
class Said:
    """What a verb ended with."""

    code: int
    out: str
    err: str

    def expect(self, code: int, *parts: str) -> "Said":
        """Fail unless it ended so, with these words and no traceback."""
        assert self.code == code and "Traceback" not in self.err, self
        for part in parts:
            assert part in self.out + self.err, self
        return self


@dataclass(frozen=True)
class Desk:
    """A clone, and the command `mlops` in it."""

    path: Path
    run: Callable[[Path, tuple[str, ...]], Said]

    def __call__(self, *words: str) -> Said:
        return self.run(self.path, words)

    def git(self, *words: str, **variables: str) -> str:
        return git(*words, cwd=self.path, **variables)

    def tags(self) -> list[str]:
        """The role tags that are here, in the order of their numbers."""
        return in_order(self.git("tag", "--list", "model#*").split())

    def published(self) -> list[str]:
        """The role tags that origin has, in the same order."""
        listing = self.git("ls-remote", "--refs", "origin", "refs/tags/model#*").splitlines()
        return in_order(line.split("refs/tags/")[1] for line in listing)

    def message(self, tag: str) -> str:
        return self.git("for-each-ref", "--format=%(contents)", f"refs/tags/{tag}")

    def tag(self, name: str, version: str, message: str, minute: int) -> None:
        """Make a role tag of the past, as GTO does."""
        self._tag(name, version, message, minute)
        self.git("push", "--quiet", "origin", f"refs/tags/{name}")

    def _tag(self, name: str, version: str, message: str, minute: int) -> None:
        when = f"2026-01-01T00:{minute:02}:00Z"
        self.git("tag", "-a", name, f"model@{version}^{{}}", "-m", message, GIT_COMMITTER_DATE=when)

    def champions(self, line: str) -> None:
        """Make a past of champions: `v1.0.0 v1.1.0 <v1.0.0` was two promotions and a rollback."""
        before = ""
        for number, word in enumerate(line.split(), start=1):
            version = word.removeprefix("<")
            note = f"\n\nRolled back: {before}" if word != version else ""
            self._tag(f"model#prod#{number}", version, f"reason {number}{note}", number)
            before = version
        if before:
            self.git("push", "--quiet", "origin", "refs/tags/model#prod#*")

    def roles(self) -> dict[str, str]:
        """Which version has which role; GTO, asked on its own, must agree."""
        found = json.loads(self("roles", "--json").expect(0).out)
        for role, one in found.items():
            assert one["role"] == role
        assigned = {role: one["version"] for role, one in found.items() if "#" in one["tag"]}
        shown = {role: show(self.path, f"model#{role}") for role in ("prod", "canary", "shadow")}
        assert {role: held[0]["version"] for role, held in shown.items() if held} == assigned
        return {role: one["version"] for role, one in found.items()}


@pytest.fixture
def run_verb(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Path, tuple[str, ...]], Said]:
    """`run_verb(path, ("promote", …))`: what the command says and ends with, run in this process."""

    def run(path: Path, words: tuple[str, ...]) -> Said:
        monkeypatch.chdir(path)
        monkeypatch.setattr(sys, "argv", ["mlops", *words])
        capsys.readouterr()
        try:
            code = cli.main()
        except SystemExit as end:  # argparse
            code = int(str(end.code))
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An origin with three versions: copy it."""
    folder = tmp_path_factory.mktemp("filled")
    who = {f"GIT_{role}_{key}": key.lower() for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    work = folder / "work"
    git("init", "--quiet", "--bare", "--initial-branch=main", folder / "origin.git", cwd=folder)
    git("clone", "--quiet", folder / "origin.git", work, cwd=folder)
    (work / "params.yaml").touch()
    for letter, version in zip("abc", VERSIONS, strict=True):
        lock_bundle(work, letter * 32)
        git("add", "--all", cwd=work)
        git("commit", "--quiet", "--message", version, cwd=work, **who)
        give_version(work, version)
    git("push", "--quiet", "--tags", "origin", "HEAD:main", cwd=work)
    return folder / "origin.git"


@pytest.fixture
def origin(clean_environment: None, tmp_path: Path, filled: Path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / "origin.git"))


@pytest.fixture
def clone(tmp_path: Path, origin: Path, run_verb: Callable[[Path, tuple[str, ...]], Said]) -> Callable[[str], Desk]:
    """`clone("bob")`: one more clone of origin."""

    def make(name: str) -> Desk:
        git("clone", "--quiet", origin, tmp_path / name, cwd=tmp_path)
        return Desk(tmp_path / name, run_verb)

    return make


@pytest.fixture
def desk(clone: Callable[[str], Desk]) -> Desk:
    return clone("ada")


@dataclass(frozen=True)
class Clone:
    """Somebody's clone."""

    path: Path

    def git(self, *words: str) -> str:
        return git(*words, cwd=self.path)

    def commit(self, md5: str) -> str:
        """Commit a lock file that records this bundle, and return the commit."""
        lock_bundle(self.path, md5)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"Record {md5[0]}")
        return self.git("rev-parse", "HEAD")

    def publish(self, version: str) -> None:
        """Give HEAD a version, here alone."""
        give_version(self.path, version)

    def versions(self) -> list[str]:
        return self.git("tag", "--list", "model@*").split()


@pytest.fixture
def publisher(clean_environment: None, tmp_path: Path) -> Clone:
    """A clone of a bare origin whose version v1.0.0 is on both."""
    git("init", "--quiet", "--bare", "--initial-branch=main", "origin.git", cwd=tmp_path)
    git("clone", "--quiet", "origin.git", "publisher", cwd=tmp_path)
    clone = Clone(tmp_path / "publisher")
    clone.git("checkout", "--quiet", "-b", "main")
    clone.commit("a" * 32)
    clone.publish("v1.0.0")
    clone.git("push", "--quiet", "origin", "main", "model@v1.0.0")
    return clone
