"""Proof that a bundle answers like the pipeline it was made from, row by row, and rows to prove it again elsewhere.

Each row goes both ways: through pandas and scikit-learn, and as JSON through what serves it.
"""

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ..bundle.archive import onnx_answer
from ..bundle.contract import LARGEST, Contract
from ..bundle.features import InfiniteError, make_features
from ..bundle.fitted import answer_of, classes_of
from ..bundle.program import Program
from ..core.config import Config
from ..core.errors import UserError
from ..data.history_table import join_history
from ..data.values import MISSING_CATEGORY
from ..stats.metrics import Predictions

PROBABILITY_TOLERANCE = 1e-6
# Of the larger of a prediction and the predictions' spread: float32 keeps 1.2e-7 of a number, sums of trees
# lose two digits of it, and an error of 1e-5 of the spread is far below any model's own.
NUMBER_TOLERANCE = 1e-5
SINGLE_ROWS = 20  # of each batch, answered alone as well
SAMPLE = 100  # rows that travel with the bundle
UNSEEN = "(a category never seen)"


@dataclass(frozen=True)
class Case:
    """Rows and what pandas makes of them; `infinite` are rows of which it makes an infinite number."""

    typed: pd.DataFrame
    rows: list[dict[str, Any]]
    features: pd.DataFrame
    infinite: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, typed: pd.DataFrame, features: pd.DataFrame, columns: list[str]) -> "Case":
        """Return the case of typed rows and their features, where clients send these columns."""
        return cls(typed[columns], as_json(typed[columns]), features)


def as_json(typed: pd.DataFrame) -> list[dict[str, Any]]:
    """Typed rows as a client sends them."""
    columns = {}
    for name, values in typed.items():
        if pd.api.types.is_datetime64_any_dtype(values.dtype):
            values = pd.Series(np.datetime_as_string(values.to_numpy("datetime64[us]"), unit="us"), dtype="object")
            values = values.where(values != "NaT")
        columns[str(name)] = values.astype("object").where(values.notna(), None).tolist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def make_edges(config: Config, pipeline: Any, first: Case, contract: dict[str, Any]) -> Case:
    """Return what production will send one day: nothing known, categories never seen, extremes, ties of float32."""
    typed = first.typed.iloc[np.arange(10) % len(first.typed)].reset_index(drop=True)
    for name, column in contract.items():
        typed[name] = _edges(typed[name], column["type"])
    return _accepted(config, pipeline, typed, "rows of extremes")


def _edges(values: pd.Series, kind: str) -> pd.Series:
    """Ten values of a column: missing; extreme or never seen; then what is easily read in two ways."""
    values = values.copy()
    values.iloc[0] = None
    if kind == "number":
        known = np.float32(values.iloc[5] if pd.notna(values.iloc[5]) else 1.0)
        tie = (float(known) + float(np.nextafter(known, np.float32(np.inf)))) / 2
        values.iloc[1:9] = [LARGEST, -LARGEST, 0.0, -0.0, tie, np.nextafter(tie, np.inf), 1e-45, 16_777_217.0]
    elif kind == "datetime":
        moments = ["0001-01-01", "9999-12-31T23:59:59.999999", "1970-01-01", "1969-12-31T23:59:59.999999", "2000-02-29"]
        values.iloc[1:6] = pd.to_datetime(moments, format="ISO8601").astype("datetime64[us]")
    elif kind in ("category", "text"):
        values.iloc[[1, 2]] = UNSEEN
        values.iloc[3:6] = ["ü🦉 \u2028x", "x" * 1000, "0"]
    return values


def _accepted(config: Config, pipeline: Any, typed: pd.DataFrame, what: str) -> Case:
    """Return the case of those typed rows that neither features.py nor model.py refuses; print who refuses the others.

    Raises:
        UserError: every row is refused.
    """
    made, kept, infinite = [], [], []
    refusals: Counter[str] = Counter()

    def sort_out(rows: pd.DataFrame) -> None:
        """Keep the rows if none is refused, else find out which, by halves."""
        beyond = False
        try:
            features = make_features(join_history(rows, config), config)
            reason = refusal_of(pipeline, features)
            reason = reason and f"model.py: {reason}"
        except UserError as error:
            reason, beyond = str(error), isinstance(error, InfiniteError)
        if not reason:
            made.append(features)
            kept.append(rows)
        elif len(rows) == 1:
            refusals[reason] += 1
            infinite.extend(as_json(rows) if beyond else [])
        else:
            middle = len(rows) // 2
            sort_out(rows.iloc[:middle].reset_index(drop=True))
            sort_out(rows.iloc[middle:].reset_index(drop=True))

    sort_out(typed)
    counted = "; ".join(f"{count} by {why}" for why, count in refusals.most_common(2))
    if not made:
        raise UserError(f"export: all {len(typed)} {what} are refused, {counted} Make it take or miss such values.")
    if counted:
        print(f"export: {refusals.total()} of {len(typed)} {what} are refused, {counted}")
    accepted, features = pd.concat(kept, ignore_index=True), pd.concat(made, ignore_index=True)
    return Case(accepted, as_json(accepted), features, infinite)


