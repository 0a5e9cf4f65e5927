"""GitHub: what its runner says in the environment, and its API through `gh`, which the runners carry."""

import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlparse

from .errors import UserError

ANSWER = 120  # seconds that GitHub has for an answer, of several pages too,
TRANSFER = 30 * 60  # and for a file
BOT = ("github-actions[bot]", "41898282+github-actions[bot]@users.noreply.github.com")


@cache
def event() -> dict[str, Any]:
    """Return the payload of the event that started this run, or {} outside GitHub Actions."""
    path = os.environ.get("GITHUB_EVENT_PATH")
    return json.loads(Path(path).read_text()) if path else {}


def fork_url() -> str | None:
    """Return the address of the repository that this run's pull request comes from, when it is a fork."""
    head = event().get("pull_request", {}).get("head", {}).get("repo") or {}
    return head["clone_url"] if head.get("fork") else None


def base_commit() -> str | None:
    """Return the commit that this run's change is made to, as the event has it; None where there is no such."""
    payload = event()
    pull, group = (payload.get(name, {}) for name in ("pull_request", "merge_group"))
    return pull.get("base", {}).get("sha") or group.get("base_sha") or payload.get("before")


def repository() -> str:
    """Return `owner/name`.

    Raises:
        UserError: outside GitHub Actions.
    """
    return _variable("GITHUB_REPOSITORY")


def server_url() -> str:
    """Return the server's address, without a slash at the end."""
    return os.environ.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")


def run_url() -> str | None:
    """Return the address of this run, or None outside GitHub Actions."""
    run = os.environ.get("GITHUB_RUN_ID")
    return f"{server_url()}/{repository()}/actions/runs/{run}" if run else None


def set_output(name: str, value: str) -> None:
    """Tell later steps and jobs a value, where this is a step of a workflow."""
    if path := os.environ.get("GITHUB_OUTPUT"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{name}={value}\n")


def token() -> str:
    """Return the job's token.

    Raises:
        UserError: the step was not given one.
    """
    return _variable("GITHUB_TOKEN")


def run_id() -> str:
    """Return the number of this run of the workflow, which its later attempts share.

    Raises:
        UserError: outside GitHub Actions.
    """
    return _variable("GITHUB_RUN_ID")


def gh(
    *args: str, stdin: bytes | None = None, stdout: int | IO[bytes] = subprocess.PIPE, seconds: float = ANSWER
) -> bytes:
    """Return what `gh` prints, or nothing where it prints to a file, run with the job's token on the job's server.

    `gh` itself waits for ever, and sends the token to no other host that the server leads to.

    Raises:
        UserError: `gh` is missing, or refused, in its own words; or it has not ended after so many seconds.
    """
    host = urlparse(server_url()).netloc
    key = "GH_TOKEN" if host == "github.com" else "GH_ENTERPRISE_TOKEN"
    environment = {**os.environ, "GH_HOST": host, key: token(), "GH_PROMPT_DISABLED": "1", "GH_TELEMETRY": "false"}
    try:
        done = subprocess.run(
            ["gh", *args], input=stdin, env=environment, stdout=stdout, stderr=subprocess.PIPE, timeout=seconds
        )
    except FileNotFoundError as error:
        raise UserError("the GitHub CLI `gh` is not on PATH: install it on this runner") from error
    except subprocess.TimeoutExpired as error:
        raise UserError(f"gh {' '.join(args[:2])}: {host} did not end it in {seconds:g} s: run this again") from error
    if done.returncode:
        raise UserError(f"gh {' '.join(args[:2])}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout or b""


def download(path: str, file: Path, *args: str) -> None:
    """Write what the API answers to a GET of `repos/OWNER/NAME/` + `path` into a file, however large it is.

    Raises:
        UserError: it is refused.
    """
    with file.open("wb") as target:
        gh("api", f"repos/{repository()}/{path}", *args, stdout=target, seconds=TRANSFER)


def api(path: str, *args: str) -> Any:
    """Return what the API answers to a GET of `repos/OWNER/NAME/` + `path`: every page, where it is a list."""
    pages = json.loads(gh("api", f"repos/{repository()}/{path}", "--method=GET", "--paginate", "--slurp", *args))
    return [item for page in pages for item in page] if isinstance(pages[0], list) else pages[0]


def send(method: str, path: str, **fields: Any) -> Any:
    """Return what the API answers to a POST or PATCH of `fields` to `repos/OWNER/NAME/` + `path`."""
    body = json.dumps(fields).encode()
    return json.loads(gh("api", f"repos/{repository()}/{path}", f"--method={method}", "--input=-", stdin=body))


def delete(path: str) -> None:
    """Delete `repos/OWNER/NAME/` + `path`; what is gone already is fine."""
    try:
        gh("api", f"repos/{repository()}/{path}", "--method=DELETE")
    except UserError as error:
        if "HTTP 404" not in str(error):
            raise


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise UserError(f"{name} is not set: this verb runs in GitHub Actions")
    return value
