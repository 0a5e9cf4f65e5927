"""A merge that releases a version builds and pushes its image, where params.yaml asks for one."""

from collections.abc import Callable

from desk import OWNER, Desk, hand_over
from local_github import Repository, Run

Clone = Callable[..., Desk]
PLACE = "ghcr.io/acme/churn"


def test_no_image_is_built_unless_asked_for(first: Repository) -> None:
    (run,) = first.runs("publish")
    assert run.jobs == {"train": "success", "publish": "success", "image": "skipped", "pass": "success"}


def ask_for_images(desk: Desk, place: str) -> Run:
    """The publish run of a version whose params ask for an image, at the end of its training."""
    desk.replace("params.yaml", "image: null", f"image: {place}")
    desk.commit("Build images")
    return hand_over(desk)


def test_a_release_is_followed_by_its_image_and_again_when_it_is_published_already(
    published: Repository, clone: Clone
) -> None:
    desk = clone(published)
    desk.run("git", "switch", "--quiet", "--detach", "origin/tuned")
    desk.trust(published.name)
    (run,) = published.rerun(ask_for_images(desk, PLACE), failed=True)
    run.expect("success")
    assert run.jobs == {"train": "success", "publish": "success", "image": "success", "pass": "success"}
    assert "Login Succeeded" in run.log
    commit = published.bare.resolve("model@v1.1.0^{commit}")
    for told in (
        "GROUP=serving",
        "COPY bundle.zip bundle.zip.sigstore.json",
        f"revision={commit}",
        "image.version=v1.1.0",
        f"image.source={published.url.removesuffix('.git')}",
    ):
        assert told in run.log, told
    assert f"The push refers to repository [{PLACE}]" in run.log and "v1.1.0: digest: sha256:" in run.log

    (again,) = published.rerun(hand_over(desk), failed=True)
    assert "is published already" in again.expect("success").log
    assert again.jobs["image"] == "success" and f"Pushed {PLACE}:v1.1.0" in again.log


def test_an_image_that_fails_is_seen(published: Repository, clone: Clone) -> None:
    desk = clone(published)
    desk.run("git", "switch", "--quiet", "--detach", "origin/tuned")
    desk.replace("params.yaml", f"repository: {OWNER}/customer-churn", "repository: null")
    (run,) = published.rerun(ask_for_images(desk, "elsewhere.example.com/churn"), failed=True)
    assert "denied" in run.expect("failure").log
    ended = {"train": "success", "publish": "success", "image": "failure", "pass": "failure"}
    assert run.jobs == ended
    assert published.tags() == ["model@v1.0.0", "model@v1.1.0"], "the release is there all the same"
    (again,) = published.rerun(run, failed=True)
    assert "denied" in again.expect("failure").log and again.jobs == ended
    assert {step.job for step in again.steps} == {"image", "pass"}, "of the same version, by itself"
