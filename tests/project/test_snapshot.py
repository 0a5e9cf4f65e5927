"""Rows of a query are a snapshot that DVC and git keep, and no retrain asks the source again."""

import contextlib
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from baked import Project, run
from mlops_actions.registry.numbering import recipe_change
from tables import knob


def test_a_snapshot_is_versioned_and_no_retrain_asks_the_source(
    fresh: Callable[..., Project],
    mlops: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = fresh(300)
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as shop:
        header, *rows = [line.split(",") for line in project.read("data/raw/dataset.csv").splitlines()]
        shop.execute(f"CREATE TABLE t ({', '.join(header)})")
        shop.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(header))})", rows)
        shop.commit()
        (project.path / "data/raw/dataset.csv").unlink()
        project.write("ingest.sql", f"-- sqlite:///{tmp_path}/shop.db\nSELECT * FROM t ORDER BY rowid\n")
        text = knob("  source: null", "  source: ingest.sql")(project.read("params.yaml"))
        project.write("params.yaml", knob("dataset.csv", "dataset.parquet")(text))

        said = mlops(project, "setup").stdout
        assert "ingest: 300 rows" in said and "wrote schema.yaml" in said
        assert project.has_file("data/raw/dvc.lock") and not project.has_file("data/raw/dataset.parquet.dvc")
        mlops(project, "train")
        begun = project.commit("Begin")
        assert "data/raw/dataset.parquet" not in project.run("git", "ls-files").stdout

        assert "nothing new, the same 300 rows" in mlops(project, "ingest").stdout
        assert "Nothing to retrain" in mlops(project, "train").stdout
        assert project.run("git", "status", "--porcelain").stdout == ""
        shop.execute("INSERT INTO t SELECT * FROM t LIMIT 30")
        shop.commit()
    assert "ingest: 330 rows, 300 before" in mlops(project, "ingest").stdout
    assert project.run("git", "status", "--porcelain").stdout == " M data/raw/dvc.lock\n"
    assert "prepare: 330 rows" in mlops(project, "train").stdout
    project.commit("More rows")
    with monkeypatch.context() as patch:
        patch.chdir(project.path)
        assert recipe_change(begun) is None
    run("git", "init", "--quiet", "--bare", "origin.git", cwd=tmp_path)
    project.run("git", "remote", "add", "origin", tmp_path / "origin.git")
    project.run("git", "push", "--quiet", "--no-verify", "origin", "main")
    mlops(project, "push")

    (tmp_path / "shop.db").unlink()
    run("git", "clone", "--quiet", "--branch", "main", "origin.git", "clone", cwd=tmp_path)
    clone = Project(tmp_path / "clone")
    assert "Nothing to retrain" in mlops(clone, "train").stdout
    clone.write("params.yaml", knob("test_size: 0.2", "test_size: 0.3")(clone.read("params.yaml")))
    assert "prepare: 330 rows" in mlops(clone, "train").stdout
    clone.write("ingest.sql", clone.read("ingest.sql") + "LIMIT 9\n")
    said = mlops(clone, "train").stdout
    assert "edited since the snapshot: `mlops ingest`" in said and "Nothing to retrain" in said
    assert "there is no database" in mlops(clone, "ingest", check=False).stderr
    assert clone.run("git", "status", "--porcelain", "data/raw").stdout == ""
