"""A version becomes a release, whatever an earlier run left: made again it is the same, and its bytes are checked."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clones import git
from mlops_actions.core import github
from mlops_actions.core.errors import UserError
from mlops_actions.registry.assets import ASSETS
from mlops_actions.registry.publish import version
from mlops_actions.registry.release import describe, release
from runs import Trained, place

# Keeps releases in a file, as GitHub keeps them, and their assets' bytes as Latin 1.
GH = """#!PYTHON -I
import hashlib, json, os, pathlib, sys
kept = pathlib.Path(os.environ["RELEASES"])
releases = json.loads(kept.read_text()) if kept.exists() else []
told = os.environ.get("DIGESTS") != "False"

def shown(release):
    assets = [{**asset} for asset in release["assets"]]
    for asset in assets:
        content = asset.pop("content", "").encode("latin-1")
        asset["digest"] = f"sha256:{hashlib.sha256(content).hexdigest()}" if told else None
    page = f"https://github.com/acme/churn/releases/tag/{release['tag_name']}"
    return {**release, "assets": assets, "html_url": page}

words = sys.argv[1:]
if words[0] == "release":
    verb, tag, repository, *files = words[1:]
    assert verb == "upload" and repository == "--repo=acme/churn", words
    (ours,) = [release for release in releases if release["tag_name"] == tag]
    assert ours["draft"]
    for number, file in enumerate(map(pathlib.Path, files), start=1000 * ours["id"]):
        assert file.name not in [asset["name"] for asset in ours["assets"]], "HTTP 422: already_exists"
        content = "damaged" if file.name == os.environ.get("DAMAGES") else file.read_bytes().decode("latin-1")
        ours["assets"].append({"id": number, "name": file.name, "state": "uploaded", "content": content})
    sys.exit(kept.write_text(json.dumps(releases)) < 0)
path = words[1].removeprefix("repos/acme/churn/")
if path == "releases?per_page=100":
    assert words[2:] == ["--method=GET", "--paginate", "--slurp"], words
    pages = [releases[at : at + 100] for at in range(0, len(releases), 100)] or [[]]
    sys.exit(print(json.dumps([[*map(shown, page)] for page in pages])))
if path.startswith("releases/assets/"):
    assert words[2:] == ["--header=Accept: application/octet-stream"], words
    (content,) = [a["content"] for one in releases for a in one["assets"] if str(a["id"]) == path.split("/")[-1]]
    sys.exit(sys.stdout.buffer.write(content.encode("latin-1")) < 0)
method = words[2].removeprefix("--method=")
if path == "releases" and method == "POST":
    number = max([one["id"] for one in releases], default=0) + 1
    ours = {"id": number, "assets": [], **json.load(sys.stdin)}
    releases.append(ours)
else:
    (ours,) = [one for one in releases if f"releases/{one['id']}" == path]
    if method == "PATCH":
        ours.update(json.load(sys.stdin))
    if method == "DELETE":
        releases.remove(ours)
kept.write_text(json.dumps(releases))
if method != "DELETE":
    print(json.dumps([shown(ours)] if method == "GET" else shown(ours)))
"""


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


def put(releases: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change what GitHub keeps."""
    kept = json.loads(releases.read_text()) if releases.exists() else []
    change(kept)
    releases.write_text(json.dumps(kept))


def draft(number: int, tag: str = "model@v1.0.0", **asset: str) -> dict[str, Any]:
    """A draft that a killed run left, with a file or none."""
    assets = [{"id": 10 * number, "name": "bundle.zip", "state": "uploaded", "content": "old"} | asset] if asset else []
    return {"id": number, "tag_name": tag, "name": "old", "body": "# An old card", "draft": True, "assets": assets}


LEFTOVERS = {
    "another commit's card": [draft(1, name="MODEL_CARD.md")],
    "a file too many": [draft(1, name="evil.sh")],
    "an upload that was cut off": [draft(1, name="bundle.zip", state="starter")],
    "two drafts": [draft(1, name="bundle.zip"), draft(2)],
    "behind a page of others": [*(draft(100 + n, f"model@v0.0.{n}") for n in range(120)), draft(1)],
}


