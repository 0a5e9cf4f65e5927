"""Metrics on weighted rows: prepared once for some rows, then computed for any number of weightings of them at once."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class Weighted(Protocol):
    """A metric that is prepared for some rows."""

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Return the metric of each weighting of the rows (k × n) as k numbers, NaN where it is not defined."""

    def influence(self) -> np.ndarray:
        """Return what each row adds: n times the derivative of the metric to the row's weight, where all weigh 1.

        These are the infinitesimal jackknife's values (Efron, The Jackknife, the Bootstrap and Other Resampling Plans,
        1982, ch. 6): their mean is 0, and their variance over n estimates that of the metric.
        """


class Sums:
    """A function of weighted sums of columns (n × c, dense or sparse): all metrics but the ranking ones."""

    def __init__(self, columns: "np.ndarray | csr_array", value: Callable[[np.ndarray], np.ndarray]) -> None:
        self.columns = columns
        self.value = value

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Return the metric of each weighting of the rows (k × n)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.value(weights @ self.columns)

    def influence(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the same where the rows weigh `weights`: a row that weighs 0 is one that might be there."""
        weights = np.ones(self.columns.shape[0]) if weights is None else weights
        rows, sums = weights.sum(), weights @ self.columns
        steps = np.diag(1e-6 * np.maximum(np.asarray(abs(self.columns).sum(axis=0), dtype=float), 1e-300))
        with np.errstate(divide="ignore", invalid="ignore"):
            rises = self.value(sums + steps) - self.value(sums - steps)
        return rows * (self.columns @ (rises / (2 * steps.diagonal())))


class Ranking:
    """The area under a curve of scores that should be high where `hit`: under ROC, else average precision."""

    def __init__(self, hit: np.ndarray, scores: np.ndarray, roc: bool) -> None:
        self.order = np.argsort(-scores, kind="stable")
        self.hit = hit[self.order]
        ordered = scores[self.order]
        ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
        self.last = np.repeat(ends, np.diff(ends, prepend=-1))  # of the rows that tie with each
        self.before = np.repeat(np.append(0, ends[:-1] + 1), np.diff(ends, prepend=-1))  # rows above those
        self.roc = roc

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Return the metric of each weighting of the rows (k × n)."""
        ordered = weights[:, self.order]
        hits = np.flatnonzero(self.hit)
        kind = np.int32 if ordered.dtype == np.uint8 else float  # counts fit: there are fewer than 2²³ rows to sort
        above = np.cumsum(ordered, axis=1, dtype=kind)
        weight = ordered[:, hits].astype(kind)
        own = np.cumsum(weight, axis=1)
        # Hits and rows at or above each hit's score, and those strictly above it.
        counted = np.cumsum(self.hit)
        there, total = own[:, counted[self.last[hits]] - 1], above[:, self.last[hits]]
        positives = own[:, -1].astype(float) if len(hits) else np.zeros(len(weights))
        with np.errstate(divide="ignore", invalid="ignore"):
            if not self.roc:
                return np.einsum("ij,ij->i", weight, there / np.maximum(total, 1e-300)) / _or_nan(positives)
            first = self.before[hits]
            past = np.where(first > 0, above[:, first - 1], 0)
            gone = np.where(first > 0, own[:, counted[first - 1] - 1] * (counted[first - 1] > 0), 0)
            misses = above[:, -1] - positives
            # Misses at or above and strictly above a hit's score; a tie counts half.
            wrong = ((total - there) + (past - gone)) / 2
            return 1 - np.einsum("ij,ij->i", weight, wrong) / _or_nan(positives * misses)

    def influence(self) -> np.ndarray:
        """Return what each row adds, n numbers."""
        rows = len(self.hit)
        positives = int(self.hit.sum())
        there, total = np.cumsum(self.hit)[self.last], self.last + 1.0
        result = np.empty(rows)
        if self.roc:
            # DeLong's placements, as Sun and Xu (IEEE Signal Processing Letters 21, 2014) get them from ranks.
            above = np.append(0, np.cumsum(self.hit))[self.before]
            misses = rows - positives
            share_above = (total - there + self.before - above) / 2 / misses
            share_below = 1 - share_above
            area = share_below[self.hit].mean()
            wins = (there + above) / 2 / positives
            result[self.order] = np.where(self.hit, (share_below - area) * rows / positives, 0)
            result[self.order] += np.where(self.hit, 0, (wins - area) * rows / misses)
            return result
        precision = there / total
        value = precision[self.hit].mean()
        # A row changes the precision at its own score and at each lower one: sums over the hits from its score down.
        down = np.append(np.cumsum((self.hit / total)[::-1])[::-1], 0)[self.before]
        fall = np.append(np.cumsum((self.hit * precision / total)[::-1])[::-1], 0)[self.before]
        result[self.order] = rows / positives * (self.hit * (precision - value + down) - fall)
        return result


def _or_nan(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, np.nan)


class OneVsRest:
    """The mean of a ranking metric over classes, each against the rest, weighted by how frequent the class is."""

    def __init__(self, classes: list[tuple[np.ndarray, np.ndarray]], roc: bool) -> None:
        self.hits = np.array([hit for hit, _ in classes], dtype=float)
        self.parts = [Ranking(hit, scores, roc) for hit, scores in classes]

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Return the metric of each weighting of the rows (k × n)."""
        return sum(self._part(index, weights) for index in range(len(self.parts))) / _or_nan(weights @ self.hits.sum(0))

    def _part(self, index: int, weights: np.ndarray) -> np.ndarray:
        size = weights @ self.hits[index]
        if not self.hits[index].any():
            return np.zeros(len(weights))
        values = self.parts[index](weights)
        # A class that has no row weighs nothing; rows that are all of one class have no rest.
        everything = size == weights.sum(axis=1)
        return np.where(everything, np.nan, np.where(size > 0, size * np.nan_to_num(values), 0))

    def influence(self) -> np.ndarray:
        """Return what each row adds, n numbers."""
        rows = self.hits.shape[1]
        ones = np.ones((1, rows))
        counts = self.hits.sum(axis=1)
        value = self(ones)[0]
        total = np.zeros(rows)
        for part, hit, count in zip(self.parts, self.hits, counts, strict=True):
            if count:
                total += count * part.influence() + rows * hit * (part(ones)[0] - value)
        return total / counts.sum()


class Median:
    """The weighted median of numbers: the mean of the lower and the upper one where the weight splits in half."""

    def __init__(self, values: np.ndarray) -> None:
        self.order = np.argsort(values, kind="stable")
        self.values = values[self.order]

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Return the metric of each weighting of the rows (k × n)."""
        rows = len(self.values)
        # A resample's median lies near: only these rows are sorted out, unless one does not.
        reach = 5 * int(np.sqrt(rows)) + 5
        first, last = max(0, rows // 2 - reach), min(rows, rows // 2 + reach)
        half = weights.sum(axis=1, dtype=float) / 2
        below = weights @ np.isin(np.arange(rows), self.order[:first]).astype(float)
        totals = below[:, None] + np.cumsum(weights[:, self.order[first:last]], axis=1, dtype=float)
        if (below >= half).any() or (totals[:, -1] <= half).any():
            first, last = 0, rows
            totals = np.cumsum(weights[:, self.order], axis=1, dtype=float)
        lower = first + (totals < half[:, None]).sum(axis=1)
        upper = first + (totals <= half[:, None]).sum(axis=1)
        return (self.values[lower] + self.values[np.minimum(upper, rows - 1)]) / 2

    def influence(self) -> np.ndarray:
        """Return the infinitesimal jackknife's values, the density estimated as Hall and Sheather (JRSS B 50, 1988) do.

        The plain jackknife of a median is not consistent.
        """
        rows = len(self.values)
        width = min(0.49, (1.5 * 1.959964**2 / (2 * np.pi)) ** (1 / 3) * rows ** (-1 / 3))
        low, high = np.quantile(self.values, [0.5 - width, 0.5 + width])
        median = np.median(self.values)
        result = np.empty(rows)
        result[self.order] = np.sign(self.values - median) / 2 * (high - low) / (2 * width)
        return result - result.mean()
