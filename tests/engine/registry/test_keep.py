"""A branch keeps the workflows of each version, so that a workflow's token may tag it later."""

from pathlib import Path

import pytest
from clones import git, give_version, lock_bundle
from mlops_actions.core.errors import UserError
from mlops_actions.registry.keep import keep, keep_workflows


@pytest.fixture
def project(unpublished: Path) -> Path:
    """A clone whose workflows are origin's, in whose folder the test works."""
    lock_bundle(unpublished, "a" * 32)
    change_workflow("first")
    return unpublished


def change_workflow(text: str) -> str:
    Path(".github/workflows").mkdir(parents=True, exist_ok=True)
    Path(".github/workflows/a.yml").write_text(text)
    git("add", "--all")
    git("commit", "--quiet", "--message", text)
    git("push", "--quiet", "origin", "main")
    return git("rev-parse", "HEAD")


def register(version: str) -> None:
    give_version(Path(), version)
    git("push", "--quiet", "origin", f"model@{version}")


def kept() -> set[str]:
    """The trees of workflows that branches on origin keep."""
    return {line.rpartition("/")[2] for line in git("ls-remote", "origin", "refs/heads/releases/*").splitlines()}


def test_each_tree_of_workflows_gets_one_branch(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    register("v1.0.0")
    git("commit", "--quiet", "--allow-empty", "--message", "The same workflows")
    register("v1.0.1")
    change_workflow("second")
    register("v1.1.0")
    change_workflow("third")
    keep("")
    trees = {version: git("rev-parse", f"model@{version}^{{}}:.github/workflows") for version in ("v1.0.1", "v1.1.0")}
    assert kept() == set(trees.values())
    assert capsys.readouterr().out == "Branches on origin have the workflows of every version.\n"
    keep("HEAD")
    assert kept() == {*trees.values(), git("rev-parse", "HEAD:.github/workflows")}
    assert "have the workflows of HEAD and of every version" in capsys.readouterr().out
    with pytest.raises(UserError, match="^There is no commit v9 here: `git fetch origin` first"):
        keep("v9")


def test_a_branch_that_is_there_is_never_moved(project: Path) -> None:
    register("v1.0.0")
    keep("")
    before = git("ls-remote", "origin", "refs/heads/releases/*")
    git("commit", "--quiet", "--allow-empty", "--message", "The same workflows")
    register("v1.0.1")
    keep("HEAD")
    assert keep_workflows("HEAD") is None
    assert git("ls-remote", "origin", "refs/heads/releases/*") == before


def test_no_hook_sends_the_data_for_a_branch(project: Path) -> None:
    register("v1.0.0")
    hook = project / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    keep("")
    assert len(kept()) == 1


def test_a_commit_without_workflows_needs_no_branch(unpublished: Path) -> None:
    assert keep_workflows("HEAD") is None
    assert kept() == set()


def test_where_the_branch_is_refused_the_way_out_is_said(project: Path, tmp_path: Path) -> None:
    register("v1.0.0")
    hook = tmp_path / "origin.git/hooks/update"
    hook.write_text(
        "#!/bin/sh\necho 'refusing to allow a GitHub App to create or update workflow without `workflows` permission'"
        " >&2\nexit 1\n"
    )
    hook.chmod(0o755)
    with pytest.raises(UserError, match="^GitHub refused the branch releases/.* Run `uv run mlops keep [0-9a-f]{10}`"):
        keep("")
    assert str(keep_workflows("HEAD")).startswith("GitHub refused the branch releases/")
    hook.write_text("#!/bin/sh\necho 'GH013' >&2\nexit 1\n")
    assert str(keep_workflows("HEAD")).startswith("origin refused the branch releases/")
    hook.unlink()
    assert keep_workflows("HEAD") is None and len(kept()) == 1
    assert keep_workflows("HEAD") is None, "it is there"
