"""The comment: one on each pull request, posted and kept up to date through CML.

Runs in the `workflow_run` that follows a retrain, on the default branch's code, with a token that may comment.
"""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core import github
from ..core.errors import UserError
from ..core.paths import VENDOR
from .artifact import find_retrain
from .markdown import COMMENT_LIMIT, code, render
from .pictures import addresses
from .report import Report

TITLE = "model report"
CML_PAGE = 30  # CML looks for its comment among the oldest 30 only
REASON_LENGTH = 300
NAMES = ("filename", "previous_filename")  # of a changed file, in GitHub's list
ENGINE = f"{VENDOR}/"
OBEYED = (".dvc/config", ".github/", "uv.lock")  # besides it
NAMED = 3  # at most
# In what CML prints when it fails. Inside of a string the quotes have backslashes, so that none looks like these.
MESSAGE = re.compile(r'"message":("(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-f]{4})*")')
STATUS = re.compile(r'"status":(\d{3}),"url":')
WATERMARK = re.compile(rf'!\[\]\(https://cml\.dev/watermark\.png#[0-9a-fA-F]+ "CML watermark {TITLE}"\)')


def comment() -> None:
    """Post or update the comment on the pull request whose retrain has just ended.

    Raises:
        UserError: the artifact is not what a retrain writes, or names a pull request that the run does not belong to.
    """
    retrain = find_retrain()
    if retrain is None:
        return
    report = retrain.report
    pictures = addresses(retrain.artifact) if retrain.artifact else None
    for number in [report.pull_request] if report and report.pull_request else retrain.pulls:
        post(number, write_body(report, retrain.run, pictures, changed_files(number)))


def changed_files(number: int) -> list[str]:
    """Return the names of the files that a pull request changes, as GitHub has them."""
    return sorted(
        {file[key] for file in github.api(f"pulls/{number}/files?per_page=100") for key in NAMES if key in file}
    )


def write_body(
    report: Report | None,
    run: dict[str, Any],
    pictures: Mapping[str, str] | None = None,
    changed: Sequence[str] = (),
) -> str:
    """Return the comment's text.

    What the run itself concluded, and which files change that a job which may write will run or obey, is GitHub's word
    and stands above the report's, which a changed engine may have written.
    """
    first, _, rest = _write_body(report, run, pictures).partition("\n")
    engine = [name for name in changed if name.startswith(ENGINE)]
    obeyed = [name for name in changed if name.startswith(OBEYED)]
    if engine and not (report and report.engine):
        first += f"\n\n⚠️ **This changes the engine, and its report does not say how:** {_few(engine)}"
    if obeyed:
        first += f"\n\n⚠️ **Once merged, jobs that may write obey what this says:** {_few(obeyed)}"
    return f"{first}\n{rest}"


def _few(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(code(name) for name in names[:NAMED]) + more


def _write_body(report: Report | None, run: dict[str, Any], pictures: Mapping[str, str] | None) -> str:
    failed = run["conclusion"] != "success"
    link = f"[The run and its log]({run['html_url']})"
    if report is None:
        return f"### ❌ The retrain ended before a verdict\n\n{link} say why.\n"
    room = COMMENT_LIMIT - 2_000  # for the watermark and the warnings
    text = render(report, run_url=run["html_url"], commit=run["head_sha"], pictures=pictures, limit=room)
    if failed and report.passed:
        return f"### ❌ The run failed, although its report says it passes\n\n{link} say why.\n\n{text}"
    return text


def post(number: int, body: str) -> None:
    """Create the comment through CML, or update ours: through CML where CML would find it, else by its id.

    CML looks at one page of comments and does not check who wrote them. Ours is a bot's and may be on any page.
    """
    comments = github.api(f"issues/{number}/comments?per_page=100")
    marked = [comment for comment in comments if WATERMARK.search(comment["body"] or "")]
    ours = next((comment for comment in reversed(marked) if comment["user"]["type"] == "Bot"), None)
    cml_finds = next((comment for comment in reversed(comments[:CML_PAGE]) if comment in marked), None)
    if ours and ours is not cml_finds:
        mark = WATERMARK.search(ours["body"])
        text = f"{body}\n\n{mark.group() if mark else ''}"
        github.send("PATCH", f"issues/comments/{ours['id']}", body=text)
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
        command += ["--update=true", str(markdown)] if update else [str(markdown)]
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
        except FileNotFoundError as error:
            raise UserError("`cml` is not on PATH: see .github/actions/setup") from error
    if done.returncode:
        raise UserError(f"CML could not comment on pull request {number}: {read_reason(done.stderr)}")


def read_reason(log: str) -> str:
    """Return why CML failed, on one short line: the message of the JSON that it prints last, and the answer's status.

    The rest of that JSON is the request, so what a pull request wrote: it may not reach the log, which obeys commands.
    A long one comes cut off: CML ends before it is read.
    """
    last = log.strip().rpartition("\n")[2]  # JSON has no line break but this one; others may be in its strings
    message, status = MESSAGE.search(last), STATUS.search(last)
    reason = json.loads(message[1], strict=False) if message else last
    reason = f"HTTP {status[1]}, {reason}" if status else reason
    reason = " ".join("".join(sign if sign.isprintable() else " " for sign in reason).split())
    return reason.replace("##[", "#[")[:REASON_LENGTH]
