"""The GitHub Release of a version: its files, its draft, and what is published already.

A draft may be left by a run that was killed, and its tag's name may be another commit's by now. So no draft is filled
further: it is made anew, and published once each of its files is there, byte for byte.
"""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

from ..core import github
from ..core.errors import UserError
from ..core.files import write_file
from ..core.git import git
from ..core.paths import BUNDLE
from .assets import ASSETS, CARD, write_assets
from .attestation import beside
from .objects import load_yaml
from .publish import release_commit, version_at
from .versions import MODEL, Version

PROOF = beside(Path(BUNDLE)).name
LONGEST = 125_000  # characters that GitHub takes as a release's text


def release(prepare: Path | None = None, prepared: Path | None = None) -> None:
    """Publish the GitHub Release of the version that this commit's model got.

    At once, or in two steps, so that its bundle can be attested between them: `prepare` is where the first one writes
    its files, and `prepared` where the second one finds them. The workflow is told what there is to do.

    Raises:
        UserError: GitHub refuses, or the published release is not what this commit makes.
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
        UserError: the published release is not what this commit makes.
    """
    assets = write_assets(ours, directory)
    if names_image(ours):
        github.set_output("image", str(ours))
    return not is_published(ours, assets)


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


def is_published(ours: Version, assets: list[Path]) -> bool:
    """Return whether the release of a version is published, and say so; what else somebody put beside its files stays.

    Raises:
        UserError: its files are not these.
    """
    published = next((release for release in find_releases(ours) if not release["draft"]), None)
    if published is None:
        return False
    digests = {asset["name"]: digest_of(asset) for asset in published["assets"]}
    if lacking := [asset.name for asset in assets if asset.name not in digests]:
        raise UserError(f"{published['html_url']} lacks {', '.join(lacking)}: delete that release and run this again.")
    if changed := [asset.name for asset in assets if digests[asset.name] != digest(asset)]:
        raise UserError(
            f"{published['html_url']} has other bytes than {ours.commit[:10]} makes: {', '.join(changed)}. Find out "
            "who changed them, delete that release, and run this again."
        )
    print(f"{published['html_url']} is published already.")
    return True


def publish_release(ours: Version, directory: Path, attestation: str | None = None) -> None:
    """Bring the release of a version to its end, wherever an earlier run ended: draft, upload, publish.

    Raises:
        UserError: GitHub refuses or has other bytes than were sent, the files are not there, or the tag is another's.
    """
    assets = [directory / name for name in ASSETS]
    if lacking := [str(asset) for asset in assets if not asset.exists()]:
        raise UserError(f"there is no {', '.join(lacking)}: run `mlops release --prepare {directory}` first.")
    if is_published(ours, assets):
        return
    require_tagged(ours)
    if attestation:
        assets.append(directory / PROOF)
        write_file(assets[-1], Path(attestation).read_bytes())
    for leftover in find_releases(ours):
        github.delete(f"releases/{leftover['id']}")
    name, body = f"{MODEL} {ours}", describe(directory / CARD)
    draft = github.send("POST", "releases", tag_name=ours.tag, name=name, body=body, draft=True)
    repository = f"--repo={github.repository()}"
    github.gh("release", "upload", ours.tag, repository, *map(str, assets), seconds=github.TRANSFER)
    require_sent(github.api(f"releases/{draft['id']}"), assets)
    published = github.send("PATCH", f"releases/{draft['id']}", draft=False)
    print(f"Published {published['html_url']}")


def require_tagged(ours: Version) -> None:
    """Raise a UserError where origin's tag is not on this version's commit; for none GitHub would make one on main."""
    tag = f"refs/tags/{ours.tag}"
    if f"{ours.commit}\t{tag}^{{}}" not in git("ls-remote", "origin", tag, f"{tag}^{{}}").splitlines():
        raise UserError(f"origin has no tag {ours.tag} on {ours.commit[:10]} any more: run `mlops version` again.")


def describe(card: Path) -> str:
    """Return the text of a release: the model card, cut where GitHub would refuse it."""
    text = card.read_text(encoding="utf-8")
    rest = f"\n\nThe rest is in {card.name}."
    return text if len(text) <= LONGEST else text[: LONGEST - len(rest)] + rest


def find_releases(of: Version) -> list[dict[str, Any]]:
    """Return what GitHub has under a version's tag: one release at most that is published, and any number of drafts."""
    return [release for release in github.api("releases?per_page=100") if release["tag_name"] == of.tag]


def require_sent(draft: dict[str, Any], assets: list[Path]) -> None:
    """Raise a UserError where a draft has other files than these, or other bytes."""
    wanted = {asset.name: digest(asset) for asset in assets}
    there = {asset["name"]: digest_of(asset) for asset in draft["assets"]}
    if differing := sorted(name for name in {*there, *wanted} if there.get(name) != wanted.get(name)):
        names = ", ".join(differing)
        raise UserError(f"The draft of {draft['tag_name']} is not what was sent ({names}): run this again.")


def digest(file: Path) -> str:
    """Return the digest of a file as GitHub writes it."""
    with file.open("rb") as content:
        return f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"


def digest_of(asset: dict[str, Any]) -> str:
    """Return the digest of a release's file; "" for one whose upload never ended.

    A server may not tell it, as GitHub did not before June 2025: then the file is downloaded.
    """
    if asset["state"] != "uploaded":
        return ""
    if told := asset.get("digest"):
        return str(told)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "asset"
        github.download(f"releases/assets/{asset['id']}", file, "--header=Accept: application/octet-stream")
        return digest(file)
