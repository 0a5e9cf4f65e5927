"""The story on github.com, where the API, uploads, raw files and releases' files each have a host of their own."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from baked import Project
from desk import ASSETS, OWNER, PROOF, Desk, find_run, hand_over
from local_github import LocalGitHub, Repository, start_github

URL = "https://github.com/acme/customer-churn"
NAME = "acme/customer-churn"  # whose attestations the project trusts as it is generated
TAG = "model@v1.0.0"
# Where a run keeps its artifacts, which one of its jobs hands over to the next.
HANDED_OVER = ("productionresultssa0.blob.core.windows.net", "results-receiver.actions.githubusercontent.com")
FOLLOW = ("python", "-m", "mlops_actions.serving.follow")  # what a server starts when the tags have changed


@pytest.fixture(scope="module")
def dot_com(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGitHub]:
    """A local GitHub with the addresses of github.com."""
    with start_github(tmp_path_factory.mktemp("dot-com"), (OWNER, "contributor"), dot_com=True) as hub:
        yield hub


@pytest.fixture
def asked(dot_com: LocalGitHub) -> Iterator[list[str]]:
    """What is asked of it during a test, a method and an address each; nobody asks for another host."""
    dot_com.front.asked.clear()
    yield dot_com.front.asked
    assert dot_com.front.refused == set()


@pytest.fixture(scope="module")
def released(dot_com: LocalGitHub, small: Project, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository after the first push of a project that its author trained, published by the job that may write.

    Its branch `tuned` was trained by its author as well.
    """
    dot_com.keep_bytecode(small.path / ".venv")
    path = tmp_path_factory.mktemp("author") / "customer-churn"
    shutil.copytree(small.path, path, symlinks=True)
    repository = dot_com.create_repository(NAME)
    repository.disabled = {"checks", "deploy"}
    dot_com.on_laptop(["git", "config", "remote.origin.url", repository.url], path, OWNER)
    desk = Desk(repository, path, OWNER)
    (run,) = repository.rerun(hand_over(desk), failed=True)
    run.expect("success")
    desk.run("git", "switch", "--quiet", "tuned")
    desk.run("mlops", "push")
    desk.push_quietly("tuned")
    return repository


@pytest.fixture
def desk(released: Repository, small: Project, tmp_path: Path) -> Desk:
    """A stranger's fresh clone."""
    return Desk.clone(released, tmp_path / "clone", small.path / ".venv", "contributor")


def hosts(asked: list[str]) -> set[str]:
    """The hosts of some requests."""
    return {str(urlsplit(request.split()[1]).hostname) for request in asked}


def serve(desk: Desk, *without: str) -> bytes:
    """The bundle that a server in a clone is told to serve; its machine lacks some variables of the person's."""
    desk.run("env", *(f"--unset={name}" for name in without), *FOLLOW)
    champion = json.loads(desk.read(".mlops/serving/state.json"))["champion"]
    return Path(champion["bundle"]).read_bytes()


def test_a_first_push_is_published(dot_com: LocalGitHub, released: Repository) -> None:
    (run,) = released.runs("publish")
    assert run.url == f"{URL}/actions/runs/{run.id}"
    assert f"Published {URL}/releases/tag/{TAG}" in run.log
    (release,) = released.releases()
    assert sorted(asset["name"] for asset in release["assets"]) == sorted([*ASSETS, PROOF]) and not release["draft"]
    assert release["upload_url"].startswith("https://uploads.github.com/repos/acme/customer-churn/releases/")
    assert hosts(dot_com.front.asked) == {"github.com", "api.github.com", "uploads.github.com", HANDED_OVER[0]}
    assert dot_com.front.refused == set(), "not even gh tells anybody of it"


