"""How sure a metric's change is: paired intervals, standard errors, and what a test set of this size can tell.

Both models predict the same rows, so a row's two answers are drawn together. What was tried, and how often each kind of
interval held the truth, is in docs/verdict.md of the template.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from .metrics import Metric, Predictions, align
from .weighted import Sums

RESAMPLES = 2000
BLACK_BOX_RESAMPLES = 500
QUICK_RESAMPLES = 50
# A metric that knows no weights is computed on resamples of at most this many rows.
BLACK_BOX_ROWS = 2000
# Below this many rows, a class is missing from too many resamples: each class is then drawn from by itself.
RARE = 10
# Weights that are held at a time: with what a ranking metric makes of them, some 100 MB.
CHUNK = 4_000_000
SEED = 20260101
JACKKNIFE = "infinitesimal jackknife, Student"
UNSEEN = "as if one row more told the models apart"
METHODS = {"roc_auc": "DeLong", "average_precision": JACKKNIFE}
# Where the bootstrap knows too little: fewer degrees of freedom than this, or an error that much beyond its own.
FEW_ROWS = 5
MUCH_WIDER = 1.1


@dataclass(frozen=True)
class Interval:
    """The gain (how much better the candidate is, in the metric's unit), its bounds, its error and how sure that is.

    `df` is the degrees of freedom of the standard error.
    """

    gain: float
    low: float
    high: float
    error: float
    df: float
    method: str


@dataclass(frozen=True)
class _Pair:
    """One metric of two models on the same rows, or of the candidate alone."""

    metric: Metric
    truth: np.ndarray
    champion: Predictions | None
    candidate: Predictions

    def gain(self, rows: np.ndarray | None = None) -> float:
        """Return how much better the candidate is, on some of the rows or all; NaN where it is not defined."""
        truth = self.truth if rows is None else self.truth[rows]
        values = [self.metric.compute(truth, model if rows is None else model.take(rows)) for model in self.models]
        return self.sign * _less(values)

    @property
    def models(self) -> list[Predictions]:
        """The candidate, and the champion it is compared with."""
        return [self.candidate] if self.champion is None else [self.candidate, self.champion]

    @property
    def sign(self) -> int:
        return 1 if self.metric.greater_is_better else -1

    @property
    def same(self) -> bool:
        """Whether both models answer the same everywhere."""
        return self.champion is not None and self.champion.is_same(self.candidate)


def paired_intervals(
    metrics: list[Metric],
    truth: np.ndarray,
    champion: Predictions,
    candidate: Predictions,
    *,
    confidence: float,
    groups: np.ndarray | None = None,
) -> dict[str, Interval]:
    """Return the interval of each metric's gain; a metric that is undefined for either model is absent.

    Ranking metrics have Student's interval by DeLong's error and its like for average precision. Other built-in metrics
    have a percentile interval of the paired bootstrap, bias-corrected (Efron, Canadian Journal of Statistics 9, 1981)
    and expanded (Hesterberg, The American Statistician 69, 2015): the normal quantile gives way to Student's, with as
    many degrees of freedom as rows carry the change, and is widened by what resamples of the rows cannot know
    (`_estimate`). Where few rows carry it, the bootstrap knows too little, and the interval is Student's too. A scorer
    or a function has the rescaled bootstrap of `_bootstrap_of_rows`. The same rows in the same order have the same
    interval.

    Args:
        metrics: what to compare.
        truth: n class names or numbers.
        champion: its predictions for the same rows.
        candidate: its predictions for the same rows.
        confidence: of the two-sided interval.
        groups: n labels; rows that share one are drawn together, as one observation.
    """
    champion, candidate = align(truth, champion, candidate)
    labels = _numbered(groups)
    pairs = [_Pair(metric, truth, champion, candidate) for metric in metrics]
    intervals, resampled = {}, []
    for pair in pairs:
        name = pair.metric.name
        gain = pair.gain()
        if not np.isfinite(gain):
            continue
        if pair.same:
            intervals[name] = Interval(0.0, 0.0, 0.0, 0.0, float("inf"), "identical predictions")
        elif pair.metric.weigh is None:
            if interval := _black_box(pair, gain, confidence, labels):
                intervals[name] = interval
        else:
            gain, error, df, plain = _estimate(pair, gain, labels)
            method = METHODS.get(name, JACKKNIFE) if plain else UNSEEN
            intervals[name] = _student(gain, error, df, confidence, method)
            if name not in METHODS and df >= FEW_ROWS and error <= MUCH_WIDER * plain:
                resampled.append((pair, error / plain, df))
    for (pair, wider, df), gains in zip(resampled, _bootstrap([pair for pair, *_ in resampled], labels), strict=True):
        intervals[pair.metric.name] = _bootstrapped(intervals[pair.metric.name], gains, wider, df, confidence)
    return intervals


def paired_estimate(
    metric: Metric,
    truth: np.ndarray,
    champion: Predictions,
    candidate: Predictions,
    groups: np.ndarray | None = None,
) -> tuple[float, float, float]:
    """Return the gain, its standard error and the error's degrees of freedom; NaN where the metric is not defined.

    Nothing is resampled for a built-in metric: the error is the infinitesimal jackknife's, for ROC AUC DeLong's.
    """
    champion, candidate = align(truth, champion, candidate)
    pair = _Pair(metric, truth, champion, candidate)
    gain = pair.gain()
    if not np.isfinite(gain):
        return float("nan"), float("nan"), float("nan")
    if pair.same:
        return 0.0, 0.0, float("inf")
    return _quick_estimate(pair, gain, _numbered(groups), QUICK_RESAMPLES)


def estimate(
    metric: Metric,
    truth: np.ndarray,
    model: Predictions,
    rival: Predictions | None = None,
    groups: np.ndarray | None = None,
) -> tuple[float, float, float]:
    """Return how good a model is, the greater the better, with that estimate's standard error and degrees of freedom.

    With a `rival` it is how much better the model is on the same rows, and equal answers are no proof of equal models.
    All are NaN where the metric is not defined.
    """
    pair = _Pair(metric, truth, rival, model)
    gain = pair.gain()
    if not np.isfinite(gain):
        return float("nan"), float("nan"), float("nan")
    return _quick_estimate(pair, gain, _numbered(groups), BLACK_BOX_RESAMPLES)


def p_not_below(gain: float, error: float, df: float, margin: float) -> float:
    """Return the p-value of "the gain is at least −margin": small where the gain is demonstrably below."""
    if not error:
        return 1.0 if gain >= -margin else 0.0
    return float(special.stdtr(df, (gain + margin) / error))


def smallest_detectable(error: float, df: float, confidence: float, power: float = 0.8) -> float:
    """Return the smallest true change that an interval of this standard error excludes zero for, with this power."""
    return error * (quantile(confidence, df) + float(special.stdtrit(df, power)))


def chance_of_blocking_equal(error: float, df: float, margin: float) -> float:
    """Return how likely the estimate of an equally good model falls beyond the margin."""
    return float(special.stdtr(df, -margin / error)) if error else 0.0


def enough_margin(error: float, df: float, chance: float) -> float:
    """Return the margin beyond which an equally good model's estimate falls with this chance only.

    It is rounded up to two digits, for a person to write down.
    """
    margin = error * float(-special.stdtrit(df, chance))
    if margin <= 0:
        return 0.0
    place = int(np.floor(np.log10(margin))) - 1
    return float(f"{np.ceil(round(margin / 10.0**place, 6)) * 10.0**place:.2g}")


def _numbered(groups: np.ndarray | None) -> np.ndarray | None:
    return None if groups is None else np.unique(groups, return_inverse=True)[1]


def _less(values: Sequence[Any]) -> Any:
    """Return the first less the second, or the first where it is alone."""
    return values[0] - values[1] if len(values) == 2 else values[0]


def _quick_estimate(pair: _Pair, gain: float, labels: np.ndarray | None, resamples: int) -> tuple[float, float, float]:
    if pair.metric.weigh is not None:
        return _estimate(pair, gain, labels)[:3]
    gains, share = _bootstrap_of_rows(pair, labels, resamples)
    if len(gains) < resamples / 2:
        return float("nan"), float("nan"), float("nan")
    return gain, float(gains.std(ddof=1) * np.sqrt(share)), len(gains) - 1.0


def _estimate(pair: _Pair, gain: float, labels: np.ndarray | None) -> tuple[float, float, float, float]:
    """Return the gain, its standard error, that error's degrees of freedom, and what the bootstrap would find for it.

    The last is the root of the mean square of the units' influence, a unit being a row or a group of them. The error
    has four corrections of it: `_within_strata`, `_heavy_tail`, `_discordant_row`, and where no unit tells the models
    apart, `_unseen_difference`.
    """
    influences, discordant = _influences(pair)
    units = influences if labels is None else np.bincount(labels, influences)
    strata = _strata(pair, labels)
    within, uncertain = _within_strata(units, strata)
    tail, uncertain_tail = _heavy_tail(units, pair.metric.tail)
    variance = within + tail
    if pair.metric.of_labels:
        variance += _discordant_row(discordant, strata, units) * (len(pair.truth) / len(units)) ** 2
    if not variance:
        return gain, *_unseen_difference(pair, len(units)), 0.0
    known = pair.metric.of_labels or not uncertain + uncertain_tail
    df = len(units) - 1.0 if known else variance**2 / (uncertain + uncertain_tail)
    bootstrap = float(np.sqrt(np.sum(units**2)))
    return gain, float(np.sqrt(variance)) / len(pair.truth), max(1.0, df), bootstrap / len(pair.truth)


def _within_strata(units: np.ndarray, strata: list[np.ndarray]) -> tuple[float, float]:
    """Return the variance of the sum of influences, and what is uncertain of it: squares by their degrees of freedom.

    The squares within a stratum are divided by one less than its units (DeLong, DeLong and Clarke-Pearson, Biometrics
    44, 1988); degrees of freedom add up as Satterthwaite (Biometrics Bulletin 2, 1946) has it.
    """
    variance, uncertain = 0.0, 0.0
    for stratum in strata:
        own, mean, size = units[stratum], float(units[stratum].mean()), int(stratum.sum())
        squares = float(np.sum((own - mean) ** 2)) * size / max(1, size - 1)
        variance += squares + size * mean**2
        uncertain += squares**2 / _freedom(own - mean)
    return variance, uncertain


def _heavy_tail(units: np.ndarray, more: int) -> tuple[float, float]:
    """Return what `more` units that matter as much as the heaviest would add to the variance, and to its uncertainty.

    Each is a degree of freedom. The correction is our own: squared errors have tails that a sample does not show whole,
    and docs/verdict.md of the template has how often the intervals hold the truth with it.
    """
    heaviest = float(np.max(units**2))
    return more * heaviest, more * heaviest**2


def _discordant_row(discordant: np.ndarray, strata: list[np.ndarray], units: np.ndarray) -> float:
    """Return the variance that half a row more adds which one model alone has right, for either of the two models.

    So Agresti and Min (Statistics in Medicine 24, 2005) have it for the difference of paired shares, here in the class
    where it matters most: that no row changed does not prove that none will.
    """
    sizes = [stratum.sum() for stratum in strata] if len(strata) > 1 else [len(units)] * len(discordant)
    worst = max(square * (size / (size + 2)) ** 2 for square, size in zip(discordant, sizes, strict=True))
    return float(worst / 2)


def _unseen_difference(pair: _Pair, units: int) -> tuple[float, float]:
    """Return the error, and its degrees of freedom, where no unit tells the models apart though their answers differ.

    It is that of two units of usual influence; of two perfect rankings, that of half a row more in each that is not
    where it should be. The correction is our own, after Agresti and Min's half a row.
    """
    usual = sum(_influence(pair, model).var() for model in pair.models)
    if usual or pair.candidate.classes is None:
        return float(np.sqrt(usual)) / len(pair.truth), 2.0
    return _fall_by_one_row(pair), max(1.0, units - 1.0)


def _strata(pair: _Pair, labels: np.ndarray | None) -> list[np.ndarray]:
    if labels is not None:
        return [np.ones(labels.max() + 1, dtype=bool)]
    if not pair.metric.by_class:
        return [np.ones(len(pair.truth), dtype=bool)]
    return [pair.truth == label for label in sorted(set(pair.truth))]


def _fall_by_one_row(pair: _Pair) -> float:
    """Return how far the candidate's metric falls by one more row that has the answers to a row of another class.

    It is the root mean square over up to 20 such answers, for the class where that is the most.
    """
    truth, rows = pair.truth, np.arange(len(pair.truth))
    whole = pair.metric.compute(truth, pair.candidate)
    squares = [0.0]
    for label in sorted(set(truth)):
        others = np.flatnonzero(truth != label)
        some = others[np.unique(np.linspace(0, len(others) - 1, 20).astype(int))]
        falls = [
            pair.metric.compute(np.append(truth, label), pair.candidate.take(np.append(rows, other))) - whole
            for other in some
        ]
        squares.append(float(np.mean(np.square(falls))))
    return float(np.sqrt(max(squares)))


def _freedom(values: np.ndarray) -> float:
    """Return the degrees of freedom of a variance by the kurtosis of its values: n − 1 where they are normal.

    A variance that few values carry is uncertain: of m equal ones among zeros it has some 2 m degrees (Satterthwaite,
    Biometrics Bulletin 2, 1946, by the moments of a sample variance).
    """
    count, total = len(values), float(np.sum(values**2))
    if count < 2 or total == 0:
        return 1.0
    kurtosis = count * float(np.sum(values**4)) / total**2
    return max(1.0, min(count - 1.0, 2 * count / (kurtosis - 1 + 2 / (count - 1))))


def _influence(pair: _Pair, model: Predictions) -> np.ndarray:
    assert pair.metric.weigh is not None
    return pair.metric.weigh(pair.truth, model).influence()


def _influences(pair: _Pair) -> tuple[np.ndarray, np.ndarray]:
    """Return what each row adds to the gain, and the squares that rows would add which one model alone has right.

    The latter are for each class that is there: of a row that only the champion has right, and one that only the
    candidate has; of a model alone, one that it has right, and one that it has wrong. They are empty where the metric
    is not one of labels.
    """
    metric, truth = pair.metric, pair.truth
    if not metric.of_labels:
        return _less([_influence(pair, model) for model in pair.models]), np.zeros(0)
    assert metric.weigh is not None
    classes = pair.candidate.classes or []
    counts = {label: int(np.sum(truth == label)) for label in classes}
    there = [label for label in classes if counts[label]]
    wrong = {
        right: max((label for label in classes if label != right), key=counts.__getitem__, default=right)
        for right in there
    }
    weights = np.append(np.ones(len(truth)), np.zeros(2 * len(there)))
    parts = []
    right_and_wrong = [*there, *wrong.values()], [*wrong.values(), *there]
    for model, said in zip(pair.models, right_and_wrong, strict=False):
        sure = np.array(said, dtype=object)[:, None] == np.array(classes, dtype=object)
        prepared = metric.weigh(np.concatenate([truth, there, there]), model.followed_by(sure))
        assert isinstance(prepared, Sums)
        parts.append(prepared.influence(weights))
    added = _less(parts)
    return added[: len(truth)], (added[len(truth) :].reshape(2, len(there)) ** 2).sum(axis=0)


def quantile(confidence: float, df: float) -> float:
    """Return how many standard errors a two-sided interval reaches from the gain, by Student's distribution."""
    return float(special.stdtrit(df, (1 + confidence) / 2))


def _student(gain: float, error: float, df: float, confidence: float, method: str) -> Interval:
    reach = quantile(confidence, df) * error
    return Interval(gain, gain - reach, gain + reach, error, df, method)


def _bootstrapped(student: Interval, gains: np.ndarray, wider: float, df: float, confidence: float) -> Interval:
    """Return the bias-corrected, expanded percentile interval, or Student's where too few resamples lie beyond it."""
    gains = np.sort(gains[np.isfinite(gains)])
    count = len(gains)
    reach = quantile(confidence, df) * wider
    if count < RESAMPLES / 2:
        return student
    below = (np.searchsorted(gains, student.gain, "left") + np.searchsorted(gains, student.gain, "right")) / 2 / count
    bias = float(special.ndtri(np.clip(below, 1 / count, 1 - 1 / count)))
    low, high = np.quantile(gains, special.ndtr([2 * bias - reach, 2 * bias + reach]))
    method = f"paired bootstrap, bias-corrected, {RESAMPLES:,} resamples"
    return replace(student, low=float(low), high=float(high), method=method)


def _bootstrap(pairs: list[_Pair], labels: np.ndarray | None) -> list[np.ndarray]:
    """Return the gain of each pair in every resample; the pairs share the resamples.

    Where a class has fewer rows than `RARE`, metrics that are about classes draw within the classes: without the class
    they are undefined, or the mean of fewer classes.
    """
    if not pairs:
        return []
    truth = pairs[0].truth
    prepared = [[pair.metric.weigh(truth, model) for model in pair.models] for pair in pairs]  # type: ignore[misc]
    gains = [np.empty(RESAMPLES) for _ in pairs]
    classes = None
    if pairs[0].candidate.classes is not None and labels is None:
        _, classes, sizes = np.unique(truth.astype(str), return_inverse=True, return_counts=True)
        classes = classes if sizes.min() < RARE else None
    for stratified in (False, True) if classes is not None else (False,):
        chosen = [i for i, pair in enumerate(pairs) if (classes is not None and pair.metric.by_class) == stratified]
        if not chosen:
            continue
        done = 0
        for counts in _resample(len(truth), labels, classes if stratified else None):
            weights = counts.astype(float)
            rows = slice(done, done + len(weights))
            for index in chosen:
                gains[index][rows] = pairs[index].sign * _less([model(weights) for model in prepared[index]])
            done += len(weights)
    return gains


def _resample(rows: int, labels: np.ndarray | None, classes: np.ndarray | None) -> Iterator[np.ndarray]:
    """Yield chunks of resamples as weights (k × n): how often each row is drawn.

    Large sets are drawn as independent Poisson counts, a table's lookup each (Hanley and MacGibbon, Computer Methods
    and Programs in Biomedicine 83, 2006): the total then varies, which no metric that is a mean or a ratio sees.
    """
    random = np.random.Generator(np.random.SFC64(SEED))
    units = rows if labels is None else int(labels.max()) + 1
    table = np.searchsorted(special.pdtr(np.arange(12), 1), (np.arange(2**16) + 0.5) / 2**16).astype(np.uint8)
    size = max(1, CHUNK // rows)
    for start in range(0, RESAMPLES, size):
        count = min(size, RESAMPLES - start)
        if classes is not None:
            weights = np.empty((count, rows), np.uint8)
            for label in range(classes.max() + 1):
                own = np.flatnonzero(classes == label)
                weights[:, own] = _counts(random, count, len(own))
        elif units > 5000:
            weights = table[random.integers(2**16, size=(count, units), dtype=np.uint16)]
        else:
            weights = _counts(random, count, units)
        yield weights if labels is None else weights[:, labels]


def _counts(random: np.random.Generator, resamples: int, units: int) -> np.ndarray:
    drawn = random.integers(units, size=(resamples, units)) + units * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * units).reshape(resamples, units).astype(np.uint8)


def _black_box(pair: _Pair, gain: float, confidence: float, labels: np.ndarray | None) -> Interval | None:
    """Return Student's interval by the spread of the resamples, None where too few define the metric."""
    gains, share = _bootstrap_of_rows(pair, labels, BLACK_BOX_RESAMPLES)
    if len(gains) < BLACK_BOX_RESAMPLES / 2:
        return None
    drawn = "" if share == 1 else f" of {share * len(pair.truth):,.0f} rows"
    units = len(pair.truth) if labels is None else int(labels.max()) + 1
    method = f"paired bootstrap, {BLACK_BOX_RESAMPLES:,} resamples{drawn}"
    return _student(gain, float(gains.std(ddof=1) * np.sqrt(share)), max(1, units - 1), confidence, method)


def _bootstrap_of_rows(pair: _Pair, labels: np.ndarray | None, resamples: int) -> tuple[np.ndarray, float]:
    """Return the gain in each resample that defines it, and which share of the rows (or groups) was drawn.

    Of many rows only some are drawn, for the spread to be scaled to all: the m out of n bootstrap (Bickel, Götze and
    van Zwet, Statistica Sinica 7, 1997), whose cost does not grow with the rows, and which holds for metrics that are
    not smooth. As many are drawn as the rarest class needs; where all are, it is drawn from by itself.
    """
    random = np.random.Generator(np.random.SFC64(SEED))
    rows = len(pair.truth)
    strata = [np.arange(rows)]
    share = min(1.0, BLACK_BOX_ROWS / rows)
    if labels is not None:
        order = np.argsort(labels, kind="stable")
        members = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
        strata = [np.arange(len(members))]
    elif pair.candidate.classes is not None:
        _, classes, sizes = np.unique(pair.truth.astype(str), return_inverse=True, return_counts=True)
        share = max(share, min(1.0, RARE / sizes.min()))
        if sizes.min() < RARE:
            strata = [np.flatnonzero(classes == stratum) for stratum in range(len(sizes))]
    gains = np.empty(resamples)
    for index in range(resamples):
        taken = np.concatenate(
            [stratum[random.integers(len(stratum), size=max(1, round(share * len(stratum))))] for stratum in strata]
        )
        gains[index] = pair.gain(taken if labels is None else np.concatenate([members[stratum] for stratum in taken]))
    return gains[np.isfinite(gains)], share
