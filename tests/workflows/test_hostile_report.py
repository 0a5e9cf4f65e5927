"""A pull request writes its report itself, and a job that may write reads it: it gets a comment in plain words."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import ATTACKS, ZIP, assert_inert, find_active, honest_report, link, pack, with_attack
from local_github import LocalGitHub, PullRequest, Repository, Run, read_workflows
from local_github.events import pull_request_event, workflow_run_event
from mlops_actions.review import comment


@pytest.fixture(scope="module")
def reviewed(first: Repository) -> PullRequest:
    """An open pull request on which nothing has run."""
    repository = first.copy("acme/reviewed")
    repository.disabled |= {"retrain"}
    return repository.open_pull_request("tuned", "Regularise more")


@pytest.fixture(scope="module")
def retrain(hub: LocalGitHub, reviewed: PullRequest) -> Run:
    """A retrain that has ended well; each test says what it left."""
    event = pull_request_event(reviewed, "opened")
    workflow = next(one for one in read_workflows(reviewed.base.bare, event.sha) if one.name == "retrain")
    run = hub.begin_run(reviewed.base, workflow, event)
    run.conclusion = "success"
    return run


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    """What an honest retrain of the first pull request reports."""
    return honest_report()


@pytest.fixture
def report_on(hub: LocalGitHub, reviewed: PullRequest, retrain: Run) -> Iterator[Any]:
    """`report_on(zip)`: the report run after a retrain that left this artifact."""
    kept = dict(hub.artifacts)

    def deliver(content: bytes) -> Run:
        hub.keep_artifact(retrain.id, "report", content)
        (run,) = reviewed.base.deliver(workflow_run_event(retrain))
        return run

    yield deliver
    hub.artifacts.clear()
    hub.artifacts.update(kept)


def test_an_honest_report_is_inert_and_the_check_for_it_sees_what_is_not(
    reviewed: PullRequest, retrain: Run, report_on: Any, written: dict[str, Any]
) -> None:
    report_on(pack(("report.json", json.dumps(written).encode()))).expect("success")
    assert_inert(reviewed.comments()[-1]["body"], retrain.url)
    for attack in ("@acme", "<b>x</b>", "[x](https://evil.example)", "x <https://evil.example>", "see #1"):
        assert list(find_active(attack)), attack


def test_why_github_refused_a_comment_is_one_short_line_without_a_word_of_the_comment(
    hub: LocalGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = hub.create_repository("acme/refusing").name
    runner = {"GITHUB_SERVER_URL": hub.url, "GITHUB_REPOSITORY": repository, "GITHUB_TOKEN": hub.people["acme"].value}
    for name, value in (hub.laptop("acme") | runner).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    hostile = "\n".join([*ATTACKS[:9], "::add-mask::evil", "##[add-mask]evil", "\u2028::stop-commands::evil\u2028"])

    def refused(body: str) -> str:
        with pytest.raises(comment.UserError, match="^CML could not comment on pull request 1: ") as found:
            comment.run_cml(1, body, update=False)
        return str(found.value).partition("1: ")[2]

    for shift in ("", "x", "xx"):  # where CML's words are cut off, wherever in a letter of three bytes that is
        assert refused(shift + "\u2028" * 66_000).startswith("Validation Failed: body is too long (maximum is 65536")
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_unknown")
    assert refused(hostile) == "HTTP 401, Bad credentials"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([("report.md", b"# hello")], "has no readable report.json"),
        ([("../report.json", b"{}"), ("/report.json", b"{}"), ("..\\report.json", b"{}")], "has no readable"),
        ([(link("report.json"), b"/etc/passwd")], "is not a report"),
        ([("report.json", b" " * (2**20 + 1))], "larger than 1,048,576 bytes"),
    ],
    ids=["no-report", "paths-that-climb", "a-link", "too-large"],
)
def test_an_artifact_that_is_no_report_posts_nothing(
    reviewed: PullRequest, report_on: Any, files: list[ZIP], said: str
) -> None:
    before = reviewed.comments()
    run = report_on(pack(*files))
    assert said in run.expect("failure").log and "Traceback" not in run.log
    assert reviewed.comments() == before


def test_a_huge_artifact_is_not_even_downloaded(reviewed: PullRequest, report_on: Any, hub: LocalGitHub) -> None:
    before = reviewed.comments()
    run = report_on(pack(("report.json", bytes(21 * 2**20)), compression=zipfile.ZIP_STORED))
    assert "the report artifact is larger than 20,971,520 bytes" in run.expect("failure").log
    assert reviewed.comments() == before


@pytest.mark.parametrize("number", [999, 0, -1, None], ids=["unknown", "zero", "negative", "none"])
def test_a_report_that_names_another_pull_request_posts_nothing_anywhere(
    reviewed: PullRequest, report_on: Any, written: dict[str, Any], number: int | None
) -> None:
    before = reviewed.comments()
    run = report_on(pack(("report.json", json.dumps(written | {"pull_request": number}).encode())))
    assert "which the run does not belong to" in run.expect("failure").log
    assert reviewed.comments() == before


def test_a_report_cannot_speak_on_somebody_elses_pull_request(
    reviewed: PullRequest, report_on: Any, written: dict[str, Any]
) -> None:
    reviewed.base.bare.git("update-ref", "refs/heads/other", "refs/heads/tuned")
    other = reviewed.base.open_pull_request("other", "Somebody else's")
    before = reviewed.comments()
    run = report_on(pack(("report.json", json.dumps(written | {"pull_request": other.number}).encode())))
    assert f"names pull request {other.number}, which the run does not belong to" in run.expect("failure").log
    assert other.comments() == [] and reviewed.comments() == before


def test_a_hostile_report_is_posted_as_plain_code(
    reviewed: PullRequest, report_on: Any, written: dict[str, Any], retrain: Run
) -> None:
    for attack in (ATTACKS[0] + ATTACKS[3], ATTACKS[1] + ATTACKS[4]):
        files = [("../../evil.sh", b"x"), (link("report.md"), b"/etc/passwd")]
        hostile = with_attack(written, attack)
        report_on(pack(*files, ("report.json", json.dumps(hostile).encode()))).expect("success")
        (comment,) = reviewed.comments()
        assert_inert(comment["body"], retrain.url)
        assert "acme" in comment["body"] or "img" in comment["body"]


def test_a_retrain_that_left_no_report_is_said_to_have_ended_before_a_verdict(
    hub: LocalGitHub, reviewed: PullRequest, retrain: Run
) -> None:
    kept = dict(hub.artifacts)
    hub.artifacts.clear()
    retrain.conclusion = "failure"
    try:
        (run,) = reviewed.base.deliver(workflow_run_event(retrain))
    finally:
        hub.artifacts.update(kept)
        retrain.conclusion = "success"
    run.expect("success")
    (comment,) = reviewed.comments()
    assert comment["body"].startswith("### ❌ The retrain ended before a verdict")
    assert f"({retrain.url})" in comment["body"]


def test_a_report_that_says_it_passes_does_not_outvote_the_runs_own_conclusion(
    reviewed: PullRequest, report_on: Any, written: dict[str, Any], retrain: Run
) -> None:
    retrain.conclusion = "failure"
    try:
        report_on(pack(("report.json", json.dumps(written).encode()))).expect("success")
    finally:
        retrain.conclusion = "success"
    (comment,) = reviewed.comments()
    assert comment["body"].startswith("### ❌ The run failed, although its report says it passes")


def test_a_run_on_a_head_that_a_newer_push_replaced_says_nothing(reviewed: PullRequest, retrain: Run) -> None:
    event = workflow_run_event(retrain)
    event.payload["workflow_run"]["head_sha"] = reviewed.base_sha
    before = reviewed.comments()
    (run,) = reviewed.base.deliver(event)
    assert "a newer push will be reported" in run.expect("success").log
    assert reviewed.comments() == before


def test_the_one_comment_is_found_behind_more_than_a_hundred_others(
    hub: LocalGitHub, reviewed: PullRequest, report_on: Any, written: dict[str, Any]
) -> None:
    report = pack(("report.json", json.dumps(written).encode()))
    (ours,) = reviewed.comments()
    path = f"/repos/{reviewed.base.name}/issues/comments/{ours['id']}"
    hub.emulate.call("DELETE", path, "acme")
    forged = ours["body"] + "\n\nIgnore the rest."
    reviewed.comment(forged, "mallory")

    report_on(report).expect("success")
    mine = reviewed.comments()[-1]
    assert mine["user"]["login"] == "github-actions[bot]", "a person's copy of the comment is not taken for it"
    for number in range(105):
        reviewed.comment(f"Comment {number}", "contributor")
    reviewed.comment(forged, "mallory")
    count = len(reviewed.comments())
    report_on(report).expect("success")
    after = reviewed.comments()
    assert len(after) == count == 108
    assert [comment["id"] for comment in after if comment["user"]["login"] == "github-actions[bot]"] == [mine["id"]]
    assert [comment["body"] for comment in after if comment["user"]["login"] == "mallory"] == [forged, forged]

    hub.emulate.call("DELETE", path.rpartition("/")[0] + f"/{mine['id']}", "acme")
    report_on(report).expect("success")
    late = reviewed.comments()[-1]
    report_on(report).expect("success")
    assert [one["id"] for one in reviewed.comments()][-1] == late["id"], "also where it stands on the second page"
    assert late["user"]["login"] == "github-actions[bot]"
