"""The estimator that setup chooses: the best by cross-validation on training rows, unless somebody has set one."""

import math
import random
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from baked import Bake, Project
from inside import Inside
from tables import DATA

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
def made(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Callable[[pd.DataFrame], Project]:
    def make(rows: pd.DataFrame) -> Project:
        folder = tmp_path_factory.mktemp("first")
        rows.to_csv(folder / "rows.csv", index=False)
        return bake(folder, dataset=str(folder / "rows.csv"), target="y", task="guess")

    return make


def test_a_straight_line_gets_a_linear_model(inside: Inside, made: Make) -> None:
    project = made(straight())
    before = project.read(PARAMS)
    chosen = inside("choose", project.path)
    (line,) = set(chosen["model"].splitlines()) - set(before.splitlines())
    assert line.startswith("  estimator: linear # guess: its r2 is 0.9") and f"that of {USUAL} 0.7" in line
    assert chosen["said"].startswith("setup: model.estimator: linear (guess: its r2 is 0.9")
    assert next(iter(chosen["scores"])) == "linear" and chosen["scores"]["linear"] > 0.9 > 0.8 > chosen["scores"][USUAL]


def test_setup_that_was_killed_before_the_schema_ends_alike(inside: Inside, made: Make) -> None:
    project = made(straight())
    chosen = inside("choose", project.path)
    schema = project.read("schema.yaml")
    (project.path / "schema.yaml").unlink()
    again = inside("choose", project.path)
    assert (again["params"], project.read("schema.yaml")) == (chosen["params"], schema)
    assert again["said"] == "", "what is set is left alone"


def test_a_metric_that_should_be_small_is_shown_as_it_is(inside: Inside, made: Make) -> None:
    project = made(straight())
    project.set(**{"gate.primary": "rmse"})
    scores = inside("choose", project.path)["scores"]
    assert next(iter(scores)) == "linear" and [*scores.values()] == sorted(scores.values())
    assert 0.4 < scores["linear"] < 0.6


def test_what_cannot_be_learned_has_its_sign(inside: Inside, made: Make) -> None:
    rows = straight()
    rows["y"] = rows["y"].sample(frac=1, random_state=0).to_numpy()
    assert inside("choose", made(rows).path)["scores"][USUAL] < 0


def test_what_only_trees_can_learn_keeps_trees(inside: Inside, made: Make) -> None:
    chosen = inside("choose", made(chequered()).path)
    assert f"estimator: {USUAL}" in chosen["model"]
    assert chosen["scores"][USUAL] > 0.9 > 0.6 > chosen["scores"]["logistic"]


def test_what_is_better_by_luck_changes_nothing(inside: Inside, fresh: Callable[..., Project]) -> None:
    project = fresh(900)
    chosen = inside("choose", project.path)
    assert next(iter(chosen["scores"])) != USUAL
    assert chosen["said"] == f"setup: model.estimator: {USUAL} stays, for nothing beats it by more than luck"
    assert f"\n  estimator: {USUAL}\n" in chosen["model"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("model.estimator", "random_forest"), ("model.params", {"max_iter": 30}), ("model.rows", 100)],
)
def test_what_somebody_has_set_is_left_alone(inside: Inside, made: Make, key: str, value: Any) -> None:
    project = made(straight())
    project.set(**{key: value})
    before = project.read(PARAMS)
    chosen = inside("choose", project.path)
    assert chosen["model"] in before and chosen["scores"] == {}


def test_test_rows_have_no_say(inside: Inside, made: Make) -> None:
    def choose(rows: pd.DataFrame) -> dict[str, float]:
        scores: dict[str, float] = inside("choose", made(rows).path)["scores"]
        return scores

    rows, project = straight(), made(straight())
    kept = {line.split(",")[0] for line in inside("prepare", project.path)}
    tested = rows["x0"].map(str).isin(kept)
    assert 20 < tested.sum() < 80
    spoiled, trained = rows.copy(), rows.copy()
    spoiled.loc[tested, "y"] = spoiled.loc[tested, "y"].sample(frac=1, random_state=0).to_numpy()
    trained.loc[~tested, "y"] = trained.loc[~tested, "y"].sample(frac=1, random_state=0).to_numpy()
    usual = choose(rows)
    assert len(usual) == 5
    assert choose(spoiled) == usual != choose(trained)


def test_too_few_rows_to_compare_keep_the_usual_estimator(inside: Inside, made: Make) -> None:
    chosen = inside("choose", made(straight(4)).path)
    assert f"estimator: {USUAL}" in chosen["model"]
    assert "since families cannot be compared: params.yaml: tune.folds is 5, but there are" in chosen["said"]


def test_weights_and_missing_targets_are_minded(inside: Inside, fresh: Callable[..., Project]) -> None:
    project = fresh(600)
    lines = project.read(DATA).splitlines()
    place = lines[0].split(",").index("churn")
    rows = [line.split(",") for line in lines[1:]]
    for row in rows[::10]:
        row[place] = ""
    project.write(DATA, "\n".join([lines[0] + ",w", *(",".join([*row, "2"]) for row in rows)]) + "\n")
    project.set(**{"data.weight": "w"})
    assert len(inside("choose", project.path)["scores"]) == 5
