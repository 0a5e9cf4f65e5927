"""The canary report: what it says of live traffic, and what it advises."""

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from baked import bare_project
from mlops_actions.core.config import CanaryLimits, Config, Data, Gate, Model, Serving
from mlops_actions.monitoring.canary_report import CanaryReport, make_report
from mlops_actions.monitoring.canary_text import render
from mlops_actions.registry.versions import Assignment
from traffic import BEGIN, make_log

Frames = tuple[pd.DataFrame, pd.DataFrame]
Make = Callable[..., CanaryReport]
Change = Callable[[pd.DataFrame, pd.DataFrame], Frames]


def report_of(
    root: Path,
    task: str = "classification",
    gate: dict[str, Any] | None = None,
    canary: dict[str, Any] | None = None,
    positive: str | None = None,
    change: Change = lambda log, truths: (log, truths),
    role: str = "canary",
    paired: bool = False,
    since: int = 0,
    cut_off: str | None = None,
    **traffic: Any,
) -> CanaryReport:
    """Return the report on a made-up log, changed, since so many seconds after its begin; see traffic.py for it."""
    primary = "mae" if task == "regression" else "accuracy"
    config = Config(
        root=root,
        data=Data(path="rows.csv", target="churn", task=task, positive=positive),
        model=Model(estimator="logistic"),
        gate=Gate(**{"primary": primary, "margin": 0.01} | (gate or {})),
        serving=Serving(canary=CanaryLimits(**canary or {})),
    )
    assignment = Assignment(role, "v1.1.0", "model#canary#2", "", BEGIN + timedelta(seconds=since), "Ada", "to try it")
    log, truths = change(*make_log(task, **traffic))
    return make_report(config, assignment, log, truths, paired, cut_off)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """`report(failing=0.1)`: the report on made-up traffic."""
    return partial(report_of, bare_project(tmp_path_factory.mktemp("shop") / "shop").path)


def holds_all(found: CanaryReport) -> bool:
    """Return whether the report's JSON has all of it."""
    return json.loads(found.to_json()).items() >= json.loads(json.dumps(asdict(found))).items()


def test_a_better_canary_is_promoted_with_its_reason(report: Make) -> None:
    found = report(swapped=True)
    assert (found.advice, found.verdict) == ("promote", "better")
    assert found.reason.startswith("the gain in accuracy is between +0.")
    assert found.reason.endswith(": better, and errors and latency are within their limits")
    assert (found.champion, found.version) == ("v1.0.0", "v1.1.0")
    assert holds_all(found)


def test_a_worse_canary_is_stopped(report: Make) -> None:
    found = report()
    assert (found.advice, found.verdict) == ("stop", "worse")
    assert found.reason.endswith(": worse by more than the margin of 0.01")
    metric = found.metrics[0]
    assert metric.gain == pytest.approx(metric.canary - metric.champion)
    assert metric.low < metric.gain < metric.high < -0.01


def test_less_is_better_of_errors(report: Make) -> None:
    found = report(task="regression", swapped=True, gate={"margin": 0.1})
    metric = found.metrics[0]
    assert metric.canary < metric.champion and metric.low > 0 and found.advice == "promote"
    assert [answer.name for answer in found.traffic[0].answers] == ["p10", "p50", "p90"]


def test_a_canary_inside_a_wide_margin_is_promoted_and_inside_a_narrow_one_watched(report: Make) -> None:
    assert report(gate={"margin": 0.3}, requests=1000).verdict == "not worse"
    watched = report(gate={"margin": 0.1}, requests=1000)
    assert (watched.advice, watched.verdict) == ("watch", "undecided")
    assert watched.reason.endswith(": more truths will tell whether it is within the margin of 0.1")


def test_too_few_truths_say_nothing(report: Make) -> None:
    found = report(told=0.04)
    truths = found.traffic[1].truths
    assert 50 < truths < 100
    assert found.reason == f"{truths} of the 100 truths that are waited for have arrived for the canary"
    metric = found.metrics[0]
    assert found.verdict == "undefined" and metric.gain is None and metric.canary is None
    assert report(told=0.04, canary={"truths": 30}).verdict != "undefined"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda log, truths: (log[:0], truths), "0 of the 50 requests that are waited for have reached it"),
        (lambda log, truths: (log[:0], truths[:0]), "0 of the 50 requests that are waited for have reached it"),
        (
            lambda log, truths: (log[log.role == "champion"], truths),
            "0 of the 50 requests that are waited for have reached it",
        ),
        (
            lambda log, truths: (log[log.role == "canary"], truths),
            "0 of the 50 requests that are waited for have reached the champion",
        ),
        (
            lambda log, truths: (log, truths[:0]),
            "0 of the 100 truths that are waited for have arrived for the canary",
        ),
        (
            lambda log, truths: (log.assign(answer=None), truths),
            "0 of the 100 truths that are waited for have arrived for the canary",
        ),
        (
            lambda log, truths: (log, truths.assign(truth="no")),
            "0 of the 5 truths of class yes have arrived for the canary",
        ),
    ],
    ids=["no log", "nothing", "no canary", "no champion", "no truths", "no answers", "one class"],
)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_what_is_lacking_is_said(report: Make, task: str, change: Change, reason: str) -> None:
    if task == "regression" and "class" in reason:
        reason = "0 of the 100 truths that are waited for have arrived for the canary"
    gate = {"primary": "f1"} if task == "classification" else {}
    found = report(task=task, change=change, gate=gate, swapped=True)
    assert found.advice == "watch" and found.reason.startswith(reason)
    assert reason in render(found) and holds_all(found)


