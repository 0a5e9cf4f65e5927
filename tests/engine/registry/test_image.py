"""`mlops image` gives whatever builds the version's own files, and says in one sentence why it cannot."""

import io
import json
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from baked import Project
from clones import give_version
from mlops_actions.core.config import load_config
from mlops_actions.core.errors import UserError
from mlops_actions.registry.image import image
from releases import retrain, tag_version

Calls = list[dict[str, Any]]

PLACE = "registry.example.com/acme/churn"
# Keeps what it was told, and what the context of a build holds; it ends as REFUSES says.
ENGINE = f"""#!{sys.executable} -I
import json, os, pathlib, sys
said = pathlib.Path(os.environ["RECORD"])
calls = json.loads(said.read_text()) if said.exists() else []
call = {{"command": pathlib.Path(sys.argv[0]).name, "words": sys.argv[1:], "format": os.environ.get("BUILDAH_FORMAT")}}
if sys.argv[1] == "build":
    context = pathlib.Path(sys.argv[-1])
    call["files"] = sorted(str(path.relative_to(context)) for path in context.rglob("*") if path.is_file())
    call["bundle"] = (context / "bundle.zip").read_bytes().hex()
    call["params"] = (context / "params.yaml").read_text()
said.write_text(json.dumps([*calls, call]))
sys.exit(sys.argv[1] == os.environ.get("REFUSES"))
"""


@dataclass
class Builder:
    """Makes images by programs that only keep what they were told: `build(project, "v1.0.0", engines=["podman"])`."""

    folder: Path

    def __call__(
        self, there: Project, name: str = "", push: bool = False, engines: tuple[str, ...] = ("docker",), **more: str
    ) -> Calls:
        """Return each call that making an image made."""
        tools = self.folder / "tools"
        tools.mkdir(exist_ok=True)
        self.record.unlink(missing_ok=True)
        (tools / "git").unlink(missing_ok=True)
        (tools / "git").symlink_to(str(shutil.which("git")))
        for engine in engines:
            (tools / engine).write_text(ENGINE)
            (tools / engine).chmod(0o755)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(there.path)
            for variable, value in {"PATH": str(tools), "RECORD": str(self.record), **more}.items():
                patch.setenv(variable, value)
            image(name, push)
        return self.calls

    @property
    def record(self) -> Path:
        return self.folder / "record"

    @property
    def calls(self) -> Calls:
        """The calls of the last time."""
        return json.loads(self.record.read_text()) if self.record.exists() else []


