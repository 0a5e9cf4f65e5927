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
        (
            "ssh: connect to host h: refused\nfatal: Could not read from remote repository.\n\nPlease make sure",
            "ssh: connect to host h: refused",
        ),
        ("fatal: Could not read from remote repository.\n\nPlease make sure", "Could not read from remote repository"),
    ],
)
def test_a_complaint_shows_no_login_and_names_the_cause(said: str, why: str) -> None:
    assert git.complaint(said.encode()) == why


def test_what_is_checked_out_is_what_was_committed_whatever_its_attributes_say(
    repository: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = repository("ada")
    monkeypatch.chdir(ada)
    files = {
        ".gitattributes": b"* export-subst ident\nkept export-ignore\n",
        "kept": b"1\r\n",
        "src/ä b.py": b"$Format:%H$ $Id$",
    }
    for name, content in files.items():
        (ada / name).parent.mkdir(exist_ok=True)
        (ada / name).write_bytes(content)
    (ada / "run").write_text("#!/bin/sh\n")
    (ada / "run").chmod(0o755)
    (ada / "src/link").symlink_to("../kept")
    run_git("add", "--all", cwd=ada)
    run_git("commit", "--quiet", "--message", "One", cwd=ada)
    git.check_out("HEAD", tmp_path / "out")
    assert {name: (tmp_path / "out" / name).read_bytes() for name in files} == files
    assert (tmp_path / "out/run").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out/src/link").readlink() == Path("../kept")
    with pytest.raises(UserError, match="^`git ls-tree` failed: "):
        git.check_out("nothing", tmp_path / "none")


@pytest.mark.parametrize("target", ["../../outside", "/etc/passwd"])
def test_a_link_that_leads_out_of_a_project_is_not_checked_out(
    repository: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    ada = repository("ada")
    monkeypatch.chdir(ada)
    (ada / "data").mkdir()
    (ada / "data/link").symlink_to(target)
    run_git("add", "--all", cwd=ada)
    run_git("commit", "--quiet", "--message", "One", cwd=ada)
    with pytest.raises(UserError, match=r"^data/link in HEAD is a link that leads out of the project"):
        git.check_out("HEAD", tmp_path / "out")
    assert not (tmp_path / "out/data").exists()
