"""The git repository that a project must be: its own, with the branch that the workflows listen to."""

import os
from pathlib import Path

from .errors import UserError
from .git import complaint, git, remote_url, run

MAIN = "main"


def ensure_repository() -> None:
    """Make this directory a git repository where it is none.

    Raises:
        UserError: it lies in another repository, git cannot read its own, or it has a branch in place of main.
    """
    if not is_repository():
        git("init", "--quiet", f"--initial-branch={MAIN}")
    check_branch()


def is_repository() -> bool:
    """Say whether this directory is the top of a repository's work tree, or may become one.

    Another repository around it is fine only if it ignores this directory: else each would see the other's files.

    Raises:
        UserError: it is neither.
    """
    here = Path.cwd()
    done = run("rev-parse", "--show-toplevel")
    if done.returncode == 0:
        top = Path(os.fsdecode(done.stdout.rstrip(b"\n")))
        if top.samefile(here):
            return True
        if run("check-ignore", "--quiet", "--", here).returncode:
            raise UserError(
                f"this project has no repository of its own and lies in another one, {top}: "
                "move it out of there, or name it in that one's .gitignore."
            )
        return False
    reason = complaint(done.stderr)
    if Path(".git").is_file() or not reason.startswith("not a git repository"):
        raise UserError(f"git finds no repository in {here}: {reason}.")
    return False


def check_branch() -> None:
    """Refuse a branch that stands in place of main: the workflows run for main alone, so nothing would run.

    A branch beside main is fine, and so is whatever a CI job has checked out. Origin is asked only where no main is
    known here, and where it does not answer, nothing can be said.

    Raises:
        UserError: there is no main, here or on origin.
    """
    branch = git("symbolic-ref", "--quiet", "--short", "HEAD", check=False)
    known = git("for-each-ref", f"refs/heads/{MAIN}", f"refs/remotes/origin/{MAIN}")
    if branch in ("", MAIN) or known or os.environ.get("CI"):
        return
    advice = f"`git branch --move {branch} {MAIN}` renames it"
    if remote_url():
        ask = ("ls-remote", "--exit-code", "--heads", "origin", f"refs/heads/{MAIN}")
        if run(*ask, env={"GIT_TERMINAL_PROMPT": "0"}).returncode != 2:  # 2: origin answered, and has none
            return
        advice += " here, and the repository's settings on GitHub rename it there"
    raise UserError(
        f"the workflows run for the branch {MAIN} alone, and this repository has {branch} instead: {advice}."
    )
