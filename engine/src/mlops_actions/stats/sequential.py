"""How sure a live difference is, however often one looks at it.

Who looks every day and stops when it pleases finds something by chance: an interval for one look holds the truth 95
times in 100 at that look, not at all of them. These hold it at every look at once.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from .intervals import Interval, estimate
from .metrics import Metric, Predictions

# The interval is nearest to one for a single look at so many times the observations that are waited for. It is some
# 25 % wider than it could be at a tenth of that, and 20 % at a hundred times as many.
TUNED = 10
FEW_OF_CLASS = 5
RANKINGS = ("roc_auc", "average_precision")


@dataclass(frozen=True)
class Sample:
    """What one version answered and what came true; `groups` numbers what each row is about, None where none is shared.

    Samples that are compared know the same classes.
    """

    truth: np.ndarray
    said: Predictions
    groups: np.ndarray | None = None

    @property
    def observations(self) -> int:
        """Rows, or groups of them: what is independent of each other."""
        return len(self.truth) if self.groups is None else len(np.unique(self.groups))


def why_not(metric: Metric, champion: Sample, canary: Sample, waited_for: int, role: str = "canary") -> str | None:
    """Return why two samples say nothing about a metric yet, None where they do; `role` is what the canary is."""
    sides = ((role, canary), ("champion", champion))
    for side, sample in sides:
        if (there := sample.observations) < waited_for:
            keys = "" if sample.groups is None else " of different keys"
            return f"{there} of the {waited_for} truths{keys} that are waited for have arrived for the {side}"
    classes = canary.said.classes
    if classes is None or not metric.by_class or (len(classes) > 2 and metric.name in RANKINGS):
        return None  # a mean that weighs classes by their rows does not hang on those of a rare one
    for label in classes:
        count, side = min((int(np.sum(sample.truth == label)), side) for side, sample in sides)
        there = any((sample.truth == label).any() for _, sample in sides)
        if count < FEW_OF_CLASS and (there or len(classes) == 2):
            return f"{count} of the {FEW_OF_CLASS} truths of class {label} have arrived for the {side}"
    return None


def compare_independent(
    metric: Metric, champion: Sample, canary: Sample, confidence: float, waited_for: int
) -> Interval | None:
    """Return the always-valid interval of how much better the canary is, on other rows than the champion's.

    None where the metric is not defined, or where nothing varies by which its error could be told.
    """
    before, error_before, df_before = estimate(metric, champion.truth, champion.said, groups=champion.groups)
    now, error_now, df_now = estimate(metric, canary.truth, canary.said, groups=canary.groups)
    variances = np.square([error_before, error_now])
    if not (np.isfinite(now - before) and np.isfinite(variances).all() and variances.all()):
        return None
    df = variances.sum() ** 2 / np.sum(variances**2 / [df_before, df_now])  # Welch's
    sizes = champion.observations, canary.observations
    clock = sizes[0] * sizes[1] / sum(sizes)
    return _always_valid(now - before, variances.sum() ** 0.5, df, clock, confidence, waited_for, "independent rows")


def compare_paired(
    metric: Metric, champion: Sample, shadow: Sample, confidence: float, waited_for: int
) -> Interval | None:
    """Return the always-valid interval of how much better the shadow is, on the champion's own rows; None as above."""
    gain, error, df = estimate(metric, champion.truth, shadow.said, champion.said, champion.groups)
    if not (np.isfinite([gain, error]).all() and error):
        return None
    return _always_valid(gain, error, df, champion.observations, confidence, waited_for, "the same rows")


def _always_valid(
    gain: float, error: float, df: float, clock: float, confidence: float, waited_for: int, rows: str
) -> Interval:
    reach = always_valid_quantile(clock / (TUNED * waited_for), df, confidence) * error
    return Interval(gain, gain - reach, gain + reach, error, df, f"always-valid (normal mixture), {rows}")


def always_valid_quantile(age: float, df: float, confidence: float) -> float:
    """Return how many standard errors an interval reaches that holds at every look.

    Robbins' normal mixture (Annals of Mathematical Statistics 41, 1970; Howard et al., Annals of Statistics 49, 2021,
    eq. 14), for estimates with influence functions as Waudby-Smith et al. (Annals of Statistics 52, 2024) show. Its one
    knob is fixed beforehand, on the scale of observations, so that no unit and no data reach it: the quantile is least
    at age 1. That it takes a normal estimate is mended as for one look: by Student's quantile of the same probability.

    Args:
        age: observations so far, in parts of those at which the interval is to be tightest.
        df: degrees of freedom of the standard error.
        confidence: that the truth is inside at every look.
    """
    level = 1 - confidence
    least = -float(special.lambertw(-(level**2) / np.e, -1).real)  # the square of the least quantile
    ratio = (least - 1) * age
    normal = np.sqrt((1 + 1 / ratio) * np.log((1 + ratio) / level**2))
    return -float(special.stdtrit(df, special.ndtr(-normal)))


def rate_interval(count: int, total: int, confidence: float) -> tuple[float, float]:
    """Return the bounds of a rate of which `count` in `total` were seen, at whichever moment one looks.

    The beta-binomial mixture (Robbins 1970) with Jeffreys' prior; it is exact, however rare the event.
    """
    if not total:
        return 0.0, 1.0

    def evidence(rate: float) -> float:
        likelihood = special.xlogy(count, rate) + special.xlog1py(total - count, -rate)
        mixture = special.betaln(count + 0.5, total - count + 0.5) - special.betaln(0.5, 0.5)
        return float(mixture - likelihood + np.log(1 - confidence))

    seen, least = count / total, 1e-300
    low = optimize.brentq(evidence, least, seen) if count else 0.0
    high = optimize.brentq(evidence, seen, 1 - 1e-16) if count < total else 1.0
    return float(low), float(high)
