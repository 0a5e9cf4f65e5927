"""One run of a workflow: what it was started on and what became of it."""

import contextlib
import json
import os
import re
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .api.actions import Artifact
from .events import Event, now
from .look import NAME as LOOK_NAME
from .look import forms_of
from .permissions import LEVELS, read_only
from .workflows import Workflow

if TYPE_CHECKING:
    from .repository import Repository

STEP_OUTPUT = re.compile(r"\$\{\{ *steps\.([\w-]+)\.outputs\.([\w-]+) *\}\}")
WORST = ("failure", "cancelled", "success", "skipped")


@dataclass(frozen=True)
class Step:
    """A step that ran: its job, its name as in the log, and what became of it."""

    job: str
    name: str
    outcome: str
    seconds: float


@dataclass(eq=False)
class Run:
    """A run; `conclusion` is None until it is over, then GitHub's word for how it ended.

    `spent` is the token that it had, and `kept` has the outputs of those jobs that this attempt does not run again.
    """

    repository: "Repository"
    id: int
    number: int
    workflow: Workflow
    event: Event
    directory: Path
    runtime_token: str
    token: str = field(default="", repr=False)
    spent: str = field(default="", repr=False)
    attempt: int = 1
    conclusion: str = ""
    seconds: float = 0.0
    log: str = ""
    summary: str = ""
    jobs: dict[str, str] = field(default_factory=dict)
    kept: dict[str, dict[str, str]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    used: dict[str, dict[str, str]] = field(default_factory=dict)
    cancelled: bool = False
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)
    started: str = field(default_factory=now)
    _job: str | None = None
    _told: dict[tuple[str, str, str], str] = field(default_factory=dict)
    _read: int = 0

    @property
    def name(self) -> str:
        """The workflow's name."""
        return self.workflow.name

    @property
    def path(self) -> str:
        """The workflow's file."""
        return self.workflow.path

    @property
    def head_sha(self) -> str:
        """The commit it judges: a pull request's head, not its merge."""
        return self.event.head_sha

    @property
    def head_branch(self) -> str:
        """The branch of that commit."""
        return self.event.head_branch

    @property
    def url(self) -> str:
        """Its page."""
        return f"{self.repository.hub.url}/{self.repository.name}/actions/runs/{self.id}"

    @property
    def fork(self) -> bool:
        """Whether it runs what a fork proposes, and so has no secrets, no variables and a token that only reads."""
        return self.event.name == "pull_request" and self.event.head is not self.repository

    def jobs_to_keep(self) -> dict[str, dict[str, str]]:
        """The outputs of the jobs that are not run again when those are that failed: nor is what needed these."""
        again = {job for job in self.workflow.jobs if self.jobs.get(job) != "success"}
        if self.conclusion == "success":
            raise ValueError(f"{self!r}: GitHub runs no failed jobs again, as none failed.")
        while more := {job for job, needed in self.workflow.needs().items() if needed & again} - again:
            again |= more
        return {job: self.outputs(job) for job in self.workflow.jobs if job not in again}

    def outputs(self, job: str) -> dict[str, str]:
        """What a job told those that need it."""
        if job in self.kept:
            return self.kept[job]
        told = {}
        for name, text in self.workflow.jobs[job].get("outputs", {}).items():
            found = STEP_OUTPUT.fullmatch(text)
            if found is None:
                raise ValueError(f"this local GitHub cannot evaluate {text} of {job}")
            told[name] = self._told.get((job, found[1], found[2]), "")
        return told

    @property
    def left(self) -> list[str]:
        """Where its token was: in which file after which step, if it looked, and in which line of its log.

        act masks a secret in the log as it is, and knows nothing of base64.
        """
        forms = ["left on disk after ", "***", *(form.decode() for form in forms_of(self.spent))]
        return [line for line in self.log.splitlines() if any(form in line for form in forms)]

    @property
    def artifacts(self) -> dict[str, Artifact]:
        """What it uploaded, by name."""
        return {one.name: one for one in self.repository.hub.artifacts.values() if one.run == self.id}

    def outcome(self, step: str) -> str:
        """What became of a step: success, failure or skipped."""
        found = [one.outcome for one in self.steps if one.name == step]
        if not found:
            raise LookupError(f"{self.name} has no step {step!r}, only {[one.name for one in self.steps]}")
        return found[-1]

    def expect(self, conclusion: str) -> "Run":
        """The run itself, or an error with its log where it ended otherwise."""
        if self.conclusion != conclusion:
            raise AssertionError(f"{self!r}, not {conclusion}:\n{self.log}")
        return self

    def cancel(self) -> None:
        """End it now."""
        self.cancelled = True
        self.kill()

    def kill(self) -> None:
        """End its process and all that this started, parents first: none sees its child die."""
        if self.process is not None and self.process.poll() is None:
            for pid in [self.process.pid, *find_descendants(self.process.pid)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def note(self, scope: str, access: str) -> None:
        """Keep what the job that is under way used its token for."""
        if self._job is not None:
            used = self.used.setdefault(self._job, {})
            used[scope] = max(access, used.get(scope, "read"), key=LEVELS.__getitem__)

    def unused(self) -> dict[str, dict[str, str]]:
        """What the jobs that succeeded were permitted and needed for nothing, by job."""
        spare = {
            job: {
                scope: access
                for scope, access in self._granted(job).items()
                if self.used.get(job, {}).get(scope) != access
            }
            for job, outcome in self.jobs.items()
            if outcome == "success" and job not in self.kept
        }
        return {job: scopes for job, scopes in spare.items() if scopes}

    def has_finished(self, step: str) -> bool:
        """Whether a step of that name is over."""
        text = self.journal.read_text()
        entries = [json.loads(line) for line in text.splitlines(True) if line[0] == "{" and line[-1] == "\n"]
        return any(
            entry.get("step") == step and entry.get("stage") == "Main" and "stepResult" in entry for entry in entries
        )

    def current_permissions(self) -> dict[str, str]:
        """What its token may do now.

        act has one token a run where GitHub has one a job, so the token may do what the job may whose line is
        the last in act's log; act writes a job's first line before its first step, and runs one job at a time.
        """
        with self.journal.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                self._job = json.loads(line).get("jobID", self._job) if line.startswith(b"{") else self._job
        return {} if self._job is None else self._granted(self._job)

    def _granted(self, job: str) -> dict[str, str]:
        permissions = self.workflow.permissions(job)
        return read_only(permissions) if self.fork else permissions

    @property
    def journal(self) -> Path:
        """act's log, a JSON object a line."""
        return self.directory / "act.jsonl"

    def forget(self) -> None:
        """Read its log from the start: it begins again."""
        self._read, self._job = 0, None

    def finish(self, code: int, seconds: float) -> None:
        """Read from act's log what became of it."""
        self.seconds = seconds
        lines = []
        for line in self.journal.read_text().splitlines():
            if line.startswith("{") and line.endswith("}"):
                self._note(json.loads(line), lines)
            else:
                lines.append(line + "\n")
        self.log = "".join(lines) + self.directory.joinpath("act.stderr").read_text()
        for job in self.workflow.jobs:
            self.jobs.setdefault(job, "skipped")
        self.conclusion = "cancelled" if self.cancelled else "failure" if code else "success"
        if not code and set(self.jobs.values()) == {"skipped"}:
            self.conclusion = "skipped"

    def _note(self, entry: dict[str, Any], lines: list[str]) -> None:
        job, message = entry.get("jobID", ""), entry["msg"].rstrip("\n")
        lines.append(f"{message}\n" if entry.get("raw_output") else f"[{job}] {message}\n")
        if entry.get("command") == "summary":
            self.summary += entry["content"]
        if "jobResult" in entry:
            self.jobs[job] = min(entry["jobResult"], self.jobs.get(job, "skipped"), key=WORST.index)
        outer = len(entry.get("stepID", [])) == 1 and entry.get("stage") == "Main" and entry["step"] != LOOK_NAME
        if entry.get("command") == "set-output" and outer:
            self._told[job, entry["stepID"][0], entry["name"]] = entry["arg"]
        if "stepResult" in entry and outer and job not in self.kept:
            seconds = entry.get("executionTime", 0) / 1e9
            self.steps.append(Step(job, entry["step"], entry["stepResult"], seconds))

    def describe(self) -> dict[str, Any]:
        """The run as GitHub shows it; it names the pull requests of the same repository only."""
        event, head = self.event, self.event.head
        pull = event.payload.get("pull_request")
        return {
            "id": self.id,
            "name": self.name,
            "path": self.path,
            "run_number": self.number,
            "run_attempt": self.attempt,
            "event": event.name,
            "status": "completed" if self.conclusion else "in_progress",
            "conclusion": self.conclusion or None,
            "head_sha": self.head_sha,
            "head_branch": self.head_branch,
            "head_commit": {"id": self.head_sha},
            "head_repository": head.describe(),
            "repository": self.repository.describe(),
            "html_url": self.url,
            "url": self.repository.hub.address(f"/api/v3/repos/{self.repository.name}/actions/runs/{self.id}"),
            "created_at": self.started,
            "actor": self.repository.hub.users[event.actor],
            "pull_requests": [pull_reference(pull)] if pull and head is self.repository else [],
        }

    def __repr__(self) -> str:
        return f"<{self.name} run {self.id} on {self.event.name}: {self.conclusion or 'under way'}>"


def find_descendants(process: int) -> list[int]:
    """Every living process that a process started, or that such a one did; steps have sessions of their own."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent, *_ = status.read_text().rpartition(")")[2].split()
            if state != "Z":
                children.setdefault(int(parent), []).append(int(status.parent.name))
    found = [process]
    for one in found:
        found += children.get(one, [])
    return found[1:]


def pull_reference(pull: dict[str, Any]) -> dict[str, Any]:
    """A pull request as short as a run names it."""
    sides = {side: {"ref": pull[side]["ref"], "sha": pull[side]["sha"]} for side in ("head", "base")}
    return {"id": pull["id"], "number": pull["number"], "url": pull["url"], **sides}
