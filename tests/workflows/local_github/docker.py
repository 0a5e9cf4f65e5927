"""A strict stand-in for docker on a runner: it logs in, builds from what is there, and pushes what it built.

What it knows is kept where docker keeps it, in the runner's home. No image is made: that is proved with a real engine.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, NoReturn
from urllib.error import HTTPError
from urllib.request import Request, urlopen

STATE = Path.home() / ".docker" / "config.json"


class Parser(argparse.ArgumentParser):
    """A parser that ends as docker does on what it does not know."""

    def error(self, message: str) -> NoReturn:
        """End with what is wrong."""
        fail(message, 125)


def fail(message: str, code: int = 1) -> NoReturn:
    """End with docker's form of an error."""
    print(f"ERROR: {message}", file=sys.stderr)
    sys.exit(code)


def read_state() -> dict[str, Any]:
    """Who is logged in where, and which images there are."""
    return dict(json.loads(STATE.read_text())) if STATE.exists() else {"auths": {}, "images": []}


def write_state(state: dict[str, Any]) -> None:
    """Keep it for the next command of this runner."""
    STATE.parent.mkdir(exist_ok=True)
    STATE.write_text(json.dumps(state))


def log_in(options: argparse.Namespace) -> None:
    """Take a password from standard input, as GitHub's registry takes a job's token, and keep it as docker does."""
    password = sys.stdin.read().strip()
    if not options.username or not password.startswith("ghs_"):
        fail("Error response from daemon: denied: denied")
    state = read_state()
    auth = base64.b64encode(f"{options.username}:{password}".encode()).decode()
    state["auths"][options.registry] = {"auth": auth}
    write_state(state)
    print("Login Succeeded")


def log_out(options: argparse.Namespace) -> None:
    """Forget a registry's password."""
    state = read_state()
    state["auths"].pop(options.registry, None)
    write_state(state)
    print(f"Removing login credentials for {options.registry}")


def build(options: argparse.Namespace) -> None:
    """Check that each file is there that the Dockerfile copies, with the arguments that it declares."""
    text = options.file.read_text()
    given = dict(pair.split("=", 1) for pair in options.build_arg)
    declared = dict(re.findall(r"^ARG (\w+)=(\S*)$", text, re.MULTILINE))
    if unknown := given.keys() - declared.keys():
        fail(f"One or more build-args {sorted(unknown)} were not consumed")
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        for source in line.split()[:-1]:
            name = re.sub(r"\$\{(\w+)\}", lambda argument: (declared | given)[argument[1]], source)
            found = sorted(str(path.relative_to(options.context)) for path in options.context.glob(name))
            if not found:
                fail(f'failed to compute cache key: "/{name}": not found')
            print(f"COPY {' '.join(found)}")
    state = read_state()
    state["images"].append(options.tag)
    write_state(state)
    print(f"naming to {options.tag} done, {' '.join(options.build_arg + options.label)}")


def push(options: argparse.Namespace) -> None:
    """Send an image that was built here to a registry, with the token of who logged in, which may write packages."""
    state, (place, _, tag) = read_state(), options.image.rpartition(":")
    if options.image not in state["images"]:
        fail(f"An image does not exist locally with the tag: {place}")
    login = state["auths"].get(place.split("/")[0])
    if login is None:
        fail("denied: unauthenticated: User cannot be authenticated with the token provided.")
    token = base64.b64decode(login["auth"]).decode().partition(":")[2]
    address = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/packages"
    try:
        urlopen(Request(address, b"{}", {"Authorization": f"Bearer {token}"})).close()
    except HTTPError:
        fail("denied: permission_denied: write_package")
    print(f"The push refers to repository [{place}]")
    print(f"{tag}: digest: sha256:{hashlib.sha256(options.image.encode()).hexdigest()} size: 1")


def main() -> None:
    """Do what the command line says."""
    parser = Parser(prog="docker", allow_abbrev=False)
    verbs = parser.add_subparsers(required=True)
    logging_in = verbs.add_parser("login", allow_abbrev=False)
    logging_in.add_argument("registry")
    logging_in.add_argument("--username", "-u")
    logging_in.add_argument("--password-stdin", action="store_true", required=True)
    logging_in.set_defaults(run=log_in)
    logging_out = verbs.add_parser("logout", allow_abbrev=False)
    logging_out.add_argument("registry")
    logging_out.set_defaults(run=log_out)
    building = verbs.add_parser("build", allow_abbrev=False)
    building.add_argument("--file", "-f", type=Path, required=True)
    building.add_argument("--tag", "-t", required=True)
    building.add_argument("--build-arg", action="append", default=[])
    building.add_argument("--label", action="append", default=[])
    building.add_argument("context", type=Path)
    building.set_defaults(run=build)
    pushing = verbs.add_parser("push", allow_abbrev=False)
    pushing.add_argument("image")
    pushing.set_defaults(run=push)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
