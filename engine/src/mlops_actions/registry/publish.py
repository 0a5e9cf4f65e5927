"""Publishing: a changed model that passed the gate becomes a version, and its version a GitHub Release.

Each step may be killed and run again. What a step makes is found again by what it was made from: the release commit
is the same bytes for the same model, the version is the tag on that commit, the release is the one of that tag.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from ..core import github
from ..core.errors import UserError
from ..core.files import write_file
from ..core.git import complaint, git, run
from ..core.paths import BUNDLE, RECORDED
from .assets import ASSETS, CARD, write_assets
from .attestation import beside
from .keep import keep_workflows, refusal
from .numbering import next_version
from .objects import load_yaml
from .outputs import locked
from .tags import annotate
from .versions import MODEL, Version, fetch_tags, list_versions, newest_version

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
    bump = next_version(newest)
    made = Version(bump.name, commit)
    merge = git("rev-parse", "HEAD")
    unkept = keep_workflows(merge)
    annotate(made.tag, commit, f"{MODEL} {made}: {bump.reason}", github.BOT)
    pushed = run("push", "origin", f"refs/tags/{made.tag}")
    if pushed.returncode == 0:
        print(f"{made}: {bump.reason}.")
        if unkept:
            print(f"Once main has other workflows, no workflow can give {made} a role: {unkept}")
        return made
    git("tag", "--delete", made.tag)
    if git("ls-remote", "origin", f"refs/tags/{made.tag}"):
        return None
    raise refusal(f"the tag {made.tag}", pushed.stderr, merge)


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


def release(prepare: Path | None = None, prepared: Path | None = None) -> None:
    """Publish the GitHub Release of the version that this commit's model got.

    At once, or in two steps, so that its bundle can be attested between them: `prepare` is where the first one writes
    its files, and `prepared` where the second one finds them. The workflow is told what there is to do.

    Raises:
        UserError: GitHub refuses, or the published release lacks a file.
    """
    ours = version_at(release_commit())
    if ours is None:
        print("This commit has no version of its own: nothing to release.")
    elif prepare:
        if prepare_release(ours, prepare):
            github.set_output("release", str(ours))
            ask_for_attestation(ours)
    elif prepared:
        publish_release(ours, prepared, os.environ.get("ATTESTATION"))
    else:
        with tempfile.TemporaryDirectory() as directory:
            if prepare_release(ours, Path(directory)):
                publish_release(ours, Path(directory))


def prepare_release(ours: Version, directory: Path) -> bool:
    """Write the files of a version's release into a directory; return whether they are still to be published.

    Where params.yaml asks for images, the workflow is told which version to build one of.

    Raises:
        UserError: the published release lacks a file.
    """
    assets = write_assets(ours, directory)
    if names_image(ours):
        github.set_output("image", str(ours))
    release = find_release(ours)
    if release and not release["draft"]:
        require_complete(release, assets)
        print(f"{release['html_url']} is published already.")
        return False
    return True


def names_image(version: Version) -> bool:
    """Return whether the params.yaml of a version names the place of its image."""
    serving = (load_yaml("params.yaml", version.commit) or {}).get("serving") or {}
    return bool(serving.get("image"))


def ask_for_attestation(ours: Version) -> None:
    """Have the workflow attest the bundle, or say why it is left out."""
    wanted = os.environ.get("ATTEST")
    if wanted == "false":
        print(f"The release of {ours} is not attested: the repository variable ATTEST is false.")
    elif wanted != "true" and github.event().get("repository", {}).get("private", True):
        print(
            f"The release of {ours} is not attested: GitHub attests for private repositories in its plan Enterprise "
            "Cloud only. If yours has it: `gh variable set ATTEST --body true`."
        )
    else:
        github.set_output("attest", str(ours))


def publish_release(ours: Version, directory: Path, attestation: str | None = None) -> None:
    """Bring the release of a version to its end, from wherever an earlier run left it: draft, upload, publish.

    Raises:
        UserError: GitHub refuses, or the files are not there.
    """
    assets = [directory / name for name in ASSETS]
    if lacking := [str(asset) for asset in assets if not asset.exists()]:
        raise UserError(f"there is no {', '.join(lacking)}: run `mlops release --prepare {directory}` first.")
    if attestation:
        assets.append(beside(directory / Path(BUNDLE).name))
        write_file(assets[-1], Path(attestation).read_bytes())
    release = find_release(ours)
    if release is None:
        notes = f"--notes-file={directory / CARD}"
        gh_release("create", ours, "--draft", "--verify-tag", f"--title={MODEL} {ours}", notes)
    elif not release["draft"]:
        print(f"{release['html_url']} is published already.")
        return
    gh_release("upload", ours, "--clobber", *map(str, assets))
    gh_release("edit", ours, "--draft=false")
    print(f"Published {github.server_url()}/{github.repository()}/releases/tag/{ours.tag}")


def find_release(of: Version) -> dict[str, Any] | None:
    """Return the GitHub Release of a version, a draft included, or None."""
    return next((release for release in github.api("releases?per_page=100") if release["tag_name"] == of.tag), None)


def require_complete(release: dict[str, Any], assets: list[Path]) -> None:
    """Raise a UserError where a published release lacks one of `assets`."""
    there = {asset["name"] for asset in release["assets"]}
    if lacking := [asset.name for asset in assets if asset.name not in there]:
        raise UserError(f"{release['html_url']} lacks {', '.join(lacking)}: delete that release and run this again.")


def gh_release(verb: str, of: Version, *args: str) -> None:
    """Run `gh release VERB` on a version's release."""
    github.gh("release", verb, of.tag, f"--repo={github.repository()}", *args)
