"""A change of metrics.py: both models are judged by the new file, and the comment has the champion's values by both."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from baked import Project
from mlops_actions.core.config import load_config
from mlops_actions.review.champion import Champion
from mlops_actions.review.redefined import redefined_metrics
from mlops_actions.review.report import Redefined
from mlops_actions.stats.metrics import Predictions

FILE = "src/customer_churn/metrics.py"
PROFIT = '''"""What a mailing earns."""


def profit(truth, predictions):
    """Return euros a customer."""
    won = (truth == "yes") & (predictions["prediction"] == "yes")
    return {price} * float(won.mean())
'''
TRUTH = np.array(["yes", "no", "yes", "no"], dtype=object)
SAID = Predictions(np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]]), ["no", "yes"])


@pytest.fixture
def there(released: Project, tmp_path: Path) -> Project:
    """A project whose champion has no metric of its own."""
    return released.copy(tmp_path / "project")


def look(project: Project, commit: str) -> list[Redefined] | None:
    with contextlib.chdir(project.path):
        return redefined_metrics(load_config(), Champion("v1.0.0", commit), TRUTH, SAID)


def test_the_champion_has_its_value_by_both_files(there: Project) -> None:
    assert look(there, "HEAD") is None
    there.write(FILE, PROFIT.format(price=10))
    there.run("git", "add", FILE)
    assert look(there, "HEAD") == [Redefined("profit", None, 5.0)]
    commit = there.commit("Count euros")
    there.write(FILE, PROFIT.format(price=4) + "\n\ndef hits(truth, predictions):\n    return 1.0\n")
    assert look(there, commit) == [Redefined("profit", 5.0, 2.0), Redefined("hits", None, 1.0)]
    there.write(FILE, '"""None."""\n')
    assert look(there, commit) == [Redefined("profit", 5.0, None)]


def test_a_file_of_the_champions_that_does_not_run_any_more_leaves_its_value_open(there: Project) -> None:
    there.write(FILE, "import gone\n\n\ndef profit(truth, predictions):\n    return 1.0\n")
    commit = there.commit("Need a library that is gone since")
    there.write(FILE, PROFIT.format(price=4))
    assert look(there, commit) == [Redefined("profit", None, 2.0)]


def test_the_comment_begins_with_it(there: Project, mlops: Callable[..., Any]) -> None:
    there.write(FILE, PROFIT.format(price=10))
    there.run("git", "add", FILE)
    mlops(there, "train")
    first, second = [line for line in mlops(there, "compare").stdout.splitlines() if line][:2]
    assert first == "### ➖ Retrained; the model is byte for byte `v1.0.0`: these changes do not reach it"
    begin = "**This changes `metrics.py`**, by which both are judged. By its own and by this one the champion has: "
    assert second.startswith(f"{begin}`profit` – and ")
    there.write("params.yaml", there.read("params.yaml").replace("params: {}", "params: {C: 0.01}"))
    mlops(there, "train")
    lines = [line for line in mlops(there, "compare", check=False).stdout.splitlines() if line]
    assert lines[1].startswith(begin)
    report = json.loads(there.read("report/report.json"))
    (profit,) = report["redefined"]
    (measured,) = [metric for metric in report["metrics"] if metric["name"] == "profit"]
    assert profit == {"name": "profit", "before": None, "now": pytest.approx(measured["champion"])}
