"""Versions move by the workflows deploy and canary: by hand, after a publish, and as a server's report advises."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from clones import give_version
from desk import Desk, bump_checkout, find_run, hand_over
from local_github import LocalGitHub, Repository, Run, read_yaml
from local_github.events import workflow_run_event

Clone = Callable[..., Desk]
EVIL = """it's "better"; touch evil $(touch evil) `touch evil` ${{ github.token }} \\"""


@pytest.fixture
def deployed(published: Repository, clone: Clone) -> Repository:
    """A repository with v1.0.0 and v1.1.0, in which deploy runs and no version was promoted.

    Since its versions an action was bumped, so no workflow could tag them but for their branch.
    """
    published.disabled, published.looks = {"checks", "retrain"}, True
    desk = clone(published)
    desk.run("git", "commit", "--quiet", "--no-verify", "--allow-empty", "--message", "The next version")
    give_version(desk.path, "v1.1.0")
    desk.run("git", "push", "--quiet", "--no-verify", "origin", "model@v1.1.0")
    bump_checkout(desk)
    desk.push_quietly()
    desk.run("git", "push", "--quiet", "origin", "--delete", "tuned")
    return published


def dispatch(repository: Repository, action: str, **inputs: str) -> Run:
    """The run that somebody starts by hand."""
    given = {"action": action, "version": "", "share": "10", "reason": f"to {action}"} | inputs
    (run,) = repository.dispatch("deploy", given)
    return run


def role_tags(repository: Repository) -> dict[str, tuple[str, str]]:
    """Each role's tags in their order: the version that it is on, and its message."""
    named = {repository.bare.resolve(tag): tag.removeprefix("model@") for tag in repository.tags() if "@" in tag}
    found = [tag for tag in repository.tags() if "#" in tag]
    return {
        tag: (
            named[repository.bare.resolve(tag)],
            repository.bare.git("for-each-ref", "--format=%(contents)", f"refs/tags/{tag}"),
        )
        for tag in sorted(found, key=lambda tag: int(tag.rpartition("#")[2]))
    }


def roles(desk: Desk) -> dict[str, str]:
    """Which version has which role, as a clone sees it."""
    shown = json.loads(desk.run("mlops", "roles", "--json"))
    return {role: one["version"] for role, one in shown.items()}


def test_a_version_goes_to_production_and_back_by_dispatch(deployed: Repository, clone: Clone) -> None:
    desk = clone(deployed)
    dispatch(deployed, "promote", version="v1.0.0").expect("success")
    wrong = dispatch(deployed, "canary", version="--share=100").expect("failure")
    assert "--share=100 is no version. There are v1.1.0, v1.0.0." in wrong.log and "Traceback" not in wrong.log
    dispatch(deployed, "canary", share="25", reason="Try it").expect("success")
    assert roles(desk) == {"prod": "v1.0.0", "canary": "v1.1.0"}
    run = dispatch(deployed, "promote", reason=EVIL).expect("success")
    assert (run.unused(), run.left) == ({}, [])
    assert [step.name for step in run.steps if step.outcome == "success"][-1] == "Promote"
    assert roles(desk) == {"prod": "v1.1.0"}
    dispatch(deployed, "rollback", reason="Too many errors").expect("success")
    assert roles(desk) == {"prod": "v1.0.0"}
    dispatch(deployed, "canary", version="v1.1.0", share="100").expect("success")
    dispatch(deployed, "stop", reason="Still wrong").expect("success")
    assert roles(desk) == {"prod": "v1.0.0"}
    assert role_tags(deployed) == {
        "model#prod#1": ("v1.0.0", "to promote"),
        "model#canary#2": ("v1.1.0", "Try it\n\nShare: 25"),
        "model#prod#3": ("v1.1.0", EVIL),
        "model#canary!#4": ("v1.1.0", EVIL),
        "model#prod#5": ("v1.0.0", "Too many errors\n\nRolled back: v1.1.0"),
        "model#canary#6": ("v1.1.0", "to canary\n\nShare: 100"),
        "model#canary!#7": ("v1.1.0", "Still wrong"),
    }
    tagger = deployed.bare.git("for-each-ref", "--format=%(taggername)", "refs/tags/model#prod#1")
    assert tagger == run.event.actor == "acme", "who started it"