def refusal_of(pipeline: Any, features: pd.DataFrame) -> str:
    """Return why a fitted pipeline has no answer to rows of features, as a sentence; empty where it has."""
    try:
        with np.errstate(all="ignore"):  # extremes are there to overflow
            answer = answer_of(pipeline, features)
    except ValueError as error:  # scikit-learn refuses what overflows in it, or has no number for it
        return f"the pipeline refuses it ({' '.join(str(error).split())[:200].rstrip('.')})."
    return "" if np.isfinite(answer).all() else "the pipeline answers with no finite number."


class OnnxProof:
    """How far an ONNX model is from scikit-learn, in batches and row by row."""

    def __init__(self, config: Config, onnx: bytes, pipeline: Any, numbers: list[str], categories: list[str]) -> None:
        """Return the model and the pipeline that it was made from, which has these number and category features."""
        self.config, self.pipeline, self.failure = config, pipeline, ""
        self.answer = onnx_answer(onnx, numbers, categories)
        self._expected: list[np.ndarray] = []
        self._said: list[np.ndarray] = []
        self._rows = 0

    def look_at(self, features: pd.DataFrame) -> None:
        """Take these rows into account, the first of them alone as well."""
        if self.failure or features.empty:
            return
        expected = answer_of(self.pipeline, features)
        alone = min(SINGLE_ROWS, len(features))
        try:
            answers = [self.answer(features), *(self.answer(features.iloc[[row]]) for row in range(alone))]
        except Exception as error:  # onnxruntime raises its own classes, which share no base but this one
            self.failure = f"the ONNX model does not run: {str(error).splitlines()[0][:200]}"
            return
        self._rows += len(features)
        self._expected += [expected, expected[:alone]]
        self._said += answers

    @cached_property
    def figures(self) -> dict[str, Any] | None:
        """How many rows were looked at, the largest difference, and whether that is within the tolerance."""
        if self.failure:
            return None
        expected, answered = np.concatenate(self._expected), np.concatenate(self._said)
        worst = float(np.max(np.abs(answered - expected) / scale_of(expected)))
        classes = classes_of(self.pipeline)
        differ = 0
        if classes is not None:
            positive, threshold = self.config.data.positive, self.config.model.threshold
            theirs, ours = (
                Predictions(values, classes).about(positive).decide(threshold).labels for values in (expected, answered)
            )
            differ = int((theirs != ours).sum())
        tolerance = NUMBER_TOLERANCE if classes is None else PROBABILITY_TOLERANCE
        return {
            "rows": self._rows,
            "max_difference": float(f"{worst:.3g}"),
            "labels_differ": differ,
            "tolerance": tolerance,
            "agrees": bool(worst <= tolerance and differ == 0),
        }

    @property
    def agrees(self) -> bool:
        """Whether it answers like scikit-learn on every row."""
        return self.figures is not None and self.figures["agrees"]

    @property
    def sentence(self) -> str:
        """What was found."""
        figures = self.figures
        if figures is None:
            return self.failure
        if figures["agrees"]:
            worst = figures["max_difference"]
            return f"agrees with scikit-learn on {figures['rows']} rows, largest difference {worst:.1e}"
        if figures["labels_differ"]:
            return f"ONNX: {figures['labels_differ']} labels differ on {figures['rows']} rows"
        return (
            f"ONNX differs by {figures['max_difference']:.1e}, more than {figures['tolerance']:.0e}, "
            f"on {figures['rows']} rows"
        )


def scale_of(expected: np.ndarray) -> np.ndarray:
    """Return what a difference is measured in: probabilities as they are, numbers by their size or their spread."""
    return np.ones(1) if expected.ndim == 2 else np.maximum(np.abs(expected), np.std(expected) or 1.0)


