"""The retrain and report workflows against a straightforward one, in the same act on the same pull request."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from local_github import PullRequest, Run

from bench.measure import in_turn, show
from bench.project import Project, forget_caches

OURS = "retrain"
PIP, UV = "plain", "plain-uv"


@dataclass(frozen=True)
class Spent:
    """The seconds of a workflow's run and of those that it started, and of the pipeline's stages within them."""

    wall: float
    stages: float


def compare_docs(project: Project, repeats: int) -> bool:
    """Print whole runs on a pull request that changes the README alone; return whether the bar is met."""
    project.branch("words", "README.md", lambda text: text + "\nOne more sentence.\n")
    spent = measure(project, project.propose("words"), repeats)
    wall = {name: [run.wall for run in runs] for name, runs in spent.items()}
    met = show("docs-only: retrain + report / plain", wall[OURS], wall[PIP], bar=1 / 5)
    show("docs-only: retrain + report / plain with uv", wall[OURS], wall[UV])
    return met


def compare_params(project: Project, repeats: int) -> bool:
    """Print what runs take beside training on a pull request that changes a parameter; return whether the bar is met.

    Training is what each stage says it took, imports included. In a fresh environment that uv installed these compile
    Python, which pip does when it installs: the strict ratio subtracts from ours what the stages took after pip.
    """
    spent = measure(project, project.propose("params"), repeats)
    beside = {name: [run.wall - run.stages for run in runs] for name, runs in spent.items()}
    strict = [ours.wall - plain.stages for ours, plain in zip(spent[OURS], spent[PIP], strict=True)]
    met = show("params-only beside training: retrain + report / plain", beside[OURS], beside[PIP], bar=1 / 3)
    show("params-only beside training, strict: retrain + report / plain", strict, beside[PIP])
    show("params-only beside training: retrain + report / plain with uv", beside[OURS], beside[UV])
    return met


def measure(project: Project, pull: PullRequest, repeats: int) -> dict[str, list[Spent]]:
    """Return what each workflow spends on a pull request whose first runs filled the caches of pip and uv."""
    first = {run.name: run for run in pull.runs}

    def again(name: str) -> Callable[[], Spent]:
        def task() -> Spent:
            forget_caches(project.github)
            runs = [run.expect("success") for run in project.repository.rerun(first[name])]
            return Spent(sum(run.seconds for run in runs), sum(map(stage_seconds, runs)))

        return task

    return in_turn(repeats, {name: again(name) for name in (OURS, PIP, UV)})


def stage_seconds(run: Run) -> float:
    """Return what stages took in a run: in ours by its report, in a plain one by its last step's log."""
    if run.name == OURS:
        stages = json.loads(run.artifacts["report"].read()["report.json"])["stages"]
        return sum(stage["seconds"] or 0 for stage in stages)
    return sum(map(float, re.findall(r"^(?:prepare|featurize|train|evaluate|export):([\d.]+)", run.log, re.MULTILINE)))