@pytest.mark.parametrize("leftovers", LEFTOVERS.values(), ids=LEFTOVERS)
def test_of_a_draft_that_a_killed_run_left_nothing_is_published(
    merged: Path, releases: Path, leftovers: list[dict[str, Any]]
) -> None:
    version()
    put(releases, lambda kept: kept.extend(leftovers))
    release()
    kept = json.loads(releases.read_text())
    (made,) = [one for one in kept if one["tag_name"] == "model@v1.0.0"]
    others = [one for one in leftovers if one["tag_name"] != "model@v1.0.0"]
    assert len(kept) == len(others) + 1, "those of other tags stay"
    assert (made["name"], made["draft"]) == ("model v1.0.0", False) and made["body"].startswith("# model v1.0.0\n")
    files = {asset["name"]: asset["content"].encode("latin-1") for asset in made["assets"]}
    assert files.keys() == {*ASSETS} and files["MODEL_CARD.md"].decode() == made["body"]
    release(prepare=Path("dist"))
    assert {name: (Path("dist") / name).read_bytes() for name in ASSETS} == files


@pytest.mark.parametrize("told", [True, False], ids=["digests told", "by an older server"])
def test_a_published_release_whose_bytes_were_swapped_is_told(
    merged: Path, releases: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], told: bool
) -> None:
    monkeypatch.setenv("DIGESTS", str(told))
    version()
    release()
    whole, besides = releases.read_text(), draft(7, name="notes.pdf")["assets"]
    put(releases, lambda kept: kept[0]["assets"].extend(besides))
    release()
    assert capsys.readouterr().out.endswith("is published already.\n"), "what somebody put beside them stays"

    def swap(kept: list[dict[str, Any]]) -> None:
        for asset in kept[0]["assets"]:
            if asset["name"] in ("bundle.zip", "metrics.json"):
                asset["content"] = "swapped"

    put(releases, swap)
    for verb in ({"prepare": Path("dist")}, {"prepared": Path("dist")}, {}):
        with pytest.raises(UserError, match=r" has other bytes than \w{10} makes: bundle\.zip, metrics\.json\. Find"):
            release(**verb)
    releases.write_text(whole)
    put(releases, lambda kept: kept[0]["assets"].pop(0))
    with pytest.raises(UserError, match=r"lacks MODEL_CARD\.md: delete that release and run this again"):
        release(prepare=Path("dist"))


def test_what_arrives_as_other_bytes_is_not_published(
    merged: Path, releases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version()
    monkeypatch.setenv("DAMAGES", "schema.yaml")
    with pytest.raises(
        UserError, match=r"^The draft of model@v1\.0\.0 is not what was sent \(schema\.yaml\): run this"
    ):
        release()
    assert [one["draft"] for one in json.loads(releases.read_text())] == [True]
    monkeypatch.delenv("DAMAGES")
    release()
    assert [one["draft"] for one in json.loads(releases.read_text())] == [False]


def test_a_release_is_of_the_commit_that_origin_has_tagged(merged: Path, releases: Path) -> None:
    version()
    git("push", "--quiet", "origin", "--delete", "model@v1.0.0")
    with pytest.raises(UserError, match=r"^origin has no tag model@v1\.0\.0 on \w{10} any more: run `mlops version`"):
        release()
    git("push", "--quiet", "origin", f"{git('rev-parse', 'HEAD')}:refs/tags/model@v1.0.0")
    with pytest.raises(UserError, match=r"^origin has no tag model@v1\.0\.0 on"):
        release()
    assert not releases.exists()


def test_a_card_that_is_longer_than_a_release_may_be_is_cut(tmp_path: Path) -> None:
    card = tmp_path / "MODEL_CARD.md"
    card.write_text("é" * 125_000)
    assert describe(card) == card.read_text()
    card.write_text("é" * 125_001)
    assert len(describe(card)) == 125_000 and describe(card).endswith("é\n\nThe rest is in MODEL_CARD.md.")
