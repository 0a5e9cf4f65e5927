"""A hosted runner: act, in a clean home, on one workflow of one commit."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .look import NAME as LOOK_NAME
from .permissions import BOT, Token
from .run import Run, find_descendants
from .tools import find_program
from .workflows import Workflow, find_stand_ins

if TYPE_CHECKING:
    from .events import Event
    from .repository import Repository

# Seconds: between two steps, without a process of its own, act is at work for a second at most.
STILL = 60.0
LOOK = Path(__file__).with_name("look.py")
LABELS = ("ubuntu-latest", "ubuntu-24.04", "ubuntu-22.04", "ubuntu-24.04-arm", "ubuntu-slim")


def run_workflow(repository: "Repository", workflow: Workflow, event: "Event") -> Run:
    """The finished run of a workflow on an event."""
    return _in_turn(repository.hub.begin_run(repository, workflow, event))


def run_again(run: Run, failed: bool) -> Run:
    """The finished next attempt of a run: of all its jobs, or of those that failed and those that need them."""
    return _in_turn(run.repository.hub.begin_attempt(run, run.jobs_to_keep() if failed else {}))


def _in_turn(run: Run, timeout: float = 900) -> Run:
    hub = run.repository.hub
    stand_ins = find_stand_ins(run.repository.bare, run.event.sha, run.workflow)
    turn = run.workflow.concurrency(make_context(run))
    if turn is None:
        _run(run, stand_ins, timeout)
    else:
        with hub.groups.enter(run.repository.name, turn, run):
            _run(run, stand_ins, timeout)
    return run


def make_context(run: Run) -> dict[str, object]:
    """The part of the github context that exists before a runner."""
    pull = run.event.payload.get("pull_request", {})
    return {
        "workflow": run.name,
        "event_name": run.event.name,
        "event": run.event.payload,
        "ref": run.event.ref,
        "ref_name": run.event.ref.split("/", 2)[2],
        "sha": run.event.sha,
        "head_ref": pull.get("head", {}).get("ref", ""),
        "base_ref": pull.get("base", {}).get("ref", ""),
        "actor": run.event.actor,
        "repository": run.repository.name,
        "run_id": run.id,
    }


def _run(run: Run, stand_ins: dict[str, Path], timeout: float) -> None:
    if run.cancelled:
        run.conclusion = "cancelled"
        return
    hub = run.repository.hub
    run.token = hub.issue_token(Token("", BOT, run.repository.name, run.current_permissions, run.note)).value
    begun = time.monotonic()
    try:
        while (code := _play(run, stand_ins, begun + timeout)) is None:
            run.forget()
    finally:
        run.kill()
        del hub.tokens[run.token]
        run.spent, run.runtime_token, run.token = run.token, "", ""
    run.finish(code, time.monotonic() - begun)
    _clear(run)


def _play(run: Run, stand_ins: dict[str, Path], deadline: float) -> int | None:
    """act's exit code; None where it stood still."""
    _clear(run)
    command = _make_command(run, stand_ins)
    with run.journal.open("wb") as journal, (run.directory / "act.stderr").open("wb") as errors:
        run.process = subprocess.Popen(
            command,
            cwd=run.directory / "source",
            env=_make_environment(run),
            stdin=subprocess.DEVNULL,
            stdout=journal,
            stderr=errors,
            start_new_session=True,
        )
        return _wait(run, deadline)


def _clear(run: Run) -> None:
    for name in ("act", "home", "source", "temp"):
        shutil.rmtree(run.directory / name, ignore_errors=True)


def _wait(run: Run, deadline: float) -> int | None:
    """act's exit code; the run is ended at its deadline, when cancelled, and after the step it must not outlive.

    None where act stood still: seldom, it waits for the terminal of a step that has ended, and would for ever.
    """
    assert run.process is not None
    length, written = -1, 0.0
    while (code := run.process.poll()) is None:
        last = run.repository.hub.last_step
        if run.cancelled or (last is not None and run.has_finished(last)):
            run.cancel()
        elif time.monotonic() > deadline:
            run.kill()
        elif run.journal.stat().st_size != length:
            length, written = run.journal.stat().st_size, time.monotonic()
        elif time.monotonic() > written + STILL:
            if not find_descendants(run.process.pid):
                run.kill()
                run.process.wait()
                return None
            written = time.monotonic()
        time.sleep(0.01)
    return code


