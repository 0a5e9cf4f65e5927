"""An engine from an index is the engine of the wheel in vendor/."""

import re
from pathlib import Path

from baked import Project
from wheels import VERSION, serve

MADE = ("data/prepared/train.parquet", "models/pipeline.skops", "models/bundle.zip", "metrics.json")
INDEX = """
[[tool.uv.index]]
name = "local"
url = "{url}"
"""
# All stages in one process, which is the environment's own.
TRAIN = """
import sys
from mlops_actions import cli
for stage in ("recipes", "prepare", "history", "featurize", "train", "evaluate", "export"):
    sys.argv = ["mlops", "stage", stage]
    assert cli.main() == 0
"""


def train(project: Project) -> dict[str, bytes]:
    """Return the first model that a project's environment makes, with what it is made of."""
    project.run(".venv/bin/python", "-c", TRAIN, PYTHONHASHSEED="0")
    made = {name: (project.path / name).read_bytes() for name in MADE}
    for name in MADE:
        (project.path / name).unlink()
    return made


def require_training_alone(project: Project) -> None:
    """Drop the further groups of libraries, of each of which uv would ask every index."""
    text = project.read("pyproject.toml")
    text = re.sub(r"(?s)\[dependency-groups\]\n.*?\n\[", "[dependency-groups]\ndev = []\n\n[", text, count=1)
    project.write("pyproject.toml", re.sub(r"default-groups = .*", 'default-groups = ["dev"]', text))


def test_the_first_model_is_the_same_byte_for_byte(project: Project, tmp_path: Path) -> None:
    copied = project.copy(tmp_path / "project")
    copied.set(**{"model.estimator": "logistic"})
    vendored = train(copied)
    require_training_alone(copied)
    (wheel,) = (project.path / "vendor").glob("*.whl")
    with serve(wheel) as url:
        copied.write("pyproject.toml", copied.read("pyproject.toml") + INDEX.format(url=url))
        copied.run(".venv/bin/mlops", "engine", "use", VERSION)
        assert not list((copied.path / "vendor").glob("*.whl"))
        copied.run("uv", "sync", "--quiet", "--inexact", "--reinstall-package", "mlops-actions")
        assert url in copied.run("uv", "run", "--no-sync", "mlops", "engine").stdout
    assert train(copied) == vendored
