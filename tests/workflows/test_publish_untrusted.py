"""The job that publishes may write, so it runs nothing of the owner's and believes nothing of what was trained."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from desk import Desk, find_run
from local_github import LocalGitHub, Repository, Run

Clone = Callable[..., Desk]
Files = dict[str, bytes]

# What any module of the owner's may do as soon as it is imported.
MARKER = """
import os as _os
with open({file!r}, "a") as _file:
    _file.write(_os.environ.get("GITHUB_JOB", "none") + "\\n")
"""


def test_nothing_of_the_owners_runs_where_the_token_may_write(
    published: Repository, clone: Clone, tmp_path: Path
) -> None:
    published.disabled |= {"retrain"}
    desk = clone(published)
    marker = tmp_path / "imported"
    for name in ("__init__", "features", "model", "metrics"):
        with (desk.path / f"src/customer_churn/{name}.py").open("a") as module:
            module.write(MARKER.format(file=str(marker)))
    desk.set_params("{C: 0.3}")
    run = find_run(published.merge(desk.propose("marked", "Leave a mark")), "publish").expect("success")
    assert published.tags() == ["model@v1.0.0", "model@v1.1.0"]
    assert set(marker.read_text().split()) == {"train"}
    installed = [line.strip() for line in run.log.split("Take what was trained")[0].splitlines() if "+ " in line]
    assert sorted(line.split("==")[0] for line in installed[-2:]) == ["+ mlops-actions", "+ ruamel-yaml"]
    assert "Installed 2 packages" in run.log, "in the job that publishes"
    (artifact,) = [one for name, one in run.artifacts.items() if name == "trained"]
    store = set(published.bare.git("ls-tree", "-r", "--name-only", "refs/dvc/store").splitlines())
    objects = {name for name in artifact.read() if name.startswith("objects/")}
    assert objects and {name.replace("objects/", "files/md5/", 1) for name in objects} <= store


@pytest.fixture
def interrupted(hub: LocalGitHub, published: Repository) -> Run:
    """A run whose training is done, and whose publishing died before it stored anything."""
    published.disabled |= {"retrain"}
    with hub.killing_runs(after_step="Take what was trained"):
        (run,) = published.merge(published.open_pull_request("tuned", "Regularise more"))
    assert run.conclusion == "cancelled" and run.jobs["train"] == "success"
    return run


def refs(repository: Repository) -> dict[str, tuple[str, str]]:
    return repository.bare.refs("refs/")


def test_a_hostile_artifact_is_refused_and_nothing_is_stored_and_a_good_one_is_published_afterwards(
    hub: LocalGitHub, published: Repository, interrupted: Run, tmp_path: Path
) -> None:
    good = interrupted.artifacts["trained"].read()
    before = refs(published)
    outside = {"../../.git/hooks/post-checkout": b"#!/bin/sh\n"}
    forged = good["dvc.lock"].replace(b"models/bundle.zip", b"src/customer_churn/features.py")
    assert forged != good["dvc.lock"]
    hostile: dict[str, tuple[Files, str]] = {
        "out": (good | outside, "it has '../../.git/hooks/post-checkout', which its dvc.lock does not name"),
        "lock": (good | {"dvc.lock": forged}, "its dvc.lock names 'src/customer_churn/features.py', which the stage"),
    }
    run = interrupted
    for files, sentence in hostile.values():
        upload(hub, run, files, tmp_path)
        (run,) = published.rerun(run, failed=True)
        assert sentence in run.expect("failure").log and "Traceback" not in run.log
        assert run.jobs == {"train": "success", "publish": "failure", "image": "skipped", "pass": "failure"}
        assert run.outcome("Take what was trained") == "failure" and refs(published) == before
        assert len(published.releases()) == 1
    upload(hub, run, good, tmp_path)
    (run,) = published.rerun(run, failed=True)
    run.expect("success")
    assert published.tags() == ["model@v1.0.0", "model@v1.1.0"] and len(published.releases()) == 2


def upload(hub: LocalGitHub, run: Run, files: Files, folder: Path) -> None:
    """Let these files be the run's newest artifact."""
    packed = folder / "artifact.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    hub.keep_artifact(run.id, "trained", packed.read_bytes(), run.attempt)


def test_where_the_artifact_is_gone_a_sentence_says_to_train_again(
    hub: LocalGitHub, published: Repository, interrupted: Run
) -> None:
    for number in [number for number, one in hub.artifacts.items() if one.run == interrupted.id]:
        del hub.artifacts[number]
    (run,) = published.rerun(interrupted, failed=True)
    assert (
        "this run has no artifact `trained`, or none any more: run all of its jobs again." in run.expect("failure").log
    )
    (run,) = published.rerun(interrupted)
    run.expect("success")
    assert published.tags() == ["model@v1.0.0", "model@v1.1.0"]
