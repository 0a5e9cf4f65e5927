"""A released model answers rows of JSON as its pipeline does, and says of each other row what is wrong with it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlops_actions.bundle.contract import Problem
from mlops_actions.bundle.model import BEYOND, Answers, ReleasedModel, answers_of, check_reference
from mlops_actions.bundle.parts import Parts, needs_code
from mlops_actions.core.errors import UserError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline
from small_bundles import features_of, fit, release, requests

NEWBORN = {"age": 0.0, "minutes": 3.0, "plan": "basic"}  # whose minutes a year are infinite


@pytest.fixture(scope="module")
def logistic() -> Pipeline:
    return fit(LogisticRegression())


@pytest.fixture
def parts(logistic: Pipeline, tmp_path: Path) -> Parts:
    return release(tmp_path / "bundle.zip", logistic)


def test_rows_are_answered_as_the_pipeline_answers_them(logistic: Pipeline, parts: Parts) -> None:
    values, problems = ReleasedModel(parts, "the bundle").answer(requests())
    assert not problems
    np.testing.assert_allclose(values, logistic.predict_proba(features_of(requests())), atol=1e-6)
    alone = ReleasedModel(parts, "the bundle").answer(requests()[5:6])
    np.testing.assert_allclose(alone.values, values[5:6], atol=1e-6)


def test_the_positive_class_comes_last(logistic: Pipeline, tmp_path: Path) -> None:
    model = ReleasedModel(release(tmp_path / "bundle.zip", logistic, positive="no"), "the bundle")
    assert model.classes == ["yes", "no"]
    expected = logistic.predict_proba(features_of(requests()))[:, ::-1]
    np.testing.assert_allclose(model.answer(requests()).values, expected, atol=1e-6)


def test_each_row_that_cannot_be_answered_has_its_reason(logistic: Pipeline, parts: Parts) -> None:
    rows = requests(5)
    sent = [rows[0], 7, rows[1], NEWBORN, rows[2], NEWBORN, rows[3], rows[4]]
    values, problems = ReleasedModel(parts, "the bundle").answer(sent)
    infinite = Problem(None, "features.py makes 'ratio' infinite of this row")
    seven = Problem(None, "must be an object with a value for each column, not 7")
    assert problems == {1: seven, 3: infinite, 5: infinite}
    np.testing.assert_allclose(values, logistic.predict_proba(features_of(rows)), atol=1e-6)


@pytest.mark.parametrize("rows", [[7, 8], [NEWBORN], [7, NEWBORN]])
def test_where_no_row_can_be_answered_there_are_no_values(parts: Parts, rows: list[Any]) -> None:
    values, problems = ReleasedModel(parts, "the bundle").answer(rows)
    assert values.shape == (0, 2) and [*problems] == [*range(len(rows))]


def test_an_answer_that_is_no_number_is_a_problem_of_its_row(tmp_path: Path) -> None:
    pipeline = fit(LinearRegression(), np.array([row["minutes"] * 1e3 for row in requests()]))
    model = ReleasedModel(release(tmp_path / "bundle.zip", pipeline), "the bundle")
    rows = requests(2)
    huge = {"age": 1.0, "minutes": 3e38, "plan": "basic"}
    values, problems = model.answer([rows[0], huge, rows[1]])
    assert model.classes is None and problems == {1: BEYOND}
    np.testing.assert_allclose(values, pipeline.predict(features_of(rows)), rtol=1e-3)


def test_without_enforcement_a_gap_is_answered(parts: Parts) -> None:
    rows = [{"age": 30, "minutes": None, "plan": "basic"}]
    assert ReleasedModel(parts, "the bundle").answer(rows).problems
    values, problems = ReleasedModel(parts, "the bundle", enforce=False).answer(rows)
    assert not problems and np.isfinite(values).all()


def test_a_model_that_needs_code_is_refused_with_the_reason(logistic: Pipeline, tmp_path: Path) -> None:
    parts = release(tmp_path / "bundle.zip", logistic, "skops")
    with pytest.raises(UserError, match="the bundle: is answered by scikit-learn: asked for"):
        ReleasedModel(parts, "the bundle")
    parts = release(tmp_path / "bundle.zip", logistic, features=None, compiled="a loop over rows")
    assert needs_code(parts.manifest) == "has features made by pandas: a loop over rows"


def test_a_model_of_a_later_version_is_refused(logistic: Pipeline, tmp_path: Path) -> None:
    features = {"kinds": {"age": "number"}, "steps": [["column", "age"], ["sort", 0]], "outputs": {"age": 1}}
    parts = release(tmp_path / "bundle.zip", logistic, features=features)
    with pytest.raises(UserError, match="its features need 'sort', which this version cannot do; update it"):
        ReleasedModel(parts, "the bundle")


def test_a_damaged_model_is_refused(parts: Parts) -> None:
    damaged = Parts(parts.manifest, parts.schema, parts.model[:50], parts.reference, None)
    with pytest.raises(UserError, match=r"the bundle: its ONNX model cannot be read \(.*\); fetch it again") as refusal:
        ReleasedModel(damaged, "the bundle")
    assert "\n" not in str(refusal.value)


def test_the_reference_is_answered_as_when_it_was_made(logistic: Pipeline, parts: Parts, tmp_path: Path) -> None:
    check_reference(ReleasedModel(parts, "the bundle").answer, parts, "the bundle")
    turned = release(tmp_path / "bundle.zip", logistic, positive="no")
    check_reference(ReleasedModel(turned, "the bundle").answer, turned, "the bundle")


def test_a_model_that_answers_the_reference_otherwise_is_refused(parts: Parts) -> None:
    answer = ReleasedModel(parts, "the bundle").answer
    with pytest.raises(UserError, match=r"fails its self-test here \(off by 1e\+03 times the tolerance\)"):
        check_reference(lambda rows: Answers(answer(rows).values + 1e-3, {}), parts, "the bundle")
    with pytest.raises(UserError, match=r"fails its self-test here \(off by nan times the tolerance\)"):
        check_reference(lambda rows: Answers(answer(rows).values * np.nan, {}), parts, "the bundle")
    with pytest.raises(UserError, match=r"fails its self-test here \(row 3 is refused\)"):
        check_reference(lambda rows: Answers(answer(rows).values, {2: BEYOND}), parts, "the bundle")


def test_answers_have_a_prediction_and_the_probability_of_each_class() -> None:
    values = np.array([[0.75, 0.25], [0.25, 0.75]])
    sent = answers_of(values, ["no", "yes"], None)
    assert sent == [
        {"prediction": "no", "probabilities": {"no": 0.75, "yes": 0.25}},
        {"prediction": "yes", "probabilities": {"no": 0.25, "yes": 0.75}},
    ]
    assert [answer["prediction"] for answer in answers_of(values, ["no", "yes"], 0.2)] == ["yes", "yes"]
    assert answers_of(np.array([1.5, 2.5]), None, None) == [{"prediction": 1.5}, {"prediction": 2.5}]
