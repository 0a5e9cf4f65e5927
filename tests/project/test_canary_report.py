"""The canary report: what it says of live traffic, and how rarely it is wrong, however often one looks."""

import http.server
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import canary as functions
import pytest
from baked import Project
from inside import as_json

Canary = Callable[..., Any]
METRICS = {
    "accuracy": "classification",
    "f1": "classification",
    "roc_auc": "classification",
    "average_precision": "classification",
    "log_loss": "classification",
    "rmse": "regression",
}
LOOKS = [100 * look for look in (*range(1, 13), 14, 16, 18, 20, 22, 24)]


@pytest.fixture(scope="module")
def canary(trained: Project) -> Canary:
    """`canary("report", failing=0.1)`: what a function of canary.py says of made-up traffic."""
    return lambda name, **options: as_json(getattr(functions, f"do_{name}")(trained.path, **options))


@pytest.fixture(scope="module")
def report(canary: Canary) -> Canary:
    """`report(failing=0.1)`: the report on made-up traffic."""
    return lambda **options: canary("report", **options)


@pytest.mark.parametrize("metric", METRICS)
def test_who_looks_after_every_batch_is_rarely_misled(canary: Canary, metric: str) -> None:
    found = canary("watch", metric=metric, task=METRICS[metric], case="bad", runs=120, looks=LOOKS)
    assert found["passed"] <= 0.05, "it is worse by the margin, and passed as not worse at some look"
    assert found["lost"] <= 0.05, "an interval of 95 % holds the truth at every look"
    assert found["peeked"] > 0.06, "the interval for one look is not made for many: else this test could not fail"


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "log_loss"])
def test_a_shadow_misleads_as_rarely(canary: Canary, metric: str) -> None:
    found = canary("watch", metric=metric, task=METRICS[metric], case="shadow", runs=80, looks=LOOKS)
    assert found["passed"] <= 0.05 and found["lost"] <= 0.05 < found["peeked"]


@pytest.mark.parametrize("metric", METRICS)
def test_a_real_improvement_and_a_real_harm_are_found(canary: Canary, metric: str) -> None:
    good, awful = (
        canary("watch", metric=metric, task=METRICS[metric], case=case, runs=20, looks=LOOKS)
        for case in ("good", "awful")
    )
    assert good["found"] >= 0.9 and good["truths"] <= 1000
    assert awful["found"] >= 0.7 and awful["truths"] <= 2000 and awful["passed"] == 0


@pytest.fixture(scope="module")
def bounds(canary: Canary) -> dict[str, Any]:
    """What is known of the quantile and of the bounds of a rate."""
    return canary("quantiles")


def test_the_quantile_is_least_at_its_age_and_near_to_that_for_long(bounds: dict[str, Any]) -> None:
    normal = dict(zip(bounds["ages"], bounds["normal"], strict=True))
    assert min(normal, key=normal.__getitem__) == 1 and normal[1] == pytest.approx(3.035, abs=1e-3)
    assert normal[0.1] < 1.27 * normal[1] and normal[100] < 1.2 * normal[1]
    assert all(student > one for student, one in zip(bounds["student"], bounds["normal"], strict=True))


def test_an_interval_is_tightest_at_ten_times_the_truths_that_are_waited_for(canary: Canary) -> None:
    found = {rows: canary("interval", metric="log_loss", case="plain", rows=rows) for rows in (200, 2000, 20_000)}
    few, most, many = ((high - low) / 2 / error for _, low, high, error in found.values())
    assert most == pytest.approx(3.035, abs=0.03) and few > 1.2 * most and many > 1.05 * most


def test_the_bounds_of_a_rate_hold_at_every_look(bounds: dict[str, Any]) -> None:
    assert bounds["lost"] <= 0.05
    assert bounds["none"] == [0, 1]
    assert bounds["never"] == [0, pytest.approx(0.007, abs=1e-3)]
    assert bounds["always"] == [pytest.approx(0.895, abs=1e-3), 1]


@pytest.mark.parametrize("metric", ["accuracy", "f1", "roc_auc", "average_precision"])
def test_two_versions_that_were_right_every_time_are_not_proved_to_be_equal(canary: Canary, metric: str) -> None:
    gain, low, high, error = canary("interval", metric=metric, case="all right")
    assert gain == pytest.approx(0, abs=1e-9) and error > 0
    assert low < -0.01 and high > 0.01, "300 rows without a mistake allow for one in a hundred"


