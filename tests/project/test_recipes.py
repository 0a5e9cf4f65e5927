"""What retrains: a stage's data, its module, and its recipe; and nothing else."""

import contextlib
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from baked import TEMPLATE, Project
from dvc.repo import Repo
from mlops_actions.core.config import keys_of, load_config
from mlops_actions.core.engine import FOLDER
from mlops_actions.core.engine_change import folder_of
from mlops_actions.core.errors import UserError
from mlops_actions.core.paths import (
    BUNDLE,
    HISTORY,
    METRICS,
    PIPELINE,
    PLOTS,
    RECIPES,
    STAGES,
    SUMMARY,
    TEST_FEATURES,
    TEST_ROWS,
    TRAIN_FEATURES,
    TRAIN_ROWS,
)
from mlops_actions.core.typed_yaml import section_of
from mlops_actions.core.wheel import Wheel
from mlops_actions.stages.outdated import what_changed
from mlops_actions.stages.own_source import helpers_digest
from mlops_actions.stages.recipes import make_recipes, value_of, write_recipes
from verbs import call_verb

SOURCE = "src/customer_churn"
OWNERS = "featurize, train, evaluate, export"


@pytest.fixture
def there(released: Project, tmp_path: Path) -> Project:
    """A project that is trained and committed, of one's own."""
    return released.copy(tmp_path / "project")


def changes(project: Project) -> dict[str, str]:
    """Return what changed since stages ran, each with those stages in their order."""
    with contextlib.chdir(project.path):
        write_recipes(load_config())
        found = dict(re.fullmatch(r"(.*) changed since (.*) ran", clause).groups() for clause in what_changed())  # type: ignore[union-attr]
    return {
        change: ", ".join(stage for stage in STAGES if stage in stages.split(", ")) for change, stages in found.items()
    }


def lock(project: Project, name: str, version: str) -> None:
    """Let uv.lock name another version of a library."""
    text = project.read("uv.lock")
    changed = re.sub(rf'(name = "{name}"\nversion = ")[^"]+', rf"\g<1>{version}", text)
    assert changed != text
    project.write("uv.lock", changed)


def test_nothing_changed(there: Project) -> None:
    assert changes(there) == {}


def test_a_library_that_no_stage_computes_with_retrains_nothing(there: Project) -> None:
    for name in ("ruff", "mypy", "pytest", "starlette", "sigstore", "xgboost-cpu", "python-calamine"):
        lock(there, name, "99.1")
    assert changes(there) == {}


def test_a_release_of_a_library_retrains_the_stages_that_compute_with_it(there: Project) -> None:
    stages = {
        "pandas": "prepare, featurize, train, evaluate, export",
        "duckdb": "prepare, history, featurize, export",
        "skl2onnx": "export",
        "scikit-learn": "train, evaluate, export",
    }
    for name in stages:
        lock(there, name, "99.1")
    assert changes(there) == stages


def test_versions_that_yaml_could_take_for_one_number_differ(there: Project) -> None:
    lock(there, "pyarrow", "30.1")
    recipes = there.path / RECIPES
    with contextlib.chdir(there.path):
        write_recipes(load_config())
        first = yaml.safe_load(recipes.read_text())
        lock(there, "pyarrow", "30.10")
        write_recipes(load_config())
        second = yaml.safe_load(recipes.read_text())
    assert [found["train"]["libraries"]["pyarrow"] for found in (first, second)] == ["30.1", "30.10"]


@pytest.mark.parametrize(
    ("file", "line", "stages"),
    [
        ("model", "from light_gbm.sklearn import LGBMClassifier", "train"),
        ("features", "def late():\n    import light_gbm", "featurize, export"),
        ("metrics", "import light_gbm as boosting", "evaluate"),
        ("prices", "import light_gbm", OWNERS),
        ("model", "import heavy_gbm", OWNERS),
    ],
)
def test_a_library_of_the_owners_own_retrains_the_stages_whose_module_imports_it_or_all_where_none_does(
    there: Project, file: str, line: str, stages: str
) -> None:
    dependencies = there.read("pyproject.toml").replace('    "numpy>=2",', '    "Light_GBM>=4",\n    "numpy>=2",')
    there.write("pyproject.toml", dependencies)
    module = there.path / SOURCE / f"{file}.py"
    module.write_text((module.read_text() if module.exists() else "") + f"\n{line}\n")
    there.write("uv.lock", there.read("uv.lock") + '\n[[package]]\nname = "light-gbm"\nversion = "4.6"\n')
    assert changes(there)["light-gbm"] == stages