def test_failures_are_counted_and_stop_a_canary_when_there_are_surely_too_many(report: Make) -> None:
    found = report(swapped=True, failing=0.1)
    champion, canary = found.traffic
    assert champion.errors == 0 and canary.errors == pytest.approx(200, rel=0.2)
    requests = champion.requests + canary.requests
    assert requests == pytest.approx(4000, abs=20), "what the champion answered for the canary is not its own traffic"
    assert 0.02 < canary.error_low < canary.error_rate < canary.error_high < 0.15
    failed = f"{canary.errors} of its {canary.requests:,} requests failed"
    assert (found.advice, found.reason) == ("stop", f"{failed}, surely more than 0.02 of them may")
    unsure = report(swapped=True, failing=0.025)
    assert unsure.advice == "watch" and unsure.reason.endswith("requests failed, where 0.02 of them may")


def fail_where_wrong(log: pd.DataFrame, truths: pd.DataFrame) -> Frames:
    """Let the canary fail wherever it would have been wrong."""
    log = log.copy()
    log.loc[is_wrong(log, truths), ["answer", "error"]] = [None, "it raised"]
    return log, truths


def fail_and_be_rescued(log: pd.DataFrame, truths: pd.DataFrame) -> Frames:
    """The same, where the champion gives the wrong answer in its stead."""
    rescue = log[is_wrong(log, truths)].assign(role="champion", version="v1.0.0")
    return pd.concat([fail_where_wrong(log, truths)[0], rescue], ignore_index=True), truths


def is_wrong(log: pd.DataFrame, truths: pd.DataFrame) -> pd.Series:
    actual = log.id.map(truths.set_index("id").truth)
    right = [f'"prediction": "{label}"' in answer for label, answer in zip(actual, log.answer, strict=True)]
    return (log.role == "canary") & ~np.array(right)


def test_failing_on_what_is_hard_does_not_make_a_canary_look_good(report: Make) -> None:
    alone, rescued = (
        report(change=change, canary={"max_error_rate": 0.9}).metrics[0]
        for change in (fail_where_wrong, fail_and_be_rescued)
    )
    assert alone.canary == 1, "of the rows that it answered"
    assert rescued.canary == pytest.approx(report().metrics[0].canary)


def test_a_slow_canary_is_stopped(report: Make) -> None:
    found = report(swapped=True, slow=4)
    assert found.advice == "stop"
    assert found.reason == "it takes 4.11 times as long as the champion (p95), where 3 may be"
    assert report(swapped=True, slow=2).advice == "promote"


def test_what_the_server_cut_off_is_stopped(report: Make) -> None:
    found = report(swapped=True, cut_off="7 of 60 requests failed")
    assert (found.advice, found.reason) == ("stop", "the server cut it off: 7 of 60 requests failed")


def test_guards_share_one_chance_of_a_false_alarm(report: Make) -> None:
    one = report(gate={"margin": 0.3, "guards": {"log_loss": 0.01}})
    assert one.advice == "stop" and "log_loss" in one.reason and one.verdict == "not worse"
    two = report(gate={"margin": 0.3, "guards": {"log_loss": 0.5, "recall": 0.5}})
    assert two.advice == "promote"
    assert [metric.confidence for metric in two.metrics] == pytest.approx([0.95, 0.975, 0.975])
    once, twice = (found.metrics[1].high - found.metrics[1].low for found in (one, two))
    assert 1.05 * once < twice < 1.2 * once


def early(log: pd.DataFrame) -> pd.Series:
    """The first quarter of the log."""
    return log.time < pd.Timestamp(BEGIN) + pd.Timedelta("1000s")


