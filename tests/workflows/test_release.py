"""A merge becomes a version and a release, from the first push on, and anybody can take the model from there."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked import Project
from desk import ASSETS, OWNER, PROOF, Desk, Runner
from local_github import LocalGitHub, Repository

Clone = Callable[..., Desk]


def download(desk: Desk, version: str, *besides: str) -> Path:
    """The files of a release as a stranger gets them, their sums checked; there are the usual ones and `besides`."""
    desk.run("gh", "release", "download", version, "--repo", desk.repository.name, "--dir", "release")
    folder = desk.path / "release"
    desk.run("env", "--chdir=release", "sha256sum", "--check", "--strict", "SHA256SUMS")
    assert sorted(path.name for path in folder.iterdir()) == sorted([*ASSETS, *besides])
    return folder


def test_the_example_as_shipped_goes_from_an_untrained_push_to_a_model_that_anybody_can_take(
    hub: LocalGitHub, project: Project, tmp_path: Path
) -> None:
    """The first steps, `make setup` and a commit, are those of `project`."""
    shipped = project.copy(tmp_path / project.path.name)
    repository = hub.create_repository(f"{OWNER}/{shipped.path.name}")
    repository.looks = True
    repository.connect(shipped.path)
    hub.keep_bytecode(shipped.path / ".venv")
    assert not shipped.has_file("dvc.lock")

    runs = repository.push(shipped.path)
    conclusions = {run.name: run.conclusion for run in runs}
    done = dict.fromkeys(["checks", "keep", "publish"], "success")
    assert conclusions == done | {"deploy": "skipped"}, [run.log for run in runs]
    for run in runs:
        assert (run.unused(), run.left) == ({}, []), "all that its token may was needed, and the token is nowhere"
    (release,) = repository.releases()
    assert (release["tag_name"], release["name"]) == ("model@v1.0.0", "model v1.0.0")
    assert not release["draft"] and sorted(asset["name"] for asset in release["assets"]) == sorted([*ASSETS, PROOF])
    assert release["body"].startswith("# model v1.0.0")
    (kind,) = [kind for _, kind in repository.bare.refs("refs/tags/").values()]
    assert kind == "tag", "annotated"
    pushed, released = runs[0].event.sha, repository.bare.resolve("model@v1.0.0")
    assert released == repository.bare.resolve("main") != pushed
    assert repository.bare.git("log", "-1", "--format=%P", str(released)) == pushed
    assert repository.bare.git("log", "-1", "--format=%an", str(released)) == "github-actions[bot]"
    assert set(repository.bare.changed(pushed, str(released))) == {"dvc.lock", "metrics.json", "data/summary.json"}

    desk = Desk.clone(repository, tmp_path / "contributor", project.path / ".venv", "contributor")
    model = download(desk, "model@v1.0.0", PROOF) / "bundle.zip"
    desk.run("mlops", "pull")
    released = members(model)
    assert json.loads(released.pop("release.json"))["version"] == "v1.0.0"
    assert members(desk.path / "models/bundle.zip") == released
    store = f"url={desk.path}/.dvc/store"
    get = ["dvc", "artifacts", "get", repository.url, "model", "--rev", "v1.0.0", "--remote-config", store]
    desk.run(*get, "--out", "got.zip")
    assert members(desk.path / "got.zip") == released
    desk.run("mlops", "predict", "data/raw/dataset.csv", "--bundle", "got.zip")


def members(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_what_its_author_has_trained_is_released_as_it_was_pushed(first: Repository, small: Project) -> None:
    (run,) = first.runs("publish")
    assert "Nothing to retrain" in run.log
    assert first.bare.resolve("model@v1.0.0") == first.bare.resolve("main") == run.event.sha
    (release,) = first.releases()
    assert not release["draft"] and sorted(asset["name"] for asset in release["assets"]) == sorted([*ASSETS, PROOF])
    (bundle,) = [asset for asset in release["assets"] if asset["name"] == "bundle.zip"]
    stamped = bundle["size"] - (small.path / "models/bundle.zip").stat().st_size
    assert 0 < stamped < 400, "release.json alone"


def edit_lock(desk: Desk, *names: str) -> None:
    """Let dvc.lock say that other bytes of these files went in or came out."""
    content: dict[str, Any] = yaml.safe_load(desk.read("dvc.lock"))
    for stage in content["stages"].values():
        for entry in [*stage.get("deps", []), *stage["outs"]]:
            if Path(entry["path"]).name in names:
                entry["md5"] = "c" * 32
    (desk.path / "dvc.lock").write_text(yaml.safe_dump(content, sort_keys=False))


def change_schema(desk: Desk, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change schema.yaml."""
    content: dict[str, Any] = yaml.safe_load(desk.read("schema.yaml"))
    edit(content)
    (desk.path / "schema.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def retype(content: dict[str, Any]) -> None:
    content["columns"]["account_length"]["type"] = "category"


def widen(content: dict[str, Any]) -> None:
    content["columns"]["account_length"]["max"] = 10_000


CHANGES: dict[str, tuple[Callable[[Desk], object], str, str]] = {
    "new rows": (lambda desk: edit_lock(desk, "dataset.csv"), "v1.0.1", "new data, the same recipe"),
    "code": (lambda desk: edit_lock(desk, "model.py"), "v1.1.0", "the recipe changed: train"),
    "libraries": (
        lambda desk: desk.replace("dvc.lock", "skl2onnx: ", "skl2onnx: 9"),
        "v1.1.0",
        "the recipe changed: export",
    ),
    "a param": (
        lambda desk: desk.replace("dvc.lock", "estimator: logistic", "estimator: random_forest"),
        "v1.1.0",
        "the recipe changed: train",
    ),
    "code and rows": (lambda desk: edit_lock(desk, "dataset.csv", "model.py"), "v1.1.0", "the recipe changed: train"),
    "a column less": (
        lambda desk: change_schema(desk, lambda content: content["columns"].pop("account_length")),
        "v2.0.0",
        "the contract changed: account_length",
    ),
    "a column more": (
        lambda desk: change_schema(desk, lambda content: content["columns"].update(age={"type": "number"})),
        "v2.0.0",
        "the contract changed: age",
    ),
    "another type": (
        lambda desk: change_schema(desk, retype),
        "v2.0.0",
        "the contract changed: account_length",
    ),
}


@pytest.mark.parametrize(("change", "version", "reason"), CHANGES.values(), ids=CHANGES)
def test_what_a_consumer_must_do_decides_the_number(
    hub: LocalGitHub,
    published: Repository,
    clone: Clone,
    change: Callable[[Desk], object],
    version: str,
    reason: str,
) -> None:
    desk = clone(published)
    change(desk)
    edit_lock(desk, "bundle.zip")
    desk.commit("A merge")
    desk.push_quietly()
    run = Runner(hub, published, desk.path, desk.path / ".venv").publish("mlops version")
    assert run.conclusion == "success", run.log
    assert published.tags() == ["model@v1.0.0", f"model@{version}"]
    subject = published.bare.git("tag", "--list", "--format=%(contents:subject)", f"model@{version}")
    assert subject.startswith(f"model {version}: {reason}")
    assert published.bare.resolve(f"model@{version}") == published.bare.resolve("main")


def test_the_same_bytes_are_no_new_version_whatever_else_changed(
    hub: LocalGitHub, published: Repository, clone: Clone
) -> None:
    desk = clone(published)
    edit_lock(desk, "dataset.csv", "model.py")
    change_schema(desk, widen)
    head = desk.commit("A merge that moves nothing")
    desk.push_quietly()
    run = Runner(hub, published, desk.path, desk.path / ".venv").publish("mlops version && mlops release")
    assert run.conclusion == "success"
    assert "The model is v1.0.0's, byte for byte: nothing to publish." in run.log
    assert published.tags() == ["model@v1.0.0"] and len(published.releases()) == 1
    assert published.bare.resolve("main") == head


def test_a_version_is_made_of_committed_files_alone(hub: LocalGitHub, published: Repository, clone: Clone) -> None:
    desk = clone(published)
    desk.set_params("{C: 9}")
    run = Runner(hub, published, desk.path, desk.path / ".venv").publish("mlops version")
    assert run.conclusion == "failure" and "params.yaml is not committed" in run.log
    assert "Traceback" not in run.log and published.tags() == ["model@v1.0.0"]