def test_a_library_is_known_by_the_names_that_its_files_have(there: Project) -> None:
    libraries = {stage: entry["libraries"] for stage, entry in make_recipes(load_config(there.path)).items()}
    assert "scikit-learn" not in libraries["featurize"] and "pyyaml" not in libraries["train"]
    there.write(
        "pyproject.toml", there.read("pyproject.toml").replace('    "numpy>=2",', '    "PyYAML",\n    "numpy>=2",')
    )
    there.write(f"{SOURCE}/model.py", there.read(f"{SOURCE}/model.py") + "\nimport yaml\n")
    used = [stage for stage, entry in make_recipes(load_config(there.path)).items() if "pyyaml" in entry["libraries"]]
    assert used == ["train"]


def test_boosting_depends_on_its_library_where_it_is_chosen(there: Project) -> None:
    config = load_config(there.path)
    chosen = config.model_copy(update={"model": config.model.model_copy(update={"estimator": "xgboost"})})
    of_stages = {stage: "xgboost" in entry["libraries"] for stage, entry in make_recipes(chosen).items()}
    assert [stage for stage, depends in of_stages.items() if depends] == ["train", "evaluate", "export"]


def test_a_module_retrains_its_stages_and_a_helper_all_that_run_the_owners_code(there: Project) -> None:
    stages = {"features": "featurize, export", "model": "train", "metrics": "evaluate"}
    for name, expected in stages.items():
        text = there.read(f"{SOURCE}/{name}.py")
        there.write(f"{SOURCE}/{name}.py", text + "\nX = 1\n")
        assert changes(there) == {f"{SOURCE}/{name}.py": expected}
        there.write(f"{SOURCE}/{name}.py", text)
    (there.path / SOURCE / "shared").mkdir()
    there.write(f"{SOURCE}/shared/prices.json", "{}")
    assert changes(there) == {"a helper of src/": OWNERS}
    (there.path / SOURCE / "shared/prices.json").unlink()
    (there.path / "src/tariffs").mkdir()
    there.write("src/tariffs/__init__.py", "FACTOR = 2\n")
    assert changes(there) == {"a helper of src/": OWNERS}


def test_an_ejected_engine_that_is_patched_retrains_and_one_that_is_not_does_not(there: Project) -> None:
    (wheel,) = (there.path / "vendor").glob("*.whl")
    for name, content in folder_of(Wheel.read(wheel)).items():
        path = there.path / FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert changes(there) == {}
    metrics = there.path / FOLDER / "src/mlops_actions/stats/metrics.py"
    metrics.write_text(metrics.read_text() + "\nPATCHED = True\n")
    assert changes(there) == {"the engine in vendor/": "prepare, history, featurize, train, evaluate, export"}


def test_what_notebooks_and_editors_leave_is_no_helper(there: Project) -> None:
    source = there.path / SOURCE
    for name in (
        ".ipynb_checkpoints/model-checkpoint.py",
        "__pycache__/own.cpython-312.pyc",
        "look.ipynb",
        "model.py~",
    ):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text("dropped")
    for name in (".model.py.swp", "#features.py#", ".#features.py", "model.py.orig", ".DS_Store", "features.py.bak"):
        (source / name).write_text("dropped")
    assert changes(there) == {}


def test_a_knob_retrains_the_stages_that_read_it(there: Project) -> None:
    there.set(**{"model.seed": 1, "model.threshold": 0.3, "split.test_size": 0.3})
    assert changes(there) == {
        "model.seed in params.yaml": "train",
        "model.threshold in params.yaml": "evaluate, export",
        "split in params.yaml": "prepare",
    }


def test_a_default_that_is_written_down_retrains_nothing(there: Project) -> None:
    config = load_config(there.path)
    there.set(**{key: value_of(config, key) for key, field in keys_of() if not section_of(field)})
    lines = {line.strip() for line in there.read("params.yaml").splitlines()}
    assert {"seed: 0", "class_weight: null", "guards: {}", "gap: null"} <= lines
    assert make_recipes(load_config(there.path)) == make_recipes(config) and changes(there) == {}