@pytest.mark.parametrize(
    ("change", "champion", "new"),
    [
        (lambda log: log.assign(version=log.version.mask(early(log), "v0.9.0")), 1500, 1500),
        (
            lambda log: log.assign(version=log.version.mask(early(log) & (log.role == "champion"), "v0.9.0")),
            1500,
            1500,
        ),
        (lambda log: log.assign(version=log.version.mask(early(log) & (log.role == "canary"), "v1.2.0")), 1500, 1500),
        (lambda log: log[~early(log) | (log.role == "champion")], 1500, 1500),
        (lambda log: log[early(log) | (log.role == "champion")], 500, 500),
        (lambda log: log.sample(frac=1, random_state=1), 2000, 2000),
    ],
    ids=["both others", "another champion", "another canary", "no canary yet", "no canary any more", "out of order"],
)
def test_like_is_compared_with_like(
    report: Make, change: Callable[[pd.DataFrame], pd.DataFrame], champion: int, new: int
) -> None:
    found = report(change=lambda log, truths: (change(log), truths))
    requests = {one.version: one.requests for one in found.traffic}
    assert requests == {"v1.0.0": pytest.approx(champion, rel=0.06), "v1.1.0": pytest.approx(new, rel=0.06)}
    assert found.metrics[0].gain < -0.02


def test_rows_count_since_the_assignment(report: Make) -> None:
    found = report(since=3000)
    assert sum(one.requests for one in found.traffic) == pytest.approx(1000, abs=5)
    assert found.since.startswith("2026-11-02T00:50:0")


def test_a_shadow_is_compared_on_the_champions_own_rows(report: Make) -> None:
    found = report(role="shadow", shadow=True, paired=True)
    agreement, metric = found.agreement, found.metrics[0]
    assert agreement.rows == pytest.approx(2000, rel=0.06) and agreement.version == "v1.1.0"
    assert 0.7 < agreement.equal < 1 and 0.1 < agreement.largest_gap <= 1
    assert metric.method == "always-valid (normal mixture), the same rows" and found.advice == "stop"
    other = report().metrics[0]
    assert metric.high - metric.low < 0.8 * (other.high - other.low)
    one_version = report(
        role="shadow", shadow=True, paired=True, change=lambda log, truths: (log.assign(version="v1.1.0"), truths)
    )
    assert one_version.agreement.equal < 1


def answer_as_the_champion(log: pd.DataFrame, truths: pd.DataFrame) -> Frames:
    """Let the shadow give the champion's answers, but where it fails."""
    log = log.copy()
    answers = log[log.role == "champion"].set_index("id").answer
    log.loc[log.role == "shadow", "answer"] = log.id.map(answers)
    log.loc[(log.role == "shadow") & (log.index % 50 == 0), ["answer", "error"]] = [None, "it raised"]
    return log, truths


def test_a_shadow_that_gives_the_same_answers_is_not_worse(report: Make) -> None:
    found = report(
        role="shadow", shadow=True, paired=True, change=answer_as_the_champion, canary={"max_error_rate": 0.5}
    )
    metric = found.metrics[0]
    assert found.agreement.equal == 1 and found.agreement.largest_gap == 0
    assert metric.gain == 0 and -0.01 < metric.low < 0 < metric.high and found.advice == "promote"


def shadow_too(log: pd.DataFrame, truths: pd.DataFrame, version: str = "v1.1.0") -> Frames:
    """Add a shadow that gives the champion's answers."""
    shadow = log[log.role == "champion"].assign(role="shadow", version=version)
    return pd.concat([log, shadow], ignore_index=True), truths


def test_a_canary_that_is_a_shadow_too_is_judged_on_the_champions_rows(report: Make) -> None:
    apart, paired = (report(paired=both, change=shadow_too, gate={"margin": 0.02}) for both in (False, True))
    assert apart.metrics[0].gain < -0.02 and paired.metrics[0].gain == 0
    assert (apart.verdict, paired.verdict) == ("undecided", "not worse")
    assert [one.role for one in paired.traffic] == ["champion", "canary", "shadow"]


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_truths_that_say_nothing_do_not_count(report: Make, task: str) -> None:
    found = report(
        task, change=lambda log, truths: (log, truths.assign(truth=truths.truth.mask(truths.index < 100, "maybe")))
    )
    assert found.unusable == 97, "three are of the champion's before the first of the canary's"
    assert "97 truths do not count: no number, or no class that either version knows." in render(found)
    assert found.verdict != "undefined"


def drop_chances(log: pd.DataFrame, truths: pd.DataFrame) -> Frames:
    """Let the shadow sometimes answer without probabilities."""
    some = (log.role == "shadow") & (log.index % 50 == 0)
    return log.assign(answer=log.answer.mask(some, '{"prediction": "yes"}')), truths


def test_an_answer_without_probabilities_does_not_count_and_of_a_pair_neither_does_the_other(report: Make) -> None:
    found = report(role="shadow", shadow=True, paired=True, change=drop_chances)
    assert found.unusable == pytest.approx(40, abs=5) and found.verdict == "worse"


