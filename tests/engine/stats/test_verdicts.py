"""The verdict read off an interval, and what passes: the edges, where a wrong sign would go unseen elsewhere."""

import pytest
from mlops_actions.stats.verdict import Verdict, passes, verdict

MARGIN = 0.01


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.001, 0.02, "better"),
        (0.0, 0.02, "not worse"),
        (0.0, 0.0, "not worse"),
        (-0.01, 0.02, "not worse"),
        (-0.009, -0.001, "not worse"),
        (-0.0101, 0.02, "undecided"),
        (-0.05, -0.005, "undecided"),
        (-0.05, -0.01, "undecided"),
        (-0.05, -0.0101, "worse"),
    ],
)
def test_a_verdict_follows_from_where_the_interval_lies(low: float, high: float, expected: Verdict) -> None:
    assert verdict(low, high, MARGIN) == expected


@pytest.mark.parametrize(
    ("verdict", "gain", "passing"),
    [
        ("better", 0.02, {"estimate", "pass", "fail"}),
        ("not worse", -0.005, {"estimate", "pass", "fail"}),
        ("worse", -0.02, set()),
        ("undefined", float("nan"), set()),
        ("undecided", -0.01, {"estimate", "pass"}),
        ("undecided", -0.0101, {"pass"}),
    ],
)
def test_only_the_policy_for_undecided_is_a_choice(verdict: Verdict, gain: float, passing: set[str]) -> None:
    policies = ("estimate", "pass", "fail")
    assert {policy for policy in policies if passes(verdict, gain, MARGIN, policy)} == passing
