"""What an interval of a change says: better, not worse, worse or undecided, and whether that passes."""

from typing import Literal

Verdict = Literal["better", "not worse", "worse", "undecided", "undefined"]


def verdict(low: float, high: float, margin: float) -> Verdict:
    """Return better, not worse, worse or undecided for the interval of a gain, both in the metric's unit.

    A non-inferiority test, read off the interval as Piaggio et al. (JAMA 2012, CONSORT for non-inferiority) lay out.
    """
    if low > 0:
        return "better"
    if low >= -margin:
        return "not worse"
    return "worse" if high < -margin else "undecided"


def passes(verdict: Verdict, gain: float, margin: float, undecided: str) -> bool:
    """Return whether a verdict passes; `undecided` is the policy: estimate, pass or fail."""
    if verdict == "undecided":
        return undecided == "pass" or (undecided == "estimate" and gain >= -margin)
    return verdict in ("better", "not worse")