def test_a_pull_request_is_judged_and_shown(
    asked: list[str], released: Repository, small: Project, tmp_path: Path
) -> None:
    desk = Desk.clone(released, tmp_path / "author", small.path / ".venv")
    pull = released.open_pull_request("tuned", "Regularise more")
    retrain, report = (find_run(pull.runs, name).expect("success") for name in ("retrain", "report"))
    assert hosts(asked) == {"github.com", "api.github.com", *HANDED_OVER}
    assert asked.count(f"POST https://api.github.com/repos/{NAME}/issues/{pull.number}/comments") == 1, "by CML"
    (comment,) = pull.comments()
    body = comment["body"]
    assert comment["user"]["login"] == "github-actions[bot]" and f"({URL}/actions/runs/{retrain.id})" in body
    assert re.match(r"### ✅ (Better|Not worse|Undecided, passes): `roc_auc` ", body)
    pictures = dict(re.findall(rf"({re.escape(URL)}/raw/[0-9a-f]{{40}}/([a-z_]+-[a-z]+)\.png)", body))
    files = retrain.artifacts["report"].read()
    assert {f"pictures/{name}.png" for name in pictures.values()} == {name for name in files if "pictures/" in name}
    address, name = next(iter(pictures.items()))
    desk.run("curl", "--fail", "--silent", "--location", "--output", "picture.png", address)
    assert (desk.path / "picture.png").read_bytes() == files[f"pictures/{name}.png"]
    raw = address.replace("https://github.com/", "https://raw.githubusercontent.com/").replace("/raw/", "/")
    assert asked[-2:] == [f"GET {address}", f"GET {raw}"]


def test_anybody_downloads_a_release_and_verifies_who_published_it(asked: list[str], desk: Desk) -> None:
    desk.run("gh", "release", "download", TAG, "--repo", NAME, "--dir", "release")
    assert hosts(asked) == {"github.com", "api.github.com", "release-assets.githubusercontent.com"}
    desk.run("env", "--chdir=release", "sha256sum", "--check", "--strict", "SHA256SUMS")
    assert sorted(path.name for path in (desk.path / "release").iterdir()) == sorted([*ASSETS, PROOF])
    (desk.path / "roots.jsonl").write_text(desk.repository.hub.trusted_roots())
    verify = ["gh", "attestation", "verify", "release/bundle.zip", "--repo", NAME]
    verify += ["--bundle", f"release/{PROOF}", "--custom-trusted-root", "roots.jsonl"]
    desk.run(*verify)


@pytest.fixture
def unstored(released: Repository) -> Iterator[Repository]:
    """The repository without its store."""
    store = released.bare.resolve("refs/dvc/store")
    released.bare.git("update-ref", "-d", "refs/dvc/store")
    yield released
    released.bare.git("update-ref", "refs/dvc/store", str(store))


def test_a_server_takes_a_version_from_its_public_address_and_by_its_attestation(
    asked: list[str], unstored: Repository, desk: Desk
) -> None:
    (desk.path / "roots.jsonl").write_text(desk.repository.hub.trusted_roots())
    desk.set(**{"serving.attestation.required": True, "serving.attestation.trusted_root": "roots.jsonl"})
    newest = unstored.tags()[-1]
    assert serve(desk, "GH_TOKEN") == unstored.asset(newest, "bundle.zip").read_bytes()
    page = f"{URL}/releases/download/{newest.replace('@', '%40')}"
    assert {f"GET {page}/bundle.zip", f"GET {page}/{PROOF}"} <= set(asked)
    assert hosts(asked) == {"github.com", "release-assets.githubusercontent.com"}


def test_a_server_takes_a_version_of_a_private_repository_by_the_api(
    asked: list[str], unstored: Repository, small: Project, tmp_path: Path
) -> None:
    private = unstored.copy(f"{OWNER}/private", private=True)
    desk = Desk.clone(private, tmp_path / "private", small.path / ".venv")
    desk.run("git", "config", "credential.helper", "")  # what git knows of the person
    with pytest.raises(RuntimeError, match="could not read Username for 'https://github.com'"):
        serve(desk, "GH_TOKEN")
    assert serve(desk) == private.asset(private.tags()[-1], "bundle.zip").read_bytes()
    assert hosts(asked) == {"github.com", "api.github.com", "release-assets.githubusercontent.com"}
