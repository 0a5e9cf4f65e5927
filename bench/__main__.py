"""Ratios against the plain way: generation, retraining, report, workflows; data; the gate; the canary; killed runs."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from local_github import start_github

from bench.attack import measure_attacks
from bench.commands import compare_changed, compare_unchanged
from bench.datasets import measure_datasets
from bench.generation import OWNER, compare_generation
from bench.kills import measure_kills
from bench.project import publish_project
from bench.scale import measure_scale
from bench.serving import measure_serving
from bench.soak import measure_soak
from bench.verdict import measure_canary, measure_verdict
from bench.workflows import compare_docs, compare_params


def main() -> int:
    """Print every figure; exit 1 where one misses its bar."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    help = "rounds of the workflows, of the gate's test sets and of canaries; commands get twice as many"
    parser.add_argument("--repeats", type=int, default=3, help=help)
    measures = {
        "ratios": measure_ratios,
        "datasets": lambda _: measure_datasets(),
        "scale": measure_scale,
        "serving": measure_servers,
        "attack": measure_attacked,
        "verdict": measure_verdict,
        "canary": measure_canary,
        "kills": lambda _: measure_kills(),
    }
    parser.add_argument("--only", choices=measures, help="one part of it")
    arguments = parser.parse_args()
    met = [measure(arguments.repeats) for name, measure in measures.items() if arguments.only in (None, name)]
    return 0 if all(met) else 1


def measure_servers(repeats: int) -> bool:
    """Print how fast the served model answers, against others, and what it bears; return False on a missed bar."""
    with tempfile.TemporaryDirectory() as name:
        fast = measure_serving(Path(name), repeats)
    with tempfile.TemporaryDirectory() as name:
        return measure_soak(Path(name)) and fast


def measure_attacked(repeats: int) -> bool:
    """Print what a server bears of those who mean it ill."""
    with tempfile.TemporaryDirectory() as name:
        return measure_attacks(Path(name))


def measure_ratios(repeats: int) -> bool:
    """Print every ratio; return False where one misses its bar."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        os.environ["PIP_CACHE_DIR"] = str(directory / "pip")  # filled by a first run that does not count
        load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        print(f"Ours / theirs: medians of {repeats} rounds in turn, {2 * repeats} for commands ({load})", flush=True)
        compare_generation(directory, 2 * repeats)
        with start_github(directory / "github", (OWNER,)) as github:
            project = publish_project(github, directory)
            compare_unchanged(project, 2 * repeats)
            docs = compare_docs(project, repeats)
            project.branch(
                "params", "params.yaml", lambda text: text.replace("params: {}", "params: {max_iter: 150}", 1)
            )
            drawn = compare_changed(project, 2 * repeats)
            project.run("git", "checkout", "--quiet", ".")
            params = compare_params(project, repeats)
    return docs and params and drawn


if __name__ == "__main__":
    sys.exit(main())
