"""A changed model becomes a version and its version a release: each step may be run again, and changes nothing then."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clones import git, give_version, lock_bundle
from mlops_actions.core import github
from mlops_actions.core.errors import UserError
from mlops_actions.registry.assets import ASSETS
from mlops_actions.registry.numbering import next_version
from mlops_actions.registry.publish import release, version
from mlops_actions.registry.versions import Version, list_versions, newest_version
from runs import Trained, make_trained, place

# Keeps releases in a file, as GitHub keeps them.
GH = """#!PYTHON -I
import json, os, pathlib, sys
kept = pathlib.Path(os.environ["RELEASES"])
releases = json.loads(kept.read_text()) if kept.exists() else []
if sys.argv[1] == "api":
    sys.exit(print(json.dumps([releases])))
verb, tag, *options = sys.argv[2:]
if verb == "create":
    page = f"https://github.com/acme/churn/releases/tag/{tag}"
    releases.append({"tag_name": tag, "draft": True, "html_url": page, "assets": []})
(ours,) = [release for release in releases if release["tag_name"] == tag]
if verb == "upload":
    ours["assets"] += [{"name": pathlib.Path(word).name} for word in options if not word.startswith("-")]
if verb == "edit":
    ours["draft"] = "--draft=false" not in options
kept.write_text(json.dumps(releases))
"""


@pytest.fixture
def trained(tmp_path: Path) -> Trained:
    return make_trained(tmp_path / "bundle.zip")


@pytest.fixture
def merged(unpublished: Path, trained: Trained) -> Path:
    """The clone in which a merge was trained."""
    place(trained)
    return unpublished


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that the stand-in for `gh` keeps releases in, in a job of GitHub Actions."""
    gh = tmp_path / "bin/gh"
    gh.parent.mkdir()
    gh.write_text(GH.replace("PYTHON", sys.executable))
    gh.chmod(0o755)
    (tmp_path / "event.json").write_text(json.dumps({"repository": {"private": False}}))
    (tmp_path / "output").touch()
    monkeypatch.setenv("PATH", str(gh.parent), prepend=":")
    for name, value in (
        ("RELEASES", tmp_path / "releases.json"),
        ("GITHUB_REPOSITORY", "acme/churn"),
        ("GITHUB_TOKEN", "none"),
        ("GITHUB_EVENT_PATH", tmp_path / "event.json"),
        ("GITHUB_OUTPUT", tmp_path / "output"),
    ):
        monkeypatch.setenv(name, str(value))
    github.event.cache_clear()
    yield tmp_path / "releases.json"
    github.event.cache_clear()


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


# Its release


def test_a_release_is_published_at_once_and_again_changes_nothing(
    merged: Path, releases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release()
    assert capsys.readouterr().out == "This commit has no version of its own: nothing to release.\n"
    version()
    release()
    assert "Published https://github.com/acme/churn/releases/tag/model@v1.0.0" in capsys.readouterr().out
    (made,) = json.loads(releases.read_text())
    assert (made["draft"], [asset["name"] for asset in made["assets"]]) == (False, [*ASSETS])
    before = releases.read_bytes()
    release()
    assert "https://github.com/acme/churn/releases/tag/model@v1.0.0 is published already." in capsys.readouterr().out
    assert releases.read_bytes() == before


def test_a_release_in_two_steps_has_the_attestation_that_was_made_between_them(
    merged: Path, releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    release(prepare=Path("dist"))
    assert (tmp_path / "output").read_text() == "", "no version, no image"
    version()
    with pytest.raises(UserError, match="there is no dist/MODEL_CARD.md.*run `mlops release --prepare dist` first"):
        release(prepared=Path("dist"))
    release(prepare=Path("dist"))
    assert (tmp_path / "output").read_text() == "image=v1.0.0\nrelease=v1.0.0\nattest=v1.0.0\n"
    assert sorted(path.name for path in Path("dist").iterdir()) == sorted(ASSETS)
    (tmp_path / "proof.json").write_text("{}")
    monkeypatch.setenv("ATTESTATION", str(tmp_path / "proof.json"))
    release(prepared=Path("dist"))
    (made,) = json.loads(releases.read_text())
    assert [asset["name"] for asset in made["assets"]] == [*ASSETS, "bundle.zip.sigstore.json"]
    capsys.readouterr()
    release(prepared=Path("dist"))
    assert capsys.readouterr().out.endswith("is published already.\n")
    releases.write_text(json.dumps([made | {"assets": made["assets"][1:]}]))
    with pytest.raises(UserError, match=r"lacks MODEL_CARD\.md: delete that release and run this again"):
        release(prepare=Path("dist"))


@pytest.mark.parametrize(
    ("attest", "private", "said"),
    [
        ("false", False, "the repository variable ATTEST is false"),
        ("", True, "GitHub attests for private repositories in its plan Enterprise Cloud only"),
        ("true", True, None),
        ("", False, None),
    ],
)
def test_a_bundle_is_attested_where_github_does_it_and_nobody_declines(
    merged: Path,
    releases: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    attest: str,
    private: bool,
    said: str | None,
) -> None:
    (tmp_path / "event.json").write_text(json.dumps({"repository": {"private": private}}))
    monkeypatch.setenv("ATTEST", attest)
    version()
    release(prepare=Path("dist"))
    assert ("attest=v1.0.0" in (tmp_path / "output").read_text()) is (said is None)
    assert (said or "registered") in capsys.readouterr().out


def test_a_version_whose_params_name_no_image_asks_for_none(
    unpublished: Path, trained: Trained, releases: Path, tmp_path: Path
) -> None:
    Path("params.yaml").write_text("name: x\n")
    git("commit", "--quiet", "--all", "--message", "No image")
    place(trained)
    version()
    shutil.rmtree("dist", ignore_errors=True)
    release(prepare=Path("dist"))
    assert "image" not in (tmp_path / "output").read_text()


def test_the_card_says_where_the_model_comes_from_and_how_it_decides(merged: Path, releases: Path) -> None:
    version()
    release(prepare=Path("dist"))
    card = Path("dist/MODEL_CARD.md").read_text()
    commit = git("rev-parse", "model@v1.0.0^{commit}")
    assert card.startswith(f"# model v1.0.0\n\nmodel v1.0.0: the first model. Trained from commit `{commit}`.\n")
    assert "| decides by | the most probable class |" in card and "| rows | 5: 4 trained, 1 tested |" in card
    sums = dict(reversed(line.split()) for line in Path("dist/SHA256SUMS").read_text().splitlines())
    assert sums.keys() == {name for name in ASSETS if name != "SHA256SUMS"}
