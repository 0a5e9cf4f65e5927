"""A project that cruft created takes the template's changes and keeps its owner's work."""

import json
import shutil
from pathlib import Path

from baked import Project, copy_template, run
from mlops_actions.core.engine import check_engine
from wheels import VERSION

from engine import build


def commit_template(folder: Path) -> str:
    run("git", "add", "--all", cwd=folder)
    run("git", "commit", "--quiet", "--message", "A change", cwd=folder)
    return run("git", "rev-parse", "HEAD", cwd=folder).stdout.strip()


def begin_template(folder: Path) -> Path:
    copy_template(folder)
    run("git", "init", "--quiet", "--initial-branch=main", cwd=folder)
    commit_template(folder)
    return folder


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def contents(project: Project) -> dict[str, bytes]:
    return {name: (project.path / name).read_bytes() for name in project.files()}


def test_an_update_brings_the_change_and_the_next_engine_and_keeps_the_work(tmp_path: Path) -> None:
    template, laptop, home = begin_template(tmp_path / "template"), tmp_path / "laptop", str(tmp_path / "home")
    laptop.mkdir()
    (laptop / "houses.csv").write_text("rooms,price\n3,250\n")
    answers = {"dataset": "houses.csv", "target": "price", "task": "regression", "project_name": "Houses"}
    create = ("cruft", "create", str(template), "--no-input", "--extra-context", json.dumps(answers))
    run(*create, cwd=laptop, HOME=home, PWD=str(laptop))

    # A fresh project does not differ from its template.
    created = Project(laptop / "houses")
    assert created.has_file("data/raw/dataset.csv")
    assert created.run("git", "symbolic-ref", "HEAD").stdout == "refs/heads/main\n"
    created.commit("Begin")
    assert created.run("cruft", "diff", "--exit-code", HOME=home).stdout == ""

    # The owner's work: files that the template never had, and changes to files that it has.
    (created.path / "src" / "houses" / "own.py").write_text('"""Mine."""\n')
    edit(created.path / "README.md", "# Houses\n", "# Houses, and barns\n")
    edit(created.path / "pyproject.toml", "dependencies = [\n", 'dependencies = [\n    "rich",\n')
    created.run("uv", "lock", "--quiet")
    created.write("dvc.lock", "schema: '2.0'\n")
    created.write("data/raw/dataset.csv.dvc", "outs: []\n")
    created.write(".gitignore", created.read(".gitignore") + "/scratch/\n")
    created.commit("My work")
    created.run("git", "clone", "--quiet", created.path, tmp_path / "clone")
    shutil.rmtree(laptop)

    edit(template / "{{cookiecutter.project_slug}}" / "Makefile", "help: ##", "help: ## a better")
    edit(template / "{{cookiecutter.project_slug}}" / "uv.lock", "revision = ", "# renewed\nrevision = ")
    edit(
        template / "{{cookiecutter.project_slug}}" / ".dvc" / "config",
        "verify = true",
        "verify = true\n    jobs = 4",
    )
    (template / "{{cookiecutter.project_slug}}" / "NEWS.md").write_text("# {{ cookiecutter.project_name }}\n")
    engine = template / "engine"
    edit(engine / "pyproject.toml", f'version = "{VERSION}"', 'version = "99.0"')
    edit(engine / "src/mlops_actions/core/errors.py", "import", "# The next engine.\nimport")
    build.renew(template, engine)
    changed = commit_template(template)

    project = Project(tmp_path / "clone")
    before = contents(project)
    (old,) = (name for name in before if name.startswith("vendor/"))
    assert project.run("cruft", "check", check=False, HOME=home).returncode == 1
    said = run("cruft", "update", "-y", "--project-dir", project.path, cwd=tmp_path, HOME=home)
    assert "Houses is ready" not in said.stdout
    project.run("cruft", "check", HOME=home)

    after = contents(project)
    (wheel,) = (template / "{{cookiecutter.project_slug}}/vendor").glob("*.whl")
    assert {name for name in after if after[name] != before.get(name)} == {
        *(".cruft.json", ".dvc/config", "Makefile", "NEWS.md", "pyproject.toml", f"vendor/{wheel.name}"),
    }, "uv.lock is the owner's, and nothing is left of a change that did not apply"
    assert set(before) - set(after) == {old} and after[f"vendor/{wheel.name}"] == wheel.read_bytes()
    assert b"help: ## a better" in after["Makefile"] and after["NEWS.md"] == b"# Houses\n"
    assert json.loads(after[".cruft.json"])["commit"] == changed
    assert b"# Houses, and barns" in after["README.md"] and b'"rich",' in after["pyproject.toml"]

    project.run("uv", "lock", "--quiet")
    check_engine(project.path)
