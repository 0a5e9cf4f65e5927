"""What the stages made of small tables when their revision was set, and how that is made again.

`make goldens` runs this file. It refuses to record other results under a revision that has some already.
"""

import ast
import contextlib
import gzip
import hashlib
import importlib.metadata
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

TEMPLATE = Path(__file__).parents[3]
ENGINE = TEMPLATE / "engine/src/mlops_actions"
RESULTS = Path(__file__).with_name("goldens.json")
TOLERANCE = 1e-6
SHOWN = 8  # rows whose predictions are kept
# Wider vectors than every machine has give other last digits, and an estimator that goes by steps ends elsewhere then.
PLAIN = {
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}
MACHINES = ("x86_64", "AMD64")  # what is recorded is of these
Save = Callable[[pd.DataFrame, Path], None]


def make_table(task: str, rows: int = 240) -> pd.DataFrame:
    """Return a table with numbers, categories of few and many values, text, moments and gaps."""
    random = np.random.default_rng(7)
    size = random.normal(size=rows).round(3)
    words = ["late", "broken", "kind", "fast", "slow", "again", "never", "thanks"]
    table = pd.DataFrame(
        {
            "id": [f"c{number % 60:02}" for number in range(rows)],
            "day": (pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(rows) * 7, unit="h")).strftime("%Y-%m-%d"),
            "size": size,
            "count": random.integers(0, 40, rows),
            "plan": random.choice(["basic", "plus", "pro"], rows),
            "city": random.choice([f"city {number}" for number in range(30)], rows),
            "note": [" ".join(random.choice(words, 6)) for _ in range(rows)],
            "member": random.choice([True, False], rows),
        }
    )
    score = size + 0.4 * (table["plan"] == "pro") + 0.02 * table["count"] + random.normal(size=rows) / 2
    table["target"] = {
        "binary": np.where(score > 0.4, "yes", "no"),
        "classes": np.select([score > 0.9, score > 0.0], ["high", "middle"], "low"),
        "regression": (10 * score).round(2),
    }[task]
    table.loc[::11, "size"] = np.nan
    table.loc[::13, "plan"] = None
    return table


def save_csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False)


def save_compressed(table: pd.DataFrame, path: Path) -> None:
    path.write_bytes(gzip.compress(table.to_csv(index=False).encode(), mtime=0))


def save_european(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, sep=";", decimal=",", encoding="latin-1")


def save_lines(table: pd.DataFrame, path: Path) -> None:
    table.to_json(path, orient="records", lines=True)


def save_parquet(table: pd.DataFrame, path: Path) -> None:
    table.assign(day=pd.to_datetime(table["day"])).to_parquet(path)


def save_workbook(table: pd.DataFrame, path: Path) -> None:
    table.to_excel(path, index=False)


def save_folder(table: pd.DataFrame, path: Path) -> None:
    path.mkdir()
    for part in range(3):
        table.iloc[part::3].to_csv(path / f"{part}.csv", index=False)


@dataclass(frozen=True)
class Case:
    """A table in a file of some kind, and what params.yaml says besides."""

    task: str = "binary"
    name: str = "dataset.csv"
    save: Save = save_csv
    params: dict[str, Any] = field(default_factory=dict)


