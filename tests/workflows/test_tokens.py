"""A job's token may do what the job needs and nothing else, and it stays neither on the runner's disk nor in a log."""

from collections.abc import Callable

import pytest
from desk import Desk, hand_over
from local_github import Repository

Clone = Callable[..., Desk]
PLACE = "ghcr.io/acme/churn"
# Whose permission is taken, what is left of it, and the step that fails then.
TAKEN = {
    "publish: contents": ("contents: write # the stored objects", "contents: read #", "Give the model its version"),
    "image: packages": ("packages: write", "packages: read", "Build and push it"),
}


@pytest.fixture
def tuned(published: Repository, clone: Clone) -> Desk:
    """An author's clone, where a version to come was trained that asks for an image."""
    desk = clone(published)
    desk.run("git", "switch", "--quiet", "--detach", "origin/tuned")
    desk.replace("params.yaml", "image: null", f"image: {PLACE}")
    desk.trust(published.name)
    return desk


@pytest.mark.parametrize(("given", "left", "step"), TAKEN.values(), ids=TAKEN)
def test_a_publish_with_one_permission_less_fails_at_the_step_that_needs_it(
    published: Repository, tuned: Desk, given: str, left: str, step: str
) -> None:
    tuned.replace(".github/workflows/publish.yml", given, left)
    tuned.commit("Permit less")
    (run,) = published.rerun(hand_over(tuned), failed=True)
    assert run.expect("failure").outcome(step) == "failure"
    assert [one.name for one in run.steps if one.outcome == "failure"][:1] == [step], run.log


def test_a_publish_run_uses_all_that_it_may_and_leaves_its_token_nowhere(published: Repository, tuned: Desk) -> None:
    published.looks = True
    tuned.commit("Build images")
    (run,) = published.rerun(hand_over(tuned), failed=True)
    assert run.expect("success").jobs["image"] == "success"
    assert run.unused() == {}
    config = ".docker/config.json"
    assert run.left == [
        f"left on disk after {step!r}: {config}" for step in ("Log in to the registry", "Build and push it")
    ]
