"""Every answer renders into clean files."""

import contextlib
import gzip
import itertools
import json
import re
import sqlite3
import tomllib
from pathlib import Path

import pyarrow
import pytest
import yaml
from baked import TEMPLATE, Bake, Project, run
from pyarrow import parquet

QUESTIONS = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
ODD_TEXT = 'Zoë "Ω" O\'Neil \\ 🦉: # <b> & 100%'
COPIED = (".github/workflows/", ".github/actions/")


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("datasets")
    (folder / "Own.CSV").write_text("rooms,price\n3,250\n2,\n")
    parquet.write_table(pyarrow.table({"rooms": [3, 2], "price": [250.0, None]}), folder / "own.parquet")
    (folder / "rows").mkdir()
    (folder / "rows/1.jsonl").write_text('{"rooms": 3, "price": 250}\n')
    (folder / "own.sql").write_text("-- postgresql://localhost/shop\nSELECT * FROM houses\n")
    return {
        "example": "example",
        "csv": str(folder / "Own.CSV"),
        "parquet": str(folder / "own.parquet"),
        "folder": str(folder / "rows"),
        "query": str(folder / "own.sql"),
        "URL": "https://example.com/own.csv?a=1&b=2",
    }


PATHS = {"parquet": "data/raw/dataset.parquet", "folder": "data/raw/dataset", "query": "data/raw/dataset.parquet"}
DATASETS = ["example", "csv", "parquet", "folder", "query", "URL"]


def answers_for(dataset: str, datasets: dict[str, str]) -> dict[str, str]:
    return {"dataset": datasets[dataset]} | ({} if dataset == "example" else {"target": "price"})


def assert_clean(project: Project) -> None:
    """Fail on leftovers of the template, on dirt from conditions, and on files that their format refuses."""
    for folder in (path for path in project.path.rglob("*") if path.is_dir() and ".git/" not in f"{path}/"):
        snapshot = folder == project.path / "data/raw"  # a changing source fills it at setup
        assert any(folder.iterdir()) or snapshot, f"{folder} is empty"
    for name in project.files():
        assert not re.search(r"[{}%]|cookiecutter", name), name
        if name.startswith(("data/raw/dataset.", "data/raw/dataset/", "vendor/")):
            continue
        text = project.read(name)
        assert "cookiecutter" not in text, name
        if not name.startswith((*COPIED, "src/")):
            assert not re.search(r"(?<!\$)\{\{|\{%|\{#", text), name
        if name != "uv.lock":
            assert "\n" * (4 if name.endswith(".py") else 3) not in text, f"{name} has an empty line too many"
        assert text or Path(name).name in {"__init__.py", "py.typed"}, f"{name} is empty"
        assert not text or (text.endswith("\n") and not text.endswith("\n\n")), f"{name} ends badly"
        assert not text.startswith("\n"), f"{name} begins with an empty line"
        assert_valid(name, text)


def assert_valid(name: str, text: str) -> None:
    match Path(name).suffix:
        case ".toml":
            tomllib.loads(text)
        case ".yaml" | ".yml":
            assert yaml.safe_load(text), name
        case ".json":
            json.loads(text)
        case ".py":
            compile(text, name, "exec")


@pytest.mark.parametrize(
    ("task", "dataset"),
    [*((task, "example") for task in QUESTIONS["task"]), *zip(itertools.cycle(QUESTIONS["task"]), DATASETS[1:])],
)
def test_every_task_and_every_kind_of_dataset_is_clean(
    bake: Bake, datasets: dict[str, str], task: str, dataset: str
) -> None:
    project = bake(task=task, **answers_for(dataset, datasets))
    assert_clean(project)
    path, data = PATHS.get(dataset, "data/raw/dataset.csv"), yaml.safe_load(project.read("params.yaml"))["data"]
    assert (data["path"], data["task"]) == (path, task)
    assert (project.path / path).exists() == (dataset not in ("query", "URL"))


@pytest.fixture(scope="module")
def by_python(bake: Bake) -> dict[str, Project]:
    """A project of each Python, with a name that is spelled in more than one way."""
    names = {"project_slug": "A.b_c-1", "package_name": "abc1"}
    return {python: bake(python_version=python, **names) for python in QUESTIONS["python_version"]}


def test_every_licence_and_every_python_is_clean(bake: Bake, by_python: dict[str, Project]) -> None:
    listings = set()
    for python, project in by_python.items():
        assert_clean(project)
        listings.add(tuple(name.replace("/abc1/", "/customer_churn/") for name in project.files()))
        assert tomllib.loads(project.read("pyproject.toml"))["project"]["requires-python"] == f">={python},<3.14"
    for license_ in QUESTIONS["license"]:
        project = bake(license=license_)
        assert_clean(project)
        listings.add(tuple(project.files()))
        assert license_.split("-")[0] in project.read("LICENSE") or "All rights reserved" in project.read("LICENSE")
    assert len(listings) == 1, "a licence or a Python version changes which files there are"


