"""What tests do to a project by the engine's functions: `inside("train", path, estimator="linear")`."""

import hashlib
import io
import json
import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd
from mlops_actions import cli
from mlops_actions.bundle.archive import load_bundle
from mlops_actions.bundle.features import make_features
from mlops_actions.core.config import Read, load_config
from mlops_actions.core.errors import UserError
from mlops_actions.core.owner import module_path
from mlops_actions.core.params_file import update_params
from mlops_actions.core.paths import (
    BUNDLE,
    HISTORY,
    PIPELINE,
    TEST_FEATURES,
    TEST_ROWS,
    TRAIN_FEATURES,
)
from mlops_actions.data.history_table import join_history
from mlops_actions.data.prediction_log.log import read_predictions, read_truths
from mlops_actions.data.reading.sniff import sniff
from mlops_actions.data.schema import load_schema
from mlops_actions.data.table import read_batches, read_table, read_typed
from mlops_actions.registry.attestation import verify
from mlops_actions.setup import describe
from mlops_actions.stages import export, featurize, history, ingest, prepare
from mlops_actions.stages.predict import predict
from pipeline import computing, read_trained, run_stages, set_up, train_project
from pyarrow import parquet
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier

Inside = Callable[..., Any]


def as_json(value: Any) -> Any:
    """Return what remains of a value in JSON."""
    return json.loads(json.dumps(value))


def do_verify(root: Path, repository: str, trusted_root: str | None) -> str:
    """The sentence that refuses the attestation beside the project's bundle, or none."""
    with sentence() as said:
        verify(root / BUNDLE, repository, Path(trusted_root) if trusted_root else None)
    return said[0] if said else ""


def do_prepare(root: Path) -> list[str]:
    """The test rows as lines of CSV, sorted."""
    prepare.run(set_up(root))
    return sorted(pd.read_parquet(root / TEST_ROWS).to_csv(index=False).splitlines()[1:])


def do_train(root: Path, estimator: str | None = None, place: str = "") -> dict[str, Any]:
    """Digests, manifest and metrics of a model trained on the project's data."""
    with computing(place):
        return train_project(root, estimator)


