"""A pull request is retrained where it changes the model, judged, and told so in one comment."""

import re
from collections.abc import Callable

import pytest
from desk import Desk, find_run
from local_github import MergeBlockedError, PullRequest, Repository

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


def test_a_changed_param_is_retrained_compared_and_commented_once(published: Repository, clone: Clone) -> None:
    desk = clone(published)
    desk.set_params("{C: 0.3}")
    pull = desk.propose("regularise", "Regularise more")
    retrain, report = (find_run(pull.runs, name).expect("success") for name in ("retrain", "report"))
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
    assert re.search(rf"^\*\*Retrained\*\* `train` {seconds}, `evaluate` {seconds}, `export` {seconds};", body, re.M)
    assert "; up to date: `prepare`, `history`, `featurize`\n" in body
    assert f"git fetch origin pull/{pull.number}/head" in body and "make setup train compare" in body
    assert f"({retrain.url})" in body and pull.head_sha[:10] in body
    assert "store: fetched" in retrain.log and "Running stage 'prepare'" not in retrain.log
    files = set(retrain.artifacts["report"].read())
    assert files > {"report.json", "report.html", "pictures/roc-light.png", "pictures/roc-dark.png"}
    assert report.event.sha == published.bare.resolve("main"), "the report runs main's code"
    (before,) = pull.comments()

    desk.replace("README.md", "#", "# Read me:\n\n#")
    desk.commit("Say more")
    runs = published.push(desk.path, "regularise")
    find_run(runs, "retrain").expect("success")
    find_run(runs, "report").expect("success")
    (after,) = pull.comments()
    assert after["id"] == before["id"] and pull.head_sha[:10] in after["body"]
    assert re.search(r"up to date: .*`train`", after["body"]), "the run cache has it"
    assert "| `model.params.C` | `1.0` | `0.3` |" in after["body"]


def test_a_change_of_words_alone_has_nothing_to_retrain_and_fetches_nothing(
    published: Repository, clone: Clone
) -> None:
    desk = clone(published)
    desk.replace("README.md", "#", "# Read me:\n\n#")
    pull = desk.propose("words", "Say more")
    retrain = find_run(pull.runs, "retrain").expect("success")
    assert "Nothing to retrain: every stage is up to date." in retrain.log
    assert "store: fetch" not in retrain.log
    body = read_comment(pull)
    assert body.startswith("### ➖ Nothing to retrain: the model is the champion's, `v1.0.0`")
    assert "| metric |" not in body and len(body.splitlines()) < 14

    publish = find_run(published.merge(pull), "publish").expect("success")
    assert "nothing to publish" in publish.log
    assert published.tags() == ["model@v1.0.0"] and len(published.releases()) == 1
    assert published.bare.resolve("main") == pull.merge_commit


def test_new_rows_travel_with_the_push_and_keep_the_test_rows_in_the_test(published: Repository, clone: Clone) -> None:
    desk = clone(published)
    desk.run("mlops", "setup")
    rows = add_rows(desk, 300)
    desk.run("git", "switch", "--quiet", "--create", "more-data")
    desk.commit("More customers")
    objects = published.bare.resolve("refs/dvc/store")
    desk.run("git", "push", "--quiet", "origin", "more-data")
    assert published.bare.resolve("refs/dvc/store") != objects, "the pre-push hook sends the data first"
    pull = published.open_pull_request("more-data", "More customers")
    find_run(pull.runs, "retrain").expect("success")
    body = read_comment(pull)
    assert f"| `rows` | `{rows - 300}` | `{rows}` |" in body
    told = re.search(
        r"answered ([\d,]+) of \1 test rows\. Since the champion's test set (\d+) rows are new, 0 gone, 0 edited\.",
        body,
    )
    assert told and 0 < int(told[2]) < 300, "neither model was trained on a new test row: they decide too"
    assert "shift is the share of rows" in body and "**Params** unchanged" in body
    assert "up to date" not in body, "every stage ran"

    published.merge(pull)
    assert published.tags() == ["model@v1.0.0", "model@v1.0.1"], "new data alone is a patch"
    theirs, ours = (read_test_rows(desk, version) for version in ("model@v1.0.0", "model@v1.0.1"))
    assert theirs < ours, "what was a test row still is"


def read_test_rows(desk: Desk, version: str) -> set[str]:
    """The rows that a version was tested on, as text."""
    desk.run("git", "fetch", "--quiet", "--tags")
    desk.run("git", "checkout", "--quiet", "--force", version)
    desk.run("mlops", "pull")
    read = "import pandas; print(pandas.read_parquet('data/prepared/test.parquet').to_csv(index=False))"
    return set(desk.run("python", "-c", read).splitlines())


def test_a_model_that_fails_the_gate_is_red_blocked_and_unpublished_even_by_force(
    published: Repository, clone: Clone
) -> None:
    desk = clone(published)
    desk.replace("params.yaml", "estimator: logistic", "estimator: sklearn.dummy.DummyClassifier")
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


def test_a_fork_brings_its_data_from_its_own_store_and_gets_a_comment(published: Repository, clone: Clone) -> None:
    fork = published.fork("contributor")
    desk = clone(fork, "contributor")
    desk.run("git", "remote", "add", "upstream", published.url)
    rows = add_rows(desk, 200)
    desk.run("mlops", "push")
    store = published.bare.resolve("refs/dvc/store")
    pull = desk.propose("mine", "My customers", to=published)
    retrain = find_run(pull.runs, "retrain").expect("success")
    assert retrain.current_permissions().get("contents") != "write"
    body = read_comment(pull)
    assert f"| `rows` | `{rows - 200}` | `{rows}` |" in body
    assert published.bare.resolve("refs/dvc/store") == store, "nothing of a fork reaches the store before the merge"
    assert not [ref for ref in published.bare.refs("refs/heads/") if ref.rpartition("/")[2] == "mine"]