def test_numbers_without_any_error_are_not_judged(canary: Canary) -> None:
    assert canary("interval", metric="rmse", case="exact numbers") is None
    assert canary("interval", metric="median_absolute_error", case="exact numbers") is None


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "log_loss"])
def test_requests_of_the_same_key_are_one_observation(canary: Canary, metric: str) -> None:
    once, repeated, grouped = (
        canary("interval", metric=metric, case=case)[3] for case in ("plain", "repeated", "grouped")
    )
    assert grouped == pytest.approx(once, rel=0.02) and repeated < 0.5 * once


def test_a_scorer_and_a_built_in_metric_find_the_same(canary: Canary) -> None:
    scorer, built_in = (
        canary("interval", metric=name, case="plain", rows=2000) for name in ("precision_micro", "accuracy")
    )
    assert scorer[0] == pytest.approx(built_in[0]) and scorer[3] == pytest.approx(built_in[3], rel=0.15)


def test_a_better_canary_is_promoted_with_its_reason(report: Canary) -> None:
    found = report(swapped=True)
    assert (found["advice"], found["verdict"]) == ("promote", "better")
    assert found["reason"].startswith("the gain in accuracy is between +0.")
    assert found["reason"].endswith(": better, and errors and latency are within their limits")
    assert (found["champion"], found["version"]) == ("v1.0.0", "v1.1.0")
    assert found["same"], "JSON holds all of it"


def test_a_worse_canary_is_stopped(report: Canary) -> None:
    found = report()
    assert (found["advice"], found["verdict"]) == ("stop", "worse")
    assert found["reason"].endswith(": worse by more than the margin of 0.01")
    metric = found["metrics"][0]
    assert metric["gain"] == pytest.approx(metric["canary"] - metric["champion"])
    assert metric["low"] < metric["gain"] < metric["high"] < -0.01


def test_less_is_better_of_errors(report: Canary) -> None:
    found = report(task="regression", swapped=True, gate={"margin": 0.1})
    metric = found["metrics"][0]
    assert metric["canary"] < metric["champion"] and metric["low"] > 0 and found["advice"] == "promote"
    assert [answer["name"] for answer in found["traffic"][0]["answers"]] == ["p10", "p50", "p90"]


def test_a_canary_inside_a_wide_margin_is_promoted_and_inside_a_narrow_one_watched(report: Canary) -> None:
    few = {"requests": 1000}
    assert report(gate={"margin": 0.3}, **few)["verdict"] == "not worse"
    watched = report(gate={"margin": 0.1}, **few)
    assert (watched["advice"], watched["verdict"]) == ("watch", "undecided")
    assert watched["reason"].endswith(": more truths will tell whether it is within the margin of 0.1")


def test_too_few_truths_say_nothing(report: Canary) -> None:
    found = report(told=0.04)
    truths = found["traffic"][1]["truths"]
    assert 50 < truths < 100
    assert found["reason"] == f"{truths} of the 100 truths that are waited for have arrived for the canary"
    metric = found["metrics"][0]
    assert found["verdict"] == "undefined" and metric["gain"] is None and metric["canary"] is None
    assert report(told=0.04, canary={"truths": 30})["verdict"] != "undefined"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("log = log[:0]", "0 of the 50 requests that are waited for have reached it"),
        ("log = log[:0]; truths = truths[:0]", "0 of the 50 requests that are waited for have reached it"),
        ("log = log[log.role == 'champion']", "0 of the 50 requests that are waited for have reached it"),
        ("log = log[log.role == 'canary']", "0 of the 50 requests that are waited for have reached the champion"),
        ("truths = truths[:0]", "0 of the 100 truths that are waited for have arrived for the canary"),
        ("log['answer'] = None", "0 of the 100 truths that are waited for have arrived for the canary"),
        ("truths['truth'] = 'no'", "0 of the 5 truths of class yes have arrived for the canary"),
    ],
)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_what_is_lacking_is_said(report: Canary, task: str, change: str, reason: str) -> None:
    if task == "regression" and "class" in reason:
        reason = "0 of the 100 truths that are waited for have arrived for the canary"
    gate = {"primary": "f1"} if task == "classification" else {}
    found = report(task=task, change=change, gate=gate, swapped=True)
    assert found["advice"] == "watch" and found["reason"].startswith(reason)
    assert reason in found["text"] and found["same"]


