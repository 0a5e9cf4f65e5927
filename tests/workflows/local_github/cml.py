"""A strict stand-in for CML 0.20.6: `cml comment create|update` on a pull request, by CML's own REST calls."""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

WATERMARK = "https://cml.dev/watermark.png"
PIPE = 65_536
TRUE, FALSE = ("true", ""), ("false",)


def fail(message: str, **told: Any) -> NoReturn:
    """End as CML does on an error, where its output is no terminal: with all that it knows as one line of JSON.

    It leaves before a full pipe is read, so of a long line its reader may have no more than what a pipe holds.
    """
    stack = f"Error: {message}\n    at exports.handler (/snapshot/cml/bin/cml/comment/create.js:11:15)"
    ended = {"level": "error", "message": message, "stack": stack, **told}
    line = json.dumps(ended, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    os.write(sys.stderr.fileno(), f"{line}\n".encode()[:PIPE])
    sys.exit(1)


def switch(value: str) -> bool:
    """A yargs boolean."""
    if value not in TRUE + FALSE:
        raise argparse.ArgumentTypeError(f"{value!r} is neither true nor false")
    return value in TRUE


class Parser(argparse.ArgumentParser):
    """A parser that ends as CML's does."""

    def error(self, message: str) -> NoReturn:
        """End with the help and what is wrong."""
        sys.exit(f"{self.format_help()}\n{message}")


def from_environment(*names: str) -> str | None:
    """The first of some variables that is set."""
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def read_options() -> argparse.Namespace:
    """The command line and the environment, or CML's refusal of an unknown option or command."""
    variables = {"CML_REPO", "CML_DRIVER", "CML_DRIVER_TOKEN", "CML_TOKEN", "CML_LOG"}
    parser = Parser(prog="cml", add_help=False, allow_abbrev=False)
    parser.add_argument("command", choices=["comment"])
    parser.add_argument("verb", choices=["create", "update"])
    parser.add_argument("markdown")
    parser.add_argument("--log", choices=["error", "warn", "info", "debug"], default="info")
    parser.add_argument("--driver", choices=["github"])
    parser.add_argument("--repo")
    parser.add_argument("--driver-token", "--token", dest="token")
    for name in ("target", "watermark-title", "publish-url"):
        parser.add_argument(f"--{name}")
    for name in ("publish", "update", "rm-watermark", "watch"):
        parser.add_argument(f"--{name}", nargs="?", const=True, type=switch)
        parser.add_argument(f"--no-{name}", dest=name.replace("-", "_"), action="store_const", const=False)
    options = parser.parse_args()
    for name in ("target", "watermark_title", "repo", "driver", "token"):
        variable = f"CML_COMMENT_{name.upper()}"
        variables.add(variable)
        if getattr(options, name) is None:
            setattr(options, name, from_environment(variable, f"CML_{name.upper()}"))
    for name in ("publish", "update", "rm_watermark", "watch"):
        variable = f"CML_COMMENT_{name.upper()}"
        variables.add(variable)
        if getattr(options, name) is None and variable in os.environ:
            setattr(options, name, switch(os.environ[variable]))
    unknown = {name for name in os.environ if name.startswith("CML_COMMENT_")} - variables
    if unknown:
        fail(f"Unknown arguments: {', '.join(sorted(unknown))}")
    return options


def trust_directories() -> None:
    """Append safe.directory to the global git config, as every CML command does."""
    here = Path.cwd()
    for directory in ("*", "/", *map(str, [here, *here.parents][:-1])):
        known = subprocess.run(
            ["git", "config", "--global", "--get-all", "safe.directory"], capture_output=True, text=True
        )
        if directory not in known.stdout.splitlines():
            subprocess.run(["git", "config", "--global", "--add", "safe.directory", directory], check=False)


def find_repository(options: argparse.Namespace) -> tuple[str, str]:
    """The API's address and OWNER/NAME."""
    repo = options.repo
    if repo is None:
        found = subprocess.run(["git", "config", "--get", "remote.origin.url"], capture_output=True, text=True)
        repo = found.stdout.strip()
    url = urlsplit(re.sub(r"\.git$", "", repo.removesuffix("/")))
    if not url.scheme or not url.netloc:
        fail("Invalid URL")
    host = url.netloc.rpartition("@")[2]
    name = "/".join(url.path.strip("/").split("/")[:2])
    return (f"https://{host}/api/v3" if host != "github.com" else "https://api.github.com"), name


def call(method: str, address: str, token: str, value: Any = None) -> Any:
    """The JSON that the API answers."""
    content = json.dumps(value, ensure_ascii=False).encode() if value is not None else None
    headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
    try:
        with urlopen(Request(address, content, headers, method=method)) as answer:
            return json.load(answer)
    except HTTPError as error:
        data = json.load(error)
        whats = ", ".join(json.dumps(what, separators=(",", ":")) for what in data.get("errors") or [])
        message = f"{data['message']}: {whats}" if whats else data["message"]
        request = {"body": (content or b"").decode(), "headers": {"authorization": "token [REDACTED]"}}
        request |= {"method": method, "url": address}
        response = {"data": data, "headers": dict(error.headers), "status": error.code, "url": address}
        fail(message, name="HttpError", request=request, response=response, status=error.code)
    except URLError as error:
        reason = f"request to {address} failed, reason: {error.reason}"
        fail(reason, name="HttpError", request={"body": (content or b"").decode()}, status=500)


def find_sha() -> str:
    """The commit for the watermark: a pull request's head under its own event, else the run's."""
    if os.environ.get("GITHUB_EVENT_NAME") == "pull_request":
        event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text())
        return str(event["pull_request"]["head"]["sha"])
    return os.environ.get("GITHUB_SHA", "")


