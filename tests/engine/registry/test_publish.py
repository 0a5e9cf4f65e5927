"""A changed model becomes a version: each step may be run again, and changes nothing then."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from clones import git, give_version, lock_bundle
from mlops_actions.core.errors import UserError
from mlops_actions.registry.numbering import next_version
from mlops_actions.registry.publish import version
from mlops_actions.registry.versions import Version, list_versions, newest_version
from runs import Trained, place


def on_origin(ref: str) -> str:
    """The commit of a ref on origin, or nothing."""
    return git("ls-remote", "origin", ref, f"{ref}^{{}}").split("\n")[-1].partition("\t")[0]


def test_a_model_becomes_a_version_once_and_main_is_forwarded(
    merged: Path, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        version()
        said = capsys.readouterr().out
        assert "v1.0.0 is registered as model@v1.0.0." in said and "no workflow can" not in said
    commit = on_origin("refs/tags/model@v1.0.0")
    assert commit and commit == on_origin("refs/heads/main")
    assert git("diff", "--name-only", "HEAD", commit).split() == ["data/summary.json", "dvc.lock", "metrics.json"]
    git("reset", "--quiet", "--hard", commit)
    git("commit", "--quiet", "--allow-empty", "--message", "Words alone")
    version()
    assert "The model is v1.0.0's, byte for byte: nothing to publish." in capsys.readouterr().out
    git("reset", "--quiet", "--hard", f"{commit}^")
    trained.keep("export", "models/bundle.zip", b"of another run")
    place(trained)
    version()
    assert "v1.0.0 was published from a later commit: nothing to publish." in capsys.readouterr().out


def test_what_is_not_committed_becomes_no_version(merged: Path) -> None:
    Path("params.yaml").write_text("name: other\n")
    with pytest.raises(UserError, match=r"^params\.yaml is not committed: a version is made of committed files"):
        version()
    assert newest_version() is None


def test_a_protected_branch_stays_and_the_tag_holds_the_commit(
    merged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(tmp_path, "refs/heads/main", "GH006: Protected branch update failed")
    version()
    assert "main stays where it is (" in capsys.readouterr().out
    assert on_origin("refs/tags/model@v1.0.0") != on_origin("refs/heads/main")


def test_a_version_whose_workflows_no_branch_keeps_is_named(
    merged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(".github/workflows").mkdir(parents=True)
    Path(".github/workflows/a.yml").write_text("jobs: {}\n")
    git("add", ".github")
    git("commit", "--quiet", "--message", "Work")
    refuse(tmp_path, "refs/heads/releases/*", "GH013: Repository rule violations")
    version()
    said = "Once main has other workflows, no workflow can give v1.0.0 a role: origin refused the branch releases/"
    assert said in capsys.readouterr().out


def refuse(tmp_path: Path, ref: str, words: str) -> None:
    """Let origin refuse a ref."""
    hook = tmp_path / "origin.git/hooks/update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\ncase "$1" in {ref}) echo "{words}" >&2; exit 1;; esac\n')
    hook.chmod(0o755)


def test_a_tag_that_origin_refuses_is_gone_here_too(merged: Path, tmp_path: Path) -> None:
    refuse(tmp_path, "refs/tags/*", "GH013: Repository rule violations")
    with pytest.raises(UserError, match=r"^origin refused the tag model@v1\.0\.0: "):
        version()
    assert git("tag") == ""


def test_a_number_that_another_run_took_meanwhile_is_not_taken_twice(
    merged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    git("clone", "--quiet", tmp_path / "origin.git", other)
    lock_bundle(other, "a" * 32)
    git("add", "dvc.lock", cwd=other)
    git("commit", "--quiet", "--amend", "--message", "Other", cwd=other)
    give_version(other, "v1.0.0")
    hook = merged / ".git/hooks/pre-push"
    hook.write_text(f"#!/bin/sh\nunset GIT_DIR\ngit -C {other} push --quiet origin model@v1.0.0\n")
    hook.chmod(0o755)
    version()
    said = capsys.readouterr().out
    assert "is registered as model@v1.1.0." in said and "No number was taken" not in said
    assert [str(version) for version in list_versions()] == ["v1.1.0", "v1.0.0"]


BY_HAND = {
    "the next number": ("v1.0.0", "v1.1.0"),
    "a folder of that name": ("v1.0.0/more", "v1.1.0"),
    "a candidate": ("v2.0.0-rc1", "v1.0.0"),
    "a number by itself": ("v8.0.0", "v1.0.0"),
    "a number without end": (f"v{'9' * 20}.0.0", "v1.0.0"),
}


@pytest.mark.parametrize(("by_hand", "made"), BY_HAND.values(), ids=BY_HAND)
def test_a_tag_made_by_hand_stops_no_publishing(
    merged: Path, capsys: pytest.CaptureFixture[str], by_hand: str, made: str
) -> None:
    git("tag", "--annotate", "--message=by hand", f"model@{by_hand}")
    git("push", "--quiet", "origin", f"model@{by_hand}")
    for _ in range(2):
        version()
        assert f"{made} is registered as model@{made}." in capsys.readouterr().out
    assert [str(version) for version in list_versions()] == [made]
    assert on_origin(f"refs/tags/model@{made}") == on_origin("refs/heads/main")


def test_the_number_of_a_version_that_was_withdrawn_is_not_given_again(
    merged: Path, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    version()
    change_data(trained)
    git("add", "--all")
    git("commit", "--quiet", "--message", "More data")
    trained.keep("export", "models/bundle.zip", b"another")
    place(trained)
    version()
    git("tag", "--annotate", "--message=withdrawn", "model@v1.0.1!")
    git("push", "--quiet", "origin", "model@v1.0.1!")
    capsys.readouterr()
    version()
    said = capsys.readouterr().out
    assert "No number was taken that a tag has already, which is no version or was withdrawn: model@v1.0.1." in said
    assert "v1.0.2 is registered as model@v1.0.2." in said


def test_two_merges_within_one_training_get_a_version_each_in_their_order(
    merged: Path, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    later = Path(shutil.copytree(merged, tmp_path / "later"))
    monkeypatch.chdir(later)
    change_data(trained)
    git("add", "data.csv.dvc")
    git("commit", "--quiet", "--message", "The second merge")
    git("push", "--quiet", "origin", "main")
    second = on_origin("refs/heads/main")
    trained.keep("export", "models/bundle.zip", b"another")
    place(trained)
    monkeypatch.chdir(merged)
    version()
    assert "main stays where it is" in capsys.readouterr().out and on_origin("refs/heads/main") == second
    monkeypatch.chdir(later)
    version()
    last = on_origin("refs/heads/main")
    assert last == on_origin("refs/tags/model@v1.0.1") and git("rev-parse", f"{last}^") == second
    monkeypatch.chdir(merged)
    version()
    assert "v1.0.0 is registered as model@v1.0.0." in capsys.readouterr().out, "run again it is the same"
    assert [str(version) for version in list_versions()] == ["v1.0.1", "v1.0.0"]
    assert on_origin("refs/heads/main") == last


def test_other_runs_that_are_always_faster_end_it_in_words(merged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_actions.registry.publish.register", lambda commit, newest: None)
    with pytest.raises(UserError, match="Other versions were registered at the same time, 5 times"):
        version()


# The number says what a consumer must do


def change_schema(trained: Trained) -> None:
    Path("schema.yaml").write_text("columns: {age: {type: category}}\ntarget: {name: churn, type: category}\n")


def change_target(trained: Trained) -> None:
    Path("schema.yaml").write_text(
        "columns: {age: {type: number}}\ntarget: {name: churn, type: category, values: [a, b]}\n"
    )


def change_params(trained: Trained) -> None:
    trained.lock["stages"]["export"]["params"] = {"params.yaml": {"model.seed": 2}}


def change_module(trained: Trained) -> None:
    trained.lock["stages"]["export"]["deps"] = [{"path": "src/model.py", "hash": "md5", "md5": "b" * 32}]


def change_data(trained: Trained) -> None:
    Path("data.csv.dvc").write_text(f"outs: [{{path: data.csv, hash: md5, md5: {'c' * 32}}}]\n")
    trained.lock["stages"]["prepare"]["deps"][0]["md5"] = "c" * 32


@pytest.mark.parametrize(
    ("change", "name", "reason"),
    [
        (change_schema, "v2.0.0", "the contract changed: age"),
        (change_target, "v2.0.0", "the contract changed: target churn"),
        (change_params, "v1.5.0", "the recipe changed: export"),
        (change_module, "v1.5.0", "the recipe changed: export"),
        (change_data, "v1.4.3", "new data, the same recipe"),
    ],
)
def test_the_next_number_is_by_what_changed(
    merged: Path, trained: Trained, change: Any, name: str, reason: str
) -> None:
    git("add", "--all")
    git("commit", "--quiet", "--message", "As it was")
    before = Version("v1.4.2", git("rev-parse", "HEAD"))
    change(trained)
    place(trained)
    bump = next_version(before, "HEAD")
    assert (bump.version.name, bump.reason, bump.passed) == (name, reason, [])
    assert next_version(None, "HEAD").version.name == "v1.0.0"
