"""The model card: what a bundle's text says stands in code spans, and what it lacks is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
from mlops_actions.core.errors import UserError
from mlops_actions.registry.card import Facts, code, decision_of, read_facts, read_metrics, read_rows
from runs import MANIFEST, make_trained

FACTS = Facts("onnx", "why", "classification", "churn", ["no", "yes"], None, None, ["age"], [])


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (replace(FACTS, classes=None), "the number itself"),
        (FACTS, "the most probable class"),
        (replace(FACTS, threshold=0.25), "`yes` from a probability of 0.25 on"),
        (replace(FACTS, threshold=0.25, positive="no"), "`no` from a probability of 0.25 on"),
    ],
)
def test_the_card_says_how_a_prediction_is_made(facts: Facts, said: str) -> None:
    assert decision_of(facts) == said


def test_a_text_of_the_bundle_ends_no_cell_and_no_code_span() -> None:
    assert code("a`b|c\nd  e") == "`a'b\\|c d e`"


def test_facts_are_read_from_the_bundle(tmp_path: Path) -> None:
    make_trained(tmp_path / "bundle.zip")
    facts = read_facts(tmp_path / "bundle.zip")
    assert (facts.inputs, facts.libraries) == (["age"], ["numpy 2.4.6"])
    make_trained(tmp_path / "other.zip", MANIFEST | {"libraries": None})
    with pytest.raises(UserError, match="it lacks what a model card says .*; train it again"):
        read_facts(tmp_path / "other.zip")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": "b"}', b'{"a": Infinity}'])
def test_metrics_are_finite_numbers(content: bytes) -> None:
    with pytest.raises(UserError, match="must hold a finite number for each metric"):
        read_metrics(content)
    assert read_metrics(b'{"mae": 1}') == {"mae": 1.0}


@pytest.mark.parametrize("content", [b"", b"[]", b'{"rows": 1}', b'{"rows": 1, "train_rows": "x", "test_rows": 1}'])
def test_rows_are_counts(content: bytes) -> None:
    with pytest.raises(UserError, match="must hold how many rows there are"):
        read_rows(content)
