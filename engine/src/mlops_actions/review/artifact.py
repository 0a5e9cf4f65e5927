"""What a retrain left, for the jobs that follow it with a token that may write.

They run in a `workflow_run`, on the default branch's code. What the retrain left is hostile: its artifact is read in
memory, files by their fixed names within fixed sizes, and only as data. Which pull request it is about is decided by
the API from the run's head commit, never by the artifact. Only the standard library is imported.
"""

import io
import zipfile
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..core import github
from ..core.errors import UserError
from ..core.files import open_zip
from .report import Report, read_report

ARTIFACT = "report"
REPORT_FILE = "report.json"
MAX_ARTIFACT = 20 * 2**20  # bytes, packed
MAX_REPORT = 2**20  # bytes, unpacked
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others unpack without a bound


@dataclass(frozen=True)
class Retrain:
    """A retrain that has ended: GitHub's record of it, and the open pull requests whose head it ran on."""

    run: dict[str, Any]
    pulls: list[int]

    @cached_property
    def artifact(self) -> bytes | None:
        """The zip file that it left, None where it ended without one.

        Raises:
            UserError: it is too large.
        """
        listed = github.api(f"actions/runs/{self.run['id']}/artifacts", "-f", f"name={ARTIFACT}")
        artifacts = [artifact for artifact in listed["artifacts"] if artifact["name"] == ARTIFACT]
        if not artifacts:
            return None
        newest = max(artifacts, key=lambda artifact: artifact["id"])
        if newest["size_in_bytes"] > MAX_ARTIFACT:
            raise UserError(f"the report artifact is larger than {MAX_ARTIFACT:,} bytes: not reading it")
        return github.gh("api", f"repos/{github.repository()}/actions/artifacts/{newest['id']}/zip")

    @cached_property
    def report(self) -> Report | None:
        """The report in its artifact, None where it ended without one.

        Raises:
            UserError: the artifact is no zip, its report is not one, or it names another pull request.
        """
        if self.artifact is None:
            return None
        report = read_report(unpack(self.artifact))
        if report.pull_request not in self.pulls:
            raise UserError(
                f"the report names pull request {report.pull_request}, which the run does not belong to: not using it"
            )
        return report


def find_retrain() -> Retrain | None:
    """Return the retrain that this job follows, None where a newer push has taken its place.

    Raises:
        UserError: this job does not follow one.
    """
    run = github.event().get("workflow_run")
    if not run:
        raise UserError("there is no workflow_run in this event: this verb answers a retrain that has ended")
    pulls = pulls_of(run)
    if not pulls:
        print(f"No open pull request has {run['head_sha'][:10]} as its head: a newer push will be reported.")
        return None
    return Retrain(run, pulls)


def pulls_of(run: dict[str, Any]) -> list[int]:
    """Return the open pull requests, of this repository or of forks, whose head is the run's head commit now."""
    owner = (run.get("head_repository") or {}).get("owner", {}).get("login")
    if not owner:  # the fork is gone
        return []
    query = ["-f", "state=open", "-f", f"head={owner}:{run['head_branch']}", "-f", "per_page=100"]
    return [pull["number"] for pull in github.api("pulls", *query) if pull["head"]["sha"] == run["head_sha"]]


def unpack(packed: bytes) -> bytes:
    """Return the bytes of report.json in a zip file, without writing anything to disk.

    Raises:
        UserError: it is no zip, lacks the file, or the file is larger than the limit.
    """
    return read_member(open_archive(packed), REPORT_FILE, MAX_REPORT)


def open_archive(packed: bytes) -> zipfile.ZipFile:
    """Return a zip file in memory.

    Raises:
        UserError: it is none.
    """
    try:
        return open_zip(io.BytesIO(packed))
    except Exception as error:  # hostile bytes make zipfile raise a dozen kinds
        raise UserError(f"the report artifact is no readable zip file: {type(error).__name__}") from error


def read_member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Return the bytes of one file, never holding many more than `limit`.

    Raises:
        UserError: it is not there, cannot be read, or is larger than the limit.
    """
    try:
        if archive.getinfo(name).compress_type not in METHODS:
            raise NotImplementedError
        with archive.open(name) as file:
            content = file.read(limit + 1)
    except Exception as error:
        raise UserError(f"the report artifact has no readable {name}: {type(error).__name__}") from error
    if len(content) > limit:
        raise UserError(f"{name} is larger than {limit:,} bytes: not reading it")
    return content
