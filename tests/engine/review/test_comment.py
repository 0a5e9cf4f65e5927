"""The comment: what it says, and why GitHub refused it, on one line that gives the runner no command."""

import json
from pathlib import Path
from typing import Any

import pytest
from hostile import honest_report, pack
from mlops_actions.core import github
from mlops_actions.core.errors import UserError
from mlops_actions.review import comment
from mlops_actions.review.report import read_report


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    """What an honest retrain of the first pull request reports."""
    return honest_report()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("cml comment create <file>\n\nOptions:\n  --repo\n\nUnknown argument: bogus\n", "Unknown argument: bogus"),
        ('{"level":"warn","message":"x"}\n{"level":"error","message":"token not found"}\n', "token not found"),
        ('{"message":"a\\n::add-mask::b\\u001b[1m ##[add-mask]c"}', "a ::add-mask::b [1m #[add-mask]c"),
        ('{"message":1,"response":null}', '{"message":1,"response":null}'),
        ('{"message":"Not Found","request":{"body":"\\"message\\":\\"evil\\",\\"status\\":200,\\"url\\":', "Not Found"),
        ('{"input":"\\"message\\":\\"evil\\"","message":"Invalid URL"}', "Invalid URL"),
        ('{"message":"Gone","response":{"data":{},"status":410,"url":"x"},"status":410}', "HTTP 410, Gone"),
        ("[]", "[]"),
        ("x" * 70_000, "x" * 300),
        ("", ""),
    ],
)  # fmt: skip
def test_whatever_cml_says_is_one_line_that_gives_the_runner_no_command(said: str, reason: str) -> None:
    assert comment.read_reason(said) == reason


RUN = {"id": 7, "conclusion": "success", "html_url": "https://github.example/run", "head_sha": "a" * 40}
MARK = '![](https://cml.dev/watermark.png#0123abc "CML watermark model report")'


