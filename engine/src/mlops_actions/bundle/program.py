"""What features.py does to a row, as a list of steps that NumPy takes: data in a bundle, not code.

`trace.py` writes such a program down while it runs add_features once.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .contract import Problem

Columns = Mapping[str, Sequence[Any]]
_DAY = 86_400_000_000  # microseconds
_NOT_A_TIME = np.iinfo(np.int64).min  # as NumPy writes NaT


def _missing(values: np.ndarray) -> np.ndarray:
    if values.dtype == object:
        return np.array([value is None for value in values.ravel()], bool).reshape(values.shape)
    return np.isnat(values) if values.dtype.kind in "mM" else np.isnan(values)


def _fill(values: np.ndarray, other: Any) -> np.ndarray:
    return np.where(_missing(values), other, values)


def _map(values: np.ndarray, *pairs: Any) -> np.ndarray:
    """Return the partner of each value, of keys and partners in turn; missing where there is none."""
    partners = dict(zip(pairs[::2], pairs[1::2], strict=True))
    if all(isinstance(partner, str) for partner in partners.values()):
        return _objects(partners.get(value) for value in values.tolist())
    return np.array([partners.get(value, np.nan) for value in values.tolist()], float)


def _isin(values: np.ndarray, *known: Any) -> np.ndarray:
    allowed = set(known)
    return np.array([value in allowed for value in values.tolist()], bool)


def _objects(values: Any) -> np.ndarray:
    values = list(values)
    made = np.empty(len(values), object)
    made[:] = values
    return made


def _text(change: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """Return a text made of each text; missing where that is."""

    def step(values: np.ndarray, *arguments: Any) -> np.ndarray:
        return _objects(None if text is None else change(text, *arguments) for text in values)

    return step


def _join(left: Any, right: Any) -> np.ndarray:
    pairs = np.broadcast(np.asarray(left, object), np.asarray(right, object))
    return _objects(None if None in pair else pair[0] + pair[1] for pair in pairs)


def _length(values: np.ndarray) -> np.ndarray:
    return np.array([np.nan if text is None else len(text) for text in values], float)


def _ask(question: Callable[..., bool]) -> Callable[..., np.ndarray]:
    """Return whether something holds of each text; not where the text is missing."""

    def step(values: np.ndarray, *arguments: Any) -> np.ndarray:
        return np.array([text is not None and question(text, *arguments) for text in values], bool)

    return step


def _part(moments: np.ndarray, count: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    numbers = count(np.where(np.isnat(moments), np.datetime64(0, "us"), moments)).astype(float)
    return np.where(np.isnat(moments), np.nan, numbers)


def _within(step: str, whole: str, first: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    """Return the number of a part of each moment within the whole, such as that of the month in the year."""

    def count(moments: np.ndarray) -> np.ndarray:
        inner = moments.astype(f"datetime64[{step}]")
        return _part(moments, lambda _: (inner - moments.astype(f"datetime64[{whole}]")).astype(int) + first)

    return count


# Where pandas has other rules than NumPy, the proof at export finds it, and pandas serves.
STEPS: dict[str, Callable[..., np.ndarray]] = {
    **{
        name: getattr(np, name)
        for name in (
            "add", "subtract", "multiply", "divide", "floor_divide", "remainder", "power", "negative", "absolute",
            "less", "less_equal", "greater", "greater_equal", "equal", "not_equal",
            "logical_and", "logical_or", "logical_xor", "logical_not",
            "log", "log1p", "log2", "log10", "exp", "expm1", "sqrt", "square", "sign", "floor", "ceil", "rint",
            "sin", "cos", "tan", "tanh", "arctan", "hypot", "maximum", "minimum", "fmax", "fmin", "where",
        )
    },
    "number": lambda values: values.astype(float),
    "missing": _missing,
    "fill": _fill,
    "map": _map,
    "isin": _isin,
    "year": lambda moments: _part(moments, lambda known: known.astype("datetime64[Y]").astype(int) + 1970),
    "month": _within("M", "Y", 1),
    "day": _within("D", "M", 1),
    "dayofyear": _within("D", "Y", 1),
    "hour": _within("h", "D"),
    "minute": _within("m", "h"),
    "second": _within("s", "m"),
    "dayofweek": lambda moments: _part(moments, lambda known: (known.astype("datetime64[D]").astype(int) + 3) % 7),
    "quarter": lambda moments: _part(moments, lambda known: known.astype("datetime64[M]").astype(int) % 12 // 3 + 1),
    "days": lambda spans: np.where(np.isnat(spans), np.nan, spans.astype(int) // _DAY),
    "seconds": lambda spans: spans / np.timedelta64(1_000_000, "us"),
    "lower": _text(str.lower),
    "upper": _text(str.upper),
    "strip": _text(str.strip),
    "slice": _text(lambda text, start, stop: text[start:stop]),
    "replace": _text(str.replace),
    "join": _join,
    "length": _length,
    "contains": _ask(lambda text, part: part in text),
    "startswith": _ask(str.startswith),
    "endswith": _ask(str.endswith),
}  # fmt: skip


class Program:
    """The features of typed rows, as the model wants them: a matrix of float32 and one of str."""

    def __init__(
        self, program: dict[str, Any], numbers: Sequence[str], categories: Sequence[str], missing: str
    ) -> None:
        """`missing` is what the model sees in place of a missing text.

        Raises:
            KeyError: the program has a step, or lacks a feature, that is not known here.
        """
        self.kinds: dict[str, str] = program["kinds"]
        self.steps = [(name, *arguments) for name, *arguments in program["steps"]]
        for name, *_ in self.steps:
            if name not in ("column", "constant"):
                STEPS[name]
        outputs: dict[str, int] = program["outputs"]
        self.numbers, self.categories, self.missing = list(numbers), list(categories), missing
        self._made = [outputs[name] for name in self.numbers], [outputs[name] for name in self.categories]
        used = [self.steps[step] for step in (*self._made[0], *self._made[1])]
        # The usual case by far: columns as they are, which one call turns into a matrix.
        self._as_is = [str(step[1]) for step in used] if all(step[0] == "column" for step in used) else None

    def run(self, columns: Columns) -> tuple[np.ndarray, np.ndarray, dict[int, Problem]]:
        """Return the numbers (n × k, float32), the categories (n × m, str), and the rows with infinite features."""
        if self._as_is is not None:
            return *self._direct(columns, self._as_is), {}
        with np.errstate(all="ignore"):
            numbers, texts = self._stepwise(columns)
            matrix = numbers.astype(np.float32).T + np.float32(0)  # there is one zero
        problems: dict[int, Problem] = {}
        for row, column in zip(*np.nonzero(np.isinf(matrix)), strict=True):
            problems.setdefault(
                int(row), Problem(None, f"features.py makes {self.numbers[column]!r} infinite of this row")
            )
        return matrix, texts.T, problems

    def _direct(self, columns: Columns, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
        cut, rows = len(self.numbers), len(next(iter(columns.values())))
        texts = [
            [self.missing if text is None else text for text in values] if None in values else values
            for values in (columns[name] for name in names[cut:])
        ]
        numbers = np.array([columns[name] for name in names[:cut]], np.float32).reshape(cut, rows)
        matrix = np.add(numbers.T, np.float32(0), order="C")  # there is one zero
        return matrix, np.array(texts, object).reshape(len(texts), rows).T

    def _stepwise(self, columns: Columns) -> tuple[np.ndarray, np.ndarray]:
        rows = len(next(iter(columns.values())))
        done: list[Any] = []
        for name, *arguments in self.steps:
            if name == "column":
                done.append(_as_array(columns[arguments[0]], self.kinds[arguments[0]]))
            elif name == "constant":
                done.append(_constant(arguments[0]))
            else:
                done.append(STEPS[name](*(done[step] for step in arguments)))
        numbers = [np.broadcast_to(np.asarray(done[step], float), rows) for step in self._made[0]]
        texts = np.empty((len(self.categories), rows), object)
        for number, step in enumerate(self._made[1]):
            made = np.broadcast_to(np.asarray(done[step], object), rows)
            texts[number] = [self.missing if text is None else text for text in made]
        return np.array(numbers, float).reshape(len(numbers), rows), texts


def _as_array(values: Sequence[Any], kind: str) -> np.ndarray:
    if kind == "datetime":
        return np.array([_NOT_A_TIME if value is None else value for value in values], "int64").view("datetime64[us]")
    return np.array(values, float) if kind in ("number", "boolean") else _objects(values)


def _constant(value: Any) -> Any:
    """Return a number, a truth or a text as it is; {"moment": n} and {"span": n} are n microseconds."""
    if isinstance(value, dict):
        [(kind, count)] = value.items()
        return np.datetime64(count, "us") if kind == "moment" else np.timedelta64(count, "us")
    return np.nan if value is None else value
