"""Calls of a generated project's review from tests: tables and arrays go in and out, its own environment computes.

Requests come pickled, ("slices.find_slices", arguments, options); so does each answer. Metrics and the sections of
params.yaml go in as their names and keys, dataclasses come out as dictionaries, and a UserError as its sentence.
"""

import os
import pickle
import pkgutil
import subprocess
import sys
import traceback
from dataclasses import is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from baked import Project


class Review:
    """The review of a generated project in one process: `review("rows.compare_rows", …)`."""

    def __init__(self, project: "Project", log: Path) -> None:
        from baked import environment

        self.log = log
        self.process = subprocess.Popen(
            [project.path / ".venv/bin/python", "-W", "error::RuntimeWarning", "-W", "error::FutureWarning", __file__],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
        )

    def __call__(self, name: str, *arguments: Any, **options: Any) -> Any:
        assert self.process.stdin and self.process.stdout
        pickle.dump((name, arguments, options), self.process.stdin)
        self.process.stdin.flush()
        try:
            answer, failed = pickle.load(self.process.stdout)
        except EOFError:
            failed, answer = True, self.log.read_text()
        assert not failed, answer
        return answer

    def stop(self) -> None:
        self.process.communicate(timeout=60)


def call(name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    from customer_churn.errors import UserError

    function = globals().get(name) or pkgutil.resolve_name(f"customer_churn.review.{name}")
    try:
        return plain(function(*arguments, **options))
    except UserError as error:
        return str(error)


def find_slices(rows: Any, target: str, **slices: Any) -> Any:
    from customer_churn.config import Slices
    from customer_churn.review.slices import find_slices

    return find_slices(rows, Slices(**slices), target)


def judge_slices(metric: str, truth: Any, champion: Any, candidate: Any, *others: Any, **options: Any) -> Any:
    """Judge with a metric by name; a model is its numbers, or its probabilities with their classes."""
    from customer_churn.metrics import METRICS, Predictions
    from customer_churn.review.slices import judge_slices

    models = [Predictions(*model) for model in (champion, candidate)]
    return judge_slices(METRICS[metric], truth, *models, *others, **options)


def bound_luck(metric: str, truth: Any, champion: Any, candidate: Any, groups: Any = None) -> float:
    from customer_churn.metrics import METRICS, Predictions
    from customer_churn.review.slices import bound_luck

    return bound_luck(METRICS[metric], truth, Predictions(*champion), Predictions(*candidate), groups)


def plain(value: Any) -> Any:
    """Return the same without classes of the project, which the tests' own environment does not have."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    return value


def main() -> None:
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    sys.stdout = sys.stderr
    while True:
        try:
            request = pickle.load(requests)
        except EOFError:
            return
        try:
            answer = call(*request), False
        except Exception:
            answer = traceback.format_exc(), True
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    main()
