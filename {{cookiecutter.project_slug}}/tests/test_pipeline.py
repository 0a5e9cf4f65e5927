from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from {{cookiecutter.package_name}}.config import Config
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.metrics import Predictions
from {{cookiecutter.package_name}}.pipeline.bundle import load_bundle
from {{cookiecutter.package_name}}.pipeline.export import build_bundle
from {{cookiecutter.package_name}}.pipeline.fitted import answer_of
from {{cookiecutter.package_name}}.pipeline.predict import predict
from {{cookiecutter.package_name}}.pipeline.proof import as_json
from {{cookiecutter.package_name}}.pipeline.split import TEST, combine, parts_of, words_of
from {{cookiecutter.package_name}}.schema import Schema
from {{cookiecutter.package_name}}.scoring.model import Model, check_reference, needs_code, read_parts


def test_test_rows_stay_test_rows_when_rows_are_added_or_moved(config: Config, rows: pd.DataFrame) -> None:
    everything = parts_of(config, rows) == TEST
    some = rows.iloc[: len(rows) // 2]
    np.testing.assert_array_equal(parts_of(config, some) == TEST, everything[: len(some)])
    np.testing.assert_array_equal(parts_of(config, rows.iloc[::-1]) == TEST, everything[::-1])


def test_no_library_moves_the_test_rows() -> None:
    """The hash of a row as it was when this project began: were it another, rows would change sides."""
    rows = pd.DataFrame({"n": [0.5, np.nan], "t": ["Zoë", None], "b": [True, None], "d": ["2026-01-31", None]})
    typed = rows.astype({"t": "str", "b": "boolean", "d": "datetime64[us]"})
    assert [f"{code:016x}" for code in combine(words_of(typed))] == ["74ad7063fc4b692f", "052389fbdc08a2fe"]


def test_the_schema_refuses_a_missing_column(schema: Schema, rows: pd.DataFrame) -> None:
    name = next(iter(schema.columns))
    with pytest.raises(UserError, match="lacks the column"):
        schema.apply(rows.drop(columns=name))


def test_the_schema_leaves_its_own_rows_as_they_are(schema: Schema, rows: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(schema.apply(rows), rows)


def test_the_bundle_answers_like_the_pipeline(
    config: Config, rows: pd.DataFrame, features: pd.DataFrame, pipeline: Pipeline, tmp_path: Path
) -> None:
    build_bundle(config, pipeline, [(rows, features)], tmp_path / "bundle.zip")
    bundle = load_bundle(tmp_path / "bundle.zip")
    expected = answer_of(pipeline, features)
    np.testing.assert_allclose(bundle.predict(features).values, expected, rtol=1e-4, atol=1e-6)
    predicted = predict(config, rows.drop(columns=config.data.target), bundle)
    assert len(predicted) == len(rows) and predicted["prediction"].notna().all()


def test_what_is_served_answers_like_the_pipeline(
    config: Config, rows: pd.DataFrame, features: pd.DataFrame, pipeline: Pipeline, tmp_path: Path
) -> None:
    manifest = build_bundle(config, pipeline, [(rows, features)], tmp_path / "bundle.zip")
    if needs_code(manifest):
        pytest.skip(f"the server runs the pipeline itself: it {needs_code(manifest)}")
    parts = read_parts(tmp_path / "bundle.zip")
    check_reference(Model(parts, "bundle.zip", enforce=False).answer, parts, "bundle.zip")
    values, problems = Model(parts, "bundle.zip").answer(as_json(rows.drop(columns=config.data.target)))
    expected = Predictions(answer_of(pipeline, features), manifest["classes"]).about(manifest["positive"])
    np.testing.assert_allclose(values, expected.values, rtol=1e-4, atol=1e-6)
    assert not problems
