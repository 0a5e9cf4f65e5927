"""Where the candidate is worse: the primary metric on parts of the test rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import special

from ..core.config import PARAMS, Slices
from ..core.errors import UserError
from ..stats.intervals import p_not_below, paired_estimate
from ..stats.metrics import Metric, Predictions, align
from .report import Slice
from .shift import show_values

MOST_SLICES = 200
MOST_VALUES = 20  # of a column that become slices
FEW_VALUES = 10  # up to so many, a number is a category
BINS = 4
FEW_ROWS = 5  # of a class
RANKINGS = {"roc_auc", "average_precision"}  # of scores whose order alone matters: a model's scale must not
SHOWN = 40  # characters of a category

Mask = np.ndarray


def find_slices(rows: pd.DataFrame, slices: Slices, target: str) -> list[tuple[str, Mask]]:
    """Return parts of the typed rows, each with its name and which rows it holds, in an order that is always the same.

    The user's own come first, however few rows they hold. Then, by column but for the target: every category or boolean
    of at least `min_rows` rows, the 20 most frequent; numbers and datetimes cut at their quartiles, or at fewer
    quantiles where these would hold fewer rows or are equal; and the rows where the column is missing. Numbers of up to
    10 different values are categories. A column is left out when most of its rows are in none of its 20 categories, as
    an identifier's are. A part that holds all rows, or the same ones as a part before it, tells nothing new. At most
    200, the largest, remain.

    Raises:
        UserError: `columns` names one that is not there, or a custom slice is no condition on these rows.
    """
    names = [name for name in rows if name != target] if slices.columns is None else slices.columns
    for name in names:
        if name not in rows or name == target:
            why = "is data.target" if name == target else "is no column of the test rows"
            raise UserError(f"{PARAMS}: gate.slices.columns names {name!r}, which {why}; take it out.")
    own = [(name, _evaluate(rows, name, condition)) for name, condition in slices.custom.items()]
    seen = {np.packbits(mask).tobytes() for _, mask in own} | {np.packbits(np.ones(len(rows), bool)).tobytes()}
    parts = []
    for name in names:
        for label, mask in _cut(str(name), rows[name], slices.min_rows):
            if mask.sum() >= slices.min_rows and (bits := np.packbits(mask).tobytes()) not in seen:
                seen.add(bits)
                parts.append((label, mask))
    largest = sorted(range(len(parts)), key=lambda place: (-int(parts[place][1].sum()), place))
    return own + [parts[place] for place in sorted(largest[: max(0, MOST_SLICES - len(own))])]


def _evaluate(rows: pd.DataFrame, name: str, condition: str) -> Mask:
    where = f"{PARAMS}: gate.slices.custom.{name}"
    try:
        answer = rows.eval(condition)
    except Exception as error:  # whatever a user's expression may run into
        raise UserError(
            f"{where}: {condition!r} cannot be evaluated on the test rows ({error}); correct it."
        ) from error
    if not isinstance(answer, pd.Series) or not pd.api.types.is_bool_dtype(answer.dtype):
        raise UserError(f"{where}: {condition!r} is no condition; write one that is true or false, such as age > 65.")
    return answer.fillna(False).to_numpy(bool)


def _cut(column: str, values: pd.Series, min_rows: int) -> Iterator[tuple[str, Mask]]:
    """Yield a column's parts with their names; some may hold too few rows."""
    missing = values.isna().to_numpy()
    if values.dtype.kind in "fiuM" and values.nunique() > FEW_VALUES:
        yield from _cut_at_quantiles(column, values.to_numpy(), missing, min_rows)
    else:
        yield from _cut_by_value(column, values, min_rows)
    yield f"{column} missing", missing


def _cut_by_value(column: str, values: pd.Series, min_rows: int) -> Iterator[tuple[str, Mask]]:
    numeric = values.dtype.kind in "fiuM"
    codes, names = pd.factorize(values, sort=True)
    counts = np.bincount(codes + 1, minlength=len(names) + 1)[1:]
    common = np.argsort(-counts, kind="stable")[:MOST_VALUES]
    common = common[counts[common] >= min_rows]
    if 2 * counts[common].sum() < counts.sum():
        return
    shown = show_values(names.to_numpy()) if numeric else [str(name) for name in names]
    for code in sorted(common) if numeric else common:
        text = shown[code]
        yield f"{column} = {text if len(text) <= SHOWN else text[: SHOWN - 1] + '…'}", codes == code


