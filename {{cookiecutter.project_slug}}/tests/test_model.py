import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from {{cookiecutter.package_name}}.config import Config
from {{cookiecutter.package_name}}.metrics import Predictions, compute_metrics
from {{cookiecutter.package_name}}.pipeline.evaluate import truth_of
from {{cookiecutter.package_name}}.pipeline.fitted import answer_of, classes_of, dump_model
from {{cookiecutter.package_name}}.pipeline.train import fit
from {{cookiecutter.package_name}}.schema import Schema
from {{cookiecutter.package_name}}.table import columns_of
from {{cookiecutter.package_name}}.values import MISSING_CATEGORY


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