FEW = {"hist_gradient_boosting": {"max_iter": 8}, "random_forest": {"n_estimators": 8}, "xgboost": {"n_estimators": 8}}
HISTORY = """SELECT id, day, count(*) OVER past AS visits, avg(size) OVER past AS mean_size,
    last(plan) OVER past AS plan_before
FROM events WINDOW past AS (PARTITION BY id ORDER BY day)
"""
CASES = {
    "csv, boosting": Case(),
    "csv compressed, logistic": Case(
        name="dataset.csv.gz",
        save=save_compressed,
        params={"model": {"estimator": "logistic", "class_weight": "balanced"}},
    ),
    "csv of a European spreadsheet, forest": Case(
        name="dataset.txt",
        save=save_european,
        params={
            "data": {"read": {"delimiter": ";", "decimal": ",", "encoding": "latin-1"}},
            "model": {"estimator": "random_forest"},
        },
    ),
    "json lines, three classes": Case("classes", "dataset.jsonl", save_lines),
    "parquet, regression": Case("regression", "dataset.parquet", save_parquet),
    "workbook, linear": Case("regression", "dataset.xlsx", save_workbook, {"model": {"estimator": "linear"}}),
    "folder, groups, threshold": Case(
        name="dataset", save=save_folder, params={"split": {"key": ["id"]}, "model": {"threshold": 0.3}}
    ),
    "time split": Case(
        params={"split": {"method": "time", "column": "day", "cutoff": "2026-02-20", "gap": "2d"}}
    ),
    "history": Case(params={"history": {"entity": ["id"], "time": "day", "delay": "1d"}}),
    "scale, forest": Case(
        "regression", params={"model": {"estimator": "random_forest", "transform": "yeo-johnson", "rows": 100}}
    ),
    "xgboost, three classes": Case("classes", params={"model": {"estimator": "xgboost"}}),
    "xgboost, regression": Case("regression", params={"model": {"estimator": "xgboost"}}),
    "by its path": Case(params={"model": {"estimator": "sklearn.svm.LinearSVC"}, "data": {"weight": "count"}}),
}  # fmt: skip


def lay_project(case: Case, root: Path) -> None:
    """Write a project of a case, described."""
    from mlops_actions.core.config import load_config
    from mlops_actions.setup.describe import ensure_schema

    data = root / "data/raw" / case.name
    data.parent.mkdir(parents=True)
    case.save(make_table(case.task), data)
    source = TEMPLATE / "{{cookiecutter.project_slug}}/src/{{cookiecutter.package_name}}"
    shutil.copytree(source, root / "src/golden", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "pyproject.toml").write_text('[project]\nname = "golden"\n[tool.mlops]\npackage = "golden"\n')
    (root / "features.sql").write_text(HISTORY)
    task = "regression" if case.task == "regression" else "classification"
    params: dict[str, Any] = {
        "data": {"path": f"data/raw/{case.name}", "target": "target", "task": task},
        "split": {}, "history": {}, "model": {"estimator": "hist_gradient_boosting"}, "tune": {},
        "gate": {"primary": "rmse" if task == "regression" else "roc_auc"}, "serving": {}, "resources": {},
    }  # fmt: skip
    for section, values in case.params.items():
        params[section] |= values
    params["model"].setdefault("params", FEW.get(params["model"]["estimator"], {}))
    text = yaml.safe_dump(params)
    (root / "params.yaml").write_text(text)
    ensure_schema(load_config(root, guesses=True))
    (root / "params.yaml").write_text(text)  # what setup makes of it is no result of a stage


def make_results(case: Case, root: Path) -> dict[str, Any]:
    """Return what each stage makes of a case: digests of tables, predictions and metrics."""
    from mlops_actions.bundle.archive import load_bundle
    from mlops_actions.bundle.fitted import answer_of, read_model
    from mlops_actions.core.config import load_config
    from mlops_actions.core.paths import (
        BUNDLE,
        HISTORY,
        METRICS,
        PIPELINE,
        SUMMARY,
        TEST_FEATURES,
        TEST_ROWS,
        TRAIN_FEATURES,
        TRAIN_ROWS,
    )
    from mlops_actions.data.table import read_typed
    from mlops_actions.stages import evaluate, export, featurize, history, prepare, train

    with contextlib.redirect_stdout(io.StringIO()):
        lay_project(case, root)
        config = load_config(root)
        for stage in (prepare, history, featurize, train, evaluate, export):
            stage.run(config)
    rows = read_typed(root / TEST_FEATURES).drop(columns="target").head(SHOWN)
    bundle = load_bundle(root / BUNDLE)
    return {
        "schema": digest(root / "schema.yaml"),
        "prepare": {name: digest(root / name) for name in (TRAIN_ROWS, TEST_ROWS, SUMMARY)},
        "history": {file.name: digest(file) for file in sorted((root / HISTORY).iterdir())},
        "featurize": {name: digest(root / name) for name in (TRAIN_FEATURES, TEST_FEATURES)},
        "train": np.asarray(answer_of(read_model(root / PIPELINE), rows)).tolist(),
        "evaluate": json.loads((root / METRICS).read_bytes()),
        "export": {
            "format": bundle.manifest["format"],
            "compiled": bundle.manifest["features"] is not None,
            "answers": np.asarray(bundle.predict(rows).values).tolist(),
        },
    }


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def key_of(stage: str) -> str:
    """Return what a stage's results depend on besides its source: its revision and the installed libraries."""
    from mlops_actions.stages.recipes import LIBRARIES, REVISIONS, XGBOOST

    boosting = XGBOOST if stage in ("train", "evaluate", "export") else ()
    found = []
    for name in sorted({*LIBRARIES[stage], *boosting}):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name} {importlib.metadata.version(name)}")
    return ", ".join([f"revision {REVISIONS[stage]}", *found])


