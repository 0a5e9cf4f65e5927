"""Tests that hold for every project: import them into a file of tests/ by their names."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from ..bundle.archive import load_bundle
from ..bundle.features import make_features
from ..bundle.fitted import answer_of, classes_of, dump_model
from ..bundle.model import ReleasedModel, check_reference
from ..bundle.parts import needs_code, read_parts
from ..core.config import Config
from ..core.errors import UserError
from ..data.history_table import join_history
from ..data.schema import Schema
from ..data.table import columns_of
from ..data.values import MISSING_CATEGORY
from ..stages.evaluate import truth_of
from ..stages.export import build_bundle
from ..stages.predict import predict
from ..stages.proof import as_json
from ..stages.split import TEST, combine, parts_of, words_of
from ..stages.train import fit
from ..stats.metrics import Predictions, compute_metrics


def test_a_single_row_gets_the_features_it_gets_in_a_batch(
    rows: pd.DataFrame, features: pd.DataFrame, config: Config
) -> None:
    for number in range(0, len(rows), 100):
        alone = make_features(join_history(rows.iloc[[number]], config), config)
        pd.testing.assert_frame_equal(alone, features.iloc[[number]].reset_index(drop=True), check_exact=True)


def test_features_do_not_depend_on_where_a_batch_ends(
    rows: pd.DataFrame, features: pd.DataFrame, config: Config
) -> None:
    for size in (7, len(rows) // 2):
        made = [make_features(rows.iloc[start : start + size], config) for start in range(0, len(rows), size)]
        pd.testing.assert_frame_equal(pd.concat(made, ignore_index=True), features, check_exact=True)


def test_features_are_float32_numbers_and_text_without_gaps(features: pd.DataFrame) -> None:
    numbers, categories = columns_of(features)
    assert {features[name].dtype for name in numbers} <= {np.dtype("float32")}
    assert not features[categories].isna().any().any()


def test_a_row_with_nothing_in_it_still_has_features(
    rows: pd.DataFrame, features: pd.DataFrame, config: Config, schema: Schema
) -> None:
    nothing = pd.DataFrame({name: [None] for name in schema.columns})
    typed = schema.apply(nothing, with_target=False, enforce=False)
    made = make_features(join_history(typed, config), config)
    assert list(made.columns) == list(features.columns)
    assert list(made.dtypes) == list(features.dtypes)


def test_training_twice_gives_the_same_bytes(
    config: Config, schema: Schema, features: pd.DataFrame, rows: pd.DataFrame, pipeline: Pipeline
) -> None:
    assert dump_model(fit(config, features, schema.kinds, rows[config.data.target])) == dump_model(pipeline)


def test_the_model_beats_a_constant_answer(
    config: Config, features: pd.DataFrame, rows: pd.DataFrame, pipeline: Pipeline
) -> None:
    truth = truth_of(config, rows[config.data.target])
    answer = answer_of(pipeline, features)
    constant = np.broadcast_to(answer.mean(axis=0), answer.shape)
    name = "log_loss" if config.data.task == "classification" else "rmse"
    model, baseline = (
        compute_metrics(config.data.task, truth, Predictions(values, classes_of(pipeline)))[name]
        for values in (answer, constant)
    )
    assert model < baseline


def test_categories_never_seen_get_an_answer(features: pd.DataFrame, pipeline: Pipeline) -> None:
    _, categories = columns_of(features)
    strange = features.head(5).assign(**{name: "(a category never seen)" for name in categories})
    assert np.isfinite(answer_of(pipeline, strange)).all()


def test_missing_everywhere_gets_an_answer(features: pd.DataFrame, pipeline: Pipeline) -> None:
    numbers, categories = columns_of(features)
    empty = features.head(1).copy()
    empty[numbers] = np.float32("nan")
    empty[categories] = MISSING_CATEGORY
    assert np.isfinite(answer_of(pipeline, empty)).all()


def test_an_answer_does_not_depend_on_the_other_rows(features: pd.DataFrame, pipeline: Pipeline) -> None:
    batch = answer_of(pipeline, features)
    for number in range(0, len(features), 100):
        alone = answer_of(pipeline, features.iloc[[number]])[0]
        np.testing.assert_allclose(alone, batch[number], rtol=1e-6, atol=1e-7)


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
    check_reference(ReleasedModel(parts, "bundle.zip", enforce=False).answer, parts, "bundle.zip")
    values, problems = ReleasedModel(parts, "bundle.zip").answer(as_json(rows.drop(columns=config.data.target)))
    expected = Predictions(answer_of(pipeline, features), manifest["classes"]).about(manifest["positive"])
    np.testing.assert_allclose(values, expected.values, rtol=1e-4, atol=1e-6)
    assert not problems