def test_odd_text_survives_quoting(bake: Bake) -> None:
    project = bake(
        project_name=f"Owls {ODD_TEXT}",
        project_slug="Owl.Model_2-x",
        package_name="Owl2",
        description=ODD_TEXT,
        author_name=ODD_TEXT,
        github_owner="o-w-l_corp",
    )
    assert_clean(project)
    metadata = tomllib.loads(project.read("pyproject.toml"))["project"]
    assert metadata["name"] == "owl-model-2-x"
    assert metadata["description"] == metadata["authors"][0]["name"] == ODD_TEXT
    assert ODD_TEXT in project.read("LICENSE")


def test_names_follow_from_the_project_name(bake: Bake) -> None:
    project = bake(project_name="Größe & Gewicht 2")
    assert project.path.name == "grosse-gewicht-2"
    assert (project.path / "src" / "grosse_gewicht_2").is_dir()


@pytest.mark.parametrize("registry", QUESTIONS["container_registry"])
def test_images_go_where_the_answer_says(bake: Bake, registry: str) -> None:
    project = bake(container_registry=registry, github_owner="Acme_Corp", project_slug="My.Churn-2")
    assert_clean(project)
    wanted = None if registry == "none" else "ghcr.io/acme_corp/my.churn-2"
    assert yaml.safe_load(project.read("params.yaml"))["serving"]["image"] == wanted


def test_each_python_has_a_base_of_its_own() -> None:
    digests = QUESTIONS["__base_digests"]
    assert list(digests) == QUESTIONS["python_version"] and len(set(digests.values())) == len(digests)


@pytest.mark.parametrize("python", QUESTIONS["python_version"])
def test_the_container_is_made_of_the_very_python_that_ci_runs(by_python: dict[str, Project], python: str) -> None:
    lines = by_python[python].read("deploy/Dockerfile").splitlines()
    named, *others = [line.removeprefix("FROM ") for line in lines if line.startswith("FROM ")]
    assert re.fullmatch(rf"python:{re.escape(python)}-slim@sha256:[0-9a-f]{{64}} AS base", named)
    assert others == ["base AS build", "base"], "the digest stands in one line, which Dependabot renews"


def test_a_dataset_is_found_from_where_the_command_was_typed(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "houses.csv").write_bytes("\ufeffprice,rooms\r\n250,3\r\n".encode())
    monkeypatch.setenv("PWD", str(tmp_path))
    project = bake(dataset="houses.csv", target="price", task="regression")
    assert (project.path / "data/raw/dataset.csv").read_bytes() == (tmp_path / "houses.csv").read_bytes()


def test_a_dataset_is_found_beside_the_output_and_at_home(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "houses.csv").write_text("rooms,price\n3,cheap\n")
    monkeypatch.setenv("PWD", "/")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert bake(tmp_path, dataset="houses.csv", target="price").has_file("data/raw/dataset.csv")
    assert bake(dataset="~/houses.csv", target="price").has_file("data/raw/dataset.csv")


FILES: dict[str, tuple[bytes, dict[str, str]]] = {
    "rows.tsv": ("größe\tprice\n3\t2\n".encode("utf-16"), {}),
    "rows.txt": ("größe|price\n3|2\n".encode("latin-1"), {}),
    "rows.csv": (b'size;price\n"3,5; about";1.234,5\n', {}),
    "Rows.CSV.GZ": (gzip.compress(b"size,price\n3,2\n"), {"path": "data/raw/dataset.csv.gz"}),
    "rows.ndjson.gz": (gzip.compress(b'{"size": 3, "price": 2}\n\n{"price": null}\n'), {}),
    "rows.jsonl.zst": (pyarrow.compress(b'{"size": 3, "price": 2}\n', "zstd", asbytes=True), {}),
    "rows.xls": (b"\xd0\xcf\x11\xe0", {"group": "excel"}),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_any_kind_keeps_its_suffix(bake: Bake, tmp_path: Path, name: str) -> None:
    content, wanted = FILES[name]
    (tmp_path / name).write_bytes(content)
    project = bake(dataset=str(tmp_path / name), target="price", task="regression")
    path = wanted.get("path", f"data/raw/dataset.{name.partition('.')[2]}")
    assert (project.path / path).read_bytes() == content
    assert yaml.safe_load(project.read("params.yaml"))["data"]["path"] == path
    groups = tomllib.loads(project.read("pyproject.toml"))["tool"]["uv"]["default-groups"]
    assert groups == ["dev", "serving", *filter(None, [wanted.get("group")])]


@pytest.mark.parametrize(("answer", "names"), [("rows", "12"), ("rows/", "12"), ("rows/*.csv", "12"), ("rows/1*", "1")])
def test_a_folder_or_pattern_becomes_a_folder(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, names: str
) -> None:
    (tmp_path / "rows").mkdir()
    for name in ("1.csv", "2.csv", "_SUCCESS", ".hidden"):
        (tmp_path / "rows" / name).write_text("rooms,price\n3,250\n")
    monkeypatch.setenv("PWD", str(tmp_path))
    project = bake(dataset=answer, target="price")
    assert sorted(file.name for file in (project.path / "data/raw/dataset").iterdir()) == [f"{n}.csv" for n in names]
    ignored = project.run("git", "check-ignore", "data/raw/dataset/1.csv", "data/raw/dataset.dvc", check=False)
    assert ignored.stdout == "data/raw/dataset/1.csv\n"


def test_a_name_that_looks_like_a_pattern_is_one_of_a_folder(bake: Bake, tmp_path: Path) -> None:
    (tmp_path / "rows[1]").mkdir()
    (tmp_path / "rows[1]/a.csv").write_text("rooms,price\n3,250\n")
    assert bake(dataset=str(tmp_path / "rows[1]"), target="price").has_file("data/raw/dataset/a.csv")


def test_a_query_names_its_database_from_anywhere(bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.executescript("CREATE TABLE sales (a, price); INSERT INTO sales VALUES (1, 2);")
    (tmp_path / "own.sql").write_text("-- sqlite:///shop.db\nSELECT * FROM sales;\n")
    monkeypatch.setenv("PWD", str(tmp_path))
    project = bake(dataset="own.sql", target="price", task="regression")
    assert project.read("ingest.sql") == f"-- sqlite:///{tmp_path}/shop.db\nSELECT * FROM sales\n"
    data = yaml.safe_load(project.read("params.yaml"))["data"]
    assert (data["source"], data["path"]) == ("ingest.sql", "data/raw/dataset.parquet")
    groups = tomllib.loads(project.read("pyproject.toml"))["tool"]["uv"]["default-groups"]
    assert groups == ["dev", "serving", "databases"]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://example.com/a.csv.gz?x=1&y=%20", "data/raw/dataset.csv.gz"),
        ("https://example.com/export?format=csv#rows.csv", "data/raw/dataset.csv"),
        ("s3://bucket/folder/Rows.Parquet", "data/raw/dataset.parquet"),
    ],
)
def test_a_url_is_kept_as_it_is(bake: Bake, url: str, path: str) -> None:
    data = yaml.safe_load(bake(dataset=url, target="price").read("params.yaml"))["data"]
    assert (data["source"], data["path"]) == (url, path)


