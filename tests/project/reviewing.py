"""Calls of the review from tests, with metrics and sections of params.yaml as their names and keys.

Dataclasses come out as dictionaries, and a UserError as its sentence.
"""

import pkgutil
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

from mlops_actions.core.config import Slices
from mlops_actions.core.errors import UserError
from mlops_actions.review import slices
from mlops_actions.stats.metrics import METRICS, Predictions

Review = Callable[..., Any]


def call(name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    function = globals().get(name) or pkgutil.resolve_name(f"mlops_actions.review.{name}")
    try:
        return plain(function(*arguments, **options))
    except UserError as error:
        return str(error)


def find_slices(rows: Any, target: str, **section: Any) -> Any:
    return slices.find_slices(rows, Slices(**section), target)


def judge_slices(metric: str, truth: Any, champion: Any, candidate: Any, *others: Any, **options: Any) -> Any:
    """Judge with a metric by name; a model is its numbers, or its probabilities with their classes."""
    models = [Predictions(*model) for model in (champion, candidate)]
    return slices.judge_slices(METRICS[metric], truth, *models, *others, **options)


def bound_luck(metric: str, truth: Any, champion: Any, candidate: Any, groups: Any = None) -> float:
    return slices.bound_luck(METRICS[metric], truth, Predictions(*champion), Predictions(*candidate), groups)


def plain(value: Any) -> Any:
    """Return the same without classes of the project, which the tests' own environment does not have."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    return value
