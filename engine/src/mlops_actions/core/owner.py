"""The owner's package: the modules of a project that the engine calls, found by one line of its pyproject.toml."""

import importlib
import os
import sys
import tomllib
import traceback
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import UserError

PYPROJECT, LOCKFILE = "pyproject.toml", "uv.lock"
OWN_MODULES = ("features", "model", "metrics")  # the ones that the engine calls; any other is a helper of theirs


def package_name(root: Path) -> str:
    """Return the name of the owner's package, `[tool.mlops] package` in pyproject.toml.

    Args:
        root: the project's top.

    Raises:
        UserError: there is no such file or line, or the package is not below src/.
    """
    package = _read_pyproject(root).get("tool", {}).get("mlops", {}).get("package")
    if not isinstance(package, str) or not package.isidentifier():
        raise UserError(f'{PYPROJECT}: [tool.mlops] package is {package!r}; name the package in src/, as in "churn".')
    if not package_path(root, package).is_dir():
        raise UserError(f"{PYPROJECT}: [tool.mlops] package names {package!r}, and there is no src/{package}; name it.")
    return package


def project_name(root: Path) -> str:
    """Return the project's own name, `[project] name` in pyproject.toml.

    Args:
        root: the project's top.

    Raises:
        UserError: there is no such file or line.
    """
    name = _read_pyproject(root).get("project", {}).get("name")
    if not isinstance(name, str):
        raise UserError(f'{PYPROJECT}: [project] name is {name!r}; name the project, as in "customer-churn".')
    return name


def _read_pyproject(root: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((root / PYPROJECT).read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{PYPROJECT}: not found in {root.resolve()}; run this in the project.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{PYPROJECT} cannot be read as TOML ({error}): correct it.") from None


def package_path(root: Path, package: str) -> Path:
    """Return the folder of the owner's package."""
    return root / "src" / package


def module_path(root: Path, name: str) -> Path:
    """Return the file of one of the owner's modules.

    Args:
        root: the project's top.
        name: one of `OWN_MODULES`.

    Raises:
        UserError: as `package_name`.
    """
    return package_path(root, package_name(root)) / f"{name}.py"


def load_module(root: Path, name: str) -> ModuleType:
    """Return one of the owner's modules, imported as `<package>.<name>` from the project's src/.

    Whatever a process imported of another project, or before the file was edited, is imported anew.

    Args:
        root: the project's top.
        name: one of `OWN_MODULES`.

    Raises:
        UserError: there is none, or it cannot be imported.
    """
    package = package_name(root)
    return _import(str((root / "src").resolve()), package, name, _state(package_path(root, package)))


def _state(folder: Path) -> tuple[tuple[str, int, int], ...]:
    files = sorted(folder.rglob("*.py"))
    return tuple((str(file), (stat := file.stat()).st_mtime_ns, stat.st_size) for file in files)


@cache
def _import(source: str, package: str, name: str, state: tuple[tuple[str, int, int], ...]) -> ModuleType:
    """Return a module; `state` is what the package's files looked like, so that an edit is another call."""
    _use(source, package, state)
    file = f"src/{package}/{name}.py"
    try:
        return importlib.import_module(f"{package}.{name}")
    except ModuleNotFoundError as error:
        if error.name == f"{package}.{name}":
            raise UserError(f"{file} is missing: `git restore {file}` brings back what was committed.") from None
        raise UserError(f"{file} needs {error.name}, which is not installed: `uv add {error.name}` adds it.") from None
    except UserError:
        raise
    except Exception as error:  # the code is the owner's: whatever it fails with is told
        raise UserError(f"{file} cannot be imported ({tell(error)}); correct it.") from error


def loaded_package() -> str | None:
    """Return the name of the owner's package that this process has imported from, or None before the first."""
    return _used[1] if _used else None


_used: tuple[str, str, object] | None = None


def _use(source: str, package: str, state: object) -> None:
    """Make `import package` find the project at `source` as its files are now."""
    global _used
    if _used == (source, package, state):
        return
    if _used is not None:
        former_source, former_package, _ = _used
        sys.path[:] = [path for path in sys.path if path != former_source]
        for module in [name for name in sys.modules if name.partition(".")[0] == former_package]:
            del sys.modules[module]
        importlib.invalidate_caches()
    if source not in sys.path:
        sys.path.insert(0, source)
    _used = (source, package, state)


def place_of(error: BaseException) -> str | None:
    """Return the line of the owner's code that an error passed last, as `src/shop/features.py:12`, or None."""
    top = f"{_used[0]}{os.sep}" if _used else ""
    passed = [frame for frame in traceback.extract_tb(error.__traceback__) if top and frame.filename.startswith(top)]
    return f"src/{passed[-1].filename.removeprefix(top)}:{passed[-1].lineno}" if passed else None


def tell(error: BaseException) -> str:
    """Return the type and the first line of an error, and the line of the owner's code that it passed last, if any."""
    first = str(error).strip().splitlines()
    words = f"{type(error).__name__}: {first[0].rstrip('.')}" if first else type(error).__name__
    return f"{words} in {place}" if (place := place_of(error)) else words
