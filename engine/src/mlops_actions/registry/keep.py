"""Branches that keep workflows, so that a workflow may tag the versions that have them.

GitHub refuses a tag by a workflow's token where the tagged commit's `.github/workflows` are not those of some branch's
tip, even if the commit is on main: after the next bump of an action, every version. So each distinct tree of them gets
a branch, `releases/<tree>`, while main's tip has that tree and the token may push one. It is never moved afterwards.
"""

from ..core.errors import UserError
from ..core.git import complaint, git, rev_parse, run
from .versions import fetch_tags, list_versions

WORKFLOWS = ".github/workflows"
BRANCHES = "refs/heads/releases/"
REFUSAL = b"`workflows` permission"  # GitHub's words: refusing to allow a GitHub App to … workflow … without …


def keep(rev: str) -> None:
    """Push the branches that origin lacks for the workflows of its versions and, where one is named, of a commit.

    Raises:
        UserError: there is no such commit, or origin refuses a branch.
    """
    fetch_tags()
    commits = [version.commit for version in list_versions()]
    if rev:
        named = rev_parse(rev)
        if named is None:
            raise UserError(f"There is no commit {rev} here: `git fetch origin` first.")
        commits.insert(0, named)
    there = kept_branches()
    wanted = {branch_for(commit): commit for commit in reversed(commits)}
    lacking = {branch: commit for branch, commit in wanted.items() if branch and branch not in there}
    refused = [error for branch, commit in lacking.items() if (error := push_branch(branch, commit))]
    if refused:
        raise refused[-1]
    print(f"Branches on origin have the workflows of {f'{rev} and of ' if rev else ''}every version.")


def keep_workflows(commit: str) -> UserError | None:
    """Push the branch that origin lacks for a commit's workflows; return why it refused it, or None."""
    branch = branch_for(commit)
    return push_branch(branch, commit) if branch and branch not in kept_branches() else None


def branch_for(commit: str) -> str | None:
    """Return the ref of the branch that keeps a commit's workflows; None where it has no workflows."""
    done = run("rev-parse", "--verify", "--quiet", f"{commit}:{WORKFLOWS}")
    return f"{BRANCHES}{done.stdout.decode().strip()}" if done.returncode == 0 else None


def kept_branches() -> set[str]:
    """Return the refs of the branches that origin has for workflows."""
    return {line.split("\t")[1] for line in git("ls-remote", "origin", f"{BRANCHES}*").splitlines()}


def push_branch(branch: str, commit: str) -> UserError | None:
    """Push a branch; return why origin refused it, or None where it has the branch by now."""
    # Without the hook that sends the data first: no commit is pushed that origin lacks.
    pushed = run("push", "--no-verify", "origin", f"{commit}:{branch}")
    if pushed.returncode and branch not in kept_branches():
        return refusal(f"the branch {branch.removeprefix('refs/heads/')}", pushed.stderr, commit)
    return None


def refusal(what: str, stderr: bytes, commit: str = "") -> UserError:
    """Return the error that origin refused a ref, with what to do where the workflows of its commit are the reason.

    A commit that is no version yet is named, so that `mlops keep` knows it.
    """
    if REFUSAL not in stderr:
        return UserError(f"origin refused {what}: {complaint(stderr)}.")
    command = f"mlops keep {commit[:10]}".strip()
    return UserError(
        f"GitHub refused {what}: no branch has the workflows of its commit any more, and so a workflow's token may "
        f"not tag it. Run `uv run {command}` on your machine, whose push GitHub allows, then run this again; "
        "or give this job, as GITHUB_TOKEN, the token of a GitHub App that has the permission `workflows`."
    )
