"""A publish run may die anywhere, and another may run beside it: what is published is the same."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from desk import (
    ASSETS,
    OWNER,
    PROOF,
    Desk,
    Runner,
    bump_checkout,
    delete_other_branches,
    forge_model,
    hand_over,
    kept_branches,
    state,
)
from local_github import LocalGitHub, Repository
from local_github.events import push_event

Clone = Callable[..., Desk]
PUSH = "POST .*/git-receive-pack"


def is_complete(repository: Repository, version: str) -> bool:
    """Whether a version is released with every file; the attestation is another step's."""
    releases = {release["tag_name"]: release for release in repository.releases()}
    found = releases[f"model@{version}"]
    return not found["draft"] and sorted({asset["name"] for asset in found["assets"]} - {PROOF}) == ASSETS


def test_a_publish_that_dies_at_every_write_in_turn_ends_as_an_undisturbed_one(
    hub: LocalGitHub, first: Repository, published: Repository, runner: Callable[..., Runner]
) -> None:
    undisturbed = first.copy("acme/undisturbed")
    for repository in (undisturbed, published):
        delete_other_branches(repository)
    calm = runner()
    desk = Desk(undisturbed, calm.tree, OWNER)
    desk.run("git", "remote", "set-url", "origin", undisturbed.url)
    desk.push_quietly()
    assert Runner(hub, undisturbed, calm.tree, calm.venv).publish().conclusion == "success"
    assert is_complete(undisturbed, "v1.1.0")

    # A push that was answered is there, so a rerun's next push is the one after it: store, kept branch, tag, main.
    writes = [(PUSH, answered) for _ in range(4) for answered in (False, True)]
    writes += [(r"POST .*/releases$", False), (r"POST .*/releases$", True)]
    writes += [(rf"POST .*/assets\?.*name={name}", name == "bundle.zip") for name in ASSETS]
    writes += [
        (rf"{method} .*/releases/\d+$", answered) for method in ("DELETE", "PATCH") for answered in (False, True)
    ]
    for call, answered in writes:
        with hub.killing_runs(at_call=call, answered=answered):
            run = runner().publish()
        assert run.conclusion == "cancelled", f"{call} was never made:\n{run.log}"
    assert runner().publish().conclusion == "success"
    assert state(published) == state(undisturbed)


def test_what_a_killed_run_drafted_is_not_released_as_the_next_commits(
    hub: LocalGitHub, published: Repository, runner: Callable[..., Runner]
) -> None:
    killed = runner()
    later = runner(killed.tree)
    follow(later)
    forge_model(later.tree)
    with hub.killing_runs(at_call=r"POST .*/assets\?.*name=schema\.yaml"):
        assert killed.publish().conclusion == "cancelled"
    left = next(release for release in published.releases() if release["draft"])
    assert left["tag_name"] == "model@v1.1.0" and "starter" in [asset["state"] for asset in left["assets"]]
    published.bare.git("update-ref", "-d", "refs/tags/model@v1.1.0")
    run = later.publish()
    assert run.conclusion == "success" and is_complete(published, "v1.1.0"), run.log
    release, commit = published.releases()[0], published.bare.resolve("model@v1.1.0")
    assert published.bare.contains(str(commit), Desk(published, later.tree, OWNER).run("git", "rev-parse", "HEAD"))
    assert f"Trained from commit `{commit}`" in release["body"]
    assert published.asset("model@v1.1.0", "MODEL_CARD.md").read_text() == release["body"]
    published.asset("model@v1.1.0", "metrics.json").write_text("{}")
    again = later.publish()
    assert again.conclusion == "failure" and "Traceback" not in again.log
    assert f"has other bytes than {str(commit)[:10]} makes: metrics.json. Find out who" in again.log


def test_a_publish_that_dies_when_it_attested_or_released_is_taken_up_again(
    hub: LocalGitHub, published: Repository, clone: Clone
) -> None:
    desk = clone(published)
    desk.run("git", "switch", "--quiet", "--detach", "origin/tuned")
    run = hand_over(desk)
    for step in ("Attest the bundle", "Release it"):
        with hub.killing_runs(after_step=step):
            (run,) = published.rerun(run, failed=True)
        assert run.conclusion == "cancelled" and run.outcome(step) == "success"
        assert not {one.name for one in run.steps if one.job == "train"}, "what was trained is taken again"
    done, proof = state(published), published.asset("model@v1.1.0", PROOF).read_text()
    assert is_complete(published, "v1.1.0") and proof == json.dumps(published.attestations["bundle.zip"]) + "\n"
    assert done["main"] == desk.run("git", "rev-parse", "HEAD")

    (run,) = published.rerun(run)
    assert "is published already" in run.expect("success").log
    assert run.outcome("Train from merged code") == run.outcome("Take what was trained") == "success"
    assert run.artifacts["trained"].attempt == run.attempt, "which took the place of the first"
    assert not {"Attest the bundle", "Release it"} & {step.name for step in run.steps}
    assert state(published) == done and published.asset("model@v1.1.0", PROOF).read_text() == proof


