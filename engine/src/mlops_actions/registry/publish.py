"""Publishing: a changed model that passed the gate becomes a version.

Each step may be killed and run again. What a step makes is found again by what it was made from: the release commit
is the same bytes for the same model, the version is the tag on that commit.
"""

import os
import tempfile
from pathlib import Path

from ..core import github
from ..core.errors import UserError
from ..core.git import complaint, git, run
from ..core.paths import BUNDLE, RECORDED
from .keep import keep_workflows, refusal
from .numbering import next_version
from .outputs import locked
from .tags import annotate
from .versions import Version, fetch_tags, list_versions, message_of, newest_version

TRIES = 5


def version() -> None:
    """Register the working tree's model as a version on origin, unless it is one already.

    Raises:
        UserError: the tree has changes that are not committed, or origin refuses the tag.
    """
    require_committed()
    commit = release_commit()
    for _ in range(TRIES):
        fetch_tags()
        newest = newest_version()
        ours = version_at(commit)
        if ours is None and newest and locked(BUNDLE) == locked(BUNDLE, newest.commit):
            print(f"The model is {newest}'s, byte for byte: nothing to publish.")
            return
        if ours is None and newest and is_ancestor("HEAD", newest.commit):
            print(f"{newest} was published from a later commit: nothing to publish.")
            return
        if ours or (ours := register(commit, newest)):
            print(f"{ours} is registered as {ours.tag}.")
            forward_branch(commit)
            return
    raise UserError(f"Other versions were registered at the same time, {TRIES} times: run `mlops version` again.")


def register(commit: str, newest: Version | None) -> Version | None:
    """Return the version after `newest`, tagged on `commit` and pushed; None if another one took its number.

    Raises:
        UserError: origin refuses the tag for another reason.
    """
    bump = next_version(newest, commit)
    made = bump.version
    merge = git("rev-parse", "HEAD")
    unkept = keep_workflows(merge)
    tag_version(made, bump.reason)
    pushed = run("push", "origin", f"refs/tags/{made.tag}")
    if pushed.returncode == 0:
        print(f"{made}: {bump.reason}.")
        if bump.passed:
            passed = ", ".join(version.tag for version in bump.passed)
            print(f"No number was taken that a tag has already, which is no version or was withdrawn: {passed}.")
        if unkept:
            print(f"Once main has other workflows, no workflow can give {made} a role: {unkept}")
        return made
    git("tag", "--delete", made.tag)
    if git("ls-remote", "origin", f"refs/tags/{made.tag}"):
        return None
    raise refusal(f"the tag {made.tag}", pushed.stderr, merge)


def tag_version(version: Version, reason: str) -> None:
    """Make the tag that registers a version, here only.

    Raises:
        UserError: its commit has no bundle in dvc.lock, or there is a tag of that name.
    """
    md5 = locked(BUNDLE, version.commit)
    if md5 is None:
        raise UserError(f"{version.commit[:10]} records no {BUNDLE}, so it is no version: run `mlops train` first.")
    annotate(version.tag, version.commit, message_of(version, reason, md5), github.BOT)


def release_commit() -> str:
    """Return the commit that records this run's dvc.lock and metrics on top of HEAD, or HEAD if it records them.

    Its bytes depend on HEAD and the recorded files alone, so a rerun makes the same commit.
    """
    with tempfile.TemporaryDirectory() as directory:
        index = {"GIT_INDEX_FILE": str(Path(directory) / "index")}
        git("read-tree", "HEAD", env=index)
        git("update-index", "--add", "--", *RECORDED, env=index)
        tree = git("write-tree", env=index)
    if tree == git("rev-parse", "HEAD^{tree}"):
        return git("rev-parse", "HEAD")
    name, email = github.BOT
    date = git("show", "--no-patch", "--format=%cI", "HEAD")
    identity = {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", name), ("EMAIL", email), ("DATE", date))
    }
    return git("commit-tree", tree, "-p", "HEAD", "-m", "Record what the merge trained", env=identity)


def require_committed() -> None:
    """Raise a UserError where the tree differs from HEAD in more than what a release commit records."""
    changed = [line[3:] for line in git("status", "--porcelain", "--untracked-files=all").splitlines()]
    if others := [path for path in changed if path not in RECORDED]:
        raise UserError(f"{', '.join(others)} is not committed: a version is made of committed files; commit first.")


def forward_branch(commit: str) -> None:
    """Move the branch on origin to the release commit; where it moved on or is protected, the tag alone holds it."""
    branch = os.environ.get("GITHUB_REF_NAME") or git("branch", "--show-current")
    pushed = run("push", "origin", f"{commit}:refs/heads/{branch}")
    if pushed.returncode:
        print(f"{branch} stays where it is ({complaint(pushed.stderr)}); the tag holds the release commit.")


def version_at(commit: str) -> Version | None:
    """Return the version registered on `commit`, or None."""
    return next((version for version in list_versions() if version.commit == commit), None)


def is_ancestor(commit: str, of: str) -> bool:
    """Return whether `commit` is in the history of `of`."""
    return run("merge-base", "--is-ancestor", commit, of).returncode == 0