def know_maybe(log: pd.DataFrame, role: str, chance: float) -> pd.DataFrame:
    """Let the versions of a role know a third class."""
    wider = log.answer.str.replace('"probabilities": {', f'"probabilities": {{"maybe": {chance}, ')
    return log.assign(answer=log.answer.mask(log.role == role, wider))


def test_a_class_that_neither_of_the_two_versions_knows_changes_nothing(report: Make) -> None:
    def change(log: pd.DataFrame, truths: pd.DataFrame) -> Frames:
        return know_maybe(shadow_too(log, truths, "v1.2.0")[0], "shadow", 0.1), truths

    gate = {"primary": "f1"}
    assert report(change=change, gate=gate).metrics == report(gate=gate).metrics


def test_a_class_that_one_version_does_not_know_is_given_no_chance_by_it(report: Make) -> None:
    found = report(change=lambda log, truths: (know_maybe(log, "canary", 0.0), truths))
    assert found.metrics == report().metrics


def contradict(truths: pd.DataFrame, truth: str) -> pd.DataFrame:
    """Tell another truth of every row, later."""
    return pd.concat([truths.assign(time=truths.time + pd.Timedelta("1h"), truth=truth), truths])


@pytest.mark.parametrize(("task", "other"), [("classification", "no"), ("regression", "-1")])
def test_the_first_truth_of_a_row_counts_and_those_that_contradict_it_are_told(
    report: Make, task: str, other: str
) -> None:
    found = report(task, change=lambda log, truths: (log, contradict(truths, other)))
    told = report(task)
    assert found.metrics == told.metrics and told.contradicted == 0
    _, truths = make_log(task)
    assert 1000 < found.contradicted == pytest.approx((truths.truth != other).sum(), rel=0.01)
    said = f"{found.contradicted:,} predictions have truths that contradict each other; the first one counts."
    assert said in render(found) and "contradict" not in render(told)
    assert json.loads(found.to_json())["contradicted"] == found.contradicted


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_truth_that_comes_twice_or_in_another_writing_contradicts_nothing(report: Make, task: str) -> None:
    def change(log: pd.DataFrame, truths: pd.DataFrame) -> Frames:
        return log, pd.concat(
            [truths, truths, truths.assign(truth=truths.truth + ("0" if task != "classification" else ".0"))]
        )

    assert report(task, change=change).contradicted == 0


def test_truths_of_what_is_not_compared_contradict_nothing(report: Make) -> None:
    def change(log: pd.DataFrame, truths: pd.DataFrame) -> Frames:
        return log, contradict(truths.assign(id=truths.id + "-of another time"), "maybe")

    assert report(change=change).contradicted == 0


def test_a_clock_that_was_set_back_an_hour_makes_the_report_neither_fail_nor_mislead(report: Make) -> None:
    def change(log: pd.DataFrame, truths: pd.DataFrame) -> Frames:
        again = log.id.str[1:].astype(int) >= 2000
        return log.assign(time=log.time.mask(again, log.time - pd.Timedelta("30min"))), truths

    found, before = report(change=change), report()
    assert found.verdict == before.verdict == "worse"
    assert [one.requests for one in found.traffic] == [one.requests for one in before.traffic]


def test_classes_that_are_numbers_are_known_however_they_are_written(report: Make) -> None:
    def change(log: pd.DataFrame, truths: pd.DataFrame) -> Frames:
        answers = log.answer.str.replace('"no"', '"0"').str.replace('"yes"', '"1"')
        return log.assign(answer=answers), truths.assign(truth=truths.truth.map({"no": "0.0", "yes": "1"}))

    found = report(change=change)
    assert found.unusable == 0 and found.metrics == report().metrics


def test_precision_and_its_kin_are_about_the_positive_class_of_the_params(report: Make) -> None:
    default, yes, no = (
        report(gate={"primary": "recall"}, positive=positive).metrics[0] for positive in (None, "yes", "no")
    )
    assert default == yes
    assert no.champion > yes.champion + 0.1


def test_a_slow_start_of_few_requests_is_no_reason(report: Make) -> None:
    found = report(swapped=True, slow=4, requests=80)
    assert found.advice == "watch" and "of the 50 requests that are waited for" in found.reason


def test_the_text_has_the_advice_first_and_each_version_beside_the_other(report: Make) -> None:
    text = render(report(swapped=True, failing=0.005)).splitlines()
    assert text[0].startswith("Promote v1.1.0: the gain in accuracy is between +")
    assert text[2] == "Canary v1.1.0 against champion v1.0.0, 2026-11-02 00:00 UTC to 2026-11-02 01:06 UTC"
    assert text[4].split() == ["champion", "v1.0.0", "canary", "v1.1.0"]
    names = [line[:12].strip() for line in text]
    assert {"requests", "errors", "latency, ms:", "truths", "answered yes", "accuracy"} <= set(names)
    assert text[-1] == "The bounds (95 %) hold however often one looks."
