"""Runs and their artifacts, and the attestations that runs make."""

import hashlib
import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..front import Request, Response
from ..permissions import allows
from ..sigstore import Job
from .router import paginate, route
from .storage import send_on

if TYPE_CHECKING:
    from ..github import LocalGitHub
    from ..repository import Repository


@dataclass(frozen=True)
class Artifact:
    """What a run uploaded, as one zip file."""

    number: int
    name: str
    run: int
    file: Path
    attempt: int

    def read(self) -> dict[str, bytes]:
        """Its files by their paths."""
        with zipfile.ZipFile(self.file) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    def describe(self, hub: "LocalGitHub", repository: "Repository") -> dict[str, Any]:
        """The artifact as GitHub shows it."""
        address = hub.address(f"/api/v3/repos/{repository.name}/actions/artifacts/{self.number}")
        run = hub.runs[self.run]
        return {
            "id": self.number,
            "name": self.name,
            "size_in_bytes": self.file.stat().st_size,
            "url": address,
            "archive_download_url": f"{address}/zip",
            "expired": False,
            "digest": "sha256:" + hashlib.sha256(self.file.read_bytes()).hexdigest(),
            "workflow_run": {"id": run.id, "head_branch": run.head_branch, "head_sha": run.head_sha},
        }


@route("GET", "/actions/runs", "actions", "read")
def list_runs(hub: "LocalGitHub", repository: "Repository", request: Request) -> Response:
    """The repository's runs, newest first."""
    runs = [run.describe() for run in hub.runs.values() if run.repository is repository]
    for key, field in {"head_sha": "head_sha", "event": "event", "branch": "head_branch", "status": "status"}.items():
        if key in request.query:
            runs = [run for run in runs if request.query[key] in (run[field], run["conclusion"])]
    return paginate(hub, request, runs[::-1], "workflow_runs")


@route("GET", "/actions/runs/{run}", "actions", "read")
def get_run(hub: "LocalGitHub", repository: "Repository", request: Request, run: str) -> Response:
    """One run."""
    found = hub.runs.get(int(run)) if run.isdigit() else None
    if found is None or found.repository is not repository:
        return Response.error(404, "Not Found")
    return Response.of(found.describe())


def _list(hub: "LocalGitHub", repository: "Repository", request: Request, run: int | None = None) -> Response:
    found = [one for one in hub.artifacts.values() if hub.runs[one.run].repository is repository]
    found = [one for one in found if run in (None, one.run)]
    name = request.query.get("name")
    shown = [one.describe(hub, repository) for one in reversed(found) if name in (None, one.name)]
    return paginate(hub, request, shown, "artifacts")


@route("GET", "/actions/artifacts", "actions", "read")
def list_artifacts(hub: "LocalGitHub", repository: "Repository", request: Request) -> Response:
    """The repository's artifacts, newest first."""
    return _list(hub, repository, request)


@route("GET", "/actions/runs/{run}/artifacts", "actions", "read")
def list_artifacts_of_run(hub: "LocalGitHub", repository: "Repository", request: Request, run: str) -> Response:
    """A run's artifacts, newest first."""
    return _list(hub, repository, request, int(run))


@route("GET", "/actions/artifacts/{number}/zip", "actions", "read")
def download_artifact(hub: "LocalGitHub", repository: "Repository", request: Request, number: str) -> Response:
    """The way to an artifact's zip file."""
    found = hub.artifacts.get(int(number))
    if found is None or hub.runs[found.run].repository is not repository:
        return Response.error(404, "Not Found")
    return send_on(hub, "artifacts", found.file, "application/zip")


@route("POST", "/attestations", "attestations", "write")
def attest(hub: "LocalGitHub", repository: "Repository", request: Request) -> Response:
    """The attestation of the subjects, signed for the job that asks, whose token must let it prove who it is.

    (The hosted action asks Sigstore itself, and GitHub keeps what it brings.)
    """
    token = hub.tokens[request.token or ""]
    if not allows(token, repository.name, repository.private, ["id-token"], "write"):
        return Response.error(403, "Unable to get ACTIONS_ID_TOKEN_REQUEST_URL: id-token: write is lacking.")
    run = next(run for run in hub.runs.values() if run.token == request.token)
    job = Job(
        repository.name,
        hub.url,
        run.path,
        run.event.ref,
        run.event.sha,
        run.event.name,
        f"actions/runs/{run.id}/attempts/{run.attempt}",
    )
    subjects = request.json()["subjects"]
    bundle = hub.sigstores[repository.private].sign(job, job.statement(subjects))
    repository.attestations.update(dict.fromkeys(subjects, bundle))
    return Response.of({"id": len(repository.attestations), "bundle": bundle}, 201)


@route("POST", "/packages", "packages", "write")
def push_package(hub: "LocalGitHub", repository: "Repository", request: Request) -> Response:
    """Nothing: an image is taken, as ghcr.io takes one, which asks the token that docker was given."""
    return Response.of({}, 201)


def answer_runner(hub: "LocalGitHub", request: Request) -> Response:
    """The service that a run's own actions talk to, by its runtime token: it takes and gives artifacts."""
    run = next((run for run in hub.runs.values() if run.runtime_token == request.token), None)
    if run is None:
        return Response.error(401, "This is no token of a run that is under way.")
    mine = {one.name: one for one in hub.artifacts.values() if one.run == run.id}
    name = request.query.get("name", "")
    if request.method == "GET":
        shown = [{"name": one.name, "number": one.number} for one in mine.values()]
        number = re.fullmatch(r"/_runner/artifacts/(\d+)", request.path)
        if number:
            found = next((one for one in mine.values() if one.number == int(number[1])), None)
            # Seen on GitHub: it lists what an earlier attempt left, and gives it by the API alone.
            if found is None or found.attempt != run.attempt:
                return Response.error(404, "workflow run not found")
            return Response(200, found.file.read_bytes())
        return Response.of(shown)
    if not name or any(letter in name for letter in '\\/":<>|*?\r\n'):
        return Response.error(400, f"The artifact name is not valid: {name}.")
    if name in mine:
        if request.query.get("overwrite") != "true":
            return Response.error(409, f"An artifact with the name {name} already exists on this run.")
        del hub.artifacts[mine[name].number]
    content = request.body.read()
    zipfile.ZipFile(io.BytesIO(content)).close()
    return Response.of({"number": hub.keep_artifact(run.id, name, content, run.attempt).number}, 201)
