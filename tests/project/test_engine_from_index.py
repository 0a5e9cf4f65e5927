"""An engine from an index is the engine of the wheel in vendor/."""

from pathlib import Path

from baked import Project
from wheels import VERSION, serve

MADE = ("data/prepared/train.parquet", "models/pipeline.skops", "models/bundle.zip", "metrics.json")
INDEX = """
[[tool.uv.index]]
name = "local"
url = "{url}"
"""


def test_the_first_model_is_the_same_byte_for_byte(project: Project, tmp_path: Path) -> None:
    vendored, indexed = (project.copy(tmp_path / name) for name in ("vendored", "indexed"))
    for copied in (vendored, indexed):
        copied.set(**{"model.estimator": "logistic"})
    (wheel,) = (project.path / "vendor").glob("*.whl")
    with serve(wheel) as url:
        indexed.write("pyproject.toml", indexed.read("pyproject.toml") + INDEX.format(url=url))
        indexed.run("uv", "run", "mlops", "engine", "use", VERSION)
        assert not list((indexed.path / "vendor").glob("*.whl"))
        indexed.run("uv", "sync", "--quiet", "--reinstall-package", "mlops-actions")
        assert url in indexed.run("uv", "run", "mlops", "engine").stdout
    for trained in (vendored, indexed):
        trained.run("uv", "run", "--no-sync", "mlops", "train")
    for name in MADE:
        assert (indexed.path / name).read_bytes() == (vendored.path / name).read_bytes(), name
