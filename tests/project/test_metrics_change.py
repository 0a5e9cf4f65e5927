"""A change of metrics.py in a whole project: the comment begins with the champion's values by both files."""

from pathlib import Path

from baked import Project
from records import train_here
from verbs import call_verb

FILE = "src/customer_churn/metrics.py"
PROFIT = '''"""What a mailing earns."""


def profit(truth, predictions):
    """Return euros a customer."""
    won = (truth == "yes") & (predictions["prediction"] == "yes")
    return 10 * float(won.mean())
'''
BEGIN = "**This changes `metrics.py`**, by which both are judged. By its own and by this one the champion has: "


def test_the_comment_begins_with_it(released: Project, tmp_path: Path) -> None:
    """Of a model that is the champion's own; of another one tests/engine/review/test_compare.py asks."""
    there = released.copy(tmp_path / "project")
    there.write(FILE, PROFIT)
    there.run("git", "add", FILE)
    train_here(there, "evaluate")
    code, said, errors = call_verb(there.path, "compare")
    first, second = [line for line in said.splitlines() if line][:2]
    assert code == 0 and first == (
        "### ➖ Retrained; the model is byte for byte `v1.0.0`: these changes do not reach it"
    ), errors
    assert second.startswith(f"{BEGIN}`profit` – and ")