ENGINE = {  # changes of the engine's source, and what they retrain
    "a comment and a fix in serving": (
        [
            ("stages/train.py", "    start = time", "    # Begin.\n    start = time"),
            ("serving/server.py", "\n\n\ndef ", "\n\n\nLATER = 1\n\n\ndef "),
        ],
        {},
    ),
    "a raised revision and a changed default": (
        [
            ("stages/recipes.py", '"evaluate": 1', '"evaluate": 2'),
            ("core/config.py", "delay: float | str | None = None", 'delay: float | str | None = "1d"'),
        ],
        {"the engine's results": "evaluate", "history in params.yaml": "history, featurize, export"},
    ),
}


@pytest.mark.parametrize("case", ENGINE)
def test_another_engine_retrains_what_it_says_that_it_changes(there: Project, tmp_path: Path, case: str) -> None:
    edits, expected = ENGINE[case]
    engine = tmp_path / "engine"
    shutil.copytree(TEMPLATE / "engine/src", engine, ignore=shutil.ignore_patterns("__pycache__"))
    for module, old, new in edits:
        file = engine / "mlops_actions" / module
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))
    assert changes(there) == {}
    there.run(sys.executable, "-m", "mlops_actions", "stage", "recipes", PYTHONPATH=str(engine))
    with contextlib.chdir(there.path):
        found = dict(clause.removesuffix(" ran").split(" changed since ") for clause in what_changed())
    assert found == expected


def test_dvc_sees_what_mlops_sees(there: Project) -> None:
    assert stale_by_dvc(there) == set()
    lock(there, "skl2onnx", "99.1")
    assert set(changes(there)) == {"skl2onnx"} and stale_by_dvc(there) == {"export"}
    heard = there.run("dvc", "repro", "--dry").stdout
    assert re.findall("Running stage '(.*)'", heard) == ["recipes", "export"]
    there.run("git", "checkout", "uv.lock")
    assert "up to date" in call_verb(there.path, "train").out and stale_by_dvc(there) == set()


def stale_by_dvc(project: Project) -> set[str]:
    """Return the stages that `dvc status` shows, but the one that it always does."""
    with contextlib.chdir(project.path), Repo() as repo:
        return {*repo.status()} - {"recipes"}


def test_an_experiment_of_dvcs_runs_the_stages_that_read_what_it_sets(there: Project) -> None:
    said = there.run("dvc", "exp", "run", "--set-param", "+gate.guards.log_loss=0.5").stdout
    assert re.findall("Running stage '(.*)'", said) == ["recipes", "evaluate"]
    assert "up to date" in call_verb(there.path, "train").out


def test_git_never_sees_the_recipes(there: Project) -> None:
    there.run("git", "check-ignore", RECIPES)
    assert RECIPES not in there.run("git", "ls-files").stdout.splitlines()


def test_a_clone_decides_as_the_tree_that_it_was_cloned_from(there: Project, tmp_path: Path) -> None:
    there.run("git", "clone", "--quiet", there.path, tmp_path / "clone")
    clone = Project(tmp_path / "clone")
    shutil.copytree(there.path / ".dvc/cache", clone.path / ".dvc/cache")
    assert "up to date" in call_verb(clone.path, "train").out
    assert clone.read(RECIPES) == there.read(RECIPES)


@pytest.mark.parametrize(
    "line",
    [
        "from . import features",
        "from .features import add_features",
        "import customer_churn.features",
        "from customer_churn import features",
        "from customer_churn.features import add_features",
    ],
)
def test_a_module_that_imports_another_of_the_three_is_refused(there: Project, line: str) -> None:
    there.write(f"{SOURCE}/model.py", f"{line}\n{there.read(f'{SOURCE}/model.py')}")
    with pytest.raises(UserError) as refused:
        write_recipes(load_config(there.path))
    assert str(refused.value) == (
        f"{SOURCE}/model.py imports features.py, on which its stage does not depend: move what both need into a "
        f"further module of {SOURCE}/, a helper, and import that."
    )


@pytest.mark.parametrize(
    ("file", "line"),
    [
        (f"{SOURCE}/gaps.py", "from customer_churn.model import build_model"),
        (f"{SOURCE}/parts/gaps.py", "from ..model import build_model"),
        (f"{SOURCE}/__init__.py", "from . import model"),
        ("src/other/__init__.py", "import customer_churn.model as theirs"),
        (f"{SOURCE}/gaps.py", "import importlib\nimportlib.import_module('customer_churn.model')"),
        (f"{SOURCE}/gaps.py", "from importlib import import_module\nimport_module('.model', __package__)"),
        (f"{SOURCE}/gaps.py", "import customer_churn\nprint(customer_churn.model)"),
    ],
)
def test_a_helper_that_imports_one_of_the_three_is_refused(there: Project, file: str, line: str) -> None:
    (there.path / file).parent.mkdir(exist_ok=True)
    there.write(file, f"{line}\n")
    with pytest.raises(UserError) as refused:
        write_recipes(load_config(there.path))
    assert str(refused.value).startswith(
        f"{file} imports model.py, on which not every stage that uses it depends: move"
    )


