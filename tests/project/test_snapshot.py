"""Rows of a query are a snapshot that DVC and git keep, and no retrain asks the source again."""

import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from baked import Project, run
from mlops_actions.core.paths import SUMMARY
from mlops_actions.registry.numbering import recipe_change
from mlops_actions.stages.outdated import what_changed
from mlops_actions.stages.retrain import make
from records import set_up_here, train_here
from tables import knob
from verbs import call_verb

DATA = "data/raw/dataset.parquet"


def test_a_snapshot_is_versioned_and_no_retrain_asks_the_source(
    fresh: Callable[..., Project],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
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
        project.set(**{"model.estimator": "logistic"})

        said = set_up_here(project)
        assert "ingest: 300 rows" in said and "wrote schema.yaml" in said
        assert project.has_file("data/raw/dvc.lock") and not project.has_file(f"{DATA}.dvc")
        train_here(project)
        begun = project.commit("Begin")
        assert DATA not in project.run("git", "ls-files").stdout

        assert "nothing new, the same 300 rows" in call_verb(project.path, "ingest").out
        assert "Nothing to retrain" in call_verb(project.path, "train").out
        assert project.run("git", "status", "--porcelain").stdout == ""
        shop.execute("INSERT INTO t SELECT * FROM t LIMIT 30")
        shop.commit()
    assert "ingest: 330 rows, 300 before" in call_verb(project.path, "ingest").out
    assert project.run("git", "status", "--porcelain").stdout == " M data/raw/dvc.lock\n"
    with monkeypatch.context() as patch:
        patch.chdir(project.path)
        assert what_changed() == [f"{DATA} changed since prepare ran"]
        train_here(project)
        assert json.loads(project.read(SUMMARY))["rows"] == 330
        project.commit("More rows")
        assert recipe_change(begun) is None
    run("git", "init", "--quiet", "--bare", "origin.git", cwd=tmp_path)
    project.run("git", "remote", "add", "origin", tmp_path / "origin.git")
    project.run("git", "push", "--quiet", "--no-verify", "origin", "main")
    assert call_verb(project.path, "push").code == 0

    (tmp_path / "shop.db").unlink()
    run("git", "clone", "--quiet", "--branch", "main", "origin.git", "clone", cwd=tmp_path)
    clone = Project(tmp_path / "clone")
    clone.write("ingest.sql", clone.read("ingest.sql") + "LIMIT 9\n")
    said = call_verb(clone.path, "train").out
    assert "edited since the snapshot: `mlops ingest`" in said and "Nothing to retrain" in said
    assert "there is no database" in call_verb(clone.path, "ingest").err
    clone.set(**{"split.test_size": 0.3})
    with monkeypatch.context() as patch:
        patch.chdir(clone.path)
        make("prepare")
    assert "prepare: 330 rows" in capfd.readouterr().out
    assert clone.run("git", "status", "--porcelain", "data/raw").stdout == ""
