"""A pull request is retrained where it changes the model, judged, told so in one comment, and released by its merge.

Its stories are played as `make demo` plays them.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from desk import ASSETS, OWNER, Desk, find_run
from local_github import MergeBlockedError, PullRequest, Repository
from mlops_actions.core.params_file import update_params

from demo.errors import DemoError
from demo.progress import Progress
from demo.review import SIGNATURE, Review
from demo.story import BRANCH, Story, sum_charges

Clone = Callable[..., Desk]
DATA = "data/raw/dataset.csv"


def read_comment(pull: PullRequest) -> str:
    """The text of the one comment that there is."""
    (comment,) = pull.comments()
    assert comment["user"]["login"] == "github-actions[bot]"
    return str(comment["body"])


def add_rows(desk: Desk, count: int) -> int:
    """Append rows that are like those there, but new; how many rows there are then."""
    desk.run("mlops", "pull")
    lines = desk.read(DATA).splitlines()
    fresh = [line.replace(",", ",9", 1) for line in lines[1 : count + 1]]
    (desk.path / DATA).write_text("\n".join([*lines, *fresh]) + "\n")
    desk.run("dvc", "add", "--quiet", DATA)
    return len(lines) - 1 + count


@pytest.fixture
def private(first: Repository) -> Repository:
    """A private repository in which v1.0.0 is released."""
    return first.copy(f"{OWNER}/private", private=True)


def change_model(project: Path) -> None:
    """Sum up the charges, and regularise more."""
    sum_charges(project)
    update_params(project / "params.yaml", {"model.params": {"C": 0.3}})


def change_words(project: Path) -> None:
    with (project / "README.md").open("a") as readme:
        readme.write("\nOne sentence more.\n")


def test_a_change_is_retrained_compared_commented_once_merged_and_released(
    private: Repository, clone: Clone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    private.looks = True
    story = tell(private, clone(private), tmp_path)
    with story.progress.step("A pull request"):
        pull = story.propose(change_model)
    check_review(story.review(pull), capsys.readouterr().out)
    retrain, report = (find_run(pull.runs, name).expect("success") for name in ("retrain", "report"))
    for run in (retrain, report):
        assert (run.unused(), run.left) == ({}, []), "all that its token may was needed, and the token is nowhere"
    body = read_comment(pull)
    verdict = r"(Better|Not worse|Undecided, passes)"
    change = r"[+−]0\.\d{4} \[[+−]0\.\d{4}, [+−]0\.\d{4}\]"
    assert re.match(rf"### ✅ {verdict}: `roc_auc` 0\.\d{{4}}, {change} against `v1\.0\.0`: the interval ", body)
    assert re.search(r"^\| metric \| champion `v1\.0\.0` \| candidate \| change \(95%\) \| ruling \|$", body, re.M)
    ruling = "threshold met; (better|not worse|undecided)"
    row = rf"^\| \*\*`roc_auc`\*\* \| 0\.\d{{4}} \| 0\.\d{{4}} \| {change} \| {ruling} \|$"
    assert re.search(row, body, re.M)
    assert "| `model.params.C` | `1.0` | `0.3` |" in body, "what is not set has its value in effect"
    assert "**Data** unchanged" in body
    seconds = r"\d+\.\d s"
    stages = ", ".join(f"`{stage}` {seconds}" for stage in ("featurize", "train", "evaluate", "export"))
    assert re.search(rf"^\*\*Retrained\*\* {stages};", body, re.M)
    assert "; up to date: `prepare`, `history`\n" in body
    assert f"git fetch origin pull/{pull.number}/head" in body and "make setup train compare" in body
    assert f"({retrain.url})" in body and pull.head_sha[:10] in body
    assert "store: fetched" in retrain.log and "Running stage 'prepare'" not in retrain.log
    assert report.event.sha == private.bare.resolve("main"), "the report runs main's code"
    (before,) = pull.comments()

    change_words(story.project)
    story.run("git", "commit", "--quiet", "--all", "--message", "Say more")
    runs = private.push(story.project, BRANCH)
    find_run(runs, "retrain").expect("success")
    find_run(runs, "report").expect("success")
    (after,) = pull.comments()
    assert after["id"] == before["id"] and pull.head_sha[:10] in after["body"]
    assert re.search(r"up to date: .*`train`", after["body"]), "the run cache has it"
    assert "| `model.params.C` | `1.0` | `0.3` |" in after["body"]

    release = story.merge(pull)
    assert {path.name for path in release.iterdir()} == set(ASSETS)
    run = private.runs("publish")[-1].expect("success")
    assert "v1.1.0 is not attested: GitHub attests for private repositories in its plan Enterprise" in run.log
    assert private.tags() == ["model@v1.0.0", "model@v1.1.0"]
    subject = private.bare.git("tag", "--list", "--format=%(contents:subject)", "model@v1.1.0")
    assert subject.startswith("model v1.1.0: the recipe changed: featurize, train")


def tell(repository: Repository, desk: Desk, folder: Path) -> Story:
    """The demo's story in a repository, after its first release."""
    output = folder / "output"
    output.mkdir()
    return Story(repository, desk.path, output, Progress(github=repository.hub))


