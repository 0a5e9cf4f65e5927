"""The comment: one on each pull request, posted and kept up to date through CML.

Runs in the `workflow_run` that follows a retrain, on the default branch's code, with a token that may comment. What
the retrain left is hostile: its artifact is read in memory, one file by its fixed name, within fixed sizes, and only
as data. Which pull request to comment on is decided by the API from the run's head commit, never by the artifact.
"""

import io
import os
import re
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from .. import github
from ..errors import UserError
from .report import COMMENT_LIMIT, Report, read_report, render

ARTIFACT = "report"
REPORT_FILE = "report.json"
TITLE = "model report"
MAX_ARTIFACT = 20 * 2**20  # bytes, packed
MAX_REPORT = 2**20  # bytes, unpacked
CML_PAGE = 30  # CML looks for its comment among the oldest 30 only
WATERMARK = re.compile(rf'!\[\]\(https://cml\.dev/watermark\.png#[0-9a-fA-F]+ "CML watermark {TITLE}"\)')


def comment() -> None:
    """Post or update the comment on the pull request whose retrain has just ended.

    Raises:
        UserError: the artifact is not what a retrain writes, or names a pull request that the run does not belong to.
    """
    run = github.event().get("workflow_run")
    if not run:
        raise UserError("there is no workflow_run in this event: `mlops comment` answers a retrain that has ended")
    pulls = pulls_of(run)
    if not pulls:
        print(f"No open pull request has {run['head_sha'][:10]} as its head: a newer push will comment.")
        return
    report = download_report(run["id"])
    if report and report.pull_request not in pulls:
        raise UserError(
            f"the report names pull request {report.pull_request}, which the run does not belong to: not commenting"
        )
    body = write_body(report, run)
    for number in [report.pull_request] if report and report.pull_request else pulls:
        post(number, body)


def pulls_of(run: dict[str, Any]) -> list[int]:
    """Return the open pull requests, of this repository or of forks, whose head is the run's head commit now."""
    owner = (run.get("head_repository") or {}).get("owner", {}).get("login")
    if not owner:  # the fork is gone
        return []
    query = ["-f", "state=open", "-f", f"head={owner}:{run['head_branch']}", "-f", "per_page=100"]
    return [pull["number"] for pull in github.api("pulls", *query) if pull["head"]["sha"] == run["head_sha"]]


def download_report(run_id: int) -> Report | None:
    """Return the run's report, or None where it ended without one.

    Raises:
        UserError: the artifact is too large, no zip, or its report is not one.
    """
    listed = github.api(f"actions/runs/{run_id}/artifacts", "-f", f"name={ARTIFACT}")
    artifacts = [artifact for artifact in listed["artifacts"] if artifact["name"] == ARTIFACT]
    if not artifacts:
        return None
    newest = max(artifacts, key=lambda artifact: artifact["id"])
    if newest["size_in_bytes"] > MAX_ARTIFACT:
        raise UserError(f"the report artifact is larger than {MAX_ARTIFACT:,} bytes: not reading it")
    packed = github.gh("api", f"repos/{github.repository()}/actions/artifacts/{newest['id']}/zip")
    return read_report(unpack(packed))


def unpack(packed: bytes) -> bytes:
    """Return the bytes of report.json in a zip, without writing anything to disk.

    Raises:
        UserError: it is no zip, lacks the file, or the file is larger than the limit.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive, archive.open(REPORT_FILE) as file:
            text = file.read(MAX_REPORT + 1)
    except Exception as error:  # hostile bytes make zipfile raise a dozen kinds
        raise UserError(f"the report artifact has no readable {REPORT_FILE}: {type(error).__name__}") from error
    if len(text) > MAX_REPORT:
        raise UserError(f"{REPORT_FILE} is larger than {MAX_REPORT:,} bytes: not reading it")
    return text


def write_body(report: Report | None, run: dict[str, Any]) -> str:
    """Return the comment's text; what the run itself concluded is GitHub's word and stands above the report's."""
    failed = run["conclusion"] != "success"
    link = f"[The run and its log]({run['html_url']})"
    if report is None:
        return f"### ❌ The retrain ended before a verdict\n\n{link} say why.\n"
    room = COMMENT_LIMIT - 1_000  # for the watermark, and the warning
    text = render(report, run_url=run["html_url"], commit=run["head_sha"], limit=room)
    if failed and report.passed:
        return f"### ❌ The run failed, although its report says it passes\n\n{link} say why.\n\n{text}"
    return text


def post(number: int, body: str) -> None:
    """Create the comment through CML, or update ours: through CML where CML would find it, else by its id.

    CML looks at one page of comments and does not check who wrote them. Ours is a bot's and may be on any page.
    """
    comments = github.api(f"issues/{number}/comments?per_page=100")
    marked = [found for found in comments if WATERMARK.search(found["body"] or "")]
    ours = next((found for found in reversed(marked) if found["user"]["type"] == "Bot"), None)
    cml_finds = next((found for found in reversed(comments[:CML_PAGE]) if found in marked), None)
    if ours and ours is not cml_finds:
        mark = WATERMARK.search(ours["body"])
        text = f"{body}\n\n{mark.group() if mark else ''}"
        github.patch(f"issues/comments/{ours['id']}", body=text)
    else:
        run_cml(number, body, update=ours is not None)
    print(f"{'Updated' if ours else 'Posted'} the comment on pull request {number}.")


def run_cml(number: int, body: str, update: bool) -> None:
    """Let CML post `body`; nothing is uploaded anywhere else.

    Raises:
        UserError: CML is missing, or refused.
    """
    environment = {**os.environ, "REPO_TOKEN": github.token(), "ITERATIVE_DO_NOT_TRACK": "1"}
    with tempfile.TemporaryDirectory() as directory:
        markdown = Path(directory) / "comment.md"
        markdown.write_text(body, encoding="utf-8")
        environment["GIT_CONFIG_GLOBAL"] = str(Path(directory) / "gitconfig")  # CML appends to it
        command = [
            "cml",
            "comment",
            "create",
            "--driver=github",
            f"--repo={github.server_url()}/{github.repository()}",
        ]
        command += [f"--target=pr/{number}", "--publish=false", f"--watermark-title={TITLE}"]
        command += ["--update=true"] if update else []
        try:
            done = subprocess.run([*command, str(markdown)], env=environment, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise UserError("`cml` is not on PATH: see .github/actions/setup") from error
    if done.returncode:
        raise UserError(f"CML could not comment: {done.stderr.strip()}")
