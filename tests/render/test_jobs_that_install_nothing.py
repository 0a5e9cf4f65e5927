"""Jobs that hold a write token install nothing: the standard library is all that their verbs need."""

import hashlib
import io
import json
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked import Bake, Project, run
from mlops_actions.review.report import FORMAT, Report
from wheels import VERSION, serve

SHA = "1" * 40
MLOPS = ".github/actions/setup/bin/mlops"
# GitHub, as far as the verbs read from it: what is written is refused, and the refusal names it.
GH = """#!/usr/bin/python3
import json, pathlib, sys
answers = json.loads(pathlib.Path({answers!r}).read_text())
path = sys.argv[2].partition("?")[0].removeprefix("repos/acme/churn/")
if path.endswith("/zip"):
    sys.stdout.buffer.write(pathlib.Path({artifact!r}).read_bytes())
elif path in answers:
    print(json.dumps(answers[path]))
else:
    sys.exit(f"nothing answers {{path}} here")
"""
ANSWERS: dict[str, Any] = {
    "pulls": [[{"number": 1, "head": {"sha": SHA}}]],
    "pulls/1/files": [[{"filename": "params.yaml"}]],
    "actions/runs/9/artifacts": [{"artifacts": [{"id": 5, "name": "report", "size_in_bytes": 999}]}],
    "issues/1/comments": [[]],
}
EVENT = {
    "workflow_run": {
        "id": 9,
        "conclusion": "success",
        "html_url": "https://github.example/run",
        "head_sha": SHA,
        "head_branch": "change",
        "head_repository": {"owner": {"login": "acme"}},
    }
}
NONE = "No version is published yet: a merge publishes the first."
# How far each verb gets, and what it says there.
REACHES = {
    "keep HEAD": (0, "Branches on origin have the workflows of HEAD and of every version.\n"),
    "pictures": (1, "mlops pictures: gh api repos/acme/churn/git/blobs: nothing answers git/blobs here\n"),
    "comment": (0, "Posted the comment on pull request 1.\n"),
    'canary start --share="$SHARE" --reason="$REASON" -- "$VERSION"': (1, f"mlops canary: {NONE}\n"),
    'canary stop --reason="$REASON"': (0, "There is no canary already.\n"),
    'canary auto --share="$SHARE"': (0, f"{NONE} No canary is started.\n"),
    'canary settle --url="$SERVING_URL"': (0, "There is no canary: nothing to settle.\n"),
    'canary settle --url="$SERVING_URL" --dry-run': (0, "There is no canary: nothing to settle.\n"),
    'promote --reason="$REASON" -- "$VERSION"': (1, f"mlops promote: {NONE}\n"),
    'rollback --reason="$REASON"': (1, f"mlops rollback: {NONE}\n"),
}


def verbs(project: Project) -> set[str]:
    """Return what the jobs that install nothing run, as the workflows have it."""
    found = set()
    for path in (project.path / ".github/workflows").glob("*.yml"):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            setups = [step for step in job["steps"] if step.get("uses") == "./.github/actions/setup"]
            if any(step.get("with", {}).get("dependencies") == "false" for step in setups):
                found |= {step["run"].strip() for step in job["steps"] if step.get("run", "").startswith("mlops ")}
    return {command.removeprefix("mlops ") for command in found}


def png() -> bytes:
    """Return a picture of one pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    pixel = zlib.compress(b"\0\0\0\0")
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


def artifact() -> bytes:
    """Return what a retrain leaves: a report and a picture."""
    facts: dict[str, Any] = dict.fromkeys(("params", "schema", "data", "stages"), [])
    facts |= {"passed": True, "unchanged": True, "same_recipe": True, "baseline": "champion", "champion": "v1.0.0"}
    facts |= {"pull_request": 1, "primary": "roc_auc", "margin": 0.01, "confidence": 0.95, "format": FORMAT}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("report.json", Report(**facts).to_json())
        archive.writestr("pictures/roc-light.png", png())
    return packed.getvalue()


@pytest.fixture(scope="module")
def generated(bake: Bake) -> Project:
    """A committed project with an origin that has its main."""
    project = bake()
    run("git", "init", "--quiet", "--bare", project.path.with_name("origin.git"), cwd=project.path)
    project.run("git", "remote", "add", "origin", project.path.with_name("origin.git"))
    project.commit("Begin")
    project.run("git", "push", "--quiet", "origin", "main")
    return project


@pytest.fixture
def runner(tmp_path: Path) -> dict[str, str]:
    """The environment of a job: a Python with its standard library alone, git, and a GitHub that can be read."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (tmp_path / "answers.json").write_text(json.dumps(ANSWERS))
    (tmp_path / "artifact.zip").write_bytes(artifact())
    (tmp_path / "event.json").write_text(json.dumps(EVENT))
    gh = GH.format(answers=str(tmp_path / "answers.json"), artifact=str(tmp_path / "artifact.zip"))
    scripts = {
        "python3": f'#!/bin/sh\nexec {sys.executable} -S "$@"\n',
        "gh": gh.replace("/usr/bin/python3", f"{sys.executable} -S"),
        "cml": "#!/bin/sh\nexit 0\n",
    }
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return {
        "PATH": f"{folder}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "RUNNER_TEMP": str(folder),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GITHUB_TOKEN": "token",
        "REASON": "To try it",
        "SHARE": "10",
        "VERSION": "",
        "SERVING_URL": "http://127.0.0.1:9",
        "GITHUB_REPOSITORY": "acme/churn",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
    }


