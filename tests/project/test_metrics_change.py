"""A change of metrics.py in a whole project: the comment begins with the champion's values by both files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from baked import Project

FILE = "src/customer_churn/metrics.py"
PROFIT = '''"""What a mailing earns."""


def profit(truth, predictions):
    """Return euros a customer."""
    won = (truth == "yes") & (predictions["prediction"] == "yes")
    return 10 * float(won.mean())
'''
BEGIN = "**This changes `metrics.py`**, by which both are judged. By its own and by this one the champion has: "


def test_the_comment_begins_with_it(released: Project, mlops: Callable[..., Any], tmp_path: Path) -> None:
    there = released.copy(tmp_path / "project")
    there.write(FILE, PROFIT)
    there.run("git", "add", FILE)
    mlops(there, "train")
    first, second = [line for line in mlops(there, "compare").stdout.splitlines() if line][:2]
    assert first == "### ➖ Retrained; the model is byte for byte `v1.0.0`: these changes do not reach it"
    assert second.startswith(f"{BEGIN}`profit` – and ")
    there.write("params.yaml", there.read("params.yaml").replace("params: {}", "params: {C: 0.01}"))
    mlops(there, "train")
    lines = [line for line in mlops(there, "compare", check=False).stdout.splitlines() if line]
    assert lines[1].startswith(BEGIN)
    report = json.loads(there.read("report/report.json"))
    (profit,) = report["redefined"]
    (measured,) = [metric for metric in report["metrics"] if metric["name"] == "profit"]
    assert profit == {"name": "profit", "before": None, "now": pytest.approx(measured["champion"])}
