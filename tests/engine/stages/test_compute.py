"""The same search and the same model wherever the work runs: here, in processes, on Dask workers without our code."""

import importlib
import importlib.metadata
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from baked import TEMPLATE, Project, environment
from distributed import Client
from mlops_actions.core.config import load_config
from mlops_actions.core.errors import UserError
from mlops_actions.core.paths import PIPELINE
from mlops_actions.stages import compute, evaluate, export, featurize, history, prepare, train
from pipeline import Search, computing, fit_and_score, read_trained, search_params, set_up
from tables import DATA, keep

PARAMS = "params.yaml"
COLUMNS = ("state", "international_plan", "number_vmail_messages", "total_day_minutes", "total_intl_calls",
           "number_customer_service_calls", "churn")  # fmt: skip
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
def tuned(fresh: Callable[..., Project]) -> Callable[[str], tuple[Search, bytes]]:
    """`tuned("processes:2")`: what a search leaves, and the model trained after it."""
    there = fresh(2000)
    there.write(DATA, keep(*COLUMNS)(there.read(DATA)))
    tried = {"max_leaf_nodes": [4, 8], "learning_rate": [0.05, 0.2], "max_iter": [8]}
    there.set(**{"tune.params": tried, "tune.folds": 2})
    params = there.read(PARAMS)

    def tune(place: str) -> tuple[Search, bytes]:
        there.write(PARAMS, params)
        (there.path / "schema.yaml").unlink(missing_ok=True)
        search = search_params(there.path, place)
        train.run(load_config(there.path))
        return search, (there.path / PIPELINE).read_bytes()

    return tune


def test_the_workers_cannot_import_the_package(scheduler: str) -> None:
    def can_import() -> bool:  # within this function, for the workers have no tests to import it from
        from importlib.util import find_spec

        return find_spec("mlops_actions") is not None

    with Client(scheduler, timeout=30) as client:
        client.wait_for_workers(2, timeout=60)
        assert [*client.run(can_import).values()] == [False, False]


def test_the_search_gives_the_same_to_the_last_digit_and_so_does_the_training(
    tuned: Callable[[str], tuple[Search, bytes]], scheduler: str
) -> None:
    here, model = tuned("local")
    assert here.metrics["candidates"] == 4 and here.metrics["rows"] > 1500
    assert [line.split(",")[0] for line in here.table.splitlines()[1:]] == ["1"] * 5 + ["2"] * 3
    assert (here, model) == tuned("processes:1") == tuned(scheduler)


def refusal_of(place: str) -> str:
    """Return the sentence that refuses a place to compute."""
    with pytest.raises(UserError) as refusal, computing(place), compute.open_pool(None) as run:
        list(run(max, []))
    return str(refusal.value)


@pytest.mark.parametrize(
    "wrong", ["cluster", "processes:0", "processes:many", "tcp://nowhere", "http://127.0.0.1:8786"]
)
def test_a_place_that_is_none_is_a_sentence(wrong: str) -> None:
    assert refusal_of(wrong) == (
        f"COMPUTE is {wrong!r}; use local, processes:N such as processes:4, or tcp://HOST:8786."
    )


def test_a_scheduler_that_does_not_answer_is_a_sentence_within_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "WAIT", 1)
    began = time.monotonic()
    said = refusal_of("tcp://127.0.0.1:9")
    assert said.startswith("COMPUTE: no Dask scheduler answers at tcp://127.0.0.1:9 (") and "\n" not in said
    assert time.monotonic() - began < 9


def test_workers_with_other_libraries_are_refused(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: {"scikit-learn": "1.0"}.get(name) or known(name))
    said = refusal_of(scheduler)
    assert "has scikit-learn 1." in said and "but this environment has 1.0; give the workers what uv.lock names" in said


def featurized(fresh: Callable[..., Project], rows: int, task: str = "classification") -> Project:
    """A project whose features are made."""
    project = fresh(rows, task)
    config = set_up(project.path)
    for stage in (prepare, history, featurize):
        stage.run(config)
    return project


def fit(project: Project, estimator: str, place: str = "") -> dict[str, Any]:
    """Run the stages from train on, computing somewhere, and return what `read_trained` says."""
    project.set(**{"model.estimator": estimator, "model.params": {"n_estimators": 20, "learning_rate": 0.3}})
    config = load_config(project.path)
    with computing(place):
        for stage in (train, evaluate, export):
            stage.run(config)
    return read_trained(project.path)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_xgboost_trains_here_and_on_dask_with_the_same_bytes_each_time(
    fresh: Callable[..., Project], scheduler: str, task: str
) -> None:
    there = featurized(fresh, 600, task)
    alone, again = (fit(there, "xgboost") for _ in range(2))
    assert alone["digests"] == again["digests"]
    spread, again = (fit(there, "xgboost_dask", scheduler) for _ in range(2))
    assert spread["digests"] == again["digests"]
    for trained in (alone, spread):
        assert trained["manifest"]["format"] == "onnx", trained["manifest"]["why"]
        assert trained["manifest"]["parity"]["max_difference"] <= trained["manifest"]["parity"]["tolerance"]
        assert trained["manifest"]["classes"] == (["no", "yes"] if task == "classification" else None)
    metric = "roc_auc" if task == "classification" else "r2"
    assert spread["metrics"][metric] == pytest.approx(alone["metrics"][metric], abs=0.05)


def test_xgboost_minds_class_weights_and_is_tuned_with_them(fresh: Callable[..., Project]) -> None:
    there = fresh(600)
    there.write(DATA, keep(*COLUMNS)(there.read(DATA)))
    there.set(**{"model.estimator": "xgboost", "model.params": {"n_estimators": 30}, "gate.primary": "recall"})
    set_up(there.path)
    plain = fit_and_score(there.path)
    there.set(**{"model.class_weight": {"yes": 20}, "tune.params": {"max_depth": [1]}})
    assert fit_and_score(there.path)["recall"] > plain["recall"] + 0.1
    assert search_params(there.path).metrics["present"]["recall"] > plain["recall"]


def test_without_its_group_a_package_is_a_sentence(
    fresh: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(featurized(fresh, 200).path)
    importlib.import_module("xgboost.dask")  # else it is the first to miss distributed, and names its own group
    for package, estimator, group, start in (
        ("xgboost", "xgboost", "xgboost", "params.yaml: model.estimator "),
        ("distributed", "xgboost_dask", "cluster", ""),
    ):
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, package, None)
        model = config.model.model_copy(update={"estimator": estimator})
        with pytest.raises(UserError) as refusal:
            train.run(config.model_copy(update={"model": model}))
        assert str(refusal.value) == (
            f'{start}{estimator} needs {package}: add "{group}" to default-groups in pyproject.toml, then `uv sync`.'
        )
        monkeypatch.undo()
