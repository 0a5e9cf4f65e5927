"""What each stage computes with besides its data and the owner's module for it, as DVC can compare it.

The output of the pipeline's first stage, recipes.yaml, has an entry a stage; dvc.yaml names it under `params:`. So DVC
itself sees when the engine's results, a library or a default changed, and that a linter's bump changed nothing.
"""

import ast
import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..core.config import Config
from ..core.errors import UserError
from ..core.files import write_file
from ..core.owner import LOCKFILE, OWN_MODULES, PYPROJECT, package_name, package_path
from ..core.paths import RECIPES

# Raised when a stage's results change for the same data, code, params and libraries.
REVISIONS = {"prepare": 1, "history": 1, "featurize": 1, "train": 1, "evaluate": 1, "export": 1}

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
# What notebooks and editors leave beside a module is no helper.
DROPPINGS = re.compile(r"\..*|__pycache__|.*(~|\.(ipynb|py[cod]|sw[a-p]|orig|rej|bak|tmp))|#.*#")


def run(config: Config) -> None:
    """Write recipes.yaml."""
    write_recipes(config)


def refuse_shared_modules(root: Path) -> None:
    """Refuse that one of the owner's three modules imports another: DVC would not see what a stage depends on.

    Raises:
        UserError: one does, or is no Python.
    """
    package = package_name(root)
    for name in OWN_MODULES:
        file = package_path(root, package) / f"{name}.py"
        if not file.is_file():
            continue
        place = f"src/{package}/{file.name}"
        try:
            tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError) as error:
            raise UserError(f"{place} is not Python: {error}; correct it.") from None
        others = {other for node in ast.walk(tree) for other in _imported(node, package)} & set(OWN_MODULES) - {name}
        if others:
            raise UserError(
                f"{place} imports {min(others)}.py, on which its stage does not depend: move what both need into a "
                f"further module of src/{package}/, a helper, and import that."
            )


def _imported(node: ast.AST, package: str) -> Iterator[str]:
    """Yield the names of the owner's modules that an import statement brings."""
    if isinstance(node, ast.Import):
        yield from (
            alias.name.removeprefix(f"{package}.") for alias in node.names if alias.name.startswith(f"{package}.")
        )
    elif isinstance(node, ast.ImportFrom):
        module = f"{package}.{node.module or ''}".rstrip(".") if node.level == 1 else node.module or ""
        if module == package:
            yield from (alias.name for alias in node.names)
        elif module.startswith(f"{package}."):
            yield module.removeprefix(f"{package}.")


def write_recipes(config: Config) -> None:
    """Write recipes.yaml, if it is not there already with this content.

    Raises:
        UserError: uv.lock or pyproject.toml is missing or cannot be read, or one of the three modules imports another.
    """
    refuse_shared_modules(config.root)
    content = (json.dumps(make_recipes(config), indent=1, ensure_ascii=False) + "\n").encode()  # which is YAML, too
    path = config.path(RECIPES)
    if not path.is_file() or path.read_bytes() != content:
        write_file(path, content)


def make_recipes(config: Config) -> dict[str, dict[str, Any]]:
    """Return the entry of each stage: its revision, libraries, effective params and the owner's helpers.

    Raises:
        UserError: uv.lock or pyproject.toml is missing, or cannot be read.
    """
    locked = _locked_versions(config)
    own = _own_libraries(config)
    helpers = helpers_digest(config.root)
    recipes = {}
    for stage, revision in REVISIONS.items():
        theirs = stage in OWNERS
        names = sorted({*LIBRARIES[stage], *_optional(stage, config), *(own if theirs else ())})
        recipes[stage] = {
            "revision": revision,
            "libraries": {name: locked[name] for name in names if name in locked},
            "params": {key: value_of(config, key) for key in KEYS[stage]},
            **({"helpers": helpers} if theirs else {}),
        }
    return recipes


def value_of(config: Config, key: str) -> Any:
    """Return what a dotted key of params.yaml is in effect, defaults included, as JSON can hold it."""
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return json.loads(json.dumps(value.model_dump() if hasattr(value, "model_dump") else value, default=str))


def helpers_digest(root: Path) -> str:
    """Return a digest of the owner's modules beside the three that the engine calls, with whatever lies beside them."""
    folder = package_path(root, package_name(root))
    known = {folder / f"{name}.py" for name in OWN_MODULES}
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        place = file.relative_to(folder)
        if file in known or not file.is_file() or any(DROPPINGS.fullmatch(part) for part in place.parts):
            continue
        content = file.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{place.as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:32]  # DVC breaks a longer line of dvc.lock


def _optional(stage: str, config: Config) -> tuple[str, ...]:
    boosted = "xgboost" in config.model.estimator and stage in ("train", "evaluate", "export")
    dask = config.model.estimator == "xgboost_dask" and stage == "train"
    workbook = stage == "prepare" and Path(config.data.path).suffix.lower() not in (".csv", ".tsv", ".txt", ".parquet")
    return (*(XGBOOST if boosted else ()), *(DASK if dask else ()), *(WORKBOOKS if workbook else ()))


def _locked_versions(config: Config) -> dict[str, str]:
    """Return the version of each library in uv.lock; several where they depend on the platform or on Python."""
    try:
        packages = tomllib.loads(config.path(LOCKFILE).read_text("utf-8")).get("package", [])
        versions: dict[str, set[str]] = {}
        for package in packages:
            versions.setdefault(package["name"], set()).add(str(package.get("version", "")))
    except FileNotFoundError:
        raise UserError(f"{LOCKFILE} is missing: `git restore {LOCKFILE}` or `uv lock` brings it back.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{LOCKFILE} cannot be read ({error}): `uv lock` writes it anew.") from None
    return {name: ", ".join(sorted(locked)) for name, locked in versions.items()}


def _own_libraries(config: Config) -> list[str]:
    """Return the names of the project's own dependencies, which its modules may import; the engine is none."""
    project = tomllib.loads(config.path(PYPROJECT).read_text("utf-8")).get("project", {})
    matches = [re.match(r"[A-Za-z0-9._-]+", str(line).strip()) for line in project.get("dependencies", [])]
    names = [re.sub(r"[-_.]+", "-", match[0]).lower() for match in matches if match]
    return [name for name in names if name != "mlops-actions"]
