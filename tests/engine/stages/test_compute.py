"""The same search and the same model wherever the work runs: here, in processes, on Dask workers without our code."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from baked import TEMPLATE, Project, environment
from inside import Inside

PARAMS = "params.yaml"
BARE_WORKER = """
import sys
sys.path[:] = [path for path in sys.path if path != {source!r}]
from distributed.cli.dask_worker import main
main()
"""


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Dask scheduler with two workers, in processes that cannot import the engine."""
    folder = tmp_path_factory.mktemp("dask")
    python, file = sys.executable, folder / "scheduler.json"
    bare = BARE_WORKER.format(source=str(TEMPLATE / "engine/src"))
    options = ["--no-dashboard", "--host", "127.0.0.1"]
    started = [start([python, "-m", "distributed.cli.dask_scheduler", "--port", "0", *options,
                      "--scheduler-file", str(file)], folder)]  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not file.exists() or not file.read_text().strip():
            assert started[0].poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        worker = [python, "-c", bare, address, "--nthreads", "1", "--no-nanny", *options]
        started += [start(worker, folder) for _ in range(2)]
        yield address
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    log = (folder / "log").open("ab")
    return subprocess.Popen(command, cwd=folder, env=environment(), stdout=log, stderr=log)


@pytest.fixture(scope="module")
def tuned(inside: Inside, fresh: Callable[..., Project]) -> Callable[[str], dict[str, Any]]:
    """`tuned("processes:2")`: what a search gives and leaves, and the bytes of the model trained after it."""
    done: dict[str, dict[str, Any]] = {}

    def tune(place: str) -> dict[str, Any]:
        if place not in done:
            there = fresh(2000)
            tried = {"max_leaf_nodes": [4, 8], "learning_rate": [0.05, 0.2], "max_iter": [20]}
            there.set(**{"tune.params": tried, "tune.folds": 3})
            done[place] = inside("tune", there.path, place=place)
        return done[place]

    return tune


def test_the_workers_cannot_import_the_package(inside: Inside, tmp_path: Path, scheduler: str) -> None:
    assert inside("workers", tmp_path, address=scheduler) == [False, False]


def test_the_search_gives_the_same_to_the_last_digit_and_so_does_the_training(
    tuned: Callable[[str], dict[str, Any]], scheduler: str
) -> None:
    here = tuned("local")
    assert here["said"] == "" and here["metrics"]["candidates"] == 4 and here["metrics"]["rows"] > 1500
    assert [line.split(",")[0] for line in here["table"].splitlines()[1:]] == ["1"] * 5 + ["2"] * 3
    assert here == tuned("processes:1") == tuned(scheduler)


def test_a_place_that_is_none_is_a_sentence(inside: Inside, tmp_path: Path) -> None:
    for wrong in ("cluster", "processes:0", "processes:many", "tcp://nowhere", "http://127.0.0.1:8786"):
        said = inside("compute", tmp_path, place=wrong)
        assert said == f"COMPUTE is {wrong!r}; use local, processes:N such as processes:4, or tcp://HOST:8786."


def test_a_scheduler_that_does_not_answer_is_a_sentence_within_its_time(inside: Inside, tmp_path: Path) -> None:
    began = time.monotonic()
    said = inside("compute", tmp_path, place="tcp://127.0.0.1:9")
    assert said.startswith("COMPUTE: no Dask scheduler answers at tcp://127.0.0.1:9 (") and "\n" not in said
    assert time.monotonic() - began < 30


def test_workers_with_other_libraries_are_refused(inside: Inside, tmp_path: Path, scheduler: str) -> None:
    said = inside("compute", tmp_path, place=scheduler, pretend={"scikit-learn": "1.0"})
    assert "has scikit-learn 1." in said and "but this environment has 1.0; give the workers what uv.lock names" in said


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_xgboost_trains_here_and_on_dask_with_the_same_bytes_each_time(
    inside: Inside, fresh: Callable[..., Project], scheduler: str, task: str
) -> None:
    there = fresh(1200, task)
    alone, again = (inside("train", there.path, estimator="xgboost") for _ in range(2))
    assert alone["digests"] == again["digests"]
    spread, again = (inside("train", there.path, estimator="xgboost_dask", place=scheduler) for _ in range(2))
    assert spread["digests"] == again["digests"]
    for said in (alone, spread):
        assert said["manifest"]["format"] == "onnx", said["manifest"]["why"]
        assert said["manifest"]["parity"]["max_difference"] <= said["manifest"]["parity"]["tolerance"]
        assert said["manifest"]["classes"] == (["no", "yes"] if task == "classification" else None)
    metric = "roc_auc" if task == "classification" else "r2"
    assert spread["metrics"][metric] == pytest.approx(alone["metrics"][metric], abs=0.05)


def test_xgboost_minds_class_weights_and_is_tuned_with_them(inside: Inside, fresh: Callable[..., Project]) -> None:
    there = fresh(600)
    there.set(**{"model.estimator": "xgboost", "gate.primary": "recall"})
    plain = inside("train", there.path)
    there.set(**{"model.class_weight": {"yes": 20}, "tune.params": {"max_depth": [1]}})
    assert inside("train", there.path)["metrics"]["recall"] > plain["metrics"]["recall"] + 0.1
    found = inside("tune", there.path, place="processes:1")
    assert found["said"] == "" and found["metrics"]["present"]["recall"] > plain["metrics"]["recall"]


def test_without_its_group_a_package_is_a_sentence(inside: Inside, fresh: Callable[..., Project]) -> None:
    there = fresh(300)
    said = inside("without", there.path, package="xgboost", estimator="xgboost")
    assert said == (
        'params.yaml: model.estimator xgboost needs xgboost: add "xgboost" to default-groups in pyproject.toml, then '
        "`uv sync`."
    )
    said = inside("without", there.path, package="distributed", estimator="xgboost_dask")
    assert said.endswith('needs distributed: add "cluster" to default-groups in pyproject.toml, then `uv sync`.')
