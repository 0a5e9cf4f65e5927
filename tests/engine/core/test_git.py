"""git is run in one place: its own environment, what it says, and what it complains of."""

from collections.abc import Callable
from pathlib import Path

import pytest
from clones import clean_environment
from clones import git as run_git
from mlops_actions.core import git
from mlops_actions.core.errors import UserError

__all__ = ["clean_environment"]


@pytest.fixture
def repository(clean_environment: None, tmp_path: Path) -> Callable[[str], Path]:
    """`repository("ada")`: a new repository."""

    def make(name: str) -> Path:
        run_git("init", "--quiet", tmp_path / name)
        return tmp_path / name

    return make


def test_git_ignores_the_repository_of_the_hook_that_calls_it(
    repository: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = repository("ada"), repository("bob")
    monkeypatch.setenv("GIT_DIR", str(bob / ".git"))
    assert git.git("rev-parse", "--absolute-git-dir", cwd=ada) == str(ada / ".git")


def test_git_reads_revisions_and_files(repository: Callable[[str], Path], tmp_path: Path) -> None:
    ada = repository("ada")
    (ada / "file.bin").write_bytes(b"\xff\n")
    run_git("add", "--all", cwd=ada)
    run_git("commit", "--quiet", "--message", "One", cwd=ada)
    assert git.rev_parse("HEAD", ada) == run_git("rev-parse", "HEAD", cwd=ada)
    assert git.rev_parse("nothing", ada) is None
    assert git.show_file("HEAD", "file.bin", ada) == b"\xff\n"
    assert git.show_file("HEAD", "other.bin", ada) is None
    assert git.remote_url("upstream", ada) is None
    with pytest.raises(UserError, match="no commit named v9"):
        git.show_file("v9", "file.bin", ada)
    with pytest.raises(UserError, match="^`git checkout` failed: pathspec 'nowhere' did not match"):
        git.git("checkout", "nowhere", cwd=ada)
    with pytest.raises(UserError, match="does not exist"):
        git.git("status", cwd=tmp_path / "missing")
    assert git.shown("https://me:pw@host/o/r.git") == "https://host/o/r.git"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            "fatal: unable to access 'https://me:p@ss@host/o/r.git/': error: 403",
            "unable to access 'https://host/o/r.git/': error: 403",
        ),
        (
            "error: RPC failed; curl 28. Less than 1 bytes/sec transferred the last 60 seconds\nfatal: x",
            "the server was left, as it stalls (http.lowSpeedTime): "
            "less than 1 bytes/sec transferred the last 60 seconds",
        ),
        ("remote: fatal: write error: No space left on device\nfatal: x", "the server's disk is full"),
        ("fatal: git@host:o/r, http://a/b?c=d@e", "git@host:o/r, http://a/b?c=d@e"),
    ],
)
def test_a_complaint_shows_no_login_and_names_the_cause(said: str, why: str) -> None:
    assert git.complaint(said.encode()) == why