def test_failures_are_counted_and_stop_a_canary_when_there_are_surely_too_many(report: Canary) -> None:
    found = report(swapped=True, failing=0.1)
    champion, canary = found["traffic"]
    assert champion["errors"] == 0 and canary["errors"] == pytest.approx(200, rel=0.2)
    requests = champion["requests"] + canary["requests"]
    assert requests == pytest.approx(4000, abs=20), "what the champion answered for the canary is not its own traffic"
    assert 0.02 < canary["error_low"] < canary["error_rate"] < canary["error_high"] < 0.15
    failed = f"{canary['errors']} of its {canary['requests']:,} requests failed"
    assert (found["advice"], found["reason"]) == ("stop", f"{failed}, surely more than 0.02 of them may")
    unsure = report(swapped=True, failing=0.025)
    assert unsure["advice"] == "watch" and unsure["reason"].endswith("requests failed, where 0.02 of them may")


def test_failing_on_what_is_hard_does_not_make_a_canary_look_good(report: Canary) -> None:
    hard = """
actual = log.id.map(truths.set_index("id").truth)
right = np.array([f'"prediction": "{label}"' in answer for label, answer in zip(actual, log.answer)])
wrong = (log.role == "canary") & ~right
rescue = log[wrong].assign(role="champion", version="v1.0.0")
log.loc[wrong, ["answer", "error"]] = [None, "it raised"]
"""
    alone = report(change=hard, canary={"max_error_rate": 0.9})["metrics"][0]
    rescued = report(change=hard + "log = pd.concat([log, rescue], ignore_index=True)", canary={"max_error_rate": 0.9})
    assert alone["canary"] == 1, "of the rows that it answered"
    assert rescued["metrics"][0]["canary"] == pytest.approx(report()["metrics"][0]["canary"])


def test_a_slow_canary_is_stopped(report: Canary) -> None:
    found = report(swapped=True, slow=4)
    assert found["advice"] == "stop"
    assert found["reason"] == "it takes 4.11 times as long as the champion (p95), where 3 may be"
    assert report(swapped=True, slow=2)["advice"] == "promote"


def test_what_the_server_cut_off_is_stopped(report: Canary) -> None:
    found = report(swapped=True, cut_off="7 of 60 requests failed")
    assert (found["advice"], found["reason"]) == ("stop", "the server cut it off: 7 of 60 requests failed")


def test_guards_share_one_chance_of_a_false_alarm(report: Canary) -> None:
    one = report(gate={"margin": 0.3, "guards": {"log_loss": 0.01}})
    assert one["advice"] == "stop" and "log_loss" in one["reason"] and one["verdict"] == "not worse"
    two = report(gate={"margin": 0.3, "guards": {"log_loss": 0.5, "recall": 0.5}})
    assert two["advice"] == "promote"
    assert [metric["confidence"] for metric in two["metrics"]] == pytest.approx([0.95, 0.975, 0.975])
    once, twice = (found["metrics"][1]["high"] - found["metrics"][1]["low"] for found in (one, two))
    assert 1.05 * once < twice < 1.2 * once


@pytest.mark.parametrize(
    ("change", "champion", "new"),
    [
        ("log.loc[early, 'version'] = 'v0.9.0'", 1500, 1500),
        ("log.loc[early & (log.role == 'champion'), 'version'] = 'v0.9.0'", 1500, 1500),
        ("log.loc[early & (log.role == 'canary'), 'version'] = 'v1.2.0'", 1500, 1500),
        ("log = log[~early | (log.role == 'champion')]", 1500, 1500),
        ("log = log[early | (log.role == 'champion')]", 500, 500),
        ("log = log.sample(frac=1, random_state=1)", 2000, 2000),
    ],
)
def test_like_is_compared_with_like(report: Canary, change: str, champion: int, new: int) -> None:
    found = report(change=f"early = log.time < begin + pd.Timedelta('1000s')\n{change}")
    requests = {one["version"]: one["requests"] for one in found["traffic"]}
    assert requests == {"v1.0.0": pytest.approx(champion, rel=0.06), "v1.1.0": pytest.approx(new, rel=0.06)}
    assert found["metrics"][0]["gain"] < -0.02


