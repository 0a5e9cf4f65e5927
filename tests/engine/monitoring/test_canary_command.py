"""`mlops canary report`: of this project's log, or of a server elsewhere."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest
from baked import Project, bare_project
from clones import give_version, lock_bundle
from mlops_actions import cli
from mlops_actions.core.errors import UserError
from mlops_actions.data.prediction_log.journal import write_records
from mlops_actions.monitoring.canary_report import CanaryReport, fetch_report, report_here
from mlops_actions.monitoring.canary_text import render
from traffic import make_log, write_log

PARAMS = """\
data: {path: rows.csv, target: churn, task: classification}
model: {estimator: logistic}
gate: {primary: accuracy}
"""
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with two versions and a log of both, whose second one is no canary yet."""
    project = bare_project(tmp_path_factory.mktemp("versions") / "shop", PARAMS)
    project.run("git", "init", "--quiet")
    lock_bundle(project.path, "a" * 32)
    project.commit("one")
    give_version(project.path, "v1.0.0")
    project.run("git", "tag", "--annotate", "model#prod#1", "--message", "one")
    project.run("git", "commit", "--quiet", "--allow-empty", "--message", "two")
    give_version(project.path, "v1.1.0")
    write_log(project.path / "predictions", *make_log("classification", swapped=True))
    return project


@pytest.fixture
def live(versions: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of it, where the test works."""
    live = versions.copy(tmp_path / "live")
    monkeypatch.chdir(live.path)
    return live


@pytest.fixture
def mlops(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`mlops("canary", "report")`: exit code, and what it prints to standard error and output."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["mlops", *words])
        status = cli.main()
        printed = capsys.readouterr()
        return status, printed.err, printed.out

    return run


def assign(live: Project, *roles: str) -> None:
    """Give the second version these roles, such as `canary 01T12:00:00`."""
    for number, (role, time) in enumerate(map(str.split, roles), start=9):
        tag = f"model#{role}#{number}"
        live.run("git", "tag", "--annotate", tag, "--message", "try it", GIT_COMMITTER_DATE=f"2026-11-{time}Z")


def test_without_a_canary_the_command_says_so(live: Project, mlops: Command) -> None:
    status, errors, text = mlops("canary", "report")
    assert (status, text) == (1, "") and errors.startswith("mlops canary: no version is ")
    assert errors.endswith("canary or shadow; `mlops canary start` makes one the canary.\n")


def test_the_command_reports_what_the_log_holds_of_the_canary(live: Project, mlops: Command) -> None:
    assign(live, "canary 01T12:00:00")
    status, errors, text = mlops("canary", "report")
    assert (status, errors) == (0, "") and text.startswith("Promote v1.1.0: the gain in ")
    status, errors, text = mlops("canary", "report", "--json")
    found = json.loads(text)
    assert (status, errors, found["advice"], found["canary"]) == (0, "", "promote", "v1.1.0")
    assert [one["role"] for one in found["traffic"]] == ["champion", "canary"]


def test_the_report_names_what_of_the_log_cannot_be_read(live: Project, mlops: Command) -> None:
    assign(live, "canary 01T12:00:00")
    (live.path / "predictions/log-3.parquet").write_bytes(b"garbage")
    write_records(live.path / "predictions/aside-1.log", [b"garbage", b"more"])
    status, errors, text = mlops("canary", "report")
    assert (status, errors) == (0, "") and text.startswith("Promote v1.1.0: the gain in ")
    set_aside, garbage = text.splitlines()[-2:]
    assert set_aside == "Not read: 2 records that could not be read: set aside in aside-1.log."
    assert garbage.startswith("Not read: log-3.parquet is passed over: ")
    found = json.loads(mlops("canary", "report", "--json")[2])
    assert [f"Not read: {sentence}." for sentence in found["unread"]] == [set_aside, garbage]


def test_a_new_assignment_of_the_same_version_begins_anew(live: Project) -> None:
    assign(live, "canary 01T12:00:00", "canary 02T00:30:00")
    assert report_here().since.startswith("2026-11-02T00:30:")


def test_an_assignment_after_the_log_has_no_request_yet(live: Project) -> None:
    assign(live, "canary 03T00:00:00")
    assert render(report_here()).startswith("Keep watching v1.1.0: 0 of the 50 requests")


def test_the_report_knows_what_the_server_cut_off(live: Project) -> None:
    assign(live, "canary 01T12:00:00")
    off = live.path / ".mlops/serving/cut-off.json"
    off.parent.mkdir(parents=True)
    off.write_text('{"model#canary#1": "an earlier one"}')
    assert report_here().advice == "promote"
    off.write_text('{"model#canary#1": "an earlier one", "model#canary#9": "9 of 60 requests failed"}')
    assert render(report_here()).startswith("Stop v1.1.0: the server cut it off: 9 of 60 requests failed.")


@pytest.mark.parametrize("broken", ["", "[1", "3"])
def test_a_broken_record_of_what_was_cut_off_is_named(live: Project, broken: str) -> None:
    assign(live, "canary 01T12:00:00")
    off = live.path / ".mlops/serving/cut-off.json"
    off.parent.mkdir(parents=True)
    off.write_text(broken)
    with pytest.raises(
        UserError, match=r"^\.mlops/serving/cut-off\.json: not a JSON object of reasons \(.*; remove it"
    ):
        report_here()


def test_a_version_that_is_canary_and_shadow_is_judged_by_the_shadows_rows(live: Project) -> None:
    assign(live, "canary 01T12:00:00", "shadow 01T13:00:00")
    found = report_here()
    assert "\nCanary v1.1.0 against champion v1.0.0, " in render(found) and found.traffic[1].truths > 1000
    assert str(found.metrics[0].why).startswith("0 of the 100 truths"), "no shadow has answered"


def test_without_a_canary_the_shadow_is_reported(live: Project) -> None:
    assign(live, "shadow 01T13:00:00")
    assert "\nShadow v1.1.0 against champion v1.0.0, " in render(report_here())


def test_a_project_that_keeps_no_log_says_so(live: Project) -> None:
    live.write("params.yaml", PARAMS + "serving: {log: {path: null}}\n")
    sentence = r"^params\.yaml: serving\.log\.path is null, so no prediction is kept; name a folder, or use --url\.$"
    with pytest.raises(UserError, match=sentence):
        report_here()


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    """The address of a server that answers this to GET /canary."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/canary" else 418)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Be silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def made(live: Project) -> CanaryReport:
    assign(live, "canary 01T12:00:00")
    return report_here()