def test_a_whole_run_that_is_killed_as_it_hands_over_and_as_it_attests_is_run_again_and_ends_as_an_undisturbed_one(
    hub: LocalGitHub, first: Repository, published: Repository, clone: Clone
) -> None:
    undisturbed = first.copy("acme/whole")
    calm, desk = clone(undisturbed), clone(published)
    for one in (calm, desk):
        one.run("git", "switch", "--quiet", "--detach", "origin/tuned")
    (run,) = undisturbed.rerun(hand_over(calm), failed=True)
    run.expect("success")

    desk.push_quietly()
    with hub.killing_runs(at_call="POST /_runner/artifacts.*name=trained", answered=True):
        (run,) = published.deliver(push_event(published, "refs/heads/main", None, OWNER))
    assert run.conclusion == "cancelled" and "trained" in run.artifacts and published.tags() == ["model@v1.0.0"]
    with hub.killing_runs(at_call="POST .*/attestations", answered=True):
        (run,) = published.rerun(run)
    assert run.conclusion == "cancelled" and published.tags() == ["model@v1.0.0", "model@v1.1.0"]
    (run,) = published.rerun(run, failed=True)
    run.expect("success")
    assert state(published) == state(undisturbed) and is_complete(published, "v1.1.0")


def test_a_version_that_was_tagged_and_not_pushed_is_pushed_by_the_next_run_in_the_same_clone(
    hub: LocalGitHub, published: Repository, runner: Callable[..., Runner]
) -> None:
    same = runner()
    with hub.killing_runs(at_call=PUSH):
        assert same.publish("mlops version").conclusion == "cancelled"
    assert published.tags() == ["model@v1.0.0"]
    run = same.publish("mlops version")
    assert run.conclusion == "success" and "model@v1.1.0: not on origin, and so dropped here." in run.log
    assert published.tags() == ["model@v1.0.0", "model@v1.1.0"]


def test_three_pushes_within_one_training_get_a_version_each(
    published: Repository, runner: Callable[..., Runner]
) -> None:
    runners = [runner()]
    for _ in range(2):
        runners.append(runner(runners[-1].tree))
        follow(runners[-1])
        forge_model(runners[-1].tree)
    for one in runners:
        run = one.publish()
        assert run.conclusion == "success", run.log
    merges = [Desk(published, one.tree, OWNER).run("git", "rev-parse", "HEAD") for one in runners]
    tags = published.tags()[1:]
    assert tags == ["model@v1.1.0", "model@v1.1.1", "model@v1.1.2"]
    assert [published.bare.resolve(f"{tag}~") for tag in tags] == merges
    assert all(is_complete(published, tag.removeprefix("model@")) for tag in tags)


@pytest.mark.parametrize("kept", [True, False], ids=["kept in time", "kept too late"])
def test_a_publish_that_other_workflows_overtake_is_done_where_a_branch_keeps_its_own(
    hub: LocalGitHub, published: Repository, runner: Callable[..., Runner], clone: Clone, kept: bool
) -> None:
    overtaken = runner()
    published.bare.git("update-ref", "-d", "refs/heads/tuned")  # which has the workflows of v1.0.0, too
    published.disabled = {"checks", "deploy", "publish"} | ({"keep"} if not kept else set())
    merge = bump_checkout(Desk(published, overtaken.tree, OWNER))
    runs = published.push(overtaken.tree)
    assert [run.expect("success").name for run in runs] == (["keep"] if kept else [])
    tree = published.bare.git("rev-parse", f"{merge}:.github/workflows")
    other = clone(published)
    bump_checkout(other)
    other.push_quietly()
    if not kept:
        late = overtaken.publish()
        assert late.conclusion == "failure" and "Traceback" not in late.log
        assert f"Run `uv run mlops keep {merge[:10]}` on your machine" in late.log, "one way"
        assert "the token of a GitHub App" in late.log, "the other"
        assert published.tags() == ["model@v1.0.0"] and tree not in kept_branches(published)
        other.run("mlops", "keep", merge[:10])
    late = overtaken.publish()
    assert late.conclusion == "success", late.log
    assert is_complete(published, "v1.1.0") and kept_branches(published)[tree] == merge
    assert published.bare.git("rev-parse", "model@v1.1.0~:.github/workflows") == tree
    assert overtaken.publish("mlops promote v1.1.0 --reason Proved").conclusion == "success"


def test_workflows_are_kept_by_a_run_that_dies_at_its_push_and_comes_again(
    hub: LocalGitHub, published: Repository, runner: Callable[..., Runner]
) -> None:
    merged = runner()
    delete_other_branches(published)
    for answered in (False, True):
        with hub.killing_runs(at_call=PUSH, answered=answered):
            assert merged.publish("mlops keep HEAD").conclusion == "cancelled"
    again = merged.publish("mlops keep HEAD")
    assert again.log == "Branches on origin have the workflows of HEAD and of every version.\n"
    assert list(kept_branches(published).values()) == [published.bare.resolve("main")]


