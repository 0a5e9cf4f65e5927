"""What each stage computes with besides its data and the owner's module for it, as DVC can compare it.

The output of the pipeline's first stage, recipes.yaml, has an entry a stage; dvc.yaml names it under `params:`. So DVC
itself sees when the engine's results, a library or a default changed, and that a linter's bump changed nothing.
"""

import ast
import hashlib
import importlib.metadata
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..core.config import Config
from ..core.engine import edited_digest
from ..core.errors import UserError
from ..core.files import write_file
from ..core.owner import LOCKFILE, OWN_MODULES, PYPROJECT, package_name, package_path
from ..core.paths import DISTRIBUTION, RECIPES

# Raised when a stage's results change for the same data, code, params and libraries.
REVISIONS = {"prepare": 1, "history": 2, "featurize": 1, "train": 1, "evaluate": 1, "export": 1}

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
# What notebooks and editors leave beside a module is no helper.
DROPPINGS = re.compile(r"\..*|__pycache__|.*(~|\.(egg-info|ipynb|py[cod]|sw[a-p]|orig|rej|bak|tmp))|#.*#")


def run(config: Config) -> None:
    """Write recipes.yaml."""
    write_recipes(config)


def refuse_shared_modules(root: Path) -> None:
    """Refuse that one of the owner's three modules is imported by another, or by a helper of theirs.

    DVC would not see what a stage depends on.

    Raises:
        UserError: one is, or one of the three is no Python.
    """
    package = package_name(root)
    own = {package_path(root, package) / f"{name}.py": name for name in OWN_MODULES}
    for file, paths in _imports(root).items():
        imported = {path[1] for path in paths if path[0] == package and len(path) > 1}
        if others := imported & set(OWN_MODULES) - {own.get(file)}:
            theirs = "its stage does not depend" if file in own else "not every stage that uses it depends"
            raise UserError(
                f"{file.relative_to(root).as_posix()} imports {min(others)}.py, on which {theirs}: move what both need "
                f"into a further module of src/{package}/, a helper, and import that."
            )


def _imports(root: Path) -> dict[Path, list[list[str]]]:
    """Return the dotted path of each name that a file of src/ imports.

    Raises:
        UserError: one of the owner's three modules is no Python.
    """
    own = [package_path(root, package_name(root)) / f"{name}.py" for name in OWN_MODULES]
    imports = {}
    for file in files_of_source(root):
        if file.suffix != ".py":
            continue
        try:
            tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError) as error:
            if file not in own:
                continue  # Python says it better to who imports it
            raise UserError(f"{file.relative_to(root).as_posix()} is not Python: {error}; correct it.") from None
        within = file.relative_to(root / "src").parent.parts
        imports[file] = [path for node in ast.walk(tree) for path in _imported(node, within)]
    return imports


def _imported(node: ast.AST, within: tuple[str, ...]) -> Iterator[list[str]]:
    """Yield the dotted path of each name that an import statement in a file of the package `within` brings."""
    if isinstance(node, ast.Import):
        yield from (alias.name.split(".") for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = [*within[: len(within) + 1 - node.level]] if node.level else []
        base += node.module.split(".") if node.module else []
        yield from ([*base, alias.name] for alias in node.names)


def files_of_source(root: Path) -> Iterator[Path]:
    """Yield every file of src/, in order, but what notebooks, editors and Python itself leave there."""
    for file in sorted((root / "src").rglob("*")):
        parts = file.relative_to(root / "src").parts
        if file.is_file() and not any(DROPPINGS.fullmatch(part) for part in parts):
            yield file


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


def helpers_digest(root: Path) -> str:
    """Return a digest of what lies in src/ besides the three modules that the engine calls."""
    folder = package_path(root, package_name(root))
    known = {folder / f"{name}.py" for name in OWN_MODULES}
    digest = hashlib.sha256()
    for file in files_of_source(root):
        if file in known:
            continue
        content = file.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{file.relative_to(root / 'src').as_posix()}\0{len(content)}\0".encode() + content)
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


def _own_libraries(root: Path) -> dict[str, set[str]]:
    """Return the project's own dependencies, the engine left out, each with the stages whose modules import it.

    One that is imported nowhere may be needed all the same, as what pandas reads a file with: by any of these stages.
    """
    folder = package_path(root, package_name(root))
    users: dict[str, set[str]] = {}
    for file, paths in _imports(root).items():
        stages = STAGES_OF.get(file.stem, OWNERS) if file.parent == folder else OWNERS
        for path in paths:
            users.setdefault(path[0], set()).update(stages)
    project = tomllib.loads((root / PYPROJECT).read_text("utf-8")).get("project", {})
    matches = [re.match(r"[A-Za-z0-9._-]+", str(line).strip()) for line in project.get("dependencies", [])]
    names = [re.sub(r"[-_.]+", "-", match[0]).lower() for match in matches if match]
    return {
        name: set[str]().union(*(users.get(module, ()) for module in _modules_of(name))) or {*OWNERS}
        for name in names
        if name != DISTRIBUTION
    }


def _modules_of(library: str) -> set[str]:
    """Return the names under which an installed library is imported; of another, the name that it would have."""
    try:
        files = importlib.metadata.distribution(library).read_text("RECORD") or ""
    except importlib.metadata.PackageNotFoundError:
        files = ""
    return {line.partition("/")[0].partition(".")[0] for line in files.splitlines()} | {library.replace("-", "_")}
