"""A bundle that answers rows."""

import math
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.errors import UserError
from ..stats.metrics import choose
from .contract import Contract, Problem
from .parts import Parts, needs_code
from .program import Program

BEYOND = Problem(None, "is beyond what the model can compute")

Answer = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Answers(NamedTuple):
    """What a model says of the rows that fit, in order, and what is wrong with the others, by number."""

    values: np.ndarray
    problems: dict[int, Problem]


def open_onnx(model: bytes, source: str, threads: int = 0) -> Answer:
    """Return what an ONNX model says of numbers (n × k, float32) and categories (n × m, str); 0 threads are one a core.

    Raises:
        UserError: the model cannot be read; `source` is what it is called then.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = threads
    options.enable_cpu_mem_arena = False  # it keeps what the largest batch ever took
    # All of a model is in its bytes: no file is one of its weights, which would be looked for where the server runs.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own classes, which share no base but this one
        reason = str(error).splitlines()[0]
        raise UserError(f"{source}: its ONNX model cannot be read ({reason}); fetch it again.") from None
    wanted = [put.name for put in session.get_inputs()]
    outputs = [put.name for put in session.get_outputs()][-1:]

    def answer(numbers: np.ndarray, categories: np.ndarray) -> np.ndarray:
        feed = {"numbers": numbers, "categories": categories}
        return session.run(outputs, {name: feed[name] for name in wanted})[0]

    return answer


class ReleasedModel:
    """A released model that needs no code but this: typed rows, a program of features, an ONNX graph."""

    def __init__(self, parts: Parts, source: str, enforce: bool = True) -> None:
        """`source` is what the bundle is called in an error; without `enforce`, rows may break the contract's limits.

        Raises:
            UserError: the model needs scikit-learn or pandas, or cannot be read.
        """
        manifest = parts.manifest
        if why := needs_code(manifest):
            raise UserError(f"{source}: {why}")
        try:
            inputs = manifest["inputs"]
            self.contract = Contract(manifest["contract"], enforce)
            self.classes: list[str] | None = ordered(manifest["classes"], manifest["positive"])
            order = [manifest["classes"].index(name) for name in self.classes or []]
            self._order = None if order == sorted(order) else order
            self._program = Program(
                manifest["features"], inputs["numbers"], inputs["categories"], inputs["missing_category"]
            )
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{source}: its features need {error}, which this version cannot do; update it.") from None
        self._answer = open_onnx(parts.model, source, threads=1)
        self._none = np.empty((0, len(self.classes)) if self.classes else 0)

    def answer(self, rows: Sequence[Any]) -> Answers:
        """Return the probabilities of `classes` (n × c), or numbers (n), for the rows that fit the contract."""
        columns, problems = self.contract.read(rows)
        if len(problems) == len(rows):
            return Answers(self._none, problems)
        numbers, categories, infinite = self._program.run(columns)
        if infinite:
            numbers, categories = _without(infinite, numbers), _without(infinite, categories)
            problems = among(problems, infinite, len(rows))
            if not len(numbers):
                return Answers(self._none, problems)
        values = self._answer(numbers, categories)
        values = values.reshape(-1) if self.classes is None else values
        values = values if self._order is None else values[:, self._order]
        if not math.isfinite(np.add.reduce(values, axis=None, dtype=float)):  # of all checks the quickest
            lost = {
                int(row): BEYOND for row in np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
            }
            values, problems = _without(lost, values), among(problems, lost, len(rows))
        return Answers(values, problems)


def _without(left_out: dict[int, Problem], values: np.ndarray) -> np.ndarray:
    return np.delete(values, list(left_out), axis=0)


def among(problems: dict[int, Problem], numbered: dict[int, Problem], rows: int) -> dict[int, Problem]:
    """Return the problems of so many rows, with those that were found among the rows that had none."""
    fitting = [number for number in range(rows) if number not in problems]
    return problems | {fitting[number]: problem for number, problem in numbered.items()}


def check_reference(answer: Callable[[Sequence[Any]], Answers], parts: Parts, source: str) -> None:
    """Refuse a model that does not answer the reference rows as the pipeline did that the bundle was made from."""
    try:
        reference = parts.reference
        expected, within = np.array(reference["values"]), np.array(reference["within"])
        classes, positive = parts.manifest["classes"], parts.manifest["positive"]
        if classes:
            expected = expected[:, [classes.index(name) for name in ordered(classes, positive) or []]]
        values, problems = answer(reference["rows"])
        worst = (
            np.inf if problems else np.max(np.abs(values - expected).reshape(len(expected), -1).max(axis=1) / within)
        )
    except UserError:
        raise
    except Exception as error:  # whatever a graph, a program or rows of anybody's make raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(f"{source}: refused, it fails its self-test here ({reason}); fetch it again.") from None
    if not worst <= 1:
        difference = f"row {min(problems) + 1} is refused" if problems else f"off by {worst:.2g} times the tolerance"
        raise UserError(
            f"{source}: refused, it fails its self-test here ({difference}); train it with this environment."
        )


def ordered(classes: list[str] | None, positive: str | None) -> list[str] | None:
    """Return the classes with the positive one last."""
    if classes is None or positive is None:
        return classes
    return sorted(classes, key=lambda name: (name == positive, name))


def answers_of(values: np.ndarray, classes: list[str] | None, threshold: float | None) -> list[dict[str, Any]]:
    """Return each row's answer as it is sent: the prediction, and of a classification the probability of each class."""
    if classes is None:
        return [{"prediction": number} for number in values.tolist()]
    chosen = choose(values, threshold).tolist()
    return [
        {"prediction": classes[code], "probabilities": dict(zip(classes, row))}  # noqa: B905 strict takes a third more
        for code, row in zip(chosen, values.tolist(), strict=True)
    ]
