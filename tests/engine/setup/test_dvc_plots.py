"""`dvc plots` draws what the task of a project asks for, and nothing that is not there."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from baked import Project
from mlops_actions.core.config import load_config
from mlops_actions.setup.dvc_plots import write_plots
from mlops_actions.stages import recipes
from pipeline import fit_and_score, set_up

CURVES = {"roc", "precision_recall", "calibration"}
PLOTS = {"classification": CURVES | {"confusion"}, "regression": {"predicted_actual", "residuals"}}


def draw(project: Project, *command: str) -> dict[str, Any]:
    """Return the plots that DVC draws, each by its name, and fail on what it cannot draw."""
    drawn = json.loads(project.run("dvc", "plots", *command, "--json").stdout)
    assert not drawn.get("errors"), drawn["errors"]
    return {Path(path).stem: plots for path, plots in drawn["data"].items()}


@pytest.fixture(scope="module")
def scored(fresh: Callable[..., Project]) -> Callable[[str], Project]:
    """`scored("regression")`: a project whose model was evaluated."""

    @cache
    def make(task: str) -> Project:
        project = fresh(200, task)
        project.set(**{"model.estimator": "logistic" if task == "classification" else "linear"})
        set_up(project.path)
        fit_and_score(project.path)
        return project

    return make


@pytest.mark.parametrize("task", PLOTS)
def test_a_tasks_plots_are_drawn_and_no_others(scored: Callable[[str], Project], task: str) -> None:
    drawn = draw(scored(task), "show")
    assert drawn.keys() == PLOTS[task]
    assert all(plot["content"]["data"]["values"] for plots in drawn.values() for plot in plots)


def test_two_revisions_are_drawn_into_one_plot(scored: Callable[[str], Project], tmp_path: Path) -> None:
    project = scored("classification").copy(tmp_path / "project")
    recipes.run(load_config(project.path))
    project.run("git", "init", "--quiet")
    project.run("dvc", "commit", "--quiet", "--force", "evaluate")
    project.commit("Evaluate a model")
    curve = project.path / "plots/data/roc.csv"
    curve.unlink()  # what lies there is a link into DVC's cache
    curve.write_text("false_positive_rate,true_positive_rate,class\n0,0,yes\n1,1,yes\n")
    drawn = draw(project, "diff", "HEAD")
    assert drawn.keys() == PLOTS["classification"]
    (roc,) = drawn["roc"]
    assert {row["rev"] for row in roc["content"]["data"]["values"]} == {"workspace", "HEAD"}
    assert roc["content"]["facet"]["field"] == "class", "a panel for each class"


def test_another_task_has_other_plots_unless_its_owner_wrote_them(tmp_path: Path) -> None:
    definitions = tmp_path / "dvc.yaml"
    write_plots(tmp_path, "classification")
    assert (tmp_path / "curve.json").exists() and "roc.csv" in definitions.read_text()
    write_plots(tmp_path, "regression")
    assert "residuals.csv" in definitions.read_text() and "roc.csv" not in definitions.read_text()
    definitions.write_text("plots: []\n")
    write_plots(tmp_path, "classification")
    assert definitions.read_text() == "plots: []\n"
