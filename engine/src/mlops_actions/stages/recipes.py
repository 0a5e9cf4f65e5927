"""What each stage computes with besides its data and the owner's module for it, as DVC can compare it.

The output of the pipeline's first stage, recipes.yaml, has an entry a stage; dvc.yaml names it under `params:`. So DVC
itself sees when the engine's results, a library or a default changed, and that a linter's bump changed nothing.
"""

import importlib.metadata
import json
import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from ..core.config import Config
from ..core.engine import edited_digest
from ..core.errors import UserError
from ..core.files import write_file
from ..core.owner import LOCKFILE, PYPROJECT, package_name, package_path
from ..core.paths import DISTRIBUTION, PACKAGE, RECIPES
from .own_source import helpers_digest, imports_of, refuse_shared_modules

# Raised when a stage's results change for the same data, code, params and libraries.
REVISIONS = {"prepare": 1, "history": 2, "featurize": 1, "train": 1, "evaluate": 1, "export": 2}

# What a stage computes with; those of an optional extra count where params.yaml asks for what needs them.
LIBRARIES = {
    "prepare": ("duckdb", "numpy", "pandas", "pandera", "pyarrow"),
    "history": ("duckdb", "pyarrow"),
    "featurize": ("duckdb", "numpy", "pandas", "pyarrow"),
    "train": ("joblib", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops", "threadpoolctl"),
    "evaluate": ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops"),
    "export": ("duckdb", "numpy", "onnx", "onnxruntime", "pandas", "pyarrow", "scikit-learn", "skl2onnx", "skops"),
}
WORKBOOKS = ("python-calamine",)
XGBOOST = ("onnxmltools", "xgboost", "xgboost-cpu")
DASK = ("dask", "distributed")

# The keys of params.yaml that a stage reads, each with all below it.
KEYS = {
    "prepare": ("data", "split"),
    "history": ("history",),
    "featurize": ("data.drop", "data.target", "data.weight", "history"),
    "train": (
        "data.target",
        "data.task",
        "data.weight",
        "model.class_weight",
        "model.estimator",
        "model.params",
        "model.rows",
        "model.seed",
        "model.transform",
    ),
    "evaluate": (
        "data.positive",
        "data.target",
        "data.task",
        "gate.guards",
        "gate.primary",
        "gate.thresholds",
        "model.threshold",
    ),
    "export": (
        "data.drop",
        "data.positive",
        "data.target",
        "data.task",
        "data.weight",
        "history",
        "model.threshold",
    ),
}
OWNERS = ("featurize", "train", "evaluate", "export")  # the stages that run the owner's code
STAGES_OF = {"features": ("featurize", "export"), "model": ("train",), "metrics": ("evaluate",)}


def run(config: Config) -> None:
    """Write recipes.yaml."""
    write_recipes(config)


def write_recipes(config: Config) -> None:
    """Write recipes.yaml, if it is not there already with this content.

    Raises:
        UserError: uv.lock or pyproject.toml is missing or cannot be read, or a module of src/ imports one of the three.
    """
    refuse_shared_modules(config.root)
    content = (json.dumps(make_recipes(config), indent=1, ensure_ascii=False) + "\n").encode()  # which is YAML, too
    path = config.path(RECIPES)
    if not path.is_file() or path.read_bytes() != content:
        write_file(path, content)


def make_recipes(config: Config) -> dict[str, dict[str, Any]]:
    """Return the entry of each stage: its revision, libraries, effective params, the owner's helpers and engine edits.

    Raises:
        UserError: uv.lock or pyproject.toml is missing, or cannot be read.
    """
    locked = _locked_versions(config)
    own = _own_libraries(config.root)
    helpers = helpers_digest(config.root)
    engine = edited_digest(config.root)
    recipes = {}
    for stage, revision in REVISIONS.items():
        theirs = stage in OWNERS
        used = [name for name, stages in own.items() if stage in stages]
        names = sorted({*LIBRARIES[stage], *_optional(stage, config), *used})
        recipes[stage] = {
            "revision": revision,
            "libraries": {name: locked[name] for name in names if name in locked},
            "params": {key: value_of(config, key) for key in KEYS[stage]},
            **({"helpers": helpers} if theirs else {}),
            **({"engine": engine} if engine else {}),
        }
    return recipes


def value_of(config: Config, key: str) -> Any:
    """Return what a dotted key of params.yaml is in effect, defaults included, as JSON can hold it."""
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return json.loads(json.dumps(value.model_dump() if hasattr(value, "model_dump") else value, default=str))


def _optional(stage: str, config: Config) -> tuple[str, ...]:
    boosted = "xgboost" in config.model.estimator and stage in ("train", "evaluate", "export")
    dask = config.model.estimator == "xgboost_dask" and stage == "train"
    workbook = stage == "prepare" and Path(config.data.path).suffix.lower() not in (".csv", ".tsv", ".txt", ".parquet")
    return (*(XGBOOST if boosted else ()), *(DASK if dask else ()), *(WORKBOOKS if workbook else ()))


def _locked_versions(config: Config) -> dict[str, str]:
    """Return the version of each library in uv.lock; several where they depend on the platform or on Python."""
    try:
        versions: dict[str, set[str]] = {}
        for package in _locked_packages(config.path(LOCKFILE).read_text("utf-8")):
            versions.setdefault(package["name"], set()).add(_version_of(package))
    except FileNotFoundError:
        raise UserError(f"{LOCKFILE} is missing: `git restore {LOCKFILE}` or `uv lock` brings it back.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{LOCKFILE} cannot be read ({error}): `uv lock` writes it anew.") from None
    if not versions:
        raise UserError(f"{LOCKFILE} names no library: `git restore {LOCKFILE}` or `uv lock` brings them back.")
    return {name: ", ".join(sorted(locked)) for name, locked in versions.items()}


@cache
def _locked_packages(text: str) -> Any:
    """Return what the text of a uv.lock says of each package, which is shared: read it only."""
    return tomllib.loads(text).get("package", [])


def _version_of(package: dict[str, Any]) -> str:
    """Return the version of a locked package; of one that is on no index, what else tells its bytes apart as well."""
    version, source = str(package.get("version", "")), package.get("source", {"registry": ""})
    if "registry" in source:
        return version
    hashes = [str(wheel.get("hash")) for wheel in [*package.get("wheels", []), package.get("sdist", {})]]
    return " ".join([version, *(f"{kind} {place}" for kind, place in source.items()), *hashes])


def _own_libraries(root: Path) -> dict[str, set[str]]:
    """Return the libraries that the owner's modules import, each with their stages, and the project's own dependencies.

    A dependency that is imported nowhere may be needed all the same, as what pandas reads a file with: by any of these
    stages. The engine is none.
    """
    folder = package_path(root, package_name(root))
    users: dict[str, set[str]] = {}
    for file, paths in imports_of(root).items():
        stages = STAGES_OF.get(file.stem, OWNERS) if file.parent == folder else OWNERS
        for path in paths:
            users.setdefault(path[0], set()).update(stages)
    modules = {name: _modules_of(name) for name in _dependencies(root) if name != DISTRIBUTION}
    libraries = {
        name: set[str]().union(*(users.get(module, ()) for module in theirs)) or {*OWNERS}
        for name, theirs in modules.items()
    }
    here = {path.stem for path in (root / "src").iterdir()}
    others = {*users} - {*sys.stdlib_module_names, *here, PACKAGE}.union(*modules.values())
    installed = importlib.metadata.packages_distributions() if others else {}
    for module in others:
        for library in installed.get(module, ()):
            libraries.setdefault(_normalised(library), set()).update(users[module])
    return libraries


def _dependencies(root: Path) -> list[str]:
    """Return the names of the project's own dependencies."""
    lines = tomllib.loads((root / PYPROJECT).read_text("utf-8")).get("project", {}).get("dependencies", [])
    if not isinstance(lines, list):
        raise UserError(f"{PYPROJECT}: [project] dependencies is {lines!r}; make it a list of requirements.")
    matches = [re.match(r"[A-Za-z0-9._-]+", str(line).strip()) for line in lines]
    return [_normalised(match[0]) for match in matches if match]


def _normalised(library: str) -> str:
    """Return a library's name as uv.lock has it."""
    return re.sub(r"[-_.]+", "-", library).lower()


def _modules_of(library: str) -> set[str]:
    """Return the names under which an installed library is imported; of another, the name that it would have."""
    try:
        files = importlib.metadata.distribution(library).read_text("RECORD") or ""
    except importlib.metadata.PackageNotFoundError:
        files = ""
    return {line.partition("/")[0].partition(".")[0] for line in files.splitlines()} | {library.replace("-", "_")}
