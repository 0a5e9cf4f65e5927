"""What holds for every project, ready-made, and below it what must hold for this one: write yours there."""

import pandas as pd
from mlops_actions.testing.checks import (  # noqa: F401
    test_a_row_with_nothing_in_it_still_has_features,
    test_a_single_row_gets_the_features_it_gets_in_a_batch,
    test_an_answer_does_not_depend_on_the_other_rows,
    test_categories_never_seen_get_an_answer,
    test_features_are_float32_numbers_and_text_without_gaps,
    test_features_do_not_depend_on_where_a_batch_ends,
    test_missing_everywhere_gets_an_answer,
    test_no_library_moves_the_test_rows,
    test_test_rows_stay_test_rows_when_rows_are_added_or_moved,
    test_the_bundle_answers_like_the_pipeline,
    test_the_model_beats_a_constant_answer,
    test_the_schema_leaves_its_own_rows_as_they_are,
    test_the_schema_refuses_a_missing_column,
    test_training_twice_gives_the_same_bytes,
    test_what_is_served_answers_like_the_pipeline,
)


def test_the_features_have_the_rows_they_were_made_from(rows: pd.DataFrame, features: pd.DataFrame) -> None:
    assert len(features) == len(rows)
