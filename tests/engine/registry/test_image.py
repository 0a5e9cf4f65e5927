"""`mlops image` gives whatever builds the version's own files, and says in one sentence why it cannot."""

import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from baked import Project

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


@pytest.fixture
def asking(released: Project, tmp_path: Path) -> Project:
    """The released project, whose working tree asks for images."""
    path = tmp_path / released.path.name
    shutil.copytree(released.path, path, symlinks=True)
    project = Project(path)
    project.write("params.yaml", project.read("params.yaml").replace("image: null", f"image: {PLACE}"))
    return project


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., tuple[subprocess.CompletedProcess[str], list[Any]]]:
    """`build(there, "v1.0.0", engines=["docker"])`: what `mlops image` said, and each call that it made."""

    def run_image(
        there: Project, *words: str, engines: tuple[str, ...] = ("docker",), **variables: str
    ) -> tuple[subprocess.CompletedProcess[str], list[Any]]:
        tools, record = tmp_path / "tools", tmp_path / "record"
        tools.mkdir(exist_ok=True)
        for name in engines:
            (tools / name).write_text(ENGINE)
            (tools / name).chmod(0o755)
        if not (tools / "git").exists():
            (tools / "git").symlink_to(str(shutil.which("git")))
        here = {"PATH": str(tools), "RECORD": str(record)}
        command = (sys.executable, "-m", "mlops_actions", "image", *words)
        done = there.run(*command, check=False, **here, **variables)
        return done, json.loads(record.read_text()) if record.exists() else []

    return run_image


def test_no_image_is_built_unless_params_ask_for_one(released: Project, build: Callable[..., Any]) -> None:
    done, calls = build(released, "--push")
    assert (done.returncode, calls) == (0, [])
    assert done.stdout == "serving.image in params.yaml is null: no image is asked for.\n"


def test_an_image_is_made_of_the_versions_own_files(asking: Project, build: Callable[..., Any]) -> None:
    commit = asking.run("git", "rev-parse", "model@v1.0.0^{commit}").stdout.strip()
    with zipfile.ZipFile(asking.path / "models/bundle.zip") as trained:
        parts = {name: trained.read(name) for name in trained.namelist()}
    asking.write("src/customer_churn/features.py", "changed since")
    (asking.path / "models/bundle.zip").write_bytes(b"trained since")
    done, (call,) = build(asking, "v1.0.0", GITHUB_REPOSITORY="acme/churn", GITHUB_SERVER_URL="https://github.com")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"Built {PLACE}:v1.0.0"
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
    asking: Project, build: Callable[..., Any]
) -> None:
    absent = "The image has no attestation of its bundle: origin (there is none) is no repository on GitHub"
    done, (call,) = build(asking)
    assert absent in done.stdout and done.returncode == 0
    asking.set(**{"serving.attestation.required": True})
    asking.commit("Ask for it")
    asking.run("git", "tag", "--annotate", "--message=Second", "model@v1.1.0")
    done, calls = build(asking)
    assert absent in done.stdout and done.returncode == 1 and calls == [call]
    assert "bundle.zip: refused, there is no bundle.zip.sigstore.json beside it" in done.stderr


def test_the_newest_version_is_built_where_none_is_named(asking: Project, build: Callable[..., Any]) -> None:
    asking.run("git", "tag", "--annotate", "--message=Second", "model@v1.10.0")
    asking.run("git", "tag", "--annotate", "--message=Third", "model@v1.9.0")
    _, (call,) = build(asking)
    assert f"--tag={PLACE}:v1.10.0" in call["words"]


def test_push_follows_a_build_that_succeeded(asking: Project, build: Callable[..., Any]) -> None:
    done, (_, push) = build(asking, "--push")
    assert push["words"] == ["push", f"{PLACE}:v1.0.0"]
    assert done.stdout.splitlines()[-1] == f"Pushed {PLACE}:v1.0.0"


@pytest.mark.parametrize("step", ["build", "push"])
def test_what_the_engine_refuses_is_a_failure(asking: Project, build: Callable[..., Any], step: str) -> None:
    done, calls = build(asking, "--push", REFUSES=step)
    assert done.returncode == 1 and calls[-1]["words"][0] == step
    assert done.stderr == f"mlops image: `docker {step}` failed: its own message is above.\n"


