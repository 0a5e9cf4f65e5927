"""Check out a commit as actions/checkout v7 does, and keep or remove the credentials as it does."""

import base64
import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

SHA = re.compile("[0-9a-f]{40}")


def git(*arguments: str, check: bool = True) -> str:
    """What git prints in the checkout."""
    done = subprocess.run(["git", *arguments], cwd=directory, text=True, stdout=subprocess.PIPE, check=False)
    if check and done.returncode:
        sys.exit(f"git {arguments[0]} failed with exit code {done.returncode}")
    return done.stdout.strip()


def choose() -> tuple[str, str]:
    """The ref and the commit to check out; either may be empty."""
    wanted = os.environ["REF"]
    if SHA.fullmatch(wanted):
        return "", wanted
    if wanted or os.environ["REPOSITORY"] != os.environ["GITHUB_REPOSITORY"]:
        return wanted, ""
    return os.environ["GITHUB_REF"], os.environ["GITHUB_SHA"]


def refuse_fork(ref: str, commit: str) -> None:
    """End where a workflow with the base repository's rights asks for the code of a fork."""
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text())
    kind = os.environ["GITHUB_EVENT_NAME"]
    if kind == "workflow_run" and event["workflow_run"]["event"].startswith("pull_request"):
        run = event["workflow_run"]
        head, shas = run["head_repository"], {run["head_sha"], run["head_commit"]["id"]}
    elif kind == "pull_request_target":
        pull = event["pull_request"]
        head, shas = pull["head"]["repo"], {pull["head"]["sha"], pull["merge_commit_sha"]}
    else:
        return
    fork = head["id"] != event["repository"]["id"]
    asked = os.environ["REPOSITORY"].lower() == head["full_name"].lower() or commit in shas
    if fork and (asked or re.fullmatch(r"refs/pull/\d+/(head|merge)", ref)):
        sys.exit(f"Refusing to check out fork pull request code from a '{kind}' workflow.")


def choose_refspecs(ref: str, commit: str) -> list[str]:
    """What to fetch."""
    remote = re.sub("^refs/heads/", "refs/remotes/origin/", re.sub("^refs/pull/", "refs/remotes/pull/", ref))
    tags = ["+refs/tags/*:refs/tags/*"]
    if int(os.environ["DEPTH"]) <= 0:
        everything = ["+refs/heads/*:refs/remotes/origin/*", *tags]
        return everything + ([f"+{commit or ref}:{remote}"] if ref.startswith("refs/pull/") else [])
    more = tags if os.environ["TAGS"] == "true" else []
    if not ref:
        return [*more, commit]
    if ref.startswith("refs/tags/"):
        return more or [f"+{ref}:{ref}"]
    if ref.startswith("refs/"):
        return [*more, f"+{commit or ref}:{remote}"]
    return [f"+refs/heads/{ref}*:refs/remotes/origin/{ref}*", *(more or [f"+refs/tags/{ref}*:refs/tags/{ref}*"])]


def check_out(ref: str, commit: str) -> None:
    """Switch to what was fetched."""
    if not ref:
        git("checkout", "--quiet", "--force", commit)
    elif ref.startswith("refs/pull/"):
        git("checkout", "--quiet", "--force", ref.replace("refs/pull/", "refs/remotes/pull/", 1))
    elif ref.startswith("refs/tags/"):
        git("checkout", "--quiet", "--force", ref)
    else:
        branch = ref.removeprefix("refs/heads/")
        if not git("rev-parse", "--verify", "--quiet", f"refs/remotes/origin/{branch}", check=False):
            git("checkout", "--quiet", "--force", f"refs/tags/{branch}")
            return
        git("checkout", "--quiet", "--force", "-B", branch, commit or f"refs/remotes/origin/{branch}")
        git("branch", "--quiet", "--set-upstream-to", f"origin/{branch}")


server = os.environ["GITHUB_SERVER_URL"]
directory = Path(os.environ["GITHUB_WORKSPACE"], os.environ["DIRECTORY"]).resolve()
ref, commit = choose()
refuse_fork(ref, commit)
directory.mkdir(parents=True, exist_ok=True)
subprocess.run(["git", "config", "--global", "--add", "safe.directory", str(directory)], check=True)
if (directory / ".git").exists():
    git("clean", "-ffdx", "--quiet")
else:
    git("init", "--quiet")
    git("remote", "add", "origin", f"{server}/{os.environ['REPOSITORY']}")
git("config", "--local", "gc.auto", "0")
header = base64.b64encode(f"x-access-token:{os.environ['TOKEN']}".encode()).decode()
credentials = Path(os.environ["RUNNER_TEMP"], f"git-credentials-{uuid.uuid4()}.config")
credentials.parent.mkdir(parents=True, exist_ok=True)
credentials.write_text(f'[http "{server}/"]\n\textraheader = AUTHORIZATION: basic {header}\n')
conditions = [f"includeIf.gitdir:{directory}/.git.path", f"includeIf.gitdir:{directory}/.git/worktrees/*.path"]
for condition in conditions:
    git("config", "--local", condition, str(credentials))
if not ref and not commit:
    listed = git("ls-remote", "--symref", "origin", "HEAD")
    ref = re.findall(r"^ref: (\S+)\s+HEAD", listed, re.M)[0]
depth = int(os.environ["DEPTH"])
shallow = [f"--depth={depth}"] if depth > 0 else []
git(
    "fetch",
    "--quiet",
    "--no-tags",
    "--prune",
    "--no-recurse-submodules",
    *shallow,
    "origin",
    *choose_refspecs(ref, commit),
)
check_out(ref, commit)
if os.environ["PERSIST"] != "true":
    for condition in conditions:
        git("config", "--local", "--unset-all", condition)
    credentials.unlink()
head = git("rev-parse", "HEAD")
with open(os.environ["GITHUB_OUTPUT"], "a") as outputs:
    outputs.write(f"ref={ref}\ncommit={head}\n")
print(f"HEAD is now at {head} ({ref or 'detached'})")