def test_rows_count_since_the_assignment(report: Canary) -> None:
    found = report(since=3000)
    assert sum(one["requests"] for one in found["traffic"]) == pytest.approx(1000, abs=5)
    assert found["since"].startswith("2026-11-02T00:50:0")


def test_a_shadow_is_compared_on_the_champions_own_rows(report: Canary) -> None:
    found = report(role="shadow", shadow=True, paired=True)
    agreement, metric = found["agreement"], found["metrics"][0]
    assert agreement["rows"] == pytest.approx(2000, rel=0.06) and agreement["version"] == "v1.1.0"
    assert 0.7 < agreement["equal"] < 1 and 0.1 < agreement["largest_gap"] <= 1
    assert metric["method"] == "always-valid (normal mixture), the same rows" and found["advice"] == "stop"
    other = report()["metrics"][0]
    assert metric["high"] - metric["low"] < 0.8 * (other["high"] - other["low"])
    assert report(role="shadow", shadow=True, paired=True, change="log.version = 'v1.1.0'")["agreement"]["equal"] < 1


def test_a_shadow_that_gives_the_same_answers_is_not_worse(report: Canary) -> None:
    same = """
answers = log[log.role == "champion"].set_index("id").answer
log.loc[log.role == "shadow", "answer"] = log.id.map(answers)
log.loc[(log.role == "shadow") & (log.index % 50 == 0), ["answer", "error"]] = [None, "it raised"]
"""
    found = report(role="shadow", shadow=True, paired=True, change=same, canary={"max_error_rate": 0.5})
    metric = found["metrics"][0]
    assert found["agreement"]["equal"] == 1 and found["agreement"]["largest_gap"] == 0
    assert metric["gain"] == 0 and -0.01 < metric["low"] < 0 < metric["high"] and found["advice"] == "promote"


def test_a_canary_that_is_a_shadow_too_is_judged_on_the_champions_rows(report: Canary) -> None:
    same = """
shadow = log[log.role == "champion"].assign(role="shadow", version="v1.1.0")
log = pd.concat([log, shadow], ignore_index=True)
"""
    apart, paired = (report(paired=both, change=same, gate={"margin": 0.02}) for both in (False, True))
    assert apart["metrics"][0]["gain"] < -0.02 and paired["metrics"][0]["gain"] == 0
    assert (apart["verdict"], paired["verdict"]) == ("undecided", "not worse")
    assert [one["role"] for one in paired["traffic"]] == ["champion", "canary", "shadow"]


def test_truths_that_say_nothing_do_not_count(report: Canary) -> None:
    found = report(change="truths.loc[truths.index < 100, 'truth'] = 'maybe'")
    assert found["unusable"] == 97, "three are of the champion's before the first of the canary's"
    assert "97 truths do not count: no number, or no class that either version knows." in found["text"]
    numbers = report(task="regression", change="truths.loc[truths.index < 100, 'truth'] = 'maybe'")
    assert numbers["unusable"] == 97 and numbers["verdict"] != "undefined"


def test_an_answer_without_probabilities_does_not_count_and_of_a_pair_neither_does_the_other(report: Canary) -> None:
    silent = """log.loc[(log.role == "shadow") & (log.index % 50 == 0), "answer"] = '{"prediction": "yes"}'"""
    found = report(role="shadow", shadow=True, paired=True, change=silent)
    assert found["unusable"] == pytest.approx(40, abs=5) and found["verdict"] == "worse"


def test_a_class_that_neither_of_the_two_versions_knows_changes_nothing(report: Canary) -> None:
    third = """
shadow = log[log.role == "champion"].assign(role="shadow", version="v1.2.0")
shadow["answer"] = shadow.answer.str.replace('"probabilities": {', '"probabilities": {"maybe": 0.1, ')
log = pd.concat([log, shadow], ignore_index=True)
"""
    gate = {"primary": "f1"}
    assert report(change=third, gate=gate)["metrics"] == report(gate=gate)["metrics"]


def test_the_last_truth_of_a_row_counts(report: Canary) -> None:
    first = """
late = truths.assign(time=truths.time + pd.Timedelta("1h"))
truths = pd.concat([late, truths.assign(truth="no")])
"""
    assert report(change=first)["metrics"] == report()["metrics"]


