"""The file that says which canaries were cut off, when it is broken: nothing ends over it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from mlops_actions.core.config import CanaryLimits, Serving
from mlops_actions.data.prediction_log.cut_off import CUT_OFF, cut_off, read_cut_off
from mlops_actions.serving.canary import Canary
from mlops_actions.serving.prometheus import Metrics
from mlops_actions.serving.worker import ServedVersions


def test_a_broken_file_is_told_once_ends_nothing_and_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    CUT_OFF.parent.mkdir(parents=True)
    CUT_OFF.write_text('{"model#canary#1": ')
    versions = ServedVersions(Serving(), None, Metrics())
    lane = SimpleNamespace(served=SimpleNamespace(assignment="model#canary#2", version="v2.0.0", share=10))
    versions.canary = Canary(lane, CanaryLimits(), [])  # type: ignore[arg-type]
    for _ in range(3):
        versions.look_at_cut_off()
    assert versions.canary.cut_off is None
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and f"{CUT_OFF}: not a JSON object of reasons" in said
    cut_off("model#canary#2", "it failed")
    assert read_cut_off() == {"model#canary#2": "it failed"}
    versions.look_at_cut_off()
    assert versions.canary.cut_off == "it failed"
