"""dvc.yaml says the truth about its stages: what each needs and what it makes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked import Project

PACKAGE = "customer_churn"
# Modules that a stage imports and that its result does not depend on.
HARMLESS = {
    "__init__.py": "documentation",
    "pipeline/__init__.py": "documentation",
    "reading/__init__.py": "documentation",
    "scoring/__init__.py": "documentation",
    "errors.py": "sentences",
    "config.py": "reads params.yaml, which names every knob, and dvc.yaml tracks their values",
    "outputs.py": "names files that dvc.yaml names as well",
    "objects.py": "imported by outputs; finds files in DVC's cache",
    "git.py": "imported by objects",
}
# Modules that come with config, table or bundle, and of which this stage uses nothing.
METRICS = {"metrics.py", "weighted.py"}
READING = {f"reading/{name}.py" for name in ("kinds", "lines", "parquet", "tables", "text", "workbook")}
UNUSED = {
    "prepare": METRICS,
    "history": METRICS | READING,
    "featurize": METRICS | READING,
    "train": METRICS | READING,
    "evaluate": READING,
    "export": {"weighted.py"} | READING,
}
IMPORTED = """
import importlib, json, sys
package, *stages = sys.argv[1:]
imported = {}
for stage in stages:
    importlib.import_module(f"{package}.pipeline.{stage}")
    names = [name for name in sys.modules if name.partition(".")[0] == package]
    imported[stage] = [sys.modules.pop(name).__file__ for name in names]
print(json.dumps(imported))
"""


@pytest.fixture(scope="module")
def stages(project: Project) -> dict[str, Any]:
    return yaml.safe_load(project.read("dvc.yaml"))["stages"]


@pytest.fixture(scope="module")
def imported(project: Project, stages: dict[str, Any]) -> dict[str, set[str]]:
    """The modules of the project that each stage imports, and they in turn."""
    said = json.loads(project.run(project.path / ".venv/bin/python", "-c", IMPORTED, PACKAGE, *stages).stdout)
    source = project.path / "src" / PACKAGE
    return {stage: {str(Path(file).relative_to(source)) for file in files} for stage, files in said.items()}


@pytest.mark.parametrize("stage", ["prepare", "history", "featurize", "train", "evaluate", "export"])
def test_a_stage_depends_on_the_modules_that_it_imports(
    imported: dict[str, set[str]], stages: dict[str, Any], stage: str
) -> None:
    source = f"src/{PACKAGE}/"
    declared = {dep.removeprefix(source) for dep in stages[stage]["deps"] if dep.startswith(source)}
    assert imported[stage] - HARMLESS.keys() - UNUSED.get(stage, set()) == declared


def test_every_knob_is_in_params(project: Project, mlops: Callable[..., Any]) -> None:
    """A default in config.py that params.yaml does not name would change results past DVC."""
    python = project.path / ".venv/bin/python"
    code = (
        "import json; from customer_churn.config import Params; "
        "print(json.dumps({name: list(field.annotation.model_fields) for name, field in Params.model_fields.items()}))"
    )
    knobs = json.loads(project.run(python, "-c", code).stdout)
    assert {name: list(section) for name, section in yaml.safe_load(project.read("params.yaml")).items()} == knobs


def test_every_output_is_named_once_in_outputs_and_once_in_dvc_yaml(project: Project, stages: dict[str, Any]) -> None:
    made = [out for stage in stages.values() for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    paths = {next(iter(out)) if isinstance(out, dict) else out for out in made}
    named = {
        line.split('"')[1]
        for line in project.read(f"src/{PACKAGE}/outputs.py").splitlines()
        if line[:1].isupper() and ' = "' in line and not line.startswith("LOCK")
    }
    assert paths == named
    for file in (project.path / "src").rglob("*.py"):
        if file.name not in ("outputs.py", "cli.py"):
            text = file.read_text("utf-8")
            repeated = [path for path in paths if f'"{path}"' in text]
            assert not repeated, f"{file.name} repeats {repeated}"
