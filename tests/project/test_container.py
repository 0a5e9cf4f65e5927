"""The container of a version is built from the real Dockerfile, holds what answering needs, and answers."""

import csv
import json
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from baked import Bake, Project
from containers import Engine, bring_python, serve_registry, start_engine
from pyarrow import parquet

USER = "10001"
# As the manifests run it that `mlops deploy manifests` writes.
RESTRICTED = ["--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
OFFLINE = ["--network=none", "--tmpfs=/tmp"]
LOG = "--volume=log:/var/lib/mlops"
LOOK = """
import importlib.metadata, json, os, pathlib, shutil
def writable(path):
    try:
        pathlib.Path(path, "mark").touch()
    except OSError:
        return False
    return True
print(json.dumps({
    "user": [os.getuid(), os.getgid()],
    "app": sorted(os.listdir("/app")),
    "packages": sorted({found.metadata["Name"] for found in importlib.metadata.distributions()}),
    "compilers": [name for name in ("cc", "gcc", "g++", "clang", "make", "uv") if shutil.which(name)],
    "writable": [path for path in ("/", "/app", "/app/.venv", "/var", "/var/lib/mlops", "/tmp") if writable(path)],
    "compiled": len(list(pathlib.Path("/app/.venv").rglob("mlops_actions/__pycache__/cli.*.pyc"))),
}))
"""


@pytest.fixture(scope="module")
def empty_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that has no image."""
    with start_engine(tmp_path_factory.mktemp("engine")) as started:
        yield started


@pytest.fixture(scope="module")
def base(bake: Bake, empty_engine: Engine) -> str:
    """The name in the engine's store of the image that the Dockerfile begins from."""
    first, *_ = [line for line in bake().read("deploy/Dockerfile").splitlines() if line.startswith("FROM ")]
    return bring_python(empty_engine, first.split()[1], empty_engine.folder)


@pytest.fixture(scope="module")
def engine(empty_engine: Engine, base: str) -> Engine:
    """An engine that has that image."""
    return empty_engine


@pytest.fixture(scope="module")
def publish(engine: Engine, released: Project, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`publish("--push")`: what `mlops image` says in the released project, which asks for images."""
    path = tmp_path_factory.mktemp("publish") / released.path.name
    shutil.copytree(released.path, path, symlinks=True)
    there = Project(path)
    there.write("params.yaml", there.read("params.yaml").replace("image: null", f"image: {engine.registry}/acme/churn"))
    tools = {"PATH": f"{engine.folder}:{Path(sys.executable).parent}:/usr/bin:/bin"}
    return lambda *words: there.run("mlops", "image", *words, **tools, **engine.variables)


@pytest.fixture(scope="module")
def image(engine: Engine, publish: Callable[..., Any]) -> str:
    """The image of v1.0.0."""
    publish("v1.0.0")
    return f"{engine.registry}/acme/churn:v1.0.0"


def test_hadolint_finds_nothing(bake: Bake) -> None:
    bake().run("hadolint", "deploy/Dockerfile")


def test_it_says_what_it_is_and_how_it_is_run(engine: Engine, image: str, released: Project) -> None:
    known = engine.inspect(image)
    config = known["Config"]
    assert config["User"] == f"{USER}:{USER}"
    assert config["Cmd"][:4] == ["mlops", "serve", "--bundle", "/app/bundle.zip"], "no shell, so that SIGTERM arrives"
    assert config["ExposedPorts"].keys() == {"8000/tcp"} and config["Volumes"].keys() == {"/var/lib/mlops"}
    assert known["Healthcheck"]["Test"][:3] == ["CMD", "python", "-c"]
    assert config["Labels"]["org.opencontainers.image.version"] == "v1.0.0"
    commit = released.run("git", "rev-parse", "model@v1.0.0^{commit}").stdout.strip()
    assert config["Labels"]["org.opencontainers.image.revision"] == commit


def test_it_holds_what_answering_needs_and_may_write_its_log_alone(engine: Engine, image: str) -> None:
    ran = engine.docker("run", "--rm", *OFFLINE, *RESTRICTED, image, "python", "-c", LOOK)
    seen = json.loads(ran.stdout.splitlines()[-1])
    assert seen["user"] == [int(USER), int(USER)]
    assert seen["app"] == [".venv", "bundle.zip", "params.yaml"]
    assert seen["compilers"] == [] and seen["compiled"] == 1
    assert seen["writable"] == ["/var/lib/mlops", "/tmp"]
    assert {"customer-churn", "onnxruntime", "uvicorn"} <= set(seen["packages"])
    assert not {"pandas", "scikit-learn", "dvc", "pytest"} & set(seen["packages"])


def test_it_is_small(engine: Engine, image: str, base: str) -> None:
    own = engine.inspect(image)["Size"] - engine.inspect(base)["Size"]
    assert own < 450e6, f"{own / 1e6:.0f} MB over its base"


def test_a_group_that_is_none_is_refused(engine: Engine, released: Project) -> None:
    file = released.path / "deploy/Dockerfile"
    built = engine.docker("build", f"--file={file}", "--build-arg=GROUP=all", released.path, check=False)
    assert built.returncode != 0
    assert "GROUP must be serving or full, not all" in built.stdout + built.stderr


def test_a_working_tree_builds_too_and_sends_no_data(engine: Engine, released: Project, tmp_path: Path) -> None:
    """With the bundle that was trained last, which no version may have."""
    context = tmp_path / "context"
    shutil.copytree(released.path, context)
    (context / "deploy/Seen").write_text("FROM scratch\nCOPY . /\n")
    engine.docker("build", f"--file={context / 'deploy/Seen'}", "--tag=seen", context)
    made = engine.docker("create", "seen", "nothing").stdout.strip()
    engine.docker("export", f"--output={tmp_path / 'seen.tar'}", made)
    shutil.unpack_archive(tmp_path / "seen.tar", tmp_path / "seen")
    sent = {path.relative_to(tmp_path / "seen").parts[0] for path in (tmp_path / "seen").rglob("*") if path.is_file()}
    wanted = {"pyproject.toml", "uv.lock", "README.md", "LICENSE", "params.yaml", "src", "models"}
    assert sent - {"etc", "run", "proc", "dev", "sys"} == wanted
    assert [path.name for path in (tmp_path / "seen/models").iterdir()] == ["bundle.zip"]
    file = f"--file={released.path / 'deploy/Dockerfile'}"
    engine.docker("build", file, "--build-arg=BUNDLE=models/bundle.zip", released.path)


def test_it_is_pushed_to_a_registry(engine: Engine, publish: Callable[..., Any], image: str) -> None:
    with serve_registry(engine) as address:
        said = publish("v1.0.0", "--push").stdout
        assert said.splitlines()[-1] == f"Pushed {image}"
        with urlopen(f"http://{address}/v2/acme/churn/tags/list") as answer:
            assert json.load(answer) == {"name": "acme/churn", "tags": ["v1.0.0"]}


def ask(engine: Engine, name: str, path: str, body: Any = None) -> Any:
    """The finished request that is made inside a container, which has no network."""
    code = (
        "import sys, urllib.request as r\n"
        "q = r.Request('http://127.0.0.1:8000' + sys.argv[1], sys.argv[2].encode() or None)\n"
        "q.add_header('Content-Type', 'application/json')\n"
        "print(r.urlopen(q, timeout=5).read().decode())"
    )
    text = "" if body is None else json.dumps(body)
    return engine.docker("exec", name, "python", "-c", code, path, text, check=False)


def first_row(project: Project) -> dict[str, Any]:
    """The example's first row as a consumer sends it."""
    with zipfile.ZipFile(project.path / "models/bundle.zip") as bundle:
        inputs = json.loads(bundle.read("manifest.json"))["inputs"]
    row = next(csv.DictReader(project.read("data/raw/dataset.csv").splitlines()))
    return {name: float(row[name]) for name in inputs["numbers"]} | {name: row[name] for name in inputs["categories"]}


def test_it_answers_with_no_network_and_ends_when_told_to(
    engine: Engine, image: str, released: Project, tmp_path: Path
) -> None:
    engine.docker("run", "--detach", "--name=answers", *OFFLINE, *RESTRICTED, LOG, image)
    deadline = time.monotonic() + 60
    while engine.docker("healthcheck", "run", "answers", check=False).returncode:
        said = engine.docker("logs", "answers")
        assert engine.inspect("answers")["State"]["Running"] and time.monotonic() < deadline, said.stdout + said.stderr
        time.sleep(0.2)
    answer = json.loads(ask(engine, "answers", "/predict", first_row(released)).stdout)
    assert answer["version"] == "v1.0.0" and answer["probabilities"].keys() == {"no", "yes"}
    engine.docker("stop", "--time=20", "answers")
    assert engine.inspect("answers")["State"]["ExitCode"] == 0, "137 is a server that had to be killed"
    engine.docker("volume", "export", f"--output={tmp_path / 'log.tar'}", "log")
    shutil.unpack_archive(tmp_path / "log.tar", tmp_path / "log")
    kept = [row for file in (tmp_path / "log").glob("log-*.parquet") for row in parquet.read_table(file).to_pylist()]
    assert [(row["id"], row["version"], row["role"]) for row in kept] == [(answer["id"], "v1.0.0", "champion")]
    said = engine.docker("logs", "answers")
    assert "telemetry" not in said.stdout + said.stderr
