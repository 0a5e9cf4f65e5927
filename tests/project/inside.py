"""What tests do to a project by the engine's functions: `inside("train", path, estimator="linear")`."""

import hashlib
import importlib.metadata
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd
from mlops_actions import cli
from mlops_actions.bundle.archive import load_bundle
from mlops_actions.core.config import PARAMS, load_config
from mlops_actions.core.errors import UserError
from mlops_actions.core.owner import module_path
from mlops_actions.core.paths import (
    BUNDLE,
    PIPELINE,
    SUMMARY,
    TEST_ROWS,
    TRAIN_ROWS,
)
from mlops_actions.data.table import read_table
from mlops_actions.data.values import parse_values
from mlops_actions.review.changes import params_changes
from mlops_actions.setup import describe
from mlops_actions.setup.profile.writing import read_writing
from mlops_actions.setup.tuning.folds import make_folds
from mlops_actions.setup.tuning.search import CANDIDATES, RESULT, tune
from mlops_actions.stages import compute, featurize, prepare, train
from mlops_actions.stages.predict import predict
from pipeline import computing, run_stages, set_up, train_project

Inside = Callable[..., Any]


def as_json(value: Any) -> Any:
    """Return what remains of a value in JSON."""
    return json.loads(json.dumps(value))


def do_prepare(root: Path) -> list[str]:
    """The test rows as lines of CSV, sorted."""
    prepare.run(set_up(root))
    return sorted(pd.read_parquet(root / TEST_ROWS).to_csv(index=False).splitlines()[1:])


def do_split(root: Path) -> dict[str, Any] | str:
    """The train and the test rows as lines of CSV, sorted, and the summary; or the sentence that refuses them."""
    with sentence() as said:
        prepare.run(set_up(root))
    if said:
        return said[0]
    parts = {
        part: sorted(pd.read_parquet(root / path).to_csv(index=False).splitlines()[1:])
        for part, path in (("train", TRAIN_ROWS), ("test", TEST_ROWS))
    }
    return {**parts, "summary": json.loads((root / SUMMARY).read_text())}


def do_train(root: Path, estimator: str | None = None, place: str = "") -> dict[str, Any]:
    """Digests, manifest and metrics of a model trained on the project's data."""
    with computing(place):
        return train_project(root, estimator)


def do_choose(root: Path) -> dict[str, Any]:
    """The scores that setup prints of each estimator, the last that it says of them, and what params.yaml has then."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        describe.ensure_schema(load_config(root, guesses=True), choose=True)
    lines = printed.getvalue().splitlines()
    scores = [line.split(maxsplit=2)[1:] for line in lines if line.startswith("setup:   ")]
    said = next((line for line in reversed(lines) if line.startswith("setup: model.estimator")), "")
    text = (root / PARAMS).read_text()
    model = text[text.index("\nmodel:") : text.index("\ngate:")]
    return {"scores": {name: float(score) for score, name in scores}, "said": said, "model": model, "params": text}


def do_tune(root: Path, place: str) -> dict[str, Any]:
    """What `mlops tune` says in refusal, writes and changes, and the digests of the model trained after it."""
    config = set_up(root)
    prepare.run(config)
    featurize.run(config)
    before = (root / PARAMS).read_text()
    with sentence() as said, computing(place):
        tune(config)
    files = {name: (root / file).read_text() for name, file in (("metrics", RESULT), ("table", CANDIDATES))}
    train.run(load_config(root))
    return {
        "said": "".join(said),
        "metrics": json.loads(files["metrics"]),
        "table": files["table"],
        "params": load_config(root).model.params,
        "changed": sorted(set((root / PARAMS).read_text().splitlines()) ^ set(before.splitlines())),
        "model": hashlib.sha256((root / PIPELINE).read_bytes()).hexdigest(),
    }


def do_refused_tune(root: Path) -> str:
    """The sentence that refuses a search."""
    config = set_up(root)
    prepare.run(config)
    featurize.run(config)
    with sentence() as said, computing("processes:1"):
        tune(config)
    return "".join(said)


def do_folds(root: Path, column: str) -> list[dict[str, list[Any]]]:
    """The values of a column on both sides of each fold."""
    config = set_up(root)
    prepare.run(config)
    rows = pd.read_parquet(root / TRAIN_ROWS)
    folds = make_folds(config, rows, rows[config.data.target])
    return [
        {"train": rows[column].iloc[train].tolist(), "test": rows[column].iloc[test].tolist()} for train, test in folds
    ]


def do_compute(root: Path, place: str, pretend: dict[str, str] | None = None) -> str:
    """The sentence that refuses a place to compute, where this environment has other versions than it has."""
    known = importlib.metadata.version
    importlib.metadata.version = lambda name: (pretend or {}).get(name) or known(name)
    try:
        with sentence() as said, computing(place), compute.open_pool(None) as run:
            list(run(max, []))
        return "".join(said)
    finally:
        importlib.metadata.version = known


def do_workers(root: Path, address: str) -> list[bool]:
    """Whether each worker of a scheduler can import the package."""
    from distributed import Client

    def importable() -> bool:
        import importlib.util

        return importlib.util.find_spec("mlops_actions") is not None

    with Client(address, timeout=30) as client:
        client.wait_for_workers(2, timeout=60)
        return list(client.run(importable).values())


def do_without(root: Path, package: str, estimator: str) -> str:
    """The sentence that refuses to train with an estimator where a package is not installed."""
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == package}
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        with sentence() as said:
            train_project(root, estimator)
        return "".join(said)
    finally:
        del sys.modules[package]
        sys.modules.update(hidden)


def do_try(root: Path) -> str:
    """The sentence that refuses a project's data or params; empty where it trains and predicts its own raw rows."""
    with sentence() as said:
        config = set_up(root)
        run_stages(config)
        config = load_config(root)
        rows = read_table(config.path(config.data.path), config.data.read).drop(columns=config.data.target)
        predicted = predict(config, rows, load_bundle(root / BUNDLE))
        assert len(predicted) == len(rows) and predicted.notna().all(axis=None), predicted
    return "".join(said)


