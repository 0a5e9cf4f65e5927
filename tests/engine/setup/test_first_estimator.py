"""The estimator that setup chooses: the best by cross-validation on training rows, unless somebody has set one."""

import io
import math
import random
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from baked import Bake, Project
from mlops_actions.core.config import load_config
from mlops_actions.core.paths import TEST_ROWS
from mlops_actions.setup import describe
from pipeline import computing, prepare_data
from tables import DATA, keep

PARAMS = "params.yaml"
USUAL = "hist_gradient_boosting"
Make = Callable[..., Project]


def straight(rows: int = 120, seed: int = 0) -> pd.DataFrame:
    """A target that is a sum of eight columns and some noise."""
    draw = random.Random(seed)
    cells = {f"x{n}": [draw.gauss(0, 1) for _ in range(rows)] for n in range(8)}
    cells["y"] = [sum(row) + draw.gauss(0, 0.5) for row in zip(*cells.values(), strict=True)]
    return pd.DataFrame(cells)


def chequered(rows: int = 400) -> pd.DataFrame:
    """A target that only trees can learn: a board of sixteen fields."""
    draw = random.Random(1)
    cells = {name: [draw.uniform(0, 4) for _ in range(rows)] for name in "ab"}
    fields = zip(cells["a"], cells["b"], strict=True)
    return pd.DataFrame({**cells, "y": [["no", "yes"][(math.floor(a) + math.floor(b)) % 2] for a, b in fields]})


def random_labels(rows: int = 120, seed: int = 2) -> pd.DataFrame:
    """A target that nothing can learn."""
    draw = random.Random(seed)
    return straight(rows).assign(y=[draw.choice(["no", "yes"]) for _ in range(rows)])