def written_by(kind: str, number: int, body: str) -> dict[str, Any]:
    return {"id": number, "user": {"type": kind}, "body": body}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What is sent: through CML, or to the comment of an id."""
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(comment, "run_cml", lambda number, body, update: sent.append(("cml", number, update)))
    monkeypatch.setattr(github, "send", lambda method, path, body: sent.append((method, path, body)))
    return sent


@pytest.mark.parametrize(
    ("comments", "expected"),
    [
        ([], ("cml", 1, False)),
        ([written_by("User", 1, "hello"), written_by("Bot", 2, f"old {MARK}")], ("cml", 1, True)),
        ([written_by("User", 1, f"forged {MARK}")], ("cml", 1, False)),
        (
            [written_by("Bot", 1, f"old {MARK}"), written_by("User", 2, f"forged {MARK}")],
            ("PATCH", "issues/comments/1", f"text\n\n{MARK}"),
        ),
        (
            [*(written_by("User", number, "") for number in range(30)), written_by("Bot", 99, f"old {MARK}")],
            ("PATCH", "issues/comments/99", f"text\n\n{MARK}"),
        ),
    ],
    ids=["none", "ours", "a person's", "a person's after ours", "on the second page"],
)
def test_the_one_comment_is_made_or_brought_up_to_date(
    sent: list[Any], monkeypatch: pytest.MonkeyPatch, comments: list[Any], expected: tuple[Any, ...]
) -> None:
    monkeypatch.setattr(github, "api", lambda path, *_: comments)
    comment.post(1, "text")
    assert sent == [expected]


@pytest.mark.parametrize("fails", [False, True])
def test_cml_is_asked_to_comment_and_to_upload_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fails: bool
) -> None:
    for name, value in {"SERVER_URL": "https://github.example", "REPOSITORY": "acme/shop", "TOKEN": "ghs_x"}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(UserError, match="`cml` is not on PATH"):
        comment.run_cml(1, "text", update=False)
    cml = tmp_path / "cml"
    said = '{"message":"Gone","response":{"status":410,"url":"x"}}'
    cml.write_text(f"#!/bin/sh\necho \"$REPO_TOKEN $@\" > {tmp_path}/asked\necho '{said}' >&2\nexit {int(fails)}\n")
    cml.chmod(0o755)
    if fails:
        with pytest.raises(UserError, match=r"^CML could not comment on pull request 1: HTTP 410, Gone$"):
            comment.run_cml(1, "text", update=True)
    else:
        comment.run_cml(1, "text", update=True)
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith(
        "ghs_x comment create --driver=github --repo=https://github.example/acme/shop --target=pr/1"
    )
    assert "--publish=false" in asked and "--update=true" in asked


def serve_github(monkeypatch: pytest.MonkeyPatch, packed: bytes | None, size: int = 10) -> None:
    """Answer as GitHub does of run 7, whose head is that of pull request 1, and of the artifact that it left."""
    artifacts = [{"name": "report", "id": 3, "size_in_bytes": size}] if packed is not None else []
    pulls = [{"number": 1, "head": {"sha": "a" * 40}}, {"number": 2, "head": {"sha": "b" * 40}}]
    answers = {
        "actions/runs/7/artifacts": {"artifacts": artifacts},
        "pulls": pulls,
        "pulls/1/files?per_page=100": [{"filename": "vendor/new.whl", "previous_filename": "README.md"}],
        "issues/1/comments?per_page=100": [],
    }
    head = {"owner": {"login": "acme"}}
    monkeypatch.setattr(
        github, "event", lambda: {"workflow_run": RUN | {"head_repository": head, "head_branch": "tuned"}}
    )
    monkeypatch.setattr(github, "api", lambda path, *_: answers[path])
    monkeypatch.setattr(github, "gh", lambda *_: packed)
    monkeypatch.setattr(github, "repository", lambda: "acme/shop")


def test_a_retrains_report_becomes_the_comment_of_its_pull_request(
    sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    report = honest_report() | {"engine": None}
    serve_github(monkeypatch, pack(("report.json", json.dumps(report).encode())))
    bodies: list[str] = []
    monkeypatch.setattr(comment, "run_cml", lambda number, body, update: bodies.append(body))
    comment.comment()
    (body,) = bodies
    assert "⚠️ **This changes the engine, and its report does not say how:** `vendor/new.whl`" in body


def test_a_retrain_without_a_report_ended_before_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    serve_github(monkeypatch, None)
    bodies: list[str] = []
    monkeypatch.setattr(comment, "run_cml", lambda number, body, update: bodies.append(body))
    comment.comment()
    assert bodies[0].startswith("### ❌ The retrain ended before a verdict")


def test_a_report_that_passes_does_not_outvote_the_run() -> None:
    report = read_report(json.dumps(honest_report()).encode())
    body = comment.write_body(report, RUN | {"conclusion": "failure"})
    assert body.startswith("### ❌ The run failed, although its report says it passes")


@pytest.mark.parametrize(
    ("number", "size", "sentence"),
    [
        (2, 10, "the report names pull request 2, which the run does not belong to: not using it"),
        (1, 21 * 2**20, "the report artifact is larger than 20,971,520 bytes: not reading it"),
    ],
)
def test_what_is_not_the_runs_own_report_is_refused(
    monkeypatch: pytest.MonkeyPatch, number: int, size: int, sentence: str
) -> None:
    packed = pack(("report.json", json.dumps(honest_report() | {"pull_request": number}).encode()))
    serve_github(monkeypatch, packed, size)
    with pytest.raises(UserError) as refused:
        comment.comment()
    assert str(refused.value) == sentence


def test_a_job_that_follows_no_retrain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github, "event", lambda: {})
    with pytest.raises(UserError, match="there is no workflow_run in this event"):
        comment.comment()


@pytest.mark.parametrize("head", [None, {"owner": {"login": "acme"}}], ids=["the fork is gone", "a newer push"])
def test_a_run_whose_head_is_no_pull_requests_any_more_says_nothing(
    sent: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], head: Any
) -> None:
    serve_github(monkeypatch, None)
    run = RUN | {"head_repository": head, "head_branch": "tuned", "head_sha": "c" * 40}
    monkeypatch.setattr(github, "event", lambda: {"workflow_run": run})
    comment.comment()
    assert sent == [] and capsys.readouterr().out.startswith("No open pull request has cccccccccc as its head")