def source_digest(stage: str) -> str:
    """Return a digest of the source that a stage can import, docstrings and comments aside."""
    seen: dict[Path, Any] = {}
    waiting = [ENGINE / "stages" / f"{stage}.py"]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            tree = ast.parse(file.read_bytes())
            seen[file] = shape(tree)
            waiting += imported(file, tree)
    listing = [[str(file.relative_to(ENGINE)), seen[file]] for file in sorted(seen)]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()[:16]


def imported(file: Path, tree: ast.Module) -> Iterator[Path]:
    """Yield the engine's modules that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for path in (base.with_suffix(".py"), *(base / f"{alias.name}.py" for alias in node.names)):
                if path.is_file() and ENGINE in path.parents:
                    yield path


def shape(node: Any) -> Any:
    """Return a syntax tree as JSON can hold it, the same in every Python: no docstrings, places or empty fields."""
    if isinstance(node, list):
        return [shape(child) for child in node if not is_docstring(child)]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: value for name, value in ast.iter_fields(node) if value not in (None, []) and name not in SKIPPED}
    return [type(node).__name__, {name: shape(value) for name, value in fields.items()}]


def is_docstring(node: Any) -> bool:
    """Return whether a statement is text alone: a docstring, or a knob's comment below it."""
    text = getattr(node, "value", None) if isinstance(node, ast.Expr) else None
    return isinstance(text, ast.Constant) and isinstance(text.value, str)


SKIPPED = ("ctx", "kind", "type_comment", "type_params")


def differences(old: Any, new: Any, place: str = "") -> list[str]:
    """Return where two results differ, numbers by more than the tolerance."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = [*old, *(name for name in new if name not in old)]
        return [line for name in names for line in differences(old.get(name), new.get(name), f"{place}/{name}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = zip(old, new, strict=True)
        return [line for number, pair in enumerate(pairs) for line in differences(*pair, f"{place}/{number}")]
    if isinstance(old, float) and isinstance(new, float | int):
        return [] if abs(old - new) <= TOLERANCE * max(1, abs(old)) else [f"{place}: {new} is not {old}"]
    return [] if old == new else [f"{place}: {new} is not {old}"]


def read_recorded() -> dict[str, Any]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {"sources": {}, "results": {}}


def make_all(file: Path) -> None:
    """Write what the stages make of every case, made by a process that computes alike on all machines of a kind."""
    subprocess.run([sys.executable, __file__, str(file)], env={**os.environ, **PLAIN}, check=True)


def write_results(file: Path) -> None:
    """Write, by the case, what the stages make here."""
    results = {}
    for name, case in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            results[name] = make_results(case, Path(folder))
    file.write_text(json.dumps(results))


def record() -> None:
    """Record results of new revisions and libraries, and the digest of source that gives the same as before."""
    recorded = read_recorded()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        make_all(Path(folder) / "results.json")
        made = json.loads((Path(folder) / "results.json").read_text())
    for name, results in made.items():
        for stage, result in results.items():
            key = key_of(stage) if stage != "schema" else "any"
            kept = recorded["results"].setdefault(stage, {}).setdefault(key, {})
            wrong += [f"{name}, {stage}{line}" for line in differences(kept.setdefault(name, result), result)]
    if wrong:
        sys.exit(
            "\n".join([*wrong, "Other results: raise the revision of the stage in stages/recipes.py, or mend it."])
        )
    for stage in results:
        if stage != "schema":
            recorded["sources"][stage] = source_digest(stage)
    RESULTS.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    write_results(Path(sys.argv[1])) if sys.argv[1:] else record()