def test_a_generated_project_is_a_git_repository_with_nothing_staged(bake: Bake) -> None:
    project = bake()
    assert project.run("git", "symbolic-ref", "HEAD").stdout == "refs/heads/main\n"
    assert "data/raw/dataset.csv" not in project.run("git", "ls-files", "--others", "--exclude-standard").stdout
    assert not project.has_file(".incoming")


def test_a_folder_that_another_repository_ignores_is_a_place_for_a_project(bake: Bake, tmp_path: Path) -> None:
    run("git", "init", "--quiet", cwd=tmp_path)
    (tmp_path / ".gitignore").write_text("/.demo/\n")
    (tmp_path / ".demo").mkdir()
    project = bake(tmp_path / ".demo")
    assert project.run("git", "rev-parse", "--show-toplevel").stdout.strip() == str(project.path)
    assert run("git", "status", "--porcelain", cwd=tmp_path).stdout == "?? .gitignore\n"


@pytest.mark.parametrize("package", ["a", "zebra_model_of_a_rather_long_name"])
def test_ruff_finds_nothing_to_change(bake: Bake, package: str) -> None:
    project = bake(package_name=package)
    project.run("ruff", "check", "--no-cache", "--output-format=concise")
    project.run("ruff", "format", "--no-cache", "--check")


def test_the_lock_file_names_the_public_index_and_the_wheel_only(bake: Bake) -> None:
    project = bake(project_slug="owl")
    lock = tomllib.loads(project.read("uv.lock"))
    sources = [package["source"] for package in lock["package"]]
    (wheel,) = (file.name for file in (project.path / "vendor").iterdir())
    assert [source for source in sources if "registry" not in source] == [{"virtual": "."}, {"path": f"vendor/{wheel}"}]
    assert {source["registry"] for source in sources if "registry" in source} == {"https://pypi.org/simple"}


def test_what_comes_as_source_alone_is_built_by_a_version_that_is_named(bake: Bake) -> None:
    lock = tomllib.loads(bake().read("uv.lock"))
    built = [
        package["name"] for package in lock["package"] if "registry" in package["source"] and "wheels" not in package
    ]
    assert built == ["antlr4-python3-runtime"], "setuptools builds it; what builds another?"
    ((builder, version),) = [tuple(named.values()) for named in lock["manifest"]["build-constraints"]]
    assert builder == "setuptools" and re.fullmatch(r"==[\d.]+", version)


@pytest.mark.parametrize("python", QUESTIONS["python_version"])
def test_uv_accepts_the_lock_file_as_it_is(by_python: dict[str, Project], python: str) -> None:
    project = by_python[python]
    found = project.run("uv", "python", "find", f">={python},<3.14", check=False, UV_PYTHON_DOWNLOADS="never")
    if found.returncode:
        pytest.skip(f"no Python {python} or later is installed")
    project.run("uv", "lock", "--check", "--offline", UV_PYTHON=found.stdout.strip())
