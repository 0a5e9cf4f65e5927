"""What lies in a working tree of the template: the wheel is its engine's, and droppings stay where they are."""

import hashlib
import re
import sys
import tomllib
from pathlib import Path

import pytest
from baked import TEMPLATE, Project, copy_template, run
from wheels import build_wheel

PROJECT = "{{cookiecutter.project_slug}}"
RENEW = "the committed wheel is not the engine's: run `make engine`, and commit what it changes"
# Ignored, untracked, and named as the template names its files.
DROPPINGS = {
    "src/{{cookiecutter.package_name}}/__pycache__/features.cpython-311.pyc": b"\x00compiled",
    "src/{{cookiecutter.package_name}}/.features.py.swp": b"\x00b0VIM",
    "src/{{cookiecutter.package_name}}/notes/draft.py": b"import this\n",
    "{% if cookiecutter.license == 'MIT' %}LICENSE.orig{% endif %}": b"{{ cookiecutter.author_name }}\n",
    "vendor/mlops_actions-0.0.9-py3-none-any.whl": b"PK a stray one",
    ".venv/bin/python": b"#!/bin/sh\n",
    "data/raw/dataset.csv.dvc": b"outs: []\n",
}


def generate(template: Path, folder: Path, *words: str) -> tuple[Project, str]:
    """Generate a project as a person does it in the template's folder, and return it with what was said."""
    folder.mkdir()
    settings = folder / "settings.yaml"
    settings.write_text(f"replay_dir: {folder}\ncookiecutters_dir: {folder}\n")
    command = ("cookiecutter", "--no-input", "--config-file", settings, "--output-dir", folder, *words)
    done = run(*command, cwd=template, PWD=str(template))
    return Project(folder / "customer-churn"), done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the template, as its engine is now."""
    folder = copy_template(tmp_path_factory.mktemp("clone") / "template")
    run("git", "init", "--quiet", cwd=folder)
    run("git", "add", "--all", cwd=folder)
    run("git", "commit", "--quiet", "--message", "Begin", cwd=folder)
    return folder


def digests(project: Project) -> dict[str, str]:
    return {name: hashlib.sha256((project.path / name).read_bytes()).hexdigest() for name in project.files()}


def test_nothing_that_git_does_not_track_reaches_a_project(clone: Path, tmp_path: Path) -> None:
    clean, _ = generate(clone, tmp_path / "clean", ".")
    for name, content in DROPPINGS.items():
        file = clone / PROJECT / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    edited = clone / PROJECT / "Makefile"
    edited.write_text(edited.read_text() + "# a change that is not committed\n")
    for number, words in enumerate(((".",), (str(clone),), ("../template",))):
        used, said = generate(clone, tmp_path / str(number), *words)
        assert used.read("Makefile").endswith("# a change that is not committed\n")
        used.write("Makefile", clean.read("Makefile"))
        assert digests(used) == digests(clean)
        folders = [path for path in used.path.rglob("*") if path.is_dir() and ".git" not in path.parts]
        assert all(any(folder.iterdir()) for folder in folders)
        assert "src/customer_churn/notes/draft.py is left out: git does not track it in the template" in said
    run("git", "add", "--force", clone / PROJECT / "vendor", cwd=clone)
    staged, _ = generate(clone, tmp_path / "staged", ".")
    assert staged.has_file("vendor/mlops_actions-0.0.9-py3-none-any.whl"), "what is added to git is meant"


def test_a_template_that_is_no_repository_is_generated_from_whole(template: Path, tmp_path: Path) -> None:
    project, said = generate(template, tmp_path / "out", ".")
    assert project.has_file("src/customer_churn/features.py") and "left out" not in said


def test_the_committed_wheel_is_a_build_of_the_engine(tmp_path: Path) -> None:
    (committed,) = (TEMPLATE / PROJECT / "vendor").glob("*.whl")
    built = build_wheel(TEMPLATE / "engine", tmp_path)
    assert committed.name == built.name, RENEW
    same = committed.read_bytes() == built.read_bytes()  # pytest would show where they differ, for minutes
    assert same, RENEW


def test_the_templates_files_name_the_committed_wheel_and_its_digest() -> None:
    project = TEMPLATE / PROJECT
    (wheel,) = (project / "vendor").glob("*.whl")
    place, version = f"vendor/{wheel.name}", wheel.name.split("-")[1]
    engine = tomllib.loads((TEMPLATE / "engine/pyproject.toml").read_text("utf-8"))
    assert engine["project"]["version"] == version, RENEW
    assert f'\nmlops-actions = {{ path = "{place}" }}\n' in (project / "pyproject.toml").read_text("utf-8"), RENEW
    lock = re.sub(r"\{\{.*?\}\}", "x", (project / "uv.lock").read_text("utf-8"))
    (locked,) = [package for package in tomllib.loads(lock)["package"] if package["name"] == "mlops-actions"]
    assert (locked["version"], locked["source"]) == (version, {"path": place}), RENEW
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert locked["wheels"] == [{"filename": wheel.name, "hash": f"sha256:{digest}"}], RENEW


def test_the_engine_is_built_by_a_pinned_backend() -> None:
    """Another release of it may give other bytes of the same source."""
    engine = tomllib.loads((TEMPLATE / "engine/pyproject.toml").read_text("utf-8"))
    (backend,) = engine["build-system"]["requires"]
    assert re.fullmatch(r"uv_build==\d+\.\d+\.\d+", backend)
    assert (
        f"uv {backend.removeprefix('uv_build==')} " in run(sys.executable, "-m", "uv", "--version", cwd=TEMPLATE).stdout
    )