def _cut_at_quantiles(column: str, values: np.ndarray, missing: Mask, min_rows: int) -> Iterator[tuple[str, Mask]]:
    known = np.sort(values[~missing])
    bins = min(BINS, len(known) // min_rows)
    cuts = np.unique(known[[len(known) * number // bins - 1 for number in range(1, bins)]])
    places = np.where(missing, -1, np.searchsorted(cuts, values))
    parts = [places == place for place in np.unique(places[places >= 0])]
    if len(parts) > 1:
        ends = [(values[part].min(), values[part].max()) for part in parts]
        bounds = np.unique(ends)
        shown = dict(zip(bounds.tolist(), show_values(bounds), strict=True))
        for part, (low, high) in zip(parts, ends, strict=True):
            low, high = shown[low.item()], shown[high.item()]
            yield f"{column} = {low}" if low == high else f"{column} {low} to {high}", part


def judge_slices(
    metric: Metric,
    truth: np.ndarray,
    champion: Predictions,
    candidate: Predictions,
    slices: Sequence[tuple[str, Mask]],
    margin: float,
    confidence: float,
    groups: np.ndarray | None = None,
    guards: Mapping[str, float] | None = None,
) -> tuple[list[Slice], dict[str, float]]:
    """Return the metric on each slice, the worst first, and the p-values of `guards`, corrected with the slices'.

    A slice has collapsed where a one-sided test at 1 - confidence rejects that its gain is at least -margin. Slices and
    guards are one family, corrected by Holm's step-down. The intervals of the change are two-sided, at `confidence`, of
    each slice alone. Collapsed slices come first, then the surest harm, by the gain in half widths of its interval, so
    that few rows with a wild estimate do not outrank many with a sure one; those that cannot be judged come last.
    """
    champion, candidate = align(truth, champion, candidate)
    judged = [_judge(metric, truth, champion, candidate, part, margin, confidence, groups) for part in slices]
    guards = guards or {}
    family = [*(p for _, p in judged if p is not None), *guards.values()]
    adjusted = iter(holm(np.array(family, float)).tolist())
    level = 1 - confidence
    corrected = [part if p is None else replace(part, collapsed=next(adjusted) < level) for part, p in judged]
    worst = sorted(corrected, key=lambda part: (part.why is not None, not part.collapsed, _sureness(metric, part)))
    return worst, dict(zip(guards, adjusted, strict=True))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Return p-values adjusted for how many there are, in the same order.

    Rejecting those below a level keeps the chance of any false rejection in the family below it, however they depend
    on each other (Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6, 1979).
    """
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def _judge(
    metric: Metric,
    truth: np.ndarray,
    champion: Predictions,
    candidate: Predictions,
    part: tuple[str, Mask],
    margin: float,
    confidence: float,
    groups: np.ndarray | None,
) -> tuple[Slice, float | None]:
    """Return one slice, not yet collapsed, and the p-value of a gain of at least -margin; None where not judged."""
    name, mask = part
    truth, groups = truth[mask], None if groups is None else groups[mask]
    champion, candidate = champion.take(mask), candidate.take(mask)
    undecided = Slice(name, len(truth), None, None, low=None, high=None, collapsed=False, why=_why_not(metric, truth))
    if undecided.why:
        return undecided, None
    undecided = replace(undecided, champion=_value(metric, truth, champion), candidate=_value(metric, truth, candidate))
    gain, error, df = paired_estimate(metric, truth, champion, candidate, groups)
    if not np.isfinite([gain, error]).all():
        return replace(undecided, why="not defined"), None
    reach = float(special.stdtrit(df, (1 + confidence) / 2)) * error
    change = gain if metric.greater_is_better else -gain
    p_value = p_not_below(gain, error, df, margin)
    if p_value < 1 - confidence:
        p_value = max(p_value, bound_luck(metric, truth, champion, candidate, groups))
    return replace(undecided, low=change - reach, high=change + reach), p_value


def bound_luck(
    metric: Metric, truth: np.ndarray, champion: Predictions, candidate: Predictions, groups: np.ndarray | None = None
) -> float:
    """Return at most how likely interchangeable models are to differ as much to the candidate's harm.

    A standard error is estimated from few rows where few matter to the metric: three answers each, all right before and
    all wrong now, leave it nothing that varies. Here each row's, or group's, two answers change places at random
    (Fisher's randomisation test), which makes the gain a sum of parts with random signs: each part is what the exchange
    is worth in the sample of both models' answers, to the first order. Such a sum's tail is at most 3.18 times that of
    a normal variable (Bentkus and Dzindzalieta, A tight Gaussian bound for weighted sums of Rademacher random
    variables, Bernoulli 21, 2015), however few the parts. 0 for a metric that knows no weights. Both models know the
    same classes.
    """
    if metric.weigh is None:
        return 0.0
    values = [champion.values, candidate.values]
    if metric.name in RANKINGS:
        values = [pd.DataFrame(scores).rank().to_numpy() for scores in values]
    decided = None if champion.classes is None else np.concatenate([champion.codes, candidate.codes])
    both = Predictions(np.concatenate(values), champion.classes, decided)
    before, now = np.split(metric.weigh(np.tile(truth, 2), both).influence(), 2)
    parts = now - before if metric.greater_is_better else before - now
    if groups is not None:
        parts = np.bincount(np.unique(groups, return_inverse=True)[1], parts)
    spread = float(np.sqrt((parts**2).sum()))
    return min(1.0, 3.18 * float(special.ndtr(parts.sum() / spread))) if spread else 1.0


def _value(metric: Metric, truth: np.ndarray, model: Predictions) -> float | None:
    value = float(metric.compute(truth, model))
    return value if np.isfinite(value) else None


def _why_not(metric: Metric, truth: np.ndarray) -> str | None:
    """Return why rows with these targets say nothing about a metric; None where they do."""
    if len(truth) < FEW_ROWS:
        return _rows(len(truth))
    if not metric.by_class:
        return None
    names, counts = np.unique(truth.astype(str), return_counts=True)
    if len(names) == 1:
        return "only one class"
    second = np.argsort(-counts, kind="stable")[1]
    return f"{_rows(counts[second])} of class {names[second]}" if counts[second] < FEW_ROWS else None


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"


def _sureness(metric: Metric, part: Slice) -> float:
    """Return the gain in half widths of its interval: -1 where the interval ends at zero from below."""
    if part.low is None or part.high is None or part.low == part.high:
        return 0.0
    change = (part.high + part.low) / (part.high - part.low)
    return change if metric.greater_is_better else -change
