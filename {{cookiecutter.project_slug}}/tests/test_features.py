import numpy as np
import pandas as pd

from {{cookiecutter.package_name}}.config import Config
from {{cookiecutter.package_name}}.history import join_history
from {{cookiecutter.package_name}}.pipeline.featurize import make_features
from {{cookiecutter.package_name}}.schema import Schema
from {{cookiecutter.package_name}}.table import columns_of


def test_a_single_row_gets_the_features_it_gets_in_a_batch(
    rows: pd.DataFrame, features: pd.DataFrame, config: Config
) -> None:
    for number in range(0, len(rows), 100):
        alone = make_features(join_history(rows.iloc[[number]], config), config)
        pd.testing.assert_frame_equal(alone, features.iloc[[number]].reset_index(drop=True), check_exact=True)


def test_features_do_not_depend_on_where_a_batch_ends(
    rows: pd.DataFrame, features: pd.DataFrame, config: Config
) -> None:
    for size in (1, 7, len(rows) // 2):
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
