"""Two models in one repository, without DVC's processes: what `mlops train` leaves, and the lock that names it."""

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from baked import Project
from mlops_actions.core.config import Config, load_config
from mlops_actions.core.paths import BUNDLE, LOCK, TEST_ROWS, TRAIN_ROWS
from mlops_actions.registry.objects import CACHE
from mlops_actions.review.champion import Champion
from mlops_actions.review.compare import Comparison
from mlops_actions.review.judge import apply_gate, describe, judge
from mlops_actions.review.markdown import render
from mlops_actions.review.report import read_report
from pipeline import run_stages

OUTPUT = "    - {{path: {path}, hash: md5, md5: {md5}, size: {size}}}\n"


def record(project: Project) -> None:
    """Write the lock file that names the project's outputs, and keep their bytes where DVC does."""
    lock = "schema: '2.0'\nstages:\n"
    for stage, outputs in {"prepare": (TRAIN_ROWS, TEST_ROWS), "export": (BUNDLE,)}.items():
        lock += f"  {stage}:\n    cmd: mlops stage {stage}\n    outs:\n"
        for path in outputs:
            md5 = hashlib.md5((project.path / path).read_bytes()).hexdigest()
            lock += OUTPUT.format(path=path, md5=md5, size=(project.path / path).stat().st_size)
            kept = project.path / CACHE / md5[:2] / md5[2:]
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(project.path / path, kept)
    project.write(LOCK, lock)


def begin(trained: Project, folder: Path) -> Project:
    """Return a repository whose only commit, the champion, has the model of a trained project."""
    project = Project(folder / trained.path.name)
    shutil.copytree(trained.path, project.path)
    project.run("git", "init", "--quiet")
    record(project)
    project.commit("First model")
    return project


def champion_of(project: Project) -> Champion:
    """Return the model of the last commit as the version in production."""
    return Champion("v1.0.0", project.run("git", "rev-parse", "HEAD").stdout.strip())


def retrain(project: Project, **knobs: Any) -> Config:
    """Change params.yaml, run the stages, and record what they made."""
    project.set(**knobs)
    config = load_config()
    run_stages(config)
    record(project)
    return config


@dataclass(frozen=True)
class Verdict:
    """A report as the comment shows it: written as JSON, and rendered by who reads that."""

    written: str

    @classmethod
    def of(cls, config: Config, champion: Champion | None, comparison: Comparison | None = None) -> "Verdict":
        """Return the verdict on the working tree's model; the gate's on a comparison where one is given."""
        report = describe(config, champion)
        report = apply_gate(report, config, comparison) if comparison else judge(report, config, champion)
        return cls(report.to_json())

    @cached_property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.written)
        return found

    @cached_property
    def comment(self) -> str:
        read = read_report(self.written.encode())
        return str(render(read, run_url="https://github.example/run", commit="0" * 40))

    @property
    def line(self) -> str:
        """The comment's first line."""
        return self.comment.partition("\n")[0]

    def row(self, name: str) -> list[str]:
        """The cells of one line of the comment's tables, without their marks: the first cell is `name`."""
        rows = [line[2:-2].split(" | ") for line in self.comment.splitlines() if line.startswith("| ")]
        (found,) = [row for row in rows if row[0].strip("*` ↓") == name]
        return found

    def change(self, metric: str = "roc_auc") -> tuple[float, float, float]:
        """The change of a metric and the ends of its interval, as the comment's table has them."""
        _, champion, candidate, text, _ = self.row(metric)
        change, low, high = (float(number.replace("−", "-")) for number in re.findall(r"[+−]\d+\.\d+", text))
        assert change == pytest.approx(float(candidate) - float(champion), abs=1.01e-4)
        assert low <= change <= high
        return change, low, high
