"""What tests do inside a generated project: its code is imported once, and works on any project of the same package.

A line of standard input is a request, `["train", "/path/of/a/project", {"estimator": "linear"}]`; each gets one line.
"""

import hashlib
import io
import json
import os
import sys
import traceback
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import pandas as pd
from customer_churn import cli, describe
from customer_churn.config import Config, load_config
from customer_churn.errors import UserError
from customer_churn.outputs import BUNDLE, METRICS, PIPELINE, SUMMARY, TEST_ROWS, TRAIN_ROWS
from customer_churn.params_file import update_params
from customer_churn.pipeline import evaluate, export, featurize, prepare, train
from customer_churn.pipeline.bundle import load_bundle
from customer_churn.pipeline.predict import predict
from customer_churn.table import read_table


def do_prepare(root: Path) -> list[str]:
    """The test rows as lines of CSV, sorted."""
    prepare.run(set_up(root))
    return sorted(pd.read_parquet(root / TEST_ROWS).to_csv(index=False).splitlines()[1:])


def do_split(root: Path) -> dict[str, Any] | str:
    """The train and the test rows as lines of CSV, sorted, and the summary; or the sentence that refuses them."""
    with sentence() as said:
        prepare_rows(load_config(root))
    if said:
        return said[0]
    parts = {
        part: sorted(pd.read_parquet(root / path).to_csv(index=False).splitlines()[1:])
        for part, path in (("train", TRAIN_ROWS), ("test", TEST_ROWS))
    }
    return {**parts, "summary": json.loads((root / SUMMARY).read_text())}


def do_train(root: Path, estimator: str | None = None) -> dict[str, Any]:
    """Digests, manifest and metrics of a model trained on the project's data."""
    config = set_up(root)
    if estimator:
        config = config.model_copy(update={"model": config.model.model_copy(update={"estimator": estimator})})
    train_model(config)
    with zipfile.ZipFile(root / BUNDLE) as bundle:
        manifest = json.loads(bundle.read("manifest.json"))
    digests = {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in (PIPELINE, BUNDLE, METRICS)}
    return {"digests": digests, "manifest": manifest, "metrics": json.loads((root / METRICS).read_text())}


def do_try(root: Path) -> str:
    """The sentence that refuses a project's data or params; empty where it trains and predicts its own raw rows."""
    with sentence() as said:
        config = set_up(root)
        train_model(config)
        rows = read_table(config.path(config.data.path)).drop(columns=config.data.target)
        predicted = predict(config, rows, load_bundle(root / BUNDLE))
        assert len(predicted) == len(rows) and predicted.notna().all(axis=None), predicted
    return "".join(said)


def do_predict(root: Path, rows: str, bundle: str = BUNDLE) -> dict[str, list[Any]] | str:
    """The predictions for a file of rows by column, or the sentence that refuses them."""
    with sentence() as said:
        return predict(load_config(root), root / rows, load_bundle(root / bundle)).to_dict("list")
    return "".join(said)


def do_update(root: Path, values: dict[str, Any], comments: dict[str, str], items: dict[str, list[list[Any]]]) -> str:
    """The sentence that refuses changes to params.yaml, some with a comment, some lists with one for each item."""
    changes = {key: (value, comments[key]) if key in comments else value for key, value in values.items()}
    with sentence() as said:
        update_params(root / "params.yaml", changes | {key: list(map(tuple, pairs)) for key, pairs in items.items()})
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


def set_up(root: Path) -> Config:
    """What `mlops setup` makes of params.yaml."""
    describe.ensure_schema(load_config(root, guesses=True))
    return load_config(root)


def train_model(config: Config) -> None:
    for stage in (prepare, featurize, train, evaluate, export):
        stage.run(config)


@contextmanager
def sentence() -> Iterator[list[str]]:
    """Collect the refusal of what happens inside."""
    said: list[str] = []
    try:
        yield said
    except UserError as error:
        said.append(str(error))


def main(requests: dict[str, Any]) -> None:
    answers, sys.stdout = os.fdopen(os.dup(1), "w"), sys.stderr
    for line in sys.stdin:
        name, root, options = json.loads(line)
        try:
            answer = {"answer": requests[f"do_{name}"](Path(root), **options)}
        except Exception:
            answer = {"traceback": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(globals())
