"""Run a project's stages in this process: what `mlops setup` and `mlops train` do, without DVC and its processes."""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from mlops_actions.bundle.archive import load_bundle
from mlops_actions.core.config import PARAMS, Config, load_config
from mlops_actions.core.paths import BUNDLE, METRICS, PIPELINE, SUMMARY
from mlops_actions.data.table import read_table
from mlops_actions.setup import describe
from mlops_actions.setup.tuning.search import CANDIDATES, RESULT, tune
from mlops_actions.stages import evaluate, export, featurize, history, prepare, train
from mlops_actions.stages.predict import predict
from mlops_actions.stats.own_metrics import named_metrics


def set_up(root: Path) -> Config:
    """Give a project what `mlops setup` gives it, and return its config then."""
    config = load_config(root, guesses=True)
    named_metrics(config)
    describe.ensure_schema(config)
    return load_config(root)


def run_stages(config: Config) -> None:
    """Run every stage, from raw data to the bundle."""
    for stage in (prepare, history, featurize, train, evaluate, export):
        stage.run(config)


def train_project(root: Path, estimator: str | None = None) -> dict[str, Any]:
    """Set a project up, run its stages, and return what `read_trained` says; an estimator other than its params'."""
    config = set_up(root)
    if estimator:
        config = config.model_copy(update={"model": config.model.model_copy(update={"estimator": estimator})})
    run_stages(config)
    return read_trained(root)


def read_trained(root: Path) -> dict[str, Any]:
    """Return the digests of a project's outputs, its bundle's manifest and its metrics."""
    with zipfile.ZipFile(root / BUNDLE) as bundle:
        manifest = json.loads(bundle.read("manifest.json"))
    digests = {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in (PIPELINE, BUNDLE, METRICS)}
    return {"digests": digests, "manifest": manifest, "metrics": json.loads((root / METRICS).read_text())}


def predict_own_rows(root: Path) -> pd.DataFrame:
    """Return what a project's bundle answers to all its raw rows, each of which has an answer."""
    config = load_config(root)
    rows = read_table(config.path(config.data.path), config.data.read).drop(columns=config.data.target)
    predicted = predict(config, rows, load_bundle(root / BUNDLE))
    assert len(predicted) == len(rows) and predicted.notna().all(axis=None), predicted
    return predicted


@contextmanager
def computing(place: str) -> Iterator[None]:
    """Compute meanwhile where COMPUTE says: `computing("processes:1")`."""
    os.environ["COMPUTE"] = place
    try:
        yield
    finally:
        del os.environ["COMPUTE"]


def prepare_data(root: Path) -> dict[str, Any]:
    """Run the stage prepare of a project that is set up, and return its summary."""
    prepare.run(load_config(root))
    summary: dict[str, Any] = json.loads((root / SUMMARY).read_text())
    return summary


def fit_and_score(root: Path) -> dict[str, Any]:
    """Run the stages of a project that is set up, but for its export, and return the metrics."""
    config = load_config(root)
    for stage in (prepare, history, featurize, train, evaluate):
        stage.run(config)
    metrics: dict[str, Any] = json.loads((root / METRICS).read_text())
    return metrics


class Search(NamedTuple):
    """What `tune` leaves: its metrics and candidates, the params, and the lines of params.yaml that it changed."""

    metrics: dict[str, Any]
    table: str
    params: dict[str, Any]
    changed: list[str]


def search_params(root: Path, place: str = "processes:1") -> Search:
    """Set a project up, make its features, search its params where COMPUTE says, and return what that leaves."""
    config = set_up(root)
    for stage in (prepare, history, featurize):
        stage.run(config)
    before = (root / PARAMS).read_text()
    with computing(place):
        tune(config)
    return Search(
        json.loads((root / RESULT).read_text()),
        (root / CANDIDATES).read_text(),
        load_config(root).model.params,
        sorted(set((root / PARAMS).read_text().splitlines()) ^ set(before.splitlines())),
    )


def rewrite_zip(path: Path, change: Callable[[dict[str, bytes]], object]) -> None:
    """Change the files in a zip, such as a bundle's."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
