"""The owner's source as stages depend on it: what each module imports, and a digest of what lies beside the three."""

import ast
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from ..core.errors import UserError
from ..core.owner import OWN_MODULES, package_name, package_path

# What notebooks and editors leave beside a module is no helper.
DROPPINGS = re.compile(r"\..*|__pycache__|.*(~|\.(egg-info|ipynb|py[cod]|sw[a-p]|orig|rej|bak|tmp))|#.*#")
IMPORTERS = ("import_module", "__import__", "run_module")  # functions that import what their first argument names
LARGE = 1 << 20  # bytes of a file that is no text of ours: its ends of line are its own


def refuse_shared_modules(root: Path) -> None:
    """Refuse that one of the owner's three modules is imported by another, or by a helper of theirs.

    DVC would not see what a stage depends on.

    Raises:
        UserError: one is, or one of the three is no Python.
    """
    package = package_name(root)
    own = _own_modules(root)
    for file, paths in imports_of(root).items():
        brought = {path[1] for path in paths if path[0] == package and len(path) > 1}
        imported = {*OWN_MODULES} if "*" in brought else brought & {*OWN_MODULES}
        if others := imported - {own.get(file)}:
            theirs = "its stage does not depend" if file in own else "not every stage that uses it depends"
            raise UserError(
                f"{file.relative_to(root).as_posix()} imports {min(others)}.py, on which {theirs}: move what both need "
                f"into a further module of src/{package}/, a helper, and import that."
            )


def helpers_digest(root: Path) -> str:
    """Return a digest of what lies in src/ besides the three modules that the engine calls.

    Raises:
        UserError: a file cannot be read.
    """
    known, digest = _own_modules(root), hashlib.sha256()
    for file in files_of_source(root):
        if file in known:
            continue
        name = os.fsencode(file.relative_to(root / "src").as_posix())
        try:
            size = file.stat().st_size
            if size > LARGE:
                with file.open("rb") as large:
                    content = hashlib.file_digest(large, "sha256").digest()
            else:
                content = file.read_bytes().replace(b"\r\n", b"\n")
                size = len(content)
        except OSError as error:
            raise _unreadable(file, root, error) from None
        digest.update(name + f"\0{size}\0".encode() + content)
    return digest.hexdigest()[:32]  # DVC breaks a longer line of dvc.lock


def imports_of(root: Path) -> dict[Path, list[list[str]]]:
    """Return the dotted path of each name that a file of src/ imports.

    Raises:
        UserError: one of the owner's three modules is no Python, or a file cannot be read.
    """
    own, package = _own_modules(root), package_name(root)
    imports = {}
    for file in files_of_source(root):
        if file.suffix != ".py":
            continue
        try:
            nodes = [*ast.walk(ast.parse(file.read_bytes()))]
        except OSError as error:
            raise _unreadable(file, root, error) from None
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            if file not in own:
                continue  # Python says it better to who imports it
            raise UserError(f"{file.relative_to(root).as_posix()} is not Python: {error}; correct it.") from None
        within = file.relative_to(root / "src").parent.parts
        imports[file] = [path for node in nodes for path in _imported(node, within, package)]
    return imports


def files_of_source(root: Path) -> Iterator[Path]:
    """Yield every file of src/, in order, but what notebooks, editors and Python itself leave; links are followed."""
    seen = set()
    for folder, folders, names in os.walk(root / "src", followlinks=True):
        seen.add(os.path.realpath(folder))
        folders[:] = sorted(
            name
            for name in folders
            if not DROPPINGS.fullmatch(name) and os.path.realpath(os.path.join(folder, name)) not in seen
        )
        files = (Path(folder, name) for name in sorted(names) if not DROPPINGS.fullmatch(name))
        yield from (file for file in files if file.is_file())


def _imported(node: ast.AST, within: tuple[str, ...], package: str) -> Iterator[list[str]]:
    """Yield the dotted path of each name that a piece of a file of the package `within` brings."""
    if isinstance(node, ast.Import):
        yield from (alias.name.split(".") for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (_absolute(node.module or "", node.level, within) + [alias.name] for alias in node.names)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == package:
        yield [package, node.attr]
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        function = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if function in IMPORTERS and isinstance(name := node.args[0].value, str):
            module = name.lstrip(".")
            yield _absolute(module, len(name) - len(module), within)


def _absolute(module: str, level: int, within: tuple[str, ...]) -> list[str]:
    """Return the dotted path of a module that is named with so many dots in front in the package `within`."""
    base = [*within[: len(within) + 1 - level]] if level else []
    return base + (module.split(".") if module else [])


def _own_modules(root: Path) -> dict[Path, str]:
    folder = package_path(root, package_name(root))
    return {folder / f"{name}.py": name for name in OWN_MODULES}


def _unreadable(file: Path, root: Path, error: OSError) -> UserError:
    return UserError(f"{file.relative_to(root).as_posix()} cannot be read ({error.strerror}): correct its permissions.")