def do_writing(root: Path, column: str, cells: list[Any]) -> tuple[dict[str, Any], list[str], list[Any]]:
    """How a column of cells is written, what of that is a guess, and what its cells are then."""
    values = pd.Series(cells, dtype="str" if isinstance(cells[0], str) else None)
    found, guesses = read_writing(column, values)
    parsed, wrong = parse_values(values, found.type, found.format, found.unit, found.missing_values)
    assert not wrong.any()
    plain = [None if pd.isna(cell) else str(cell) if found.type == "datetime" else cell for cell in parsed]
    return {"type": found.type, **found.model_dump(exclude_defaults=True)}, guesses, plain


def do_profile(root: Path, sample: int | None = None) -> dict[str, str]:
    """What setup prints of a project's data, or the sentence that refuses it; a sample of at most so many rows."""
    printed, usual = io.StringIO(), describe.SAMPLE
    describe.SAMPLE = sample or usual
    try:
        with sentence() as said, redirect_stdout(printed):
            describe.ensure_schema(load_config(root, guesses=True))
    finally:
        describe.SAMPLE = usual
    return {"printed": printed.getvalue(), "refused": "".join(said)}


def do_predict(root: Path, rows: str, bundle: str = BUNDLE) -> dict[str, list[Any]] | str:
    """The predictions for a file of rows by column, or the sentence that refuses them."""
    with sentence() as said:
        return predict(load_config(root), root / rows, load_bundle(root / bundle)).to_dict("list")
    return "".join(said)


def do_featurize(root: Path, code: str | None = None) -> str:
    """The sentence that refuses the features of a project's rows, empty without one; `code` is a features.py."""
    file = module_path(root, "features")
    usual = file.read_text()
    if code is not None:
        file.write_text(code)
    try:
        with sentence() as said:
            featurize.run(load_config(root))
    finally:
        file.write_text(usual)
    return "".join(said)


def do_verb(root: Path, words: list[str]) -> tuple[int, str]:
    """The exit code of `mlops WORDS` in a directory, and what it says to standard error."""
    home, said = Path.cwd(), io.StringIO()
    os.chdir(root)
    sys.argv = ["mlops", *words]
    try:
        with redirect_stderr(said):
            return cli.main(), said.getvalue()
    finally:
        os.chdir(home)


def do_hear(root: Path, words: list[str]) -> tuple[int, str, str]:
    """The same, and what it says to standard output."""
    heard = io.StringIO()
    with redirect_stdout(heard):
        return *do_verb(root, words), heard.getvalue()


def do_params_changes(root: Path, commit: str) -> list[list[str | None]]:
    """The name and both values of each knob that differs from those at a commit."""
    home = Path.cwd()
    os.chdir(root)
    try:
        changes = params_changes(commit, load_config())
    finally:
        os.chdir(home)
    return [[change.name, change.champion, change.candidate] for change in changes]


@contextmanager
def sentence() -> Iterator[list[str]]:
    """Collect the refusal of what happens inside."""
    said: list[str] = []
    try:
        yield said
    except UserError as error:
        said.append(str(error))
