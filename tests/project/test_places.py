"""A project moved, copied or in a linked work tree runs its own code, and is a git repository of its own."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from baked import Project, run

# What a copy must never run: every module of the original ends the process that imports it.
SPOILT = 'raise SystemExit("the original ran")\n'
WHERE = (
    "from pathlib import Path; from mlops_actions.core.owner import load_module; "
    "print(load_module(Path(), 'features').__file__)"
)
INSTALL = "from mlops_actions.core.git_hooks import install; install()"
ASK = """
from mlops_actions.core.errors import UserError
from mlops_actions.core.repository import ensure_repository
try:
    ensure_repository()
except UserError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def original(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project at home where it is, with an origin; its environment was copied and its code is spoilt since."""
    folder = tmp_path_factory.mktemp("original")
    run("git", "init", "--quiet", "--bare", folder / "origin.git", cwd=folder)
    copied = project.copy(folder / "original")
    copied.run("git", "remote", "add", "origin", folder / "origin.git")
    settle(copied)
    copied.copy(folder / "unspoilt")
    for path in (copied.path / "src").rglob("*.py"):
        path.write_text(SPOILT)
    return copied


@pytest.fixture(scope="module")
def unspoilt(original: Project) -> Project:
    """A copy that was made of the original before it was spoilt: copy it, or read it."""
    return Project(original.path.with_name("unspoilt"))


@pytest.fixture
def copied(unspoilt: Project, tmp_path: Path) -> Callable[[str], Project]:
    """`copied("name")`: a copy of one's own."""
    return lambda name: unspoilt.copy(tmp_path / name)


def settle(project: Project) -> None:
    """Let the project's environment be the one of this place, as every target of the Makefile does."""
    say(project, "make", "push")


def say(project: Project, *command: str | Path, check: bool = True, **changes: str) -> str:
    """What a command says, on either channel, and never what the original would."""
    done = project.run(*command, check=check, **changes)
    assert "the original ran" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def commit_and_push(project: Project) -> None:
    """Add a page and let the hooks look at it, and at what the push needs."""
    project.write("PLACE.md", f"This is {project.path}.\n")
    say(project, "git", "add", "PLACE.md")
    said = say(project, "git", "commit", "--message", "Say where")
    assert "files end in one newline.................................................Passed" in said
    said = say(project, "git", "push", "origin", f"HEAD:refs/heads/{project.path.name.replace(' ', '-')}")
    assert "data and models go to the DVC remote first...............................Passed" in said


def test_a_copy_never_runs_the_original_and_may_be_moved(
    project: Project, original: Project, copied: Callable[[str], Project]
) -> None:
    copy = copied("Größe 2/a copy")
    own = f"{copy.path}/src/customer_churn/features.py\n"
    assert say(copy, ".venv/bin/python", "-c", WHERE) == own
    assert say(copy, ".venv/bin/mlops", "roles") == "No version is published yet.\n"
    activate = f'. .venv/bin/activate && mlops roles && python -c "{WHERE}"'
    assert say(copy, "bash", "-c", activate) == f"No version is published yet.\n{own}"
    commit_and_push(copy)
    settle(copy)
    assert "Running stage 'recipes'" in say(copy, "uv", "run", "dvc", "repro", "recipes")
    names = ("--recursive", "--files-with-matches", "--binary-files=without-match", "--fixed-strings")
    old = ("-e", f"{original.path}/", "-e", f"{project.path}/")  # the original is a copy itself
    found = copy.run("grep", *names, *old, ".venv", ".git", ".dvc", check=False)
    assert (found.returncode, found.stdout) == (1, ""), "no old place is named anywhere"

    moved = Project(copy.path.parent.rename(copy.path.parents[1] / "renamed") / copy.path.name)
    commit_and_push(moved)
    assert say(moved, ".venv/bin/dvc", "--version").startswith("3.")
    settle(moved)


def test_an_environment_that_uv_made_by_itself_is_made_anew_where_it_is_copied_to(
    copied: Callable[[str], Project],
) -> None:
    before = copied("before")
    shutil.rmtree(before.path / ".venv")
    before.run("uv", "sync", "--locked", "--quiet", "--only-group", "publish")
    assert before.has_file(".venv/bin/mlops")
    there = before.copy(before.path.with_name("copy"))
    shutil.rmtree(before.path)
    settle(there)
    assert say(there, ".venv/bin/mlops", "roles") == "No version is published yet.\n"


def test_a_linked_work_tree_runs_its_own_environment_or_says_that_it_has_none(copied: Callable[[str], Project]) -> None:
    project = copied("project")
    linked = Project(project.path.with_name("linked"))
    project.run("git", "worktree", "add", "--quiet", "-b", "feature", linked.path)
    said = say(linked, "git", "commit", "--allow-empty", "--message", "Empty")
    assert "pre-commit: nothing is installed here, so the commit was not checked: run `make setup`." in said
    push = linked.run("git", "push", "origin", "feature", check=False)
    assert push.returncode and push.stderr.startswith(
        "pre-push: nothing is installed here to send data and models with"
    )

    run("cp", "--archive", "--link", project.path / ".venv", linked.path / ".venv", cwd=linked.path)
    for path in (project.path / "src").rglob("*.py"):
        path.write_text(SPOILT)
    commit_and_push(linked)
    say(linked, ".venv/bin/python", "-c", INSTALL)
    assert ask(linked, linked.path) == "" and (linked.path / ".git").is_file()


def test_setup_leaves_hooks_alone_that_it_did_not_write(copied: Callable[[str], Project]) -> None:
    project = copied("project")
    install = (".venv/bin/python", "-c", INSTALL)
    hook = project.path / ".git/hooks/pre-push"
    ours = hook.read_bytes()
    hook.write_text("#!/bin/sh\nexit 0\n")
    assert say(project, *install).startswith("setup: .git/hooks/pre-push is another's hook and stays: let it run `")
    assert hook.read_text() == "#!/bin/sh\nexit 0\n" and not hook.with_suffix(".legacy").exists()
    say(project, ".venv/bin/pre-commit", "install", "--overwrite", "--hook-type", "pre-push")
    assert str(project.path) in hook.read_text(), "what a setup of an older version left names a place"
    assert say(project, *install) == "" and hook.read_bytes() == ours and os.access(hook, os.X_OK)
    hook.unlink()
    project.run("git", "config", "core.hooksPath", "company")
    assert "setup: git takes its hooks from company (core.hooksPath)" in say(project, *install)
    assert not hook.exists() and not (project.path / "company").exists()


def test_setup_begins_no_repository_inside_another(copied: Callable[[str], Project]) -> None:
    project = copied("outer/project")
    shutil.rmtree(project.path / ".git")
    run("git", "init", "--quiet", cwd=project.path.parent)
    refused = project.run(".venv/bin/mlops", "setup", check=False)
    assert (refused.returncode, refused.stdout, refused.stderr) == (
        1,
        "",
        f"mlops setup: this project has no repository of its own and lies in another one, {project.path.parent}: "
        "move it out of there, or name it in that one's .gitignore.\n",
    )
    assert not (project.path / ".git").exists()


@pytest.mark.parametrize("state", ["ignored", "half made", "alone"])
def test_setup_begins_a_repository_where_git_sees_no_other(unspoilt: Project, tmp_path: Path, state: str) -> None:
    place = tmp_path / "outer" / "project"
    place.mkdir(parents=True)
    if state != "alone":
        run("git", "init", "--quiet", cwd=tmp_path / "outer")
        (tmp_path / "outer/.gitignore").write_text("project\n")
    if state == "half made":
        (place / ".git").mkdir()
    assert ask(unspoilt, place) == ""
    assert run("git", "rev-parse", "--show-toplevel", cwd=place).stdout.strip() == str(place)
    assert run("git", "symbolic-ref", "HEAD", cwd=place).stdout == "refs/heads/main\n"


def test_a_repository_that_git_cannot_read_is_not_begun_again(unspoilt: Project, tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /gone/.git/worktrees/linked\n")
    assert ask(unspoilt, tmp_path) == (
        f"git finds no repository in {tmp_path}: not a git repository: /gone/.git/worktrees/linked.\n"
    )


BRANCHES = {
    "git init --initial-branch=trunk": "trunk",
    "git init --initial-branch=main": "",
    "git init --initial-branch=master && git commit --allow-empty -m A": "master",
    "git init --initial-branch=main && git commit --allow-empty -m A && git switch -c feature": "",
    "git init --initial-branch=master && git commit --allow-empty -m A && git switch --detach": "",
    "git init --initial-branch=work && git remote add origin ../empty.git": "work",
    "git init --initial-branch=work && git remote add origin ../main.git": "",
    "git init --initial-branch=work && git remote add origin ../gone.git": "",
    "git clone --branch feature --single-branch ../main.git .": "",
}


@pytest.mark.parametrize("begin", BRANCHES)
def test_a_branch_in_place_of_main_is_refused(unspoilt: Project, tmp_path: Path, begin: str) -> None:
    run("git", "init", "--bare", "empty.git", cwd=tmp_path)
    run("git", "clone", "--bare", unspoilt.path, "main.git", cwd=tmp_path)
    run("git", "branch", "feature", "main", cwd=tmp_path / "main.git")
    place = tmp_path / "project"
    place.mkdir()
    run("bash", "-c", begin, cwd=place)
    assert ask(unspoilt, place, CI="true") == "", "a job's checkout is whatever it is"
    said, branch = ask(unspoilt, place), BRANCHES[begin]
    if not branch:
        assert said == ""
        return
    sentence = f"the workflows run for the branch main alone, and this repository has {branch} instead: "
    assert said.startswith(f"{sentence}`git branch --move {branch} main` renames it") and said.count("\n") == 1
    assert ("the repository's settings on GitHub rename it there" in said) == ("remote" in begin)
    run(*said.split("`")[1].split(), cwd=place)
    assert ask(unspoilt, place) == ""


def ask(project: Project, place: Path, CI: str = "") -> str:  # noqa: N803
    """What `ensure_repository` refuses in a place."""
    return run(project.path / ".venv/bin/python", "-c", ASK, cwd=place, CI=CI).stdout