def mlops(project: Project, runner: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command that the jobs run, with this environment and no other variable."""
    return subprocess.run([MLOPS, *words], cwd=project.path, env=runner, capture_output=True, text=True)


def test_every_verb_of_a_job_that_installs_nothing_is_tried_here(generated: Project) -> None:
    assert verbs(generated) == {*REACHES}


@pytest.mark.parametrize("command", REACHES)
def test_a_verb_gets_as_far_as_github_with_the_standard_library(
    generated: Project, runner: dict[str, str], command: str
) -> None:
    script = f"exec {MLOPS} {command}"
    done = subprocess.run(["sh", "-c", script], cwd=generated.path, env=runner, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == REACHES[command]


def test_the_interpreter_of_these_tests_has_nothing_else(generated: Project, runner: dict[str, str]) -> None:
    done = mlops(generated, runner, "params")
    assert done.returncode == 1 and "ModuleNotFoundError: No module named" in done.stderr


@pytest.fixture
def moved(generated: Project, tmp_path: Path) -> Project:
    """A copy of the project, to take its wheel from another place."""
    return generated.copy(tmp_path / "moved")


def take_away(project: Project) -> Path:
    """Take the wheel out of vendor/, and return where it is now."""
    (wheel,) = project.path.glob("vendor/*.whl")
    place = project.path.with_name("elsewhere")
    place.mkdir()
    return wheel.rename(place / wheel.name)


def test_of_two_wheels_none_is_run(moved: Project, runner: dict[str, str]) -> None:
    (wheel,) = moved.path.glob("vendor/*.whl")
    shutil.copy(wheel, wheel.with_name(wheel.name.replace(VERSION, "9.9.9")))
    done = mlops(moved, runner, "keep", "HEAD")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "mlops: vendor/ has more than one wheel of the engine: delete all but the one in pyproject.toml.\n"
    )


def test_an_ejected_engine_is_run_from_its_folder(moved: Project, runner: dict[str, str]) -> None:
    shutil.unpack_archive(take_away(moved), moved.path / "vendor/mlops-actions/src", "zip")
    assert mlops(moved, runner, "keep", "HEAD").returncode == 0


def test_without_a_wheel_and_an_address_it_says_what_to_do(moved: Project, runner: dict[str, str]) -> None:
    take_away(moved)
    done = mlops(moved, runner, "keep", "HEAD")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "mlops: vendor/ has no wheel of the engine, and uv.lock no address of one: `mlops engine use WHEEL`, with the "
        "file of its wheel, puts it there, and you commit it.\n"
    )


@contextmanager
def on_an_index(project: Project) -> Iterator[Callable[[str], None]]:
    """Let the wheel come from an index, which ends with this; what is given names the digest in uv.lock."""
    wheel = take_away(project)
    with serve(wheel) as index:
        address = f"{index}/mlops-actions/{wheel.name}"

        def lock(digest: str) -> None:
            entry = f'url = "{address}", hash = "sha256:{digest}", size = 1'
            project.write("uv.lock", f'[[package]]\nname = "mlops-actions"\nwheels = [\n    {{ {entry} }},\n]\n')

        lock(hashlib.sha256(wheel.read_bytes()).hexdigest())
        yield lock


def test_one_of_an_index_is_fetched_and_checked(moved: Project, runner: dict[str, str]) -> None:
    with on_an_index(moved) as lock:
        assert mlops(moved, runner, "keep", "HEAD").returncode == 0
        locked = moved.read("uv.lock")
        lock("0" * 64)
        refused = mlops(moved, runner, "keep", "HEAD")
    assert refused.returncode == 1
    assert refused.stderr.endswith("is not the file whose SHA-256 uv.lock has: find out why it was replaced.\n")
    moved.write("uv.lock", locked)
    assert mlops(moved, runner, "keep", "HEAD").returncode == 0, "it was fetched before"


def test_one_that_cannot_be_fetched_says_what_to_do(moved: Project, runner: dict[str, str]) -> None:
    with on_an_index(moved):
        pass
    done = mlops(moved, runner, "keep", "HEAD")
    assert done.returncode == 1
    assert (
        "cannot be fetched: `mlops engine use WHEEL`, with the file of its wheel, puts it into vendor/" in done.stderr
    )