def blank(pipeline: Any, features: pd.DataFrame) -> pd.DataFrame:
    """Return those of four rows that the pipeline answers: all features, or all of one kind, missing or never seen."""
    rows = features.iloc[np.arange(4) % len(features)].reset_index(drop=True)
    for name in rows:
        if rows[name].dtype == np.float32:
            rows.loc[[0, 1], name] = np.float32("nan")
        else:
            rows.loc[[0, 2], name] = MISSING_CATEGORY
            rows.loc[[1, 3], name] = UNSEEN
    return rows.iloc[[row for row in range(len(rows)) if not refusal_of(pipeline, rows.iloc[[row]])]]


class FeaturesProof:
    """Whether a program gives rows of JSON the features that pandas gives them, to the last bit."""

    def __init__(
        self, program: dict[str, Any], contract: dict[str, Any], numbers: list[str], categories: list[str]
    ) -> None:
        """Return the program of features.py, and what it is proved for."""
        self.contract, self.numbers, self.categories = Contract(contract, enforce=False), numbers, categories
        self.failure, self._rows = "", 0
        try:
            self.program = Program(program, numbers, categories, MISSING_CATEGORY)
        except KeyError as error:
            self.failure = f"it makes {error}, which the compiled one does not"

    def look_at(self, case: Case) -> None:
        """Take these rows into account, the first of them alone as well."""
        self._compare(case.rows, case.features)
        for row in range(min(SINGLE_ROWS, len(case.rows))):
            self._compare(case.rows[row : row + 1], case.features.iloc[[row]])
        for beyond in case.infinite:
            if (made_of_extremes := self._run([beyond])) and not made_of_extremes[2]:
                self.failure = "of a row of extremes, it makes an infinite number and the compiled one does not"

    def _compare(self, rows: list[dict[str, Any]], features: pd.DataFrame) -> None:
        made_features = self._run(rows)
        if made_features is None:
            return
        numbers, categories, infinite = made_features
        self._rows += len(rows)
        expected = features[self.numbers].to_numpy("float32")
        same = (numbers == expected) | (np.isnan(numbers) & np.isnan(expected))
        alike = np.equal(categories, features[self.categories].to_numpy(object)).astype(bool)
        differing = [name for name, fits in zip(self.numbers, same.all(axis=0), strict=True) if not fits]
        differing += [name for name, fits in zip(self.categories, alike.all(axis=0), strict=True) if not fits]
        if differing or infinite:
            what = f"{differing[0]!r} differs" if differing else next(iter(infinite.values())).reason
            self.failure = f"compiled, {what} from what pandas makes of the same rows"

    def _run(self, rows: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray, dict[int, Any]] | None:
        """Return what the program makes of rows; None once something failed, of which `failure` says what."""
        if self.failure:
            return None
        columns, problems = self.contract.read(rows)
        if problems:
            column, reason = next(iter(problems.values()))
            self.failure = f"sent as JSON, the column {column!r} {reason}"
            return None
        try:
            return self.program.run(columns)
        except Exception as error:  # a step may meet values for which NumPy has no such operation
            self.failure = f"compiled, it fails: {type(error).__name__}: {error}"
            return None

    @property
    def agrees(self) -> bool:
        """Whether every row got the same features."""
        return not self.failure

    @property
    def sentence(self) -> str:
        """What was found."""
        return self.failure or f"the same bits as pandas on {self._rows} rows"


def make_reference(config: Config, pipeline: Any, first: Case, edges: Case) -> dict[str, Any]:
    """Return rows and what scikit-learn answers, by which a server proves that it answers alike.

    The columns of the sample are shuffled against each other: its rows are nobody's.
    """
    luck = np.random.default_rng(0)
    sample = first.typed.head(SAMPLE).reset_index(drop=True)
    columns = {name: values.iloc[luck.permutation(len(sample))].array for name, values in sample.items()}
    mixed = _accepted(config, pipeline, pd.DataFrame(columns), "shuffled test rows")
    rows = [*mixed.rows, *edges.rows]
    expected = answer_of(pipeline, pd.concat([mixed.features, edges.features], ignore_index=True))
    tolerance = PROBABILITY_TOLERANCE if expected.ndim == 2 else NUMBER_TOLERANCE
    within = np.broadcast_to(tolerance * scale_of(expected), len(rows))
    return {"rows": rows, "values": expected.tolist(), "within": within.tolist()}
