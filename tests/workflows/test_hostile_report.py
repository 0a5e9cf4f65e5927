"""A pull request writes its report itself, and a job that may write reads it: it gets a comment in plain words."""

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from baked import Bake
from desk import propose_untrained
from hostile import ATTACKS, ZIP, assert_inert, find_active, honest_report, link, pack, with_attack
from local_github import LocalGitHub, PullRequest, Run, Token, read_workflows
from local_github.events import pull_request_event, workflow_run_event
from local_github.permissions import BOT
from mlops_actions.core import github
from mlops_actions.core.errors import UserError
from mlops_actions.review.comment import comment, run_cml
from mlops_actions.review.pictures import pictures
from pngs import GOOD

Answer = Callable[..., None]


@pytest.fixture(scope="module")
def reviewed(hub: LocalGitHub, bake: Bake) -> PullRequest:
    """An open pull request on which nothing has run."""
    return propose_untrained(hub, bake(github_owner="acme"), "acme/reviewed")


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
def artifacts(hub: LocalGitHub) -> Iterator[None]:
    """Leave no artifact of a test's to the next."""
    kept = dict(hub.artifacts)
    yield
    hub.artifacts.clear()
    hub.artifacts.update(kept)


@pytest.fixture
def report_on(hub: LocalGitHub, reviewed: PullRequest, retrain: Run, artifacts: None) -> Callable[[bytes], Run]:
    """`report_on(zip)`: the report run after a retrain that left this artifact."""

    def deliver(content: bytes) -> Run:
        hub.keep_artifact(retrain.id, "report", content)
        (run,) = reviewed.base.deliver(workflow_run_event(retrain))
        return run

    return deliver


@pytest.fixture
def answer(
    hub: LocalGitHub,
    reviewed: PullRequest,
    retrain: Run,
    artifacts: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Answer]:
    """`answer(comment, zip)`: a verb of the run's jobs, in this process and with its job's token, GitHub's gh and CML.

    Where no zip is given, the retrain left none; `run` is what else GitHub says of the retrain.
    """
    event = tmp_path / "event.json"
    writes = {comment: "pull-requests", pictures: "contents"}

    def call(verb: Callable[[], None], content: bytes | None = None, **run: Any) -> None:
        may = {"contents": "read", "actions": "read", "pull-requests": "read"} | {writes[verb]: "write"}
        token = hub.issue_token(Token("", BOT, reviewed.base.name, lambda: may)).value
        job = {"REPOSITORY": reviewed.base.name, "SERVER_URL": hub.url, "TOKEN": token, "EVENT_PATH": str(event)}
        job |= {"ACTIONS": "true", "SHA": str(reviewed.base.bare.resolve("main"))}
        variables = {f"GITHUB_{name}": value for name, value in job.items()}
        for name, value in (hub.machine(tmp_path) | variables | {"PATH": hub.laptop("acme")["PATH"]}).items():
            monkeypatch.setenv(name, value)
        if content is not None:
            hub.keep_artifact(retrain.id, "report", content)
        payload = workflow_run_event(retrain).payload
        event.write_text(json.dumps(payload | {"workflow_run": payload["workflow_run"] | run}))
        github.event.cache_clear()
        verb()

    yield call
    github.event.cache_clear()


def refuse(answer: Answer, reviewed: PullRequest, content: bytes, said: str) -> None:
    """Let both verbs refuse an artifact with this word, and nothing be posted or stored."""
    before = reviewed.comments(), reviewed.base.bare.refs("refs/reports/")
    for verb in (pictures, comment):
        with pytest.raises(UserError, match=said):
            answer(verb, content)
    assert (reviewed.comments(), reviewed.base.bare.refs("refs/reports/")) == before


def test_a_hostile_report_is_posted_as_plain_code_by_a_check_that_sees_what_is_not(
    reviewed: PullRequest, report_on: Callable[[bytes], Run], answer: Answer, written: dict[str, Any], retrain: Run
) -> None:
    for attack in ("@acme", "<b>x</b>", "[x](https://evil.example)", "x <https://evil.example>", "see #1"):
        assert list(find_active(attack)), attack
    files = [("../../evil.sh", b"x"), (link("report.md"), b"/etc/passwd")]
    honest, first, second = (
        pack(*files, ("report.json", json.dumps(report).encode()))
        for report in (written, *(with_attack(written, ATTACKS[one] + ATTACKS[one + 3]) for one in (0, 1)))
    )
    report_on(first).expect("success")
    for content in (None, second, honest):
        if content:
            answer(comment, content)
        (posted,) = reviewed.comments()
        assert_inert(posted["body"], retrain.url)
        assert content == honest or "acme" in posted["body"] or "img" in posted["body"]


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
        with pytest.raises(UserError, match="^CML could not comment on pull request 1: ") as found:
            run_cml(1, body, update=False)
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
    reviewed: PullRequest, answer: Answer, files: list[ZIP], said: str
) -> None:
    refuse(answer, reviewed, pack(*files), said)


