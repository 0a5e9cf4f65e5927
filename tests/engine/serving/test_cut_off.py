"""The file that says which canaries were cut off, when it is broken: nothing ends over it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from mlops_actions.core.config import CanaryLimits, Serving
from mlops_actions.data.prediction_log.cut_off import CUT_OFF, cut_off, read_cut_off
from mlops_actions.serving.canary import Canary
from mlops_actions.serving.prometheus import Metrics
from mlops_actions.serving.worker import ServedVersions


def canary_of(limits: CanaryLimits) -> Canary:
    lane = SimpleNamespace(served=SimpleNamespace(assignment="model#canary#2", version="v2.0.0", share=10))
    return Canary(lane, limits, [])  # type: ignore[arg-type]


def play(canary: Canary, slower: float, bursts: bool) -> list[str]:
    """What is said of a canary, which gets every tenth request, a tenth of them before those that come in a burst."""
    said: list[str | None] = []
    for number in range(20 * canary.limits.requests * 10):
        busy = 50.0 if bursts and number % 1000 > 100 else 1.0
        if number % 10:
            canary.note("champion", 0.002 * busy)
        else:
            canary.note("canary", 0.002 * busy * slower)
            said.append(canary.judge(failed=False))
    return [*filter(None, said)]


@pytest.mark.parametrize("bursts", [True, False])
def test_a_burst_cuts_nobody_off_and_a_slow_version_is_cut_off_once(bursts: bool) -> None:
    limits = CanaryLimits()
    assert play(canary_of(limits), 0.9 * limits.max_latency_ratio, bursts) == []
    (said,) = play(canary_of(limits), 1.1 * limits.max_latency_ratio, bursts)
    assert said.endswith(f"and serving.canary.max_latency_ratio is {limits.max_latency_ratio:g}")


def test_a_champion_that_was_asked_in_quiet_times_alone_cuts_nobody_off() -> None:
    """A hundred requests of the champion's in the quiet, then a burst of both."""
    canary = canary_of(limits := CanaryLimits())
    for _ in range(10 * limits.requests):
        canary.note("champion", 0.002)
    for _ in range(5 * limits.requests):
        for role in ("champion", "canary", "champion"):
            canary.note(role, 0.1)
        assert canary.judge(failed=False) is None


def test_what_fails_after_the_cut_is_not_said_again() -> None:
    canary = canary_of(CanaryLimits())
    said = [canary.judge(failed=True) for _ in range(canary.limits.requests + 16)]
    assert len([*filter(None, said)]) == 1


def test_a_broken_file_is_told_once_ends_nothing_and_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    CUT_OFF.parent.mkdir(parents=True)
    CUT_OFF.write_text('{"model#canary#1": ')
    versions = ServedVersions(Serving(), None, Metrics())
    versions.canary = canary_of(CanaryLimits())
    for _ in range(3):
        versions.look_at_cut_off()
    assert versions.canary.cut_off is None
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and f"{CUT_OFF}: not a JSON object of reasons" in said
    cut_off("model#canary#2", "it failed")
    assert read_cut_off() == {"model#canary#2": "it failed"}
    versions.look_at_cut_off()
    assert versions.canary.cut_off == "it failed"