def _make_command(run: Run, stand_ins: dict[str, Path]) -> list[str]:
    """act's command line, and the files that it names."""
    repository, directory, event = run.repository, run.directory, run.event
    source = directory / "source"
    _git("clone", "--quiet", "--shared", "--no-checkout", str(repository.bare.path), str(source))
    _git("-C", str(source), "checkout", "--quiet", "--detach", event.sha)
    _git("-C", str(source), "remote", "set-url", "origin", repository.url)
    # act gives no turns, and refuses a `queue` in `concurrency`. JSON is YAML.
    workflow = {key: value for key, value in run.workflow.content.items() if key != "concurrency"}
    jobs = run.workflow.jobs.items()
    workflow["jobs"] = {job: _kept(run, job) if job in run.kept else _play_job(run, content) for job, content in jobs}
    (source / run.path).write_text(json.dumps(workflow))
    (directory / "event.json").write_text(json.dumps(event.payload))
    secrets = {"GITHUB_TOKEN": run.token} | ({} if run.fork else repository.secrets)
    variables = {} if run.fork else repository.variables
    for name, values in {"secrets": secrets, "vars": variables}.items():
        (directory / name).write_text("".join(f"{key}={json.dumps(value)}\n" for key, value in values.items()))
    for name in ("home", "temp"):
        (directory / name).mkdir()
    command = [str(find_program("act")), event.name, "--json", "--no-skip-checkout", "--concurrent-jobs", "1"]
    command += ["--no-cache-server", "--no-recurse", "--github-instance", repository.hub.host]
    command += ["--workflows", str(source / run.path), "--eventpath", str(directory / "event.json")]
    command += ["--secret-file", str(directory / "secrets"), "--var-file", str(directory / "vars")]
    command += ["--env-file", os.devnull, "--input-file", os.devnull, "--actor", event.actor]
    command += ["--action-cache-path", str(directory / "act"), "--defaultbranch", "main"]
    numbers = {"ID": run.id, "NUMBER": run.number, "ATTEMPT": run.attempt}
    for name, number in numbers.items():
        command += ["--env", f"GITHUB_RUN_{name}={number}"]
    for name, value in event.payload.get("inputs", {}).items():
        command += ["--input", f"{name}={value}"]
    for label in LABELS:
        command += ["--platform", f"{label}=-self-hosted"]
    for action, path in stand_ins.items():
        command += ["--local-repository", f"{action}={path}"]
    return command


def _play_job(run: Run, job: dict[str, Any]) -> dict[str, Any]:
    """The job itself, where the repository says so with a look for its token after each step."""
    if not run.repository.looks:
        return job
    steps = []
    for step in job["steps"]:
        environment = {"LOOK_FOR": "${{ github.token }}", "AFTER": step.get("name", step.get("uses"))}
        look = {"name": LOOK_NAME, "if": "always()", "run": f'"$LOCAL_GITHUB_PYTHON" -I "{LOOK}"', "env": environment}
        steps += [step, look]
    return job | {"steps": steps}


def _kept(run: Run, job: str) -> dict[str, object]:
    """A job that does nothing and has the outputs that it had in an earlier attempt."""
    needed = sorted(run.workflow.needs()[job])
    return {"needs": needed, "runs-on": LABELS[0], "outputs": run.kept[job], "steps": [{"run": "true"}]}


def _make_environment(run: Run) -> dict[str, str]:
    hub, home = run.repository.hub, run.directory / "home"
    scopes = [run.event.ref] + (["refs/heads/main"] if run.event.ref != "refs/heads/main" else [])
    caches = [str(hub.root / "caches" / run.repository.name / scope) for scope in scopes]
    return hub.machine(home) | {
        "PATH": os.pathsep.join([str(hub.shell), str(hub.tools), hub.system_path]),
        "TMPDIR": str(run.directory / "temp"),
        "RUNNER_ENVIRONMENT": "github-hosted",
        # act gives steps a terminal, GitHub does not.
        "NO_COLOR": "1",
        "GIT_PAGER": "cat",
        "GIT_TERMINAL_PROMPT": "0",
        "ACT_DISABLE_VERSION_CHECK": "1",
        "ACTIONS_RUNTIME_TOKEN": run.runtime_token,
        "ACTIONS_RESULTS_URL": hub.address("/_runner"),
        "LOCAL_GITHUB_CACHES": os.pathsep.join(caches),
        "LOCAL_GITHUB_PYTHON": sys.executable,
        "LOCAL_GITHUB_UV": str(hub.uv_directory),
    }


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)
