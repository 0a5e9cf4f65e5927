"""The job that may write to the repository stores pictures, and nothing that only looks like one."""

import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from baked import Bake
from desk import find_run, propose_untrained
from local_github import LocalGitHub, PullRequest, Repository, Run, Token, read_workflows
from local_github.events import pull_request_event, workflow_run_event
from local_github.permissions import BOT
from mlops_actions.review import pictures
from mlops_actions.review.report import FORMAT, Curve, MetricChange, Plot, Report, Ruling
from pngs import GOOD, pack, png

Store = Callable[..., str | None]


@pytest.fixture(scope="module")
def private(hub: LocalGitHub) -> Repository:
    """A private repository with one commit."""
    repository = hub.create_repository("acme/secret-churn", private=True)
    tree = repository.bare.write("mktree")
    repository.bare.git("update-ref", "refs/heads/main", repository.bare.write("commit-tree", tree, "-m", "Begin"))
    return repository


@pytest.fixture
def store(hub: LocalGitHub, private: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """`store(pictures, 7, contents="write")`: what a job with this permission stores in the private repository."""

    def store_as(found: dict[str, bytes], number: int, contents: str = "write") -> str | None:
        token = hub.issue_token(Token("", BOT, private.name, lambda: {"contents": contents}))
        variables = {"GITHUB_TOKEN": token.value, "GITHUB_SERVER_URL": hub.url, "GITHUB_REPOSITORY": private.name}
        for name, value in (hub.machine(tmp_path) | variables).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PATH", f"{hub.tools}:{hub.system_path}")
        commit: str | None = pictures.store(found, number)
        return commit

    return store_as


def fetch(hub: LocalGitHub, address: str, user: str | None) -> tuple[int, str, bytes]:
    """The status, type and bytes of an address that somebody opens, or that nobody does who is signed in."""
    context = ssl.create_default_context(cafile=hub.trust["SSL_CERT_FILE"])
    headers = {"Authorization": f"token {hub.people[user].value}"} if user else {}
    try:
        with urlopen(Request(address, headers=headers), context=context) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except HTTPError as error:
        return error.code, "", b""


def test_pictures_are_stored_outside_every_branch_and_only_members_see_them(
    hub: LocalGitHub, private: Repository, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"roc-light": GOOD["RGB"], "roc-dark": GOOD["palette"]}
    before = private.bare.refs("refs/heads/") | private.bare.refs("refs/tags/")
    commit = store(found, 3)
    assert commit and private.bare.refs("refs/reports/") == {"refs/reports/pull/3": (commit, "commit")}
    assert private.bare.refs("refs/heads/") | private.bare.refs("refs/tags/") == before
    assert private.bare.files(commit, ".") == ["roc-dark.png", "roc-light.png"]
    assert not private.bare.git("show", "-s", "--format=%P", commit), "it has no history to fetch"

    monkeypatch.setenv("PICTURES_COMMIT", commit)
    packed = pack({f"pictures/{name}.png": picture for name, picture in found.items()})
    links = pictures.addresses(packed)
    assert links == {name: f"{hub.url}/{private.name}/raw/{commit}/{name}.png" for name in found}
    for name, address in links.items():
        assert fetch(hub, address, "acme") == (200, "image/png", found[name])
        assert fetch(hub, address, "mallory")[0] == fetch(hub, address, None)[0] == 404


def test_the_same_pictures_again_change_nothing_and_others_take_their_place(private: Repository, store: Store) -> None:
    first = store({"roc-light": GOOD["RGB"]}, 70)
    assert store({"roc-light": GOOD["RGB"]}, 70) == first
    assert store({"roc-light": GOOD["RGB"]}, 7) is not None, "its number begins as the other's"
    second = store({"roc-light": GOOD["RGBA"]}, 70)
    refs = private.bare.refs("refs/reports/pull/70")
    assert second != first and refs == {"refs/reports/pull/70": (second, "commit")}


def test_a_token_that_may_not_write_stores_nothing_and_says_so(
    private: Repository, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    for contents in ("read", "none"):
        assert store({"roc-light": GOOD["RGB"]}, 5, contents) is None
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith("The pictures are not stored, so the comment has tables instead:") and "HTTP 403" in line
    assert not private.bare.refs("refs/reports/pull/5")


def test_a_github_that_cannot_be_reached_is_an_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store({"roc-light": GOOD["RGB"]}, 6)
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://127.0.0.1:9")
    with pytest.raises(pictures.UserError, match="gh api"):
        pictures.store({"roc-light": GOOD["RGB"]}, 6)


@pytest.mark.parametrize("commit", ["", "main", "0" * 39, "0" * 41, "../" * 10, "A" * 40, "0" * 40 + "\n"])
def test_only_a_commit_that_was_stored_is_linked(monkeypatch: pytest.MonkeyPatch, commit: str) -> None:
    monkeypatch.setenv("PICTURES_COMMIT", commit)
    assert pictures.addresses(pack({"pictures/roc-light.png": png()})) is None


def call(hub: LocalGitHub, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """The status and JSON that the API of the local GitHub answers its owner."""
    context = ssl.create_default_context(cafile=hub.trust["SSL_CERT_FILE"])
    headers = {"Authorization": f"token {hub.people['acme'].value}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(f"{hub.url}/api/v3{path}", data, headers, method=method), context=context) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def test_the_local_github_refuses_what_github_refuses_of_refs_and_objects(
    hub: LocalGitHub, private: Repository
) -> None:
    git = f"/repos/{private.name}/git"
    main = private.bare.resolve("main")
    assert call(hub, "POST", f"{git}/refs", {"ref": "reports", "sha": main})[0] == 422
    assert call(hub, "POST", f"{git}/refs", {"ref": "refs/reports/x", "sha": "0" * 40})[0] == 422
    assert call(hub, "PATCH", f"{git}/refs/reports/x", {"sha": main})[0] == 422, "there is none"
    assert call(hub, "POST", f"{git}/refs", {"ref": "refs/reports/x", "sha": main})[0] == 201
    entry = {"path": "a", "mode": "100644", "type": "blob", "sha": "0" * 40}
    assert call(hub, "POST", f"{git}/trees", {"tree": [entry]})[0] == 422
    blob = call(hub, "POST", f"{git}/blobs", {"content": "a", "encoding": "utf-8"})[1]["sha"]
    tree = call(hub, "POST", f"{git}/trees", {"tree": [entry | {"sha": blob}]})[1]["sha"]
    status, commit = call(hub, "POST", f"{git}/commits", {"message": "One", "tree": tree})
    assert status == 201 and commit["tree"]["sha"] == tree and commit["parents"] == []
    assert call(hub, "PATCH", f"{git}/refs/reports/x", {"sha": commit["sha"]})[1]["message"].endswith("fast forward")
    assert call(hub, "PATCH", f"{git}/refs/reports/x", {"sha": commit["sha"], "force": True})[0] == 200


@pytest.fixture(scope="module")
def proposed(hub: LocalGitHub, bake: Bake) -> PullRequest:
    """A pull request to a private repository in which nothing was trained; each test says what its retrain left."""
    return propose_untrained(hub, bake(github_owner="acme"), "acme/private-churn", private=True)


def report_on(proposed: PullRequest, files: dict[str, bytes]) -> Run:
    """The report run after a retrain of the pull request that left these files."""
    hub = proposed.base.hub
    event = pull_request_event(proposed, "opened")
    workflow = next(one for one in read_workflows(proposed.base.bare, event.sha) if one.name == "retrain")
    retrain = hub.begin_run(proposed.base, workflow, event)
    retrain.conclusion = "success"
    hub.keep_artifact(retrain.id, "report", pack(files))
    return find_run(proposed.base.deliver(workflow_run_event(retrain)), "report")


def write_report(pull_request: int) -> bytes:
    """The report.json of an honest run."""
    report = Report(
        format=FORMAT,
        passed=True,
        unchanged=False,
        same_recipe=False,
        baseline="champion",
        pull_request=pull_request,
        champion="v1.0.0",
        primary="roc_auc",
        margin=0.01,
        confidence=0.95,
        params=[],
        schema=[],
        data=[],
        stages=[],
        metrics=[MetricChange("roc_auc", True, 0.76, 0.77, -0.01, 0.03)],
        rulings=[Ruling("champion", "roc_auc", True, "not worse", 0.77, 0.76, 0.01)],
        plots=[Plot("roc", [Curve("candidate", "yes", [0.0, 0.5, 1.0], [0.0, 0.8, 1.0])])],
    )
    return report.to_json().encode()


def test_the_comment_on_a_private_repository_shows_pictures_to_its_members(
    hub: LocalGitHub, proposed: PullRequest
) -> None:
    drawn = {"pictures/roc-light.png": GOOD["palette"], "pictures/roc-dark.png": GOOD["RGB"]}
    hostile = {"pictures/calibration-light.png": b"<script>alert(1)</script>", "pictures/../evil.png": png()}
    files = {"report.json": write_report(proposed.number), **drawn, **hostile}
    run = report_on(proposed, files).expect("success")
    assert run.jobs == {"pictures": "success", "report": "success", "pass": "success"}
    (commit, _), *others = proposed.base.bare.refs("refs/reports/").values()
    assert not others and proposed.base.bare.files(commit, ".") == ["roc-dark.png", "roc-light.png"]
    assert "pictures/calibration-light.png is left out: it is no PNG" in run.log
    body = proposed.comments()[-1]["body"]
    for name, picture in drawn.items():
        address = f"{hub.url}/{proposed.base.name}/raw/{commit}/{Path(name).name}"
        assert address in body and fetch(hub, address, "acme")[2] == picture
        assert fetch(hub, address, None)[0] == 404
    assert "calibration-" not in body and "evil" not in body


def test_where_the_token_may_not_write_the_comment_comes_without_pictures(proposed: PullRequest, bake: Bake) -> None:
    main = proposed.base.clone(bake().path.parent / "clone")
    workflow = main / ".github/workflows/report.yml"
    text = workflow.read_text()
    workflow.write_text(text.replace("contents: write", "contents: read"))
    assert workflow.read_text() != text
    proposed.base.hub.on_laptop(["git", "commit", "--quiet", "--all", "--message", "Allow less"], main, "acme")
    proposed.base.push(main)
    refs = proposed.base.bare.refs("refs/reports/")
    files = {"report.json": write_report(proposed.number), "pictures/roc-light.png": GOOD["RGBA"]}
    run = report_on(proposed, files).expect("success")
    assert "The pictures are not stored, so the comment has tables instead" in run.log
    assert proposed.base.bare.refs("refs/reports/") == refs
    body = proposed.comments()[-1]["body"]
    assert "<picture>" not in body and "roc_auc" in body