def test_a_version_is_published_where_no_branch_may_be_pushed_and_what_follows_is_said(
    published: Repository, runner: Callable[..., Runner]
) -> None:
    merged = runner()
    delete_other_branches(published)
    published.bare.git("update-ref", "refs/heads/releases", "refs/heads/main")  # so there is no room for releases/…
    run = merged.publish("mlops push && mlops version")
    assert run.conclusion == "success" and published.tags() == ["model@v1.0.0", "model@v1.1.0"]
    assert "Once main has other workflows, no workflow can give v1.1.0 a role: origin refused the branch" in run.log


def test_a_role_is_given_once_a_branch_keeps_its_workflows_whenever_the_run_dies(
    hub: LocalGitHub, published: Repository, runner: Callable[..., Runner], clone: Clone
) -> None:
    later, promote = runner(), "mlops promote v1.0.0 --reason Proved"
    desk = clone(published)
    bump_checkout(desk)
    desk.push_quietly()
    delete_other_branches(published)
    refused = later.publish(promote)
    assert refused.conclusion == "failure" and published.tags() == ["model@v1.0.0"]
    assert "GitHub refused model#prod#1: no branch has the workflows of its commit any more" in refused.log
    assert "Run `uv run mlops keep` on your machine" in refused.log and "the token of a GitHub App" in refused.log
    desk.run("mlops", "keep")
    assert list(kept_branches(published).values()) == [published.bare.resolve("model@v1.0.0")]
    for answered in (False, True):
        with hub.killing_runs(at_call=PUSH, answered=answered):
            assert later.publish(promote).conclusion == "cancelled"
    assert later.publish(promote).log == "v1.0.0 is champion already.\n"
    assert published.tags() == ["model#prod#1", "model@v1.0.0"]


def follow(runner: Runner) -> str:
    """Put the merge of a second change on top of a runner's own; its commit, which is on main now."""
    desk = Desk(runner.repository, runner.tree, OWNER)
    desk.replace("README.md", "#", "# Read me:\n\n#")
    desk.run("git", "commit", "--quiet", "--no-verify", "--message", "Merge pull request #2", "README.md")
    desk.push_quietly()
    return desk.run("git", "rev-parse", "HEAD")


def test_two_publishes_truly_at_once_lose_nothing_and_end_with_the_later_commit(
    published: Repository, runner: Callable[..., Runner]
) -> None:
    earlier, later = runner(), runner()
    head = follow(later)
    forge_model(later.tree)
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(Runner.publish, [earlier, later]))
    assert [run.conclusion for run in runs] == ["success", "success"], [run.log for run in runs]
    versions = published.tags()
    assert versions in (["model@v1.0.0", "model@v1.1.0"], ["model@v1.0.0", "model@v1.1.0", "model@v1.1.1"])
    assert all(is_complete(published, tag.removeprefix("model@")) for tag in versions)
    assert published.bare.contains(versions[-1], head), "the newest version is the later commit's"
    assert published.bare.contains("main", head)


def test_an_older_publish_that_comes_late_does_not_replace_a_newer_version(
    published: Repository, runner: Callable[..., Runner]
) -> None:
    earlier, later = runner(), runner()
    follow(later)
    forge_model(later.tree)
    assert later.publish().conclusion == "success"
    done = state(published)
    late = earlier.publish()
    assert late.conclusion == "success", late.log
    assert "v1.1.0 was published from a later commit: nothing to publish." in late.log
    now = state(published)
    assert now.pop("stored") >= done.pop("stored"), "what it trained is kept, and nothing goes"
    assert now == done


def test_where_main_has_moved_on_the_tag_holds_the_model_and_main_is_not_forced(
    published: Repository, runner: Callable[..., Runner]
) -> None:
    earlier, other = runner(), runner()
    head = follow(other)
    run = earlier.publish()
    assert run.conclusion == "success" and "main stays where it is" in run.log
    assert published.bare.resolve("main") == head
    released = published.bare.resolve("model@v1.1.0")
    assert released and not published.bare.contains(head, released)
    assert is_complete(published, "v1.1.0")


def test_where_main_is_protected_the_tag_holds_the_model_and_nobody_trains_it_again(
    published: Repository, runner: Callable[..., Runner], clone: Clone
) -> None:
    laptop = clone(published)
    protected = runner()
    published.protect()
    main = published.bare.resolve("main")
    run = protected.publish()
    assert run.conclusion == "success" and "main stays where it is" in run.log
    assert published.bare.resolve("main") == main and is_complete(published, "v1.1.0")

    same = "### ➖ Nothing to retrain: the model is the champion's, `v1.1.0`"
    laptop.run("git", "pull", "--quiet")
    assert laptop.run("git", "tag", "--list", "model@*") == "model@v1.0.0", "main does not hold the release"
    trained = laptop.run("mlops", "train")
    assert "Starting from what v1.1.0 trained." in trained
    assert "Nothing to retrain" in trained and "Running stage" not in trained
    assert laptop.run("mlops", "compare").startswith(same)