def test_classes_that_are_numbers_are_known_however_they_are_written(report: Canary) -> None:
    numbers = """
log["answer"] = log.answer.str.replace('"no"', '"0"').str.replace('"yes"', '"1"')
truths["truth"] = truths.truth.map({"no": "0.0", "yes": "1"})
"""
    found = report(change=numbers)
    assert found["unusable"] == 0 and found["metrics"] == report()["metrics"]


def test_a_class_that_one_version_does_not_know_is_given_no_chance_by_it(report: Canary) -> None:
    new = """
some = log.role == "canary"
log.loc[some, "answer"] = log.answer[some].str.replace('"probabilities": {', '"probabilities": {"maybe": 0.0, ')
"""
    assert report(change=new)["metrics"] == report()["metrics"]


def test_precision_and_its_kin_are_about_the_positive_class_of_the_params(report: Canary) -> None:
    yes, no = (report(gate={"primary": "recall"}, data={"positive": name})["metrics"][0] for name in ("yes", "no"))
    assert report(gate={"primary": "recall"})["metrics"][0] == yes
    assert no["champion"] > yes["champion"] + 0.1


def test_a_slow_start_of_few_requests_is_no_reason(report: Canary) -> None:
    found = report(swapped=True, slow=4, requests=80)
    assert found["advice"] == "watch" and "of the 50 requests that are waited for" in found["reason"]


def test_the_text_has_the_advice_first_and_each_version_beside_the_other(report: Canary) -> None:
    text = report(swapped=True, failing=0.005)["text"].splitlines()
    assert text[0].startswith("Promote v1.1.0: the gain in accuracy is between +")
    assert text[2] == "Canary v1.1.0 against champion v1.0.0, 2026-11-02 00:00 UTC to 2026-11-02 01:06 UTC"
    assert text[4].split() == ["champion", "v1.0.0", "canary", "v1.1.0"]
    names = [line[:12].strip() for line in text]
    assert {"requests", "errors", "latency, ms:", "truths", "answered yes", "accuracy"} <= set(names)
    assert text[-1] == "The bounds (95 %) hold however often one looks."