def test_another_machines_report_is_printed_the_same(made: CanaryReport, mlops: Command) -> None:
    with answering(200, made.to_json()) as url:
        assert mlops("canary", "report", "--url", url) == (0, "", render(made))
        status, _, text = mlops("canary", "report", "--url", f"{url}/", "--json")
    assert status == 0 and json.loads(text) == {"canary": "v1.1.0", **json.loads(json.dumps(asdict(made)))}


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (404, "there is no canary", "/canary does not answer with a report: 404: there is no canary"),
        (503, "", "/canary does not answer with a report: 503: Service Unavailable"),
        (200, "<html>", "/canary answers with something that is no canary report"),
        (200, '{"advice": "promote"}', " answered with no report that this version reads; update one of the two."),
        (200, "[]", " answered with no report that this version reads; update one of the two."),
        (200, " " * 1_000_001, "/canary answers with more than 1,000,000 bytes: that is no canary report."),
    ],
    ids=["404", "503", "page", "part", "list", "large"],
)
def test_a_server_that_has_no_report_is_quoted(status: int, body: str, sentence: str) -> None:
    with answering(status, body) as url, pytest.raises(UserError) as refused:
        fetch_report(url)
    assert str(refused.value).startswith(url + sentence)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://127.0.0.1:9", "does not answer: "),
        ("not a url", "is no address of a server"),
        ("ftp://127.0.0.1:9", "is no address of a server"),
    ],
)
def test_no_server_is_one_sentence(live: Project, mlops: Command, url: str, sentence: str) -> None:
    status, errors, _ = mlops("canary", "report", "--url", url)
    assert status == 1 and errors.count("\n") == 1 and sentence in errors
