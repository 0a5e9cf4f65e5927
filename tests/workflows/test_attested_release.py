"""A server takes a version from its release where no store has it, and by the attestation that publishing made."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from desk import OWNER, PROOF, Desk, hand_over
from local_github import LocalGitHub, Repository

Clone = Callable[..., Desk]
LOOK = ("python", "-m", "mlops_actions.serving.follow")  # what a server starts when the tags have changed


@pytest.fixture
def unstored(published: Repository) -> Repository:
    """The repository with v1.0.0, whose store is gone."""
    published.bare.git("update-ref", "-d", "refs/dvc/store")
    return published


def champion(desk: Desk) -> dict[str, Any]:
    """What a server in a clone has been told to serve."""
    return dict(json.loads(desk.read(".mlops/serving/state.json"))["champion"])


def test_a_bundle_that_no_store_has_comes_from_its_release(unstored: Repository, clone: Clone) -> None:
    desk = clone(unstored)
    desk.run(*LOOK)
    served, released = champion(desk), unstored.asset("model@v1.0.0", "bundle.zip").read_bytes()
    assert served["version"] == "v1.0.0" and Path(served["bundle"]).read_bytes() == released
    assert served["sha256"] == hashlib.sha256(released).hexdigest()


def test_a_store_gives_the_bytes_that_were_released(published: Repository, clone: Clone) -> None:
    released = published.asset("model@v1.0.0", "bundle.zip")
    digest = hashlib.sha256(released.read_bytes()).hexdigest()
    released.write_bytes(b"nobody asks for it")
    desk = clone(published)
    desk.run(*LOOK)
    assert champion(desk)["sha256"] == digest


def test_a_private_repositorys_release_takes_a_token(hub: LocalGitHub, first: Repository, clone: Clone) -> None:
    private = first.copy(f"{OWNER}/unstored", private=True)
    private.bare.git("update-ref", "-d", "refs/dvc/store")
    desk = clone(private)
    with pytest.raises(RuntimeError, match="HTTP 404; in a private repository, set GITHUB_TOKEN"):
        desk.run(*LOOK)
    desk.run("env", f"GITHUB_SERVER_URL={hub.url}", f"GH_TOKEN={hub.people[OWNER].value}", *LOOK)
    assert champion(desk)["version"] == "v1.0.0"


def test_a_release_with_another_bundle_is_not_taken(unstored: Repository, clone: Clone, small: Any) -> None:
    desk = clone(unstored)
    unstored.asset("model@v1.0.0", "bundle.zip").write_bytes((small.path / "models/bundle.zip").read_bytes())
    with pytest.raises(RuntimeError) as failed:
        desk.run(*LOOK)
    assert str(failed.value).splitlines()[-1] == (
        "v1.0.0: models/bundle.zip is not in the store of origin: run `mlops push` where the data is. "
        "And the bundle of its release is not what its dvc.lock names."
    )


def test_where_neither_has_it_both_are_named(unstored: Repository, clone: Clone) -> None:
    desk = clone(unstored)
    for release in unstored.releases():
        unstored.hub.emulate.call("DELETE", f"/repos/{unstored.name}/releases/{release['id']}", OWNER)
    with pytest.raises(RuntimeError) as failed:
        desk.run(*LOOK)
    said = str(failed.value).splitlines()[-1]
    assert said.startswith("v1.0.0: models/bundle.zip is not in the store of origin: ")
    assert f"And {unstored.name}'s release model@v1.0.0 on " in said and "did not give bundle.zip: HTTP 404" in said


def test_what_a_server_is_told_to_serve_has_the_attestation_of_its_release(
    unstored: Repository, first: Repository, clone: Clone
) -> None:
    desk = clone(unstored)
    desk.trust(unstored.name)
    url = first.hub.url
    with pytest.raises(RuntimeError, match=f"it is by {url}/{first.name}/.*, not by {url}/{unstored.name}/"):
        desk.run(*LOOK)
    assert not (desk.path / ".mlops/serving/state.json").exists()
    desk.replace("params.yaml", unstored.name, first.name)  # which published it
    desk.run(*LOOK)
    bundle = Path(champion(desk)["bundle"])
    assert bundle.with_name(f"{bundle.name}.sigstore.json").exists()

    unstored.asset("model@v1.0.0", PROOF).write_text("{}")
    other = clone(unstored)
    other.trust(first.name)
    with pytest.raises(RuntimeError, match="refused, its attestation does not hold: .* is no Sigstore bundle"):
        other.run(*LOOK)
    shutil.copy(bundle.with_name(f"{bundle.name}.sigstore.json"), unstored.asset("model@v1.0.0", PROOF))
    other.run(*LOOK)
    assert champion(other)["version"] == "v1.0.0", "what did not hold was fetched anew"


def test_a_private_repository_whose_plan_has_attestations_gets_its_own_kind(first: Repository, clone: Clone) -> None:
    private = first.copy(f"{OWNER}/enterprise", private=True)
    private.variables["ATTEST"] = "true"
    author = clone(private)
    author.run("git", "switch", "--quiet", "--detach", "origin/tuned")
    (run,) = private.rerun(hand_over(author), failed=True)
    assert run.expect("success").outcome("Attest the bundle") == "success" and "is not attested" not in run.log
    proof = json.loads(private.asset("model@v1.1.0", PROOF).read_text())
    assert "tlogEntries" not in proof["verificationMaterial"]
    desk = clone(private)
    desk.trust(private.name)
    desk.run("env", f"GITHUB_SERVER_URL={private.hub.url}", f"GH_TOKEN={private.hub.people[OWNER].value}", *LOOK)
    assert champion(desk)["version"] == "v1.1.0"
