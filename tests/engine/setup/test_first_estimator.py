"""The estimator that setup chooses: the best by cross-validation on training rows, unless somebody has set one."""

import math
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from baked import Bake, Project
from mlops_actions.core.config import load_config
from mlops_actions.core.paths import TEST_ROWS
from mlops_actions.setup import describe
from pipeline import computing, prepare_data, set_up
from tables import DATA, keep

PARAMS = "params.yaml"
USUAL = "hist_gradient_boosting"
Make = Callable[..., Project]


def straight(rows: int = 240, seed: int = 0) -> pd.DataFrame:
    """A target that is a sum of eight columns and some noise."""
    draw = random.Random(seed)
    cells = {f"x{n}": [draw.gauss(0, 1) for _ in range(rows)] for n in range(8)}
    cells["y"] = [sum(row) + draw.gauss(0, 0.5) for row in zip(*cells.values(), strict=True)]
    return pd.DataFrame(cells)


def chequered(rows: int = 1500) -> pd.DataFrame:
    """A target that only trees can learn: a board of sixteen fields."""
    draw = random.Random(1)
    cells = {name: [draw.uniform(0, 4) for _ in range(rows)] for name in "ab"}
    fields = zip(cells["a"], cells["b"], strict=True)
    return pd.DataFrame({**cells, "y": [["no", "yes"][(math.floor(a) + math.floor(b)) % 2] for a, b in fields]})


@pytest.fixture(scope="module")
def generated(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose task is to be guessed: read it only."""
    folder = tmp_path_factory.mktemp("first")
    straight().to_csv(folder / "rows.csv", index=False)
    project = bake(folder, dataset=str(folder / "rows.csv"), target="y", task="guess")
    project.set(**{"tune.folds": 3})  # which is quicker
    return project.path


@pytest.fixture
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


Choose = Callable[[Project], Choice]


@pytest.fixture
def choose(capsys: pytest.CaptureFixture[str]) -> Choose:
    """`choose(project)`: set it up and say which estimator it has then."""

    def run(project: Project) -> Choice:
        capsys.readouterr()
        with computing("processes:1"):  # the processes of more would take longer to begin than the work
            describe.ensure_schema(load_config(project.path, guesses=True), choose=True)
        lines = capsys.readouterr().out.splitlines()
        scores = [line.split(maxsplit=2)[1:] for line in lines if line.startswith("setup:   ")]
        sentences = [line for line in lines if line.startswith("setup: model.estimator")]
        scored = {name: float(score) for score, name in scores}
        return Choice(scored, sentences[-1] if sentences else "", project.read(PARAMS))

    return run


def test_a_straight_line_gets_a_linear_model(choose: Choose, made: Make) -> None:
    project = made(straight())
    before = project.read(PARAMS)
    chosen = choose(project)
    (line,) = set(chosen.model.splitlines()) - set(before.splitlines())
    assert line.startswith("  estimator: linear # guess: its r2 is 0.9") and f"that of {USUAL} 0.7" in line
    assert chosen.sentence.startswith("setup: model.estimator: linear (guess: its r2 is 0.9")
    assert next(iter(chosen.scores)) == "linear" and chosen.scores["linear"] > 0.9 > 0.8 > chosen.scores[USUAL]


def test_setup_that_was_killed_before_the_schema_ends_alike(choose: Choose, made: Make) -> None:
    project = made(straight())
    chosen = choose(project)
    schema = project.read("schema.yaml")
    (project.path / "schema.yaml").unlink()
    again = choose(project)
    assert (again.params, project.read("schema.yaml")) == (chosen.params, schema)
    assert again.sentence == "", "what is set is left alone"


def test_a_metric_that_should_be_small_is_shown_as_it_is(choose: Choose, made: Make) -> None:
    project = made(straight())
    project.set(**{"gate.primary": "rmse"})
    scores = choose(project).scores
    assert next(iter(scores)) == "linear" and [*scores.values()] == sorted(scores.values())
    assert 0.4 < scores["linear"] < 0.6


def test_what_cannot_be_learned_has_its_sign(choose: Choose, made: Make) -> None:
    rows = straight()
    rows["y"] = rows["y"].sample(frac=1, random_state=0).to_numpy()
    assert choose(made(rows)).scores[USUAL] < 0


def test_what_only_trees_can_learn_keeps_trees(choose: Choose, made: Make) -> None:
    chosen = choose(made(chequered()))
    assert f"estimator: {USUAL}" in chosen.model
    assert chosen.scores[USUAL] > 0.9 > 0.6 > chosen.scores["logistic"]


def test_what_is_better_by_luck_changes_nothing(choose: Choose, fresh: Make) -> None:
    project = fresh(900)
    chosen = choose(project)
    assert next(iter(chosen.scores)) != USUAL
    assert chosen.sentence == f"setup: model.estimator: {USUAL} stays, for nothing beats it by more than luck"
    assert f"\n  estimator: {USUAL}\n" in chosen.model


@pytest.mark.parametrize(
    ("key", "value"),
    [("model.estimator", "random_forest"), ("model.params", {"max_iter": 30}), ("model.rows", 100)],
)
def test_what_somebody_has_set_is_left_alone(choose: Choose, made: Make, key: str, value: Any) -> None:
    project = made(straight())
    project.set(**{key: value})
    before = project.read(PARAMS)
    chosen = choose(project)
    assert chosen.model in before and chosen.scores == {}


def test_test_rows_have_no_say(choose: Choose, made: Make) -> None:
    rows, project = straight(), made(straight())
    set_up(project.path)
    prepare_data(project.path)
    tested = rows["x0"].isin(pd.read_parquet(project.path / TEST_ROWS)["x0"])
    assert 20 < tested.sum() < 80
    spoiled, trained = rows.copy(), rows.copy()
    spoiled.loc[tested, "y"] = spoiled.loc[tested, "y"].sample(frac=1, random_state=0).to_numpy()
    trained.loc[~tested, "y"] = trained.loc[~tested, "y"].sample(frac=1, random_state=0).to_numpy()

    def scores(table: pd.DataFrame) -> dict[str, float]:
        project = made(table)
        project.set(**{"tune.folds": 2})
        return choose(project).scores

    usual = scores(rows)
    assert len(usual) == 5
    assert scores(spoiled) == usual != scores(trained)


def test_too_few_rows_to_compare_keep_the_usual_estimator(choose: Choose, made: Make) -> None:
    project = made(straight(4))
    project.set(**{"tune.folds": 5})
    chosen = choose(project)
    assert f"estimator: {USUAL}" in chosen.model
    assert "since families cannot be compared: params.yaml: tune.folds is 5, but there are" in chosen.sentence


def test_weights_and_missing_targets_are_minded(choose: Choose, fresh: Make) -> None:
    project = fresh(600)
    few = keep("total_day_minutes", "number_customer_service_calls", "churn")
    lines = few(project.read(DATA)).splitlines()
    place = lines[0].split(",").index("churn")
    rows = [line.split(",") for line in lines[1:]]
    for row in rows[::10]:
        row[place] = ""
    project.write(DATA, "\n".join([lines[0] + ",w", *(",".join([*row, "2"]) for row in rows)]) + "\n")
    project.set(**{"data.weight": "w", "tune.folds": 2})
    assert len(choose(project).scores) == 5