def test_every_new_version_begins_as_canary_where_a_variable_says_so(
    hub: LocalGitHub, published: Repository, clone: Clone
) -> None:
    published.disabled = {"checks", "retrain"}
    published.variables["AUTO_CANARY"] = "20"
    desk = clone(published)
    desk.run("git", "switch", "--quiet", "--detach", "origin/tuned")
    with hub.killing_runs(after_step="Take what was trained"):
        killed, deploy = published.rerun(hand_over(desk), failed=True)
    assert (killed.name, killed.conclusion) == ("publish", "cancelled")
    assert (deploy.name, deploy.conclusion) == ("deploy", "skipped"), "nothing was published"

    runs = published.rerun(killed, failed=True)
    publish = find_run(runs, "publish").expect("success")
    told = find_run(runs, "deploy").expect("success").log
    assert "No version was promoted yet, so v1.1.0, the newest, is champion, and no canary is started." in told
    assert role_tags(published) == {}

    desk.run("mlops", "promote", "v1.0.0", "--reason", "Proved")
    fake = workflow_run_event(publish)
    fake.payload["workflow_run"]["event"] = "pull_request"
    assert [run.conclusion for run in published.deliver(fake)] == ["skipped"], "somebody's own workflow named publish"
    (deploy,) = published.deliver(workflow_run_event(publish))
    deploy.expect("success")
    assert roles(desk) == {"prod": "v1.0.0", "canary": "v1.1.0"}
    assert role_tags(published)["model#canary#2"] == ("v1.1.0", "A new version\n\nShare: 20")
    tagger = published.bare.git("for-each-ref", "--format=%(taggername)", "refs/tags/model#canary#2")
    assert tagger == "github-actions[bot]"


@contextmanager
def serving(**report: str) -> Iterator[tuple[str, list[str]]]:
    """The address of a server that answers GET /canary with a report, and what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps(report | {"rows": 1000}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_canary_is_watched_or_promoted_as_its_report_advises(deployed: Repository, clone: Clone) -> None:
    workflow = read_yaml(deployed.bare.read("main", ".github/workflows/canary.yml"))
    (schedule,) = (entry["cron"] for entry in workflow["on"]["schedule"])

    def tick(**report: str) -> Run:
        with serving(champion="v1.0.0", canary="v1.1.0", **report) as (url, asked):
            deployed.variables["SERVING_URL"] = url
            (run,) = deployed.tick(schedule)
        run.expect("success")
        assert asked == ["/canary"] * {"watch": 1, "promote": 2}[report["advice"]]
        return run

    desk = clone(deployed)
    assert deployed.tick(schedule)[0].conclusion == "skipped", "no server is named"
    desk.run("mlops", "promote", "v1.0.0", "--reason", "Proved")
    desk.run("mlops", "canary", "start", "--reason", "Try it")

    run = tick(advice="watch", reason="Too few rows.")
    assert "v1.1.0 is watched further: Too few rows." in run.log
    assert run.jobs == {"watch": "success", "canary": "skipped"}, "nobody has to approve that nothing happens"
    assert roles(desk) == {"prod": "v1.0.0", "canary": "v1.1.0"}

    run = tick(advice="promote", reason="Better by 2 %.")
    assert (run.unused(), run.left) == ({}, [])
    assert run.jobs == {"watch": "success", "canary": "success"}
    assert roles(desk) == {"prod": "v1.1.0"}
    assert role_tags(deployed)["model#prod#3"] == ("v1.1.0", "Better by 2 %.")
