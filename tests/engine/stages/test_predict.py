"""A project's bundle answers raw rows, in ONNX or by scikit-learn, and rows that break the contract are refused."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from baked import Project
from mlops_actions import cli
from mlops_actions.bundle.archive import load_bundle
from mlops_actions.core.config import Config, load_config
from mlops_actions.core.errors import RowsRefused, UserError
from mlops_actions.core.paths import BUNDLE, TEST_FEATURES, TEST_ROWS, TRAIN_FEATURES
from mlops_actions.data.table import kinds_of, read_table, read_typed
from mlops_actions.stages import train
from mlops_actions.stages.export import build_bundle
from mlops_actions.stages.predict import predict
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier
from tables import DATA, knob, on_rows, remove

NEIGHBORS = "sklearn.neighbors.KNeighborsClassifier"  # which does not convert to ONNX


@pytest.fixture(scope="module")
def config(trained: Project) -> Config:
    return load_config(trained.path)


def features_and_target(config: Config) -> tuple[pd.DataFrame, pd.Series]:
    features = read_typed(config.path(TRAIN_FEATURES))
    return features, features.pop(config.data.target)


def export(config: Config, pipeline: Any, path: Path) -> dict[str, Any]:
    """Write the bundle of a pipeline, proved on the first test rows, and return its manifest."""
    rows, features = (read_typed(config.path(name)).head(200) for name in (TEST_ROWS, TEST_FEATURES))
    return build_bundle(config, pipeline, [(rows, features.drop(columns=config.data.target))], path)


@pytest.fixture(scope="module")
def bundles(config: Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The bundle of a model that converts to ONNX, and that of one that does not."""
    features, target = features_and_target(config)
    model = config.model.model_copy(update={"estimator": NEIGHBORS})
    by_neighbors = config.model_copy(update={"model": model})
    pipeline = train.fit(by_neighbors, features, kinds_of(config.path(TRAIN_FEATURES)), target)
    path = tmp_path_factory.mktemp("skops") / "bundle.zip"
    manifest = export(by_neighbors, pipeline, path)
    assert manifest["format"] == "skops" and manifest["why"]
    assert all(name.startswith(("sklearn.", "numpy.", "scipy.")) for name in manifest["trusted"])
    return {"onnx": config.path(BUNDLE), "skops": path}


@pytest.mark.parametrize("kind", ["onnx", "skops"])
def test_raw_rows_are_predicted_without_the_target(
    config: Config, bundles: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    bundle = load_bundle(bundles[kind])
    assert bundle.manifest["format"] == kind
    with_target = predict(config, config.path(DATA), bundle)
    assert list(with_target) == ["prediction", "probability_no", "probability_yes"]
    assert len(with_target) == 400
    rows = read_table(config.path(DATA)).drop(columns="churn")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    pd.testing.assert_frame_equal(predict(config, tmp_path / "rows.csv", bundle), with_target)
    alone = predict(config, rows.iloc[[6]], bundle)
    assert alone["probability_yes"][0] == pytest.approx(with_target["probability_yes"][6], abs=1e-6)


def test_the_command_writes_predictions_for_a_file(
    trained: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained.path)
    monkeypatch.setattr("sys.argv", ["mlops", "predict", TEST_ROWS, "--out", str(tmp_path / "out.parquet")])
    assert cli.main() == 0
    rows, predicted = pd.read_parquet(TEST_ROWS), pd.read_parquet(tmp_path / "out.parquet")
    assert len(rows) == len(predicted) > 0 and predicted.notna().all(axis=None)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (remove("state"), "lacks the column 'state'"),
        (knob("total_day_calls", "Total Day Calls"), "lacks the column 'total_day_calls'"),
        (lambda text: text.splitlines()[0] + "\n", "has a header but no rows"),
        (on_rows(lambda rows: [rows[0], ["KS", "many", *rows[1][2:]]]), "'account_length' must hold numbers"),
    ],
)
def test_rows_that_break_the_contract_are_refused(
    trained: Project, config: Config, tmp_path: Path, change: Callable[[str], str], sentence: str
) -> None:
    (tmp_path / "rows.csv").write_text(change(trained.read(DATA)))
    with pytest.raises(UserError, match=re.escape(sentence)):
        predict(config, tmp_path / "rows.csv", load_bundle(config.path(BUNDLE)))


def test_a_frame_that_breaks_the_contract_is_refused_as_rows(config: Config) -> None:
    rows = read_typed(config.path(TEST_ROWS))
    with pytest.raises(RowsRefused, match="the rows: lacks the column 'state'"):
        predict(config, rows.drop(columns="state"), load_bundle(config.path(BUNDLE)))


def fit_strict(config: Config, columns: list[str] | None = None) -> Pipeline:
    """Return a pipeline that refuses values of these columns, or of all, that it never saw."""
    features, target = features_and_target(config)
    seen = ColumnTransformer([("seen", OrdinalEncoder(), columns or [*features])])
    pipeline = Pipeline([("columns", seen), ("estimator", DecisionTreeClassifier(random_state=0))])
    return pipeline.fit(features, target.to_numpy(object))


def test_a_pipeline_that_refuses_some_extremes_is_named_and_released_for_all_others(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(config, fit_strict(config, ["international_plan"]), tmp_path / "strict.zip")
    assert load_bundle(tmp_path / "strict.zip").manifest["classes"] == ["no", "yes"]
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "rows of extremes are refused" in line]
    assert re.match(r"export: \d of 10 rows of extremes are refused, \d by model\.py: the pipeline refuses it \(", line)
    assert "unknown categories" in line and "features.py" not in line


def test_a_pipeline_that_refuses_every_extreme_is_not_taken_for_add_features(config: Config, tmp_path: Path) -> None:
    with pytest.raises(UserError) as refusal:
        export(config, fit_strict(config), tmp_path / "strict.zip")
    sentence = str(refusal.value)
    assert sentence.startswith("export: all 10 rows of extremes are refused, ")
    assert "by model.py: the pipeline refuses it (Found unknown categories" in sentence and "\n" not in sentence
    assert "features.py" not in sentence
