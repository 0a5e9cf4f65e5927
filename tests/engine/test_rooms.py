"""The engine's layout: rooms that import only from those before them, and a project that sees its API alone."""

import ast
import importlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from baked import TEMPLATE

ENGINE = TEMPLATE / "engine/src/mlops_actions"
PROJECT = TEMPLATE / "{{cookiecutter.project_slug}}"
# A room imports from itself and from these.
BEFORE = {
    "core": set(),
    "stats": {"core"},
    "data": {"core"},
    "bundle": {"core", "stats", "data"},
    "registry": {"core", "stats", "data", "bundle"},
    "stages": {"core", "stats", "data", "bundle", "registry"},
    "setup": {"core", "stats", "data", "bundle", "registry", "stages"},
    "review": {"core", "stats", "data", "bundle", "registry", "stages"},
    "serving": {"core", "stats", "data", "bundle", "registry"},
    "monitoring": {"core", "stats", "data", "bundle", "registry"},
}
BESIDE = {"__init__", "__main__", "api", "cli", "testing"}


def imports_of(file: Path, package: tuple[str, ...]) -> Iterator[str]:
    """Yield the dotted names of what a module imports, relative ones from the top."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = (*package[: len(package) - node.level + 1],) if node.level else ()
            module = ".".join((*base, *(node.module.split(".") if node.module else ())))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def rooms_of(room: str) -> Iterator[tuple[str, str]]:
    """Yield each module of a room with the name of a room that it imports from."""
    for file in sorted((ENGINE / room).rglob("*.py")):
        package = (ENGINE.name, *file.relative_to(ENGINE).parent.parts)
        for name in imports_of(file, package):
            parts = name.split(".")
            if parts[0] == ENGINE.name and len(parts) > 1:
                yield str(file.relative_to(ENGINE)), parts[1]


def test_every_module_is_in_a_room_or_known_beside_them() -> None:
    assert {path.stem for path in ENGINE.iterdir() if path.name != "py.typed"} - {"__pycache__"} == {*BEFORE, *BESIDE}


@pytest.mark.parametrize("room", BEFORE)
def test_a_room_imports_only_from_those_before_it(room: str) -> None:
    wrong = {(module, other) for module, other in rooms_of(room) if other not in {*BEFORE[room], room, "__init__"}}
    assert not wrong


def test_a_module_is_found_by_its_name_alone() -> None:
    names = Counter(path.name for path in ENGINE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py"))
    assert not {name for name, count in names.items() if count > 1}


def test_one_module_alone_speaks_http() -> None:
    """So no credential crosses to another server anywhere."""
    clients = (
        "urllib.request",
        "http.client.HTTPConn",
        "http.client.HTTPSConn",
        "requests",
        "httpx",
        "aiohttp",
        "urllib3",
        "botocore",
        "boto3",
    )
    users = {file.name for file in ENGINE.rglob("*.py") for name in imports_of(file, ()) if name.startswith(clients)}
    assert users == {"http_client.py"}


def test_a_project_imports_nothing_of_the_engine_but_its_api() -> None:
    for file in (PROJECT / "src").rglob("*.py"):
        theirs = {name for name in imports_of(file, ()) if name.partition(".")[0] == ENGINE.name}
        assert all(name.startswith(f"{ENGINE.name}.api") for name in theirs), file.name


def test_a_path_of_a_project_is_written_once() -> None:
    """What dvc.yaml makes is named in core/paths.py, and nowhere else in the engine."""
    tree = ast.parse((ENGINE / "core/paths.py").read_bytes())
    paths = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and "/" in str(node.value)}
    for file in ENGINE.rglob("*.py"):
        if file.name != "paths.py":
            text = file.read_text("utf-8")
            repeated = {path for path in paths if f'"{path}"' in text}
            assert not repeated, file.name


def test_the_picture_of_the_rooms_is_what_they_import() -> None:
    edges = {room: sorted({other for _, other in rooms_of(room)} & BEFORE.keys() - {room}) for room in sorted(BEFORE)}
    lines = [f"  {room} --> {' & '.join(others)}" for room, others in edges.items() if others]
    drawn = "```mermaid\nflowchart LR\n" + "\n".join(lines) + "\n```\n"
    assert drawn in (TEMPLATE / "docs/engine.md").read_text("utf-8"), f"docs/engine.md must have this picture:\n{drawn}"


def test_the_page_of_the_rooms_names_what_is_there() -> None:
    text = (TEMPLATE / "docs/engine.md").read_text("utf-8")
    paragraphs = dict(re.findall(r"^\*\*(\w+)\*\* — (.*?)(?=\n\n)", text, re.M | re.S))
    assert [*paragraphs] == [*BEFORE]
    for room, paragraph in paragraphs.items():
        for name in re.findall(r"`([\w/]+?(?:\.py|/))`", paragraph):
            assert (ENGINE / room / name).exists(), f"{room} has no {name}"
        module, *names = re.search(r"Begin\s+with\s+`([\w.]+)`", paragraph)[1].split(".")  # type: ignore[index]
        found = importlib.import_module(f"{ENGINE.name}.{room}.{module}")
        for name in names:
            found = getattr(found, name)


def test_no_python_that_the_engine_starts_looks_for_modules_where_it_stands() -> None:
    started = [
        (str(file.relative_to(ENGINE)), line.strip())
        for file in sorted(ENGINE.rglob("*.py"))
        for line in file.read_text().splitlines()
        if re.search(r'(executable|python), .*"-m"|bin/python .*-m ', line)
    ]
    assert len(started) > 9
    unsafe = [one for one in started if not re.search(r'"-P", "-m"|bin/python -P -m ', one[1])]
    assert not unsafe, "a file of a stranger's branch would take the place of a module"
