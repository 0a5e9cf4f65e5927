"""The job that publishes may write, so it runs nothing of the owner's and believes nothing of what was trained."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from desk import ASSETS, PROOF, Desk, forge_model, hand_over
from local_github import LocalGitHub, Repository, Run

Clone = Callable[..., Desk]
Files = dict[str, bytes]

# What any module of the owner's may do as soon as it is imported.
MARKER = """
import os as _os
with open({file!r}, "a") as _file:
    _file.write(_os.environ.get("GITHUB_JOB", "none") + "\\n")
"""


@pytest.fixture
def tuned(published: Repository, clone: Clone) -> Desk:
    """An author's clone, where a version to come was trained."""
    desk = clone(published)
    desk.run("git", "switch", "--quiet", "--detach", "origin/tuned")
    return desk


def test_nothing_of_the_owners_runs_where_the_token_may_write(
    published: Repository, tuned: Desk, tmp_path: Path
) -> None:
    marker = tmp_path / "imported"
    names = ("__init__", "features", "model", "metrics")
    for name in names:
        with (tuned.path / f"src/customer_churn/{name}.py").open("a") as module:
            module.write(MARKER.format(file=str(marker)))
    forge_model(tuned.path)
    (tuned.path / "dist").mkdir()
    for name in (*ASSETS, PROOF):  # which would be written over the command of the next step
        (tuned.path / "dist" / name).symlink_to("../.venv/bin/mlops")
    tuned.run("git", "add", "--force", "dist")
    tuned.commit("Leave a mark")
    tuned.run(
        "env",
        "PYTHONPATH=src",
        "python",
        "-c",
        "import customer_churn.features, customer_churn.model, customer_churn.metrics",
    )
    assert marker.read_text() == "none\n" * len(names), "each leaves its mark"
    (run,) = published.rerun(hand_over(tuned), failed=True)
    run.expect("success")
    assert published.tags() == ["model@v1.0.0", "model@v1.1.0"]
    assert marker.read_text() == "none\n" * len(names), "in no job of the run"
    installed = [line.strip() for line in run.log.split("Take what was trained")[0].splitlines() if "+ " in line]
    assert sorted(line.split("==")[0] for line in installed[-2:]) == ["+ mlops-actions", "+ ruamel-yaml"]
    assert "Installed 2 packages" in run.log, "in the job that publishes"
    store = set(published.bare.git("ls-tree", "-r", "--name-only", "refs/dvc/store").splitlines())
    objects = {name for name in run.artifacts["trained"].read() if name.startswith("objects/")}
    assert objects and {name.replace("objects/", "files/md5/", 1) for name in objects} <= store


def refs(repository: Repository) -> dict[str, tuple[str, str]]:
    return repository.bare.refs("refs/")


def test_a_hostile_artifact_or_none_is_refused_and_nothing_is_stored_and_a_good_one_is_published_afterwards(
    hub: LocalGitHub, published: Repository, tuned: Desk, tmp_path: Path
) -> None:
    run = hand_over(tuned)
    good = run.artifacts["trained"].read()
    before = refs(published)
    outside = {"../../.git/hooks/post-checkout": b"#!/bin/sh\n"}
    forged = good["dvc.lock"].replace(b"models/bundle.zip", b"src/customer_churn/features.py")
    assert forged != good["dvc.lock"]
    refused: dict[str, tuple[Files | None, str]] = {
        "none": (None, "this run has no artifact `trained`, or none any more: run all of its jobs again."),
        "out": (good | outside, "it has '../../.git/hooks/post-checkout', which its dvc.lock does not name"),
        "lock": (good | {"dvc.lock": forged}, "its dvc.lock names 'src/customer_churn/features.py', which the stage"),
    }
    hub.artifacts = {number: one for number, one in hub.artifacts.items() if one.run != run.id}
    for files, sentence in refused.values():
        if files:
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
