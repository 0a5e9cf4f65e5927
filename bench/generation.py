"""Generation against cookiecutter rendering the same tree without this template's hooks."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.measure import in_turn, show, timed

TEMPLATE = Path(__file__).resolve().parent.parent
OWNER = "acme"
TREE = "{{cookiecutter.project_slug}}"


def compare_generation(directory: Path, repeats: int) -> None:
    """Print generation of the example against the same without hooks, each in a process of its own."""
    bare = directory / "bare"
    shutil.copytree(TEMPLATE / TREE, bare / TREE, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    shutil.copy(TEMPLATE / "cookiecutter.json", bare)
    tasks = {"ours": timed(generator(TEMPLATE, directory)), "bare": timed(generator(bare, directory))}
    in_turn(1, tasks)
    taken = in_turn(repeats, tasks)
    show("generation / the same tree without hooks", taken["ours"], taken["bare"])


def generator(template: Path, directory: Path) -> Callable[[], Path]:
    """Return what generates a project from a template into a new folder, and returns its path."""

    def generate() -> Path:
        output = Path(tempfile.mkdtemp(dir=directory))
        command = [sys.executable, "-m", "cookiecutter", "--no-input", "--output-dir", str(output), str(template)]
        subprocess.run([*command, f"github_owner={OWNER}"], check=True, capture_output=True)
        return next(output.iterdir())

    return generate