@pytest.fixture(scope="module")
def live(project: Project, canary: Canary, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with two versions and a log of both, whose second one is no canary yet."""
    there = Project(tmp_path_factory.mktemp("live") / "customer-churn")
    shutil.copytree(project.path, there.path, symlinks=True, ignore=lambda _, names: {".venv"} & set(names))
    there.run("git", "tag", "--annotate", "model@v1.0.0", "--message", "one")
    there.run("git", "tag", "--annotate", "model#prod#1", "--message", "one")
    there.run("git", "commit", "--quiet", "--no-verify", "--allow-empty", "--message", "two")
    there.run("git", "tag", "--annotate", "model@v1.1.0", "--message", "two")
    canary("write", folder=str(there.path / "predictions"), swapped=True)
    return there


def assign(there: Project, *roles: str) -> None:
    """Give the second version these roles, such as `canary 01T12:00:00`, and no other version any."""
    for tag in there.run("git", "tag", "--list", "model#canary#*", "model#shadow#*").stdout.split():
        there.run("git", "tag", "--delete", tag)
    for number, (role, time) in enumerate(map(str.split, roles), start=9):
        tag = f"model#{role}#{number}"
        there.run("git", "tag", "--annotate", tag, "--message", "try it", GIT_COMMITTER_DATE=f"2026-11-{time}Z")


@pytest.fixture
def mlops(canary: Canary, live: Project) -> Canary:
    """`mlops("canary", "report")`: exit code, and what it says to standard error and output, in that project."""
    return lambda *words: canary("hear", there=str(live.path), words=list(words))


def test_without_a_canary_the_command_says_so(mlops: Canary, live: Project) -> None:
    assign(live)
    said = "no version is canary or shadow; `mlops canary start` makes one the canary."
    assert mlops("canary", "report") == [1, f"mlops canary: {said}\n", ""]


def test_the_command_reports_what_the_log_holds_of_the_version_in_the_role(mlops: Canary, live: Project) -> None:
    assign(live, "canary 01T12:00:00")
    status, errors, text = mlops("canary", "report")
    assert (status, errors) == (0, "") and text.startswith("Promote v1.1.0: the gain in ")
    status, errors, text = mlops("canary", "report", "--json")
    found = json.loads(text)
    assert (status, errors, found["advice"], found["role"]) == (0, "", "promote", "canary")
    assert [one["role"] for one in found["traffic"]] == ["champion", "canary"]


def test_a_new_assignment_of_the_same_version_begins_anew(mlops: Canary, live: Project) -> None:
    assign(live, "canary 01T12:00:00", "canary 02T00:30:00")
    assert json.loads(mlops("canary", "report", "--json")[2])["since"].startswith("2026-11-02T00:30:")
    assign(live, "canary 03T00:00:00")
    status, _, text = mlops("canary", "report")
    assert status == 0 and text.startswith("Keep watching v1.1.0: 0 of the 50 requests")


def test_the_command_knows_what_the_server_cut_off(mlops: Canary, live: Project) -> None:
    assign(live, "canary 01T12:00:00")
    off = live.path / ".mlops/serving/cut-off.json"
    off.parent.mkdir(parents=True)
    off.write_text('{"model#canary#1": "an earlier one"}')
    assert mlops("canary", "report")[2].startswith("Promote")
    off.write_text('{"model#canary#1": "an earlier one", "model#canary#9": "9 of 60 requests failed"}')
    assert mlops("canary", "report")[2].startswith("Stop v1.1.0: the server cut it off: 9 of 60 requests failed.")
    for broken in ("", "[1", "3"):
        off.write_text(broken)
        status, errors, text = mlops("canary", "report")
        assert (status, text) == (1, "") and errors.endswith("; remove it.\n")
        assert errors.startswith("mlops canary: .mlops/serving/cut-off.json: not a JSON object of reasons (")
    off.unlink()


def test_a_version_that_is_canary_and_shadow_is_judged_by_the_shadows_rows(mlops: Canary, live: Project) -> None:
    assign(live, "canary 01T12:00:00", "shadow 01T13:00:00")
    status, errors, text = mlops("canary", "report", "--json")
    assert (status, errors) == (0, "")
    found = json.loads(text)
    assert found["role"] == "canary" and found["traffic"][1]["truths"] > 1000
    assert found["metrics"][0]["why"].startswith("0 of the 100 truths"), "no shadow has answered"
    assign(live, "shadow 01T13:00:00")
    assert json.loads(mlops("canary", "report", "--json")[2])["role"] == "shadow"


def test_a_project_that_keeps_no_log_says_so(mlops: Canary, live: Project) -> None:
    text = live.read("params.yaml")
    live.set(**{"serving.log.path": None})
    said = "params.yaml: serving.log.path is null, so no prediction is kept; name a folder, or use --url."
    assert mlops("canary", "report") == [1, f"mlops canary: {said}\n", ""]
    live.write("params.yaml", text)


@contextmanager
def serve(status: int, body: str) -> Iterator[str]:
    """The address of a server that answers this to GET /canary."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/canary" else 418)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Be silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_another_machines_report_is_printed_the_same(mlops: Canary, report: Canary) -> None:
    made = report(swapped=True)
    text = made.pop("text")
    made.pop("same")
    with serve(200, json.dumps(made)) as url:
        assert mlops("canary", "report", "--url", url) == [0, "", text]
        assert json.loads(mlops("canary", "report", "--url", f"{url}/", "--json")[2]) == {"canary": "v1.1.0", **made}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, "there is no canary", "/canary does not answer with a report: 404: there is no canary"),
        (503, "", "/canary does not answer with a report: 503: Service Unavailable"),
        (200, "<html>", "/canary answers with something that is no canary report"),
        (200, '{"advice": "promote"}', " answered with no report that this version reads; update one of the two."),
    ],
)
def test_a_server_that_has_no_report_is_quoted(mlops: Canary, status: int, body: str, said: str) -> None:
    with serve(status, body) as url:
        status, errors, text = mlops("canary", "report", "--url", url)
        assert (status, text) == (1, "") and errors.startswith(f"mlops canary: {url}{said}")


def test_no_server_is_one_sentence(mlops: Canary) -> None:
    for url, said in (
        ("http://127.0.0.1:9", "does not answer: "),
        ("not a url", "is no address of a server"),
        ("ftp://127.0.0.1:9", "is no address of a server"),
    ):
        status, errors, _ = mlops("canary", "report", "--url", url)
        assert status == 1 and errors.count("\n") == 1 and said in errors