def make_title(options: argparse.Namespace) -> str:
    """The watermark's title with the characters escaped that GitHub would escape."""
    label = options.watermark_title or ""
    label = label.replace("{workflow}", os.environ.get("GITHUB_WORKFLOW", ""))
    label = label.replace("{run}", os.environ.get("GITHUB_RUN_ID", ""))
    return re.sub(r"([_*\[<])", r"\\\1", f"CML watermark {label}".strip())


def main() -> None:
    """Create or update the comment and print its address."""
    options = read_options()
    trust_directories()
    token = options.token or from_environment("REPO_TOKEN", "repo_token", "GITHUB_TOKEN")
    if not token:
        fail("token not found")
    if options.driver is None and not os.environ.get("GITHUB_REPOSITORY"):
        fail("driver not set")
    if options.publish is not False:
        fail("this stand-in uploads nothing to a third party: pass --publish=false")
    if options.watch:
        fail("this stand-in does not watch")
    update = options.update or options.verb == "update"
    if options.rm_watermark and (update or options.watermark_title):
        fail("watermarks are mandatory for updatable comments")
    target = re.fullmatch(r"pr/(\d+)", options.target or "")
    if target is None:
        fail(f"this stand-in comments on a pull request by its number: pass --target=pr/N, not {options.target!r}")
    api, name = find_repository(options)
    body = Path(options.markdown).read_text()
    title = make_title(options)
    if not options.rm_watermark:
        sha = find_sha()
        body += f'\n\n![]({WATERMARK}{"#" + sha if sha else ""} "{title}")'
    comments = f"{api}/repos/{name}/issues/{target[1]}/comments"
    mark = re.compile(rf'!\[\]\({re.escape(WATERMARK)}#[0-9a-fA-F]+ "{re.escape(title)}"\)')
    if update:
        for comment in reversed(call("GET", comments, token)):
            if mark.search(comment["body"]):
                address = f"{api}/repos/{name}/issues/comments/{comment['id']}"
                print(call("PATCH", address, token, {"body": body})["html_url"])
                return
    print(call("POST", comments, token, {"body": body})["html_url"])


main()