@pytest.fixture
def build(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


@pytest.fixture
def asking(own: Project) -> Project:
    """The project whose model is v1.0.0, whose working tree asks for images."""
    own.set(**{"serving.image": PLACE})
    return own


def test_no_image_is_built_unless_params_ask_for_one(
    own: Project, build: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(own, push=True) == []
    assert capsys.readouterr().out == "serving.image in params.yaml is null: no image is asked for.\n"


def test_an_image_is_made_of_the_versions_own_files(
    asking: Project, build: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    commit = asking.run("git", "rev-parse", "model@v1.0.0^{commit}").stdout.strip()
    with zipfile.ZipFile(asking.path / "models/bundle.zip") as trained:
        parts = {name: trained.read(name) for name in trained.namelist()}
    asking.write("src/customer_churn/features.py", "changed since")
    (asking.path / "models/bundle.zip").write_bytes(b"trained since")
    (call,) = build(asking, "v1.0.0", GITHUB_REPOSITORY="acme/churn", GITHUB_SERVER_URL="https://github.com")
    assert capsys.readouterr().out.splitlines()[-1] == f"Built {PLACE}:v1.0.0"
    *options, context = call["words"]
    assert options == [
        "build",
        f"--file={context}/deploy/Dockerfile",
        "--build-arg=GROUP=serving",
        "--label=org.opencontainers.image.version=v1.0.0",
        f"--label=org.opencontainers.image.revision={commit}",
        "--label=org.opencontainers.image.source=https://github.com/acme/churn",
        f"--tag={PLACE}:v1.0.0",
    ]
    committed = asking.run("git", "ls-tree", "-r", "--name-only", commit).stdout.split()
    assert call["files"] == sorted([*committed, "bundle.zip"])
    with zipfile.ZipFile(io.BytesIO(bytes.fromhex(call["bundle"]))) as released:
        sent = {name: released.read(name) for name in released.namelist()}
    assert json.loads(sent.pop("release.json"))["version"] == "v1.0.0" and sent == parts
    assert "image: null" in call["params"]
    assert call["format"] == "docker", "the format that has a HEALTHCHECK"
    assert not Path(context).exists()


def test_an_image_without_the_attestation_that_is_required_is_not_built(
    asking: Project, build: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = "The image has no attestation of its bundle: origin (there is none) is no repository on GitHub"
    assert len(build(asking)) == 1
    assert absent in capsys.readouterr().out
    asking.set(**{"serving.attestation.required": True})
    tag_version(asking, "v1.1.0")
    with pytest.raises(UserError, match="bundle.zip: refused, there is no bundle.zip.sigstore.json beside it"):
        build(asking)
    assert absent in capsys.readouterr().out and build.calls == []


def test_the_root_that_attestations_are_checked_by_is_the_versions_own(asking: Project, build: Builder) -> None:
    asking.write("root.jsonl", "no root")
    asking.set(**{"serving.attestation.required": True, "serving.attestation.trusted_root": "root.jsonl"})
    tag_version(asking, "v1.1.0")
    (asking.path / "root.jsonl").unlink()
    with pytest.raises(UserError, match="bundle.zip: refused, there is no bundle.zip.sigstore.json beside it"):
        build(asking)


def test_where_nobodys_attestation_counts_none_is_asked_for(
    asking: Project, build: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    asking.set(**{"serving.attestation.repository": None})
    tag_version(asking, "v1.1.0")
    assert len(build(asking)) == 1
    assert "attestation" not in capsys.readouterr().out


def test_the_newest_version_is_built_where_none_is_named(asking: Project, build: Builder) -> None:
    give_version(asking.path, "v1.10.0")
    give_version(asking.path, "v1.9.0")
    (call,) = build(asking)
    assert f"--tag={PLACE}:v1.10.0" in call["words"]


def test_push_follows_a_build_that_succeeded(
    asking: Project, build: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    _, push = build(asking, push=True)
    assert push["words"] == ["push", f"{PLACE}:v1.0.0"]
    assert capsys.readouterr().out.splitlines()[-1] == f"Pushed {PLACE}:v1.0.0"


@pytest.mark.parametrize("step", ["build", "push"])
def test_what_the_engine_refuses_is_a_failure(asking: Project, build: Builder, step: str) -> None:
    with pytest.raises(UserError, match=f"^`docker {step}` failed: its own message is above\\.$"):
        build(asking, push=True, REFUSES=step)
    assert build.calls[-1]["words"][0] == step


@pytest.mark.parametrize("engines", [("docker", "podman", "buildah"), ("podman", "buildah"), ("buildah",)])
def test_the_first_engine_that_is_there_builds(asking: Project, build: Builder, engines: tuple[str, ...]) -> None:
    (call,) = build(asking, engines=engines)
    assert call["command"] == engines[0]


NEIGHBOURS = ("params.yaml", "logistic\n", "sklearn.neighbors.KNeighborsClassifier\n")
TEXT = ("src/customer_churn/features.py", "return rows", 'rows["first"] = rows["state"].map(hash)\n    return rows')


@pytest.mark.parametrize(("file", "old", "new"), [NEIGHBOURS, TEXT], ids=["scikit-learn", "pandas"])
def test_a_model_that_needs_more_than_onnx_runtime_gets_it(
    asking: Project, build: Builder, file: str, old: str, new: str
) -> None:
    assert asking.read(file).count(old) == 1
    asking.write(file, asking.read(file).replace(old, new))
    retrain(asking)
    tag_version(asking, "v1.1.0")
    (call,) = build(asking)
    assert "--build-arg=GROUP=full" in call["words"]


def test_what_cannot_be_built_gets_its_sentence(asking: Project, build: Builder) -> None:
    with pytest.raises(UserError, match=r"^v9\.9\.9 is no version\. There are v1\.0\.0\.$"):
        build(asking, "v9.9.9")
    asking.run("git", "tag", "--delete", "model@v1.0.0")
    with pytest.raises(UserError, match="^No version is published yet"):
        build(asking)


def test_nothing_to_build_with_is_said(asking: Project, build: Builder) -> None:
    with pytest.raises(
        UserError, match=r"^none of docker, podman, buildah is on PATH: install one, it builds the image\.$"
    ):
        build(asking, engines=())


def test_a_version_from_before_the_container_is_refused(asking: Project, build: Builder) -> None:
    asking.run("git", "rm", "--quiet", "-r", "deploy")
    tag_version(asking, "v1.1.0")
    with pytest.raises(UserError, match=r"^v1\.1\.0 has no deploy/Dockerfile: build the image of a later version\.$"):
        build(asking)
    assert build.calls == []


def test_a_version_that_looks_into_a_history_is_refused(asking: Project, build: Builder) -> None:
    asking.set(**{"history.entity": ["state"], "history.time": "account_length"})
    tag_version(asking, "v1.1.0")
    with pytest.raises(UserError, match=r"^v1\.1\.0 looks into a history, which an image would hold still: serve it"):
        build(asking)
    assert build.calls == []


@pytest.mark.parametrize(
    "place", ["churn", "acme/Churn", "ghcr.io/acme/churn:v1", "https://ghcr.io/acme/churn", "a/-b"]
)
def test_a_place_that_is_no_image_is_refused(own: Project, place: str) -> None:
    own.set(**{"serving.image": place})
    with pytest.raises(UserError) as refused:
        load_config(own.path)
    assert str(refused.value) == (
        f"params.yaml: serving.image must be a registry and a name in small letters, without a tag, not {place!r}."
    )


@pytest.mark.parametrize("place", ["localhost:5000/churn", "acme/churn", "ghcr.io/a-b_c/x.y__z", "r.example.com/a/b/c"])
def test_every_other_place_is_taken(asking: Project, build: Builder, place: str) -> None:
    asking.set(**{"serving.image": place})
    (call,) = build(asking)
    assert f"--tag={place}:v1.0.0" in call["words"]