def do_told(root: Path) -> dict[str, Any]:
    """What training prints of the columns, and what it makes of them."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        config = set_up(root)
        everything = config.data.model_copy(update={"drop": []})  # what setup drops as well
        run_stages(config.model_copy(update={"data": everything}))
    lines = [line for line in printed.getvalue().splitlines() if line.startswith("train: ")]
    manifest = read_trained(root)["manifest"]
    with zipfile.ZipFile(root / PIPELINE) as model:
        text = "".join(model.read(name).decode("latin-1") for name in model.namelist())
    return {"lines": lines[:-1], "last": lines[-1], "model": text, **{key: manifest[key] for key in ("format", "why")}}


def do_same_rows(root: Path, rows: int) -> bool:
    """Whether reading some rows gives the first of all, from a file of which the rest cannot be read."""
    path = root / TRAIN_FEATURES
    everything = read_typed(path)
    parquet.write_table(parquet.read_table(path), path, row_group_size=100)
    groups = parquet.ParquetFile(path).metadata
    spoiled = bytearray(path.read_bytes())
    for number in range(-(-rows // 100), groups.num_row_groups):
        start = groups.row_group(number).column(0).data_page_offset
        spoiled[start : start + 50] = b"?" * 50
    path.write_bytes(bytes(spoiled))
    pd.testing.assert_frame_equal(read_typed(path, rows), everything.head(rows))
    try:
        read_typed(path)
    except OSError:
        return True
    return False


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


def do_read(path: Path, read: dict[str, Any] | None = None) -> dict[str, Any] | str:
    """The header and rows of a file or folder, and how it is read: as given, else as it seems; or the refusal."""
    with sentence() as said:
        how = Read(**read) if read else sniff(path)
        rows = read_table(path, how)
        cells = [[plain(cell) for cell in row] for row in rows.itertuples(index=False)]
        return {"read": how.model_dump(), "rows": [list(rows.columns), *cells]}
    return "".join(said)


def do_sniff(path: Path) -> dict[str, Any]:
    """How a file seems to be written."""
    return sniff(path).model_dump()


def do_batches(path: Path) -> dict[str, Any]:
    """How many rows each batch of a file has, and whether their column n counts up over all of them."""
    batches = list(read_batches(path, Read()))
    numbers = pd.concat(batches)["n"].astype(int)
    return {"sizes": [len(batch) for batch in batches], "ordered": numbers.tolist() == list(range(len(numbers)))}


def do_ingest(root: Path, environment: dict[str, str]) -> str:
    """What `mlops ingest` prints, or the sentence that refuses."""
    before, printed = dict(os.environ), io.StringIO()
    os.environ.update(environment)
    try:
        with sentence() as said, redirect_stdout(printed):
            ingest.run(load_config(root))
    finally:
        for name in environment:
            os.environ.pop(name)
        os.environ.update(before)
    return "".join(said) or printed.getvalue().strip()


def do_update(root: Path, values: dict[str, Any], comments: dict[str, str], items: dict[str, list[list[Any]]]) -> str:
    """The sentence that refuses changes to params.yaml, some with a comment, some lists with one for each item."""
    changes = {key: (value, comments[key]) if key in comments else value for key, value in values.items()}
    with sentence() as said:
        update_params(root / "params.yaml", changes | {key: list(map(tuple, pairs)) for key, pairs in items.items()})
    return "".join(said)


def do_history(root: Path) -> dict[str, Any]:
    """What the stage history says, or the sentence that refuses it, and the digest of each of its files."""
    heard = io.StringIO()
    with sentence() as said, redirect_stdout(heard):
        prepare.run(set_up(root))
        heard.truncate(heard.seek(0))
        history.run(load_config(root))
    files = sorted((root / HISTORY).glob("*"))
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    return {"said": "".join(said) or heard.getvalue().strip(), "digests": digests}


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


def do_serve(root: Path, rows: int) -> list[str]:
    """The features that differ in any bit from the test rows', when each row comes alone, out of a CSV file."""
    config = load_config(root)
    typed, trained = (read_typed(root / name) for name in (TEST_ROWS, TEST_FEATURES))
    differing = set()
    for number in range(min(rows, len(typed))):
        typed.iloc[[number]].drop(columns=config.data.target).to_csv(root / "alone.csv", index=False)
        row = load_schema(root / "schema.yaml").apply(read_table(root / "alone.csv"), with_target=False)
        made = make_features(join_history(row, config), config)
        for name in trained.drop(columns=config.data.target):
            if made[name].to_numpy().tolist().__repr__() != trained[name].iloc[[number]].to_numpy().tolist().__repr__():
                differing.add(name)
    return sorted(differing)


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


def do_export(root: Path, column: str, everything: bool) -> dict[str, Any]:
    """What export prints of a pipeline that refuses values of a column that it never saw, of that or of all columns.

    Or the sentence that refuses it.
    """
    config, heard = load_config(root), io.StringIO()
    features = read_typed(root / TRAIN_FEATURES)
    target = features.pop(config.data.target)
    seen = [column] if not everything else [*features]
    columns = ColumnTransformer([("seen", OrdinalEncoder(), seen)])
    pipeline = Pipeline([("columns", columns), ("estimator", DecisionTreeClassifier(random_state=0))])
    pipeline.fit(features, target.to_numpy(object))
    batch = [read_typed(root / path).head(200) for path in (TEST_ROWS, TEST_FEATURES)]
    batch[1] = batch[1].drop(columns=config.data.target)
    with sentence() as said, redirect_stdout(heard):
        export.build_bundle(config, pipeline, [(batch[0], batch[1])], root / "strict.zip")
    return {"said": "".join(said), "heard": heard.getvalue()}


def plain(cell: Any) -> Any:
    """A cell as JSON can hold it."""
    if pd.isna(cell):
        return None
    cell = getattr(cell, "item", lambda: cell)()  # numpy's numbers
    return cell if isinstance(cell, bool | int | float | str) else str(cell)


def do_log(root: Path) -> list[dict[str, Any]]:
    """The predictions that a server kept."""
    return read_predictions(root / "predictions").drop(columns="time").to_dict("records")


def do_truths(root: Path) -> list[dict[str, Any]]:
    """The truths that came back to a server."""
    return read_truths(root / "predictions").drop(columns="time").to_dict("records")


@contextmanager
def sentence() -> Iterator[list[str]]:
    """Collect the refusal of what happens inside."""
    said: list[str] = []
    try:
        yield said
    except UserError as error:
        said.append(str(error))