@pytest.fixture(scope="module")
def generated(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose task is to be guessed: read it only."""
    folder = tmp_path_factory.mktemp("first")
    straight().to_csv(folder / "rows.csv", index=False)
    project = bake(folder, dataset=str(folder / "rows.csv"), target="y", task="guess")
    project.set(**{"tune.folds": 2})  # which is quicker
    return project.path


@pytest.fixture(scope="module")
def made(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """`made(rows)`: a project with these rows, not set up."""

    def make(rows: pd.DataFrame) -> Project:
        project = Project(tmp_path_factory.mktemp("made") / "project")
        shutil.copytree(generated, project.path, ignore=shutil.ignore_patterns("vendor", ".git", ".github"))
        rows.to_csv(project.path / DATA, index=False)
        return project

    return make


@dataclass(frozen=True)
class Choice:
    """The scores that setup prints of each estimator, the last that it says of them, and params.yaml then."""

    scores: dict[str, float]
    sentence: str
    params: str

    @property
    def model(self) -> str:
        """The section of the model."""
        return self.params[self.params.index("\nmodel:") : self.params.index("\ngate:")]


def choose(project: Project) -> Choice:
    """Set a project up and say which estimator it has then."""
    printed = io.StringIO()
    with computing("processes:1"), redirect_stdout(printed):  # those of more would take longer to begin than the work
        describe.ensure_schema(load_config(project.path, guesses=True), choose=True)
    lines = printed.getvalue().splitlines()
    scores = [line.split(maxsplit=2)[1:] for line in lines if line.startswith("setup:   ")]
    sentences = [line for line in lines if line.startswith("setup: model.estimator")]
    scored = {name: float(score) for score, name in scores}
    return Choice(scored, sentences[-1] if sentences else "", project.read(PARAMS))


@pytest.fixture(scope="module")
def chosen(made: Make) -> tuple[Project, Choice]:
    """A project of a straight line that was set up, and what was chosen: read it, or modify a `copy()`."""
    project = made(straight())
    return project, choose(project)


def test_a_straight_line_gets_a_linear_model(chosen: tuple[Project, Choice], generated: Path) -> None:
    _, choice = chosen
    (line,) = set(choice.model.splitlines()) - set((generated / PARAMS).read_text().splitlines())
    assert line.startswith("  estimator: linear # guess: its r2 is 0.9") and f"that of {USUAL} 0.6" in line
    assert choice.sentence.startswith("setup: model.estimator: linear (guess: its r2 is 0.9")
    assert next(iter(choice.scores)) == "linear" and choice.scores["linear"] > 0.9 > 0.8 > choice.scores[USUAL]


def test_setup_that_was_killed_before_the_schema_ends_alike(chosen: tuple[Project, Choice], tmp_path: Path) -> None:
    original, choice = chosen
    project = original.copy(tmp_path / "project")
    (project.path / "schema.yaml").unlink()
    again = choose(project)
    assert (again.params, project.read("schema.yaml")) == (choice.params, original.read("schema.yaml"))
    assert again.sentence == "", "what is set is left alone"


def test_a_metric_that_should_be_small_is_shown_as_it_is(made: Make) -> None:
    project = made(straight())
    project.set(**{"gate.primary": "rmse"})
    scores = choose(project).scores
    assert next(iter(scores)) == "linear" and [*scores.values()] == sorted(scores.values())
    assert 0.4 < scores["linear"] < 0.6


def test_what_only_trees_can_learn_keeps_trees(made: Make) -> None:
    choice = choose(made(chequered()))
    assert f"estimator: {USUAL}" in choice.model
    assert choice.scores[USUAL] > 0.8 > 0.6 > choice.scores["logistic"]


def test_what_is_better_by_luck_changes_nothing(made: Make) -> None:
    project = made(random_labels())
    project.set(**{"tune.folds": 3})
    choice = choose(project)
    assert next(iter(choice.scores)) != USUAL
    assert choice.sentence == f"setup: model.estimator: {USUAL} stays, for nothing beats it by more than luck"
    assert f"\n  estimator: {USUAL}\n" in choice.model


@pytest.mark.parametrize(
    ("key", "value"),
    [("model.estimator", "random_forest"), ("model.params", {"max_iter": 30}), ("model.rows", 100)],
)
def test_what_somebody_has_set_is_left_alone(made: Make, key: str, value: Any) -> None:
    project = made(straight())
    project.set(**{key: value})
    before = project.read(PARAMS)
    choice = choose(project)
    assert choice.model in before and choice.scores == {}


def test_test_rows_have_no_say_and_what_cannot_be_learned_has_its_sign(
    made: Make, chosen: tuple[Project, Choice]
) -> None:
    original, choice = chosen
    prepare_data(original.path)
    rows = straight()
    tested = rows["x0"].isin(pd.read_parquet(original.path / TEST_ROWS)["x0"])
    assert 10 < tested.sum() < 50
    spoiled, trained = rows.copy(), rows.copy()
    spoiled.loc[tested, "y"] = spoiled.loc[tested, "y"].sample(frac=1, random_state=0).to_numpy()
    trained.loc[~tested, "y"] = trained.loc[~tested, "y"].sample(frac=1, random_state=0).to_numpy()
    assert len(choice.scores) == 5
    assert choose(made(spoiled)).scores == choice.scores
    assert choose(made(trained)).scores[USUAL] < 0


def test_too_few_rows_to_compare_keep_the_usual_estimator(made: Make) -> None:
    project = made(straight(4))
    project.set(**{"tune.folds": 5})
    choice = choose(project)
    assert f"estimator: {USUAL}" in choice.model
    assert "since families cannot be compared: params.yaml: tune.folds is 5, but there are" in choice.sentence


def test_weights_and_missing_targets_are_minded(fresh: Make) -> None:
    project = fresh(300)
    few = keep("total_day_minutes", "number_customer_service_calls", "churn")
    lines = few(project.read(DATA)).splitlines()
    place = lines[0].split(",").index("churn")
    rows = [line.split(",") for line in lines[1:]]
    for row in rows[::10]:
        row[place] = ""
    project.write(DATA, "\n".join([lines[0] + ",w", *(",".join([*row, "2"]) for row in rows)]) + "\n")
    project.set(**{"data.weight": "w", "tune.folds": 2})
    assert len(choose(project).scores) == 5
