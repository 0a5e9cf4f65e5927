"""The commands of a generated project against DVC's own, in the same clone."""

from collections.abc import Callable

from bench.measure import in_turn, show, timed
from bench.project import Project

# All of `mlops compare` but running the champion; the gate then has no comparison, and says no.
WITHOUT_CHAMPION = """
import sys
from mlops_actions import cli
from mlops_actions.review import rivals

def skip(*_):
    raise rivals.Incomparable("not measured")

rivals.ask = skip
sys.argv = ["mlops", "compare"]
sys.exit(cli.main())
"""

RENDERING = 1.0  # at most: with rendering, and theirs without
# What DVC's three commands do, and rendering: the models were measured before.
DIFF_AND_RENDER = """
from dataclasses import replace
from pathlib import Path
from mlops_actions.core.config import load_config
from mlops_actions.review import judge
from mlops_actions.review.champion import find_champion
from mlops_actions.review.report import read_report

measured = read_report(Path("report/report.json").read_bytes())
found = judge.describe(load_config(), find_champion())
report = replace(measured, params=found.params, schema=found.schema, data=found.data, stages=found.stages)
judge.show(report)
judge.write(report, Path("report"))
"""


def compare_unchanged(project: Project, repeats: int) -> None:
    """Print the commands of a clone in which nothing changed."""
    taken = measure(
        repeats,
        {
            "train": project.tool("mlops", "train"),
            "repro": project.tool("dvc", "repro"),
            "compare": project.tool("mlops", "compare"),
            "diffs": three_diffs(project),
        },
    )
    show("mlops train, nothing changed / dvc repro", taken["train"], taken["repro"])
    show("mlops compare, nothing changed / dvc metrics, params, plots diff", taken["compare"], taken["diffs"])


def compare_changed(project: Project, repeats: int) -> bool:
    """Print the report of a retrained model against the three commands; return False where it misses its bar."""
    project.tool("mlops", "train")()
    taken = measure(
        repeats,
        {
            "whole": project.tool("mlops", "compare"),
            "drawn": project.tool("python", "-c", DIFF_AND_RENDER),
            "part": project.tool("python", "-c", WITHOUT_CHAMPION, status=1),
            "diffs": three_diffs(project),
        },
    )
    show("mlops compare, the champion not run / the three dvc diffs", taken["part"], taken["diffs"])
    show("mlops compare, both models run / the three dvc diffs", taken["whole"], taken["diffs"])
    return show("diffs, text, page, pictures of measured models / the three", taken["drawn"], taken["diffs"], RENDERING)


def measure(repeats: int, commands: dict[str, Callable[[], None]]) -> dict[str, list[float]]:
    """Return the seconds of each command, warm."""
    tasks = {name: timed(command) for name, command in commands.items()}
    in_turn(1, tasks)
    return in_turn(repeats, tasks)


def three_diffs(project: Project) -> Callable[[], None]:
    """Return what runs DVC's three commands, one after the other."""
    kinds = {"metrics": ["--md"], "params": ["--md"], "plots": []}
    commands = [project.tool("dvc", kind, "diff", *options, "main") for kind, options in kinds.items()]

    def run() -> None:
        for command in commands:
            command()

    return run