@pytest.mark.parametrize("engines", [("docker", "podman", "buildah"), ("podman", "buildah"), ("buildah",)])
def test_the_first_engine_that_is_there_builds(
    asking: Project, build: Callable[..., Any], engines: tuple[str, ...]
) -> None:
    _, (call,) = build(asking, engines=engines)
    assert call["command"] == engines[0]


NEIGHBOURS = ("params.yaml", "logistic\n", "sklearn.neighbors.KNeighborsClassifier\n")
TEXT = ("src/customer_churn/features.py", "return rows", 'rows["first"] = rows["state"].map(hash)\n    return rows')


@pytest.mark.parametrize(("file", "old", "new"), [NEIGHBOURS, TEXT], ids=["scikit-learn", "pandas"])
def test_a_model_that_needs_more_than_onnx_runtime_gets_it(
    asking: Project, mlops: Callable[..., Any], build: Callable[..., Any], file: str, old: str, new: str
) -> None:
    assert asking.read(file).count(old) == 1
    asking.write(file, asking.read(file).replace(old, new))
    mlops(asking, "train")
    asking.commit("Another model")
    asking.run("git", "tag", "--annotate", "--message=Second", "model@v1.1.0")
    _, (call,) = build(asking)
    assert "--build-arg=GROUP=full" in call["words"]


def test_what_cannot_be_built_gets_its_sentence(asking: Project, build: Callable[..., Any]) -> None:
    done, calls = build(asking, "v9.9.9")
    assert (done.returncode, calls) == (1, [])
    assert done.stderr == "mlops image: There is no version v9.9.9. There are v1.0.0.\n"


def test_a_project_without_versions_says_so(asking: Project, build: Callable[..., Any]) -> None:
    asking.run("git", "tag", "--delete", "model@v1.0.0")
    done, _ = build(asking)
    assert done.stderr.startswith("mlops image: No version is published yet") and done.returncode == 1


def test_nothing_to_build_with_is_said(asking: Project, build: Callable[..., Any]) -> None:
    done, _ = build(asking, engines=())
    assert done.stderr == "mlops image: none of docker, podman, buildah is on PATH: install one, it builds the image.\n"
    assert done.returncode == 1


def test_a_version_from_before_the_container_is_refused(asking: Project, build: Callable[..., Any]) -> None:
    asking.run("git", "rm", "--quiet", "-r", "deploy")
    asking.commit("As it was before")
    asking.run("git", "tag", "--annotate", "--message=Second", "model@v1.1.0")
    done, calls = build(asking)
    assert (done.returncode, calls) == (1, [])
    assert done.stderr == "mlops image: v1.1.0 has no deploy/Dockerfile: build the image of a later version.\n"


def test_a_version_that_looks_into_a_history_is_refused(asking: Project, build: Callable[..., Any]) -> None:
    text = asking.read("params.yaml")
    asking.write("params.yaml", text.replace("entity: []\n  time: null", "entity: [state]\n  time: account_length"))
    asking.commit("With a history")
    asking.run("git", "tag", "--annotate", "--message=Second", "model@v1.1.0")
    done, calls = build(asking)
    assert (done.returncode, calls) == (1, [])
    assert done.stderr.startswith("mlops image: v1.1.0 looks into a history, which an image would hold still: serve it")


@pytest.mark.parametrize(
    "place", ["churn", "acme/Churn", "ghcr.io/acme/churn:v1", "https://ghcr.io/acme/churn", "a/-b"]
)
def test_a_place_that_is_no_image_is_refused(asking: Project, build: Callable[..., Any], place: str) -> None:
    asking.write("params.yaml", asking.read("params.yaml").replace(PLACE, f'"{place}"'))
    done, _ = build(asking)
    assert done.returncode == 1
    assert re.fullmatch(
        r"mlops image: params.yaml: serving.image must be a registry and a name in small letters, without a tag, "
        rf"not '{re.escape(place)}'\.\n",
        done.stderr,
    )


@pytest.mark.parametrize("place", ["localhost:5000/churn", "acme/churn", "ghcr.io/a-b_c/x.y__z", "r.example.com/a/b/c"])
def test_every_other_place_is_taken(asking: Project, build: Callable[..., Any], place: str) -> None:
    asking.write("params.yaml", asking.read("params.yaml").replace(PLACE, place))
    done, (call,) = build(asking)
    assert done.returncode == 0 and f"--tag={place}:v1.0.0" in call["words"]