def check_review(review: Review, printed: str) -> None:
    """The demo shows a verdict, metrics that differ, and pictures on pages that need nothing from elsewhere."""
    assert re.match(r"✅ \w+", review.headline) and "v1.0.0" in review.headline
    assert {"roc_auc", "log_loss", "f1"} <= set(review.metrics)
    assert review.metrics["log_loss"][0] != review.metrics["log_loss"][1]
    names = {picture.name for picture in review.pictures}
    assert {"roc-light.png", "roc-dark.png", "interval-light.png"} <= names
    assert all(picture.read_bytes().startswith(SIGNATURE) for picture in review.pictures)
    assert "retrain: success in" in printed
    if CHROMIUM is None:
        return
    browser = Browser(review.comment.parent / "profile")
    try:
        for page in (review.comment, review.report):
            for width, theme in ((1200, "light"), (390, "dark")):
                browser.open(page, width, theme)
                assert browser.ask("document.documentElement.scrollWidth") <= width, page.name
                assert {address.split(":")[0] for address in browser.asked} <= {"file", "data"}
                assert browser.ask("[...document.images].every((image) => image.naturalWidth > 0)")
    finally:
        browser.stop()


def test_a_change_of_words_alone_has_nothing_to_retrain_and_fetches_nothing(
    published: Repository, clone: Clone, tmp_path: Path
) -> None:
    story = tell(published, clone(published), tmp_path)
    pull = story.propose(change_words)
    retrain = find_run(pull.runs, "retrain").expect("success")
    assert "Nothing to retrain: every stage is up to date." in retrain.log
    assert "store: fetch" not in retrain.log
    body = read_comment(pull)
    assert body.startswith("### ➖ Nothing to retrain: the model is the champion's, `v1.0.0`")
    assert "| metric |" not in body and len(body.splitlines()) < 14
    with pytest.raises(DemoError, match=r"^The comment has no verdict on a new model, it begins: ➖ .+\.$"):
        story.review(pull)

    with pytest.raises(DemoError, match=r"^model@v1\.1\.0 was not released; the releases are: model@v1\.0\.0\.$"):
        story.merge(pull)
    publish = published.runs("publish")[-1].expect("success")
    assert "nothing to publish" in publish.log
    assert published.tags() == ["model@v1.0.0"] and len(published.releases()) == 1
    assert published.bare.resolve("main") == pull.merge_commit


def test_a_forks_new_rows_travel_with_its_push_and_get_a_comment(published: Repository, clone: Clone) -> None:
    fork = published.fork("contributor")
    desk = clone(fork, "contributor")
    desk.run("git", "remote", "add", "upstream", published.url)
    desk.run("mlops", "setup")
    rows = add_rows(desk, 200)
    desk.run("git", "switch", "--quiet", "--create", "mine")
    desk.commit("My customers")
    stores = [repository.bare.resolve("refs/dvc/store") for repository in (published, fork)]
    desk.run("git", "push", "--quiet", "origin", "mine")
    assert fork.bare.resolve("refs/dvc/store") != stores[1], "the pre-push hook sends the data first"
    pull = published.open_pull_request("mine", "My customers", fork)
    retrain = find_run(pull.runs, "retrain").expect("success")
    assert retrain.current_permissions().get("contents") != "write"
    body = read_comment(pull)
    assert f"| `rows` | `{rows - 200}` | `{rows}` |" in body
    told = re.search(
        r"answered ([\d,]+) of \1 test rows\. Since the champion's test set (\d+) rows are new, 0 gone, 0 edited\.",
        body,
    )
    assert told and 0 < int(told[2]) < 200, "what was a test row still is, and neither was trained on a new one"
    assert "shift is the share of rows" in body and "**Params** unchanged" in body
    assert "up to date" not in body, "every stage ran"
    assert published.bare.resolve("refs/dvc/store") == stores[0], "nothing of a fork reaches the store before the merge"
    assert not [ref for ref in published.bare.refs("refs/heads/") if ref.rpartition("/")[2] == "mine"]


def test_a_model_that_fails_the_gate_is_red_blocked_and_unpublished_even_by_force(
    published: Repository, clone: Clone
) -> None:
    desk = clone(published)
    desk.replace("params.yaml", "estimator: logistic", "estimator: sklearn.dummy.DummyClassifier")
    desk.train()
    pull = desk.propose("worse", "Guess")
    retrain = find_run(pull.runs, "retrain").expect("failure")
    assert retrain.jobs == {"retrain": "failure", "pass": "failure"}
    assert retrain.outcome("Judge it against the champion") == "failure"
    body = read_comment(pull)
    line = body.partition("\n")[0]
    assert re.match(
        r"### ❌ Worse: `roc_auc` 0\.5000, −0\..+: the interval lies beyond the margin of 0\.01; besides, ", line
    )
    assert "; besides, `roc_auc` 0.5000 misses the threshold 0.6; `roc_auc` collapses " in line
    assert "- The same answer to every row is given by the `candidate`." in body
    assert "**misses 0.6**; **worse**" in body and "`sklearn.dummy.DummyClassifier`" in body.replace('"', "")
    with pytest.raises(MergeBlockedError, match="retrain"):
        published.merge(pull)

    runs = published.merge(pull, force=True)
    publish = find_run(runs, "publish").expect("failure")
    assert publish.outcome("Judge it again") == "failure"
    assert publish.jobs == {"train": "failure", "publish": "skipped", "image": "skipped", "pass": "failure"}
    assert set(publish.artifacts) == {"report"}, "which says why"
    assert published.tags() == ["model@v1.0.0"] and len(published.releases()) == 1
    assert published.bare.resolve("main") == pull.merge_commit
