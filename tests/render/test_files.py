"""A generated project is small, and each of its files is on the page that explains them."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from baked import TEMPLATE, Bake, Project
from cookiecutter.environment import StrictEnvironment

PAGE = "docs/files.md"
LOCKED = ("uv.lock", "data/raw/", "vendor/")  # the lock file, the data, the engine
# What commands write; tests/project/test_written_files.py compares this page with what they do write.
LATER = {
    *("schema.yaml", "data/raw/dataset.csv.dvc", "plots/dvc.yaml", "plots/curve.json"),  # mlops setup
    ".github/actions/setup/cml.sha256",  # mlops trust cml
    *("recipes.yaml", "dvc.lock", "metrics.json", "data/summary.json"),  # mlops train
    *("data/raw/dvc.yaml", "data/raw/dvc.lock"),  # mlops ingest
    *(f"tuning/{name}" for name in ("metrics.json", "candidates.csv", "dvc.yaml")),  # mlops tune
}


def read_page() -> list[str]:
    """Return the files that the page names, in its order."""
    tables = re.findall(r"^\| (`.+?) \|", (TEMPLATE / PAGE).read_text("utf-8"), re.MULTILINE)
    return re.findall(r"`([^`]+)`", "\n".join(tables))


def on_page(name: str) -> str:
    """Return a file's name as the page has it."""
    name = re.sub(r"^src/customer_churn/", "src/<package>/", name)
    name = re.sub(r"^(vendor/mlops_actions)-[\d.]+-", r"\1-X.Y.Z-", name)
    return re.sub(r"^data/raw/dataset(\.\w+|/.+)$", "data/raw/dataset.csv", name)


def lines_of(project: Project, name: str) -> int:
    return len(project.read(name).splitlines())


def test_the_page_names_every_file_once_and_no_other(bake: Bake, tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows/1.csv").write_text("rooms,price\n3,250\n")
    (tmp_path / "own.sql").write_text("-- postgresql://localhost/shop\nSELECT * FROM houses\n")
    own = [
        {"dataset": str(tmp_path / name), "target": "price", "project_slug": "customer-churn"}
        for name in ("rows", "own.sql")
    ]
    files = {on_page(name) for answers in ({}, *own) for name in bake(**answers).files()}
    page = read_page()
    assert len(set(page)) == len(page)
    assert files - set(page) == set(), "not on the page"
    assert set(page) - files - LATER == set(), "in no project"


def test_a_project_is_small(bake: Bake) -> None:
    project = bake()
    lines = {name: lines_of(project, name) for name in project.files() if not name.startswith(LOCKED)}
    assert len(lines) <= 40
    assert sum(lines.values()) <= 1600, sorted(lines.items(), key=lambda entry: -entry[1])
    assert lines["README.md"] <= 130 and lines["dvc.yaml"] <= 110


def test_the_readme_says_what_is_whose_in_its_first_table(bake: Bake) -> None:
    readme = bake().read("README.md")
    first = re.search(r"(?:^\|.*\n)+", readme, re.MULTILINE)
    assert first is not None and readme[: first.start()].count("\n") < 20
    named = re.findall(r"^\| `(.+?)` \|", first[0], re.MULTILINE)
    theirs = [name.replace("<package>", "customer_churn") for name in read_page()[: len(named)]]
    code = {f"src/customer_churn/{name}.py" for name in ("features", "model", "metrics")}
    assert code | {"params.yaml", "schema.yaml", "features.sql", "tests/"} == set(named)
    assert named[:4] == theirs[:4], "the page has the same order"


def test_the_picture_has_every_room_of_the_engine_and_files_that_a_project_has(bake: Bake) -> None:
    picture = ElementTree.parse(TEMPLATE / "docs/images/two-houses.svg")
    texts = [text.text or "" for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    rooms = {file.parent.name for file in (TEMPLATE / "engine/src/mlops_actions").glob("*/__init__.py")} - {"testing"}
    assert rooms <= set(texts)
    names = {Path(name).name for name in bake().files()} | {"schema.yaml"}  # which setup writes
    assert {text for text in texts if "." in text and " " not in text} <= names


@pytest.mark.parametrize(
    ("template", "address"),
    [
        ("gh:acme/mlops-template", "https://github.com/acme/mlops-template/tree/HEAD/docs"),
        ("https://git.example.com/ml/template.git", "https://git.example.com/ml/template/tree/HEAD/docs"),
        ("git@github.com:acme/template.git", "https://github.com/acme/template/tree/HEAD/docs"),
        ("/home/ada/template", None),
    ],
)
def test_the_readme_links_the_docs_of_a_template_that_has_an_address(template: str, address: str | None) -> None:
    source = (TEMPLATE / "{{cookiecutter.project_slug}}/README.md").read_text("utf-8")
    end = source[source.index("{% set home") :]
    context = {"cookiecutter": {"_template": template}}
    text = StrictEnvironment(context=context).from_string(end).render(context)
    assert (f"[the documentation]({address})" if address else "`docs/` of the template") in text