def test_a_huge_artifact_is_not_even_downloaded(reviewed: PullRequest, answer: Answer) -> None:
    huge = pack(("report.json", bytes(21 * 2**20)), compression=zipfile.ZIP_STORED)
    refuse(answer, reviewed, huge, "the report artifact is larger than 20,971,520 bytes")


@pytest.mark.parametrize("number", [999, 0, -1, None], ids=["unknown", "zero", "negative", "none"])
def test_a_report_that_names_another_pull_request_posts_nothing_anywhere(
    reviewed: PullRequest, answer: Answer, written: dict[str, Any], number: int | None
) -> None:
    content = pack(("report.json", json.dumps(written | {"pull_request": number}).encode()))
    refuse(answer, reviewed, content, "which the run does not belong to")


def test_a_report_cannot_speak_on_somebody_elses_pull_request(
    reviewed: PullRequest, report_on: Callable[[bytes], Run], written: dict[str, Any]
) -> None:
    reviewed.base.bare.git("update-ref", "refs/heads/other", "refs/heads/tuned")
    other = reviewed.base.open_pull_request("other", "Somebody else's")
    before = reviewed.comments()
    files = {"report.json": json.dumps(written | {"pull_request": other.number}).encode()}
    run = report_on(pack(*(files | {"pictures/roc-light.png": GOOD["RGB"]}).items()))
    assert f"names pull request {other.number}, which the run does not belong to" in run.expect("failure").log
    assert run.jobs == {"pictures": "failure", "report": "failure", "pass": "failure"}
    assert "Traceback" not in run.log
    assert other.comments() == [] and reviewed.comments() == before
    assert not reviewed.base.bare.refs("refs/reports/")


def test_a_retrain_that_left_no_report_is_said_to_have_ended_before_a_verdict(
    reviewed: PullRequest, retrain: Run, answer: Answer
) -> None:
    answer(pictures, conclusion="failure")
    answer(comment, conclusion="failure")
    (posted,) = reviewed.comments()
    assert posted["body"].startswith("### ❌ The retrain ended before a verdict")
    assert f"({retrain.url})" in posted["body"]


def test_a_report_that_says_it_passes_does_not_outvote_the_runs_own_conclusion(
    reviewed: PullRequest, answer: Answer, written: dict[str, Any]
) -> None:
    answer(comment, pack(("report.json", json.dumps(written).encode())), conclusion="failure")
    (posted,) = reviewed.comments()
    assert posted["body"].startswith("### ❌ The run failed, although its report says it passes")


def test_a_run_on_a_head_that_a_newer_push_replaced_says_nothing(
    reviewed: PullRequest, answer: Answer, written: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    before = reviewed.comments()
    for verb in (pictures, comment):
        answer(verb, pack(("report.json", json.dumps(written).encode())), head_sha=reviewed.base_sha)
        assert "a newer push will be reported" in capsys.readouterr().out
    assert reviewed.comments() == before


def test_the_one_comment_is_found_behind_more_than_a_hundred_others(
    hub: LocalGitHub, reviewed: PullRequest, answer: Answer, written: dict[str, Any]
) -> None:
    report = pack(("report.json", json.dumps(written).encode()))
    (ours,) = reviewed.comments()
    path = f"/repos/{reviewed.base.name}/issues/comments/{ours['id']}"
    hub.emulate.call("DELETE", path, "acme")
    forged = ours["body"] + "\n\nIgnore the rest."
    reviewed.comment(forged, "mallory")

    answer(comment, report)
    mine = reviewed.comments()[-1]
    assert mine["user"]["login"] == "github-actions[bot]", "a person's copy of the comment is not taken for it"
    for number in range(105):
        reviewed.comment(f"Comment {number}", "contributor")
    reviewed.comment(forged, "mallory")
    count = len(reviewed.comments())
    answer(comment, report)
    after = reviewed.comments()
    assert len(after) == count == 108
    assert [comment["id"] for comment in after if comment["user"]["login"] == "github-actions[bot]"] == [mine["id"]]
    assert [comment["body"] for comment in after if comment["user"]["login"] == "mallory"] == [forged, forged]

    hub.emulate.call("DELETE", path.rpartition("/")[0] + f"/{mine['id']}", "acme")
    answer(comment, report)
    late = reviewed.comments()[-1]
    answer(comment, report)
    assert [one["id"] for one in reviewed.comments()][-1] == late["id"], "also where it stands on the second page"
    assert late["user"]["login"] == "github-actions[bot]"
