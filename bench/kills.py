"""Whole publish runs that are killed at one of their writes each, answered or not, and run again as a whole."""

import itertools
import tempfile
from pathlib import Path

from desk import state
from local_github import Repository, Run, start_github
from local_github.events import push_event

from bench.generation import OWNER
from bench.project import Project, publish_project

WRITE = r"^(POST|PUT|PATCH|DELETE) /(?!\S*git-upload-pack|api/graphql)"


def measure_kills() -> bool:
    """Print how each run that was killed at a write ended; return whether all did as an undisturbed one."""
    with tempfile.TemporaryDirectory() as name, start_github(Path(name) / "github", (OWNER,)) as github:
        project = publish_project(github, Path(name))
        change(project)
        undisturbed = project.repository.copy(f"{OWNER}/undisturbed")
        publish(undisturbed).expect("success")
        wanted, ended = state(undisturbed), []
        for write, answered in ((number // 2, bool(number % 2)) for number in itertools.count(2)):
            repository = project.repository.copy(f"{OWNER}/killed-{write}-{answered}".lower())
            with github.killing_runs(at_call=WRITE, answered=answered, nth=write):
                run = publish(repository)
            if run.conclusion != "cancelled":
                break
            (again,) = repository.rerun(run)
            ended.append(again.conclusion == "success" and state(repository) == wanted)
            told = "ended alike" if ended[-1] else f"ENDED OTHERWISE: {again!r}"
            print(f"  killed at write {write}, {'answered' if answered else 'not answered'}: {told}", flush=True)
    print(f"Publish runs killed at a write and run again: {len(ended)}, ended alike: {sum(ended)}", flush=True)
    return bool(ended) and all(ended)


def change(project: Project) -> None:
    """Put a change of the model on main, of which no workflow hears yet."""
    project.run("git", "switch", "--quiet", "main")
    project.run("git", "pull", "--quiet", "--ff-only", "origin", "main")
    project.branch("tuned", "params.yaml", lambda text: text.replace("params: {}", "params: {max_iter: 150}", 1))
    project.run("git", "push", "--quiet", "--no-verify", "origin", "tuned:main")
    project.repository.disabled = {"checks", "deploy", "keep", "plain", "plain-uv"}


def publish(repository: Repository) -> Run:
    """Return the publish run of what is on main."""
    (run,) = repository.deliver(push_event(repository, "refs/heads/main", None, OWNER))
    return run
