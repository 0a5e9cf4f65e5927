"""What a model predicts: its probabilities, the classes that they are of, and what it decided by a threshold."""

import numpy as np
import pytest
from mlops_actions.stats.intervals import paired_estimate
from mlops_actions.stats.metrics import METRICS, Predictions, choose
from sklearn import metrics as scikit_learn

THRESHOLD = 0.3


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return np.where(np.random.default_rng(5).random(300) < probability(), "bad", "good").astype(object)


@pytest.fixture(scope="module")
def eager() -> Predictions:
    """A model that says bad from a probability of 0.3 on."""
    values = np.column_stack([probability(), 1 - probability()])
    return Predictions(values, ["bad", "good"]).about("bad").decide(THRESHOLD)


def probability() -> np.ndarray:
    return np.random.default_rng(4).beta(1, 3, 300).round(2)


@pytest.mark.parametrize("classes", [["good", "bad"], ["ugly", "good", "bad"]])
def test_some_rows_in_another_order_of_classes_keep_what_was_decided(
    truth: np.ndarray, eager: Predictions, classes: list[str]
) -> None:
    some = np.flatnonzero(np.arange(300) % 2)
    kept = eager.with_classes(classes).take(some)
    labels = np.where(probability()[some] >= THRESHOLD, "bad", "good")
    assert list(kept.labels) == list(labels)
    expected = scikit_learn.accuracy_score(truth[some].astype(str), labels)
    assert METRICS["accuracy"].compute(truth[some], kept) == pytest.approx(expected)


def test_rows_that_are_added_are_decided_by_the_highest_probability(eager: Predictions) -> None:
    longer = eager.followed_by(np.array([[0.6, 0.4], [0.1, 0.9]]))
    assert list(longer.labels[-2:]) == ["good", "bad"] and list(longer.labels[:-2]) == list(eager.labels)


def test_recall_and_its_gain_follow_what_was_decided(truth: np.ndarray, eager: Predictions) -> None:
    recall = METRICS["recall"]
    expected = scikit_learn.recall_score(truth.astype(str), eager.labels.astype(str), pos_label="bad")
    assert recall.compute(truth, eager) == pytest.approx(expected)
    plain = Predictions(eager.values, eager.classes)
    gain, *_ = paired_estimate(recall, truth, plain, eager)
    assert gain == pytest.approx(expected - recall.compute(truth, plain)) and gain > 0.1


def test_the_same_probabilities_decided_otherwise_are_not_the_same(eager: Predictions) -> None:
    assert eager.is_same(Predictions(eager.values, eager.classes, eager.decided))
    assert not eager.is_same(Predictions(eager.values, eager.classes))
    assert not eager.is_same(Predictions(eager.values + 1e-9, eager.classes, eager.decided))


def test_of_classes_that_tie_to_six_digits_the_first_is_predicted() -> None:
    values = np.array([[0.5, 0.5], [0.49999999, 0.50000001], [0.499998, 0.500002]])
    assert choose(values).tolist() == [0, 0, 1]
    assert choose(values, 0.5).tolist() == [1, 1, 1] and choose(values, 0.51).tolist() == [0, 0, 0]


def test_numbers_have_no_classes_to_decide_or_to_reorder() -> None:
    numbers = Predictions(np.arange(3.0))
    truth = np.zeros(3)
    assert numbers.decide(0.5) is numbers.about("yes") is numbers.with_classes_of(truth) is numbers
    assert numbers.labels is numbers.values and numbers.is_same(Predictions(np.arange(3.0)))


def test_a_class_that_only_the_truth_knows_has_no_probability(truth: np.ndarray, eager: Predictions) -> None:
    assert eager.with_classes_of(truth) is eager
    wider = eager.with_classes_of(np.array(["ugly", "good"], dtype=object))
    assert wider.classes == ["bad", "good", "ugly"]
    assert (wider.values[:, 2] == 0).all() and list(wider.labels) == list(eager.labels)