def test_a_module_that_imports_all_that_its_package_has_is_refused(there: Project) -> None:
    there.write(f"{SOURCE}/model.py", f"from customer_churn import *\n{there.read(f'{SOURCE}/model.py')}")
    with pytest.raises(UserError, match=r"model\.py imports features\.py, on which its stage does not depend"):
        write_recipes(load_config(there.path))


def test_a_linked_folder_counts_and_no_file_of_src_is_a_traceback(there: Project) -> None:
    source = there.path / SOURCE
    (there.path / "lib").mkdir()
    there.write("lib/__init__.py", "FACTOR = 1\n")
    (source / "shared").symlink_to(there.path / "lib")
    (there.path / "lib/again").symlink_to(source)
    (source / os.fsdecode(b"\xff.txt")).touch()
    (source / "deep.py").write_text("x = " + "-" * 100_000 + "1\n")
    (source / "large.bin").write_bytes(bytes(2 << 20))
    before = helpers_digest(there.path)
    there.write("lib/__init__.py", "FACTOR = 5\n")
    after = helpers_digest(there.path)
    (source / "large.bin").write_bytes(bytes(2 << 20)[1:] + b"1")
    assert len({before, after, helpers_digest(there.path)}) == 3
    write_recipes(load_config(there.path))


def test_a_library_that_is_on_no_index_differs_by_its_source(there: Project) -> None:
    there.write(f"{SOURCE}/model.py", there.read(f"{SOURCE}/model.py") + "\nimport yaml\n")
    text, versions = there.read("uv.lock"), set()
    for commit in ("1f", "2e"):
        source = f'source = {{ git = "https://github.example/yaml#{commit}" }}\n'
        locked = f'\n[[package]]\nname = "pyyaml"\nversion = "6.0"\n{source}'
        there.write("uv.lock", re.sub(r'\n\[\[package\]\]\nname = "pyyaml"\n(?s:.*?)(?=\n\[\[)', locked, text))
        recipes = make_recipes(load_config(there.path))
        assert "pyyaml" not in recipes["featurize"]["libraries"], "which only model.py imports, and no dependency names"
        versions.add(recipes["train"]["libraries"]["pyyaml"])
    assert len(versions) == 2


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("uv.lock", "", "uv.lock names no library: `git restore uv.lock`"),
        ("dvc.yaml", "", "dvc.yaml lacks the stage recipes: `git restore dvc.yaml`"),
        ("uv.lock", None, "uv.lock is missing: `git restore uv.lock` or `uv lock` brings it back."),
        ("uv.lock", "<<<<<<< HEAD\n", "uv.lock cannot be read"),
        ("pyproject.toml", None, "pyproject.toml: not found in"),
        ("pyproject.toml", "[tool.mlops]\n", "pyproject.toml: [tool.mlops] package is None"),
        ("pyproject.toml", '[tool.mlops]\npackage = "gone"\n', "and there is no src/gone; name it."),
        (f"{SOURCE}/model.py", "def model(:\n", f"{SOURCE}/model.py is not Python: invalid syntax"),
    ],
)
def test_what_a_recipe_is_made_of_must_be_there(there: Project, file: str, content: str | None, sentence: str) -> None:
    if content is None:
        (there.path / file).unlink()
    else:
        there.write(file, content)
    code, _, errors = call_verb(there.path, "train")
    assert code == 1 and sentence in errors and errors.count("\n") == 1


def test_every_output_of_dvc_yaml_is_named_in_the_engine(there: Project) -> None:
    stages = yaml.safe_load(there.read("dvc.yaml"))["stages"]
    outs = [out for stage in stages.values() for kind in ("outs", "metrics") for out in stage.get(kind, [])]
    paths = {next(iter(out)) if isinstance(out, dict) else out for out in outs}
    rows = {TRAIN_ROWS, TEST_ROWS, SUMMARY, HISTORY, TRAIN_FEATURES, TEST_FEATURES}
    assert paths == {RECIPES, *rows, PIPELINE, METRICS, PLOTS, BUNDLE}
    assert [*stages] == ["recipes", *STAGES]
