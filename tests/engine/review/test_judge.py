"""`mlops compare`: what it holds a model against, what it shows and writes, and how small a change it can tell."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from baked import bare_project
from clones import give_version, lock_bundle
from drawing import report_of
from hostile import honest_report
from mlops_actions.core import github
from mlops_actions.core.config import load_config
from mlops_actions.core.errors import UserError
from mlops_actions.review import judge
from mlops_actions.review.champion import Champion, find_champion
from mlops_actions.review.report import Report, read_report
from mlops_actions.stats.intervals import Interval

PARAMS = """\
data: {{path: rows.csv, target: churn, task: classification}}
model: {{estimator: logistic}}
gate: {{primary: roc_auc, margin: 0.01, undecided: {policy}}}
"""


@pytest.fixture(autouse=True)
def no_run(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_RUN_ID", "GITHUB_SHA", "GITHUB_EVENT_PATH"):
        monkeypatch.delenv(name, raising=False)
    github.event.cache_clear()
    yield
    github.event.cache_clear()


@pytest.fixture
def report() -> Report:
    return read_report(json.dumps(honest_report()).encode())


def test_outside_a_terminal_and_in_a_runs_summary_it_is_markdown(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    judge.show(report)
    printed = capsys.readouterr().out
    assert printed.startswith("### ❌ ") or printed.startswith("### ✅ ")
    assert (tmp_path / "summary.md").read_text() == printed.removesuffix("\n")


def test_in_a_terminal_it_is_laid_out(
    report: Report, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    judge.show(report)
    printed = capsys.readouterr().out
    assert "roc_auc" in printed and "### " not in printed and "<details>" not in printed


@pytest.mark.parametrize(
    ("error", "policy", "alarms"), [(0.02, "estimate", True), (0.001, "estimate", False), (0.02, "fail", False)]
)
def test_where_the_rows_are_too_few_for_the_margin_it_says_which_margin_would_do(
    tmp_path: Path, error: float, policy: str, alarms: bool
) -> None:
    config = load_config(bare_project(tmp_path / "shop", PARAMS.format(policy=policy)).path)
    found: dict[str, Any] = judge._resolution(Interval(0, -0.04, 0.04, error, 99, "DeLong"), config)
    assert found["method"] == "DeLong" and found["detectable"] > 2.5 * error
    assert ("enough_margin" in found) == alarms
    if alarms:
        assert found["enough_margin"] > 0.01 and found["false_alarms"] > 0.05
    assert judge._resolution(None, config) == {}


def test_what_an_earlier_run_left_is_gone(tmp_path: Path) -> None:
    drawn = report_of("two rows")
    judge.write(drawn, tmp_path)
    (tmp_path / "pictures/old-light.png").touch()
    judge.write(replace(drawn, plots=[], confusion=None, rulings=[], slices=[]), tmp_path)
    assert not (tmp_path / "pictures/old-light.png").exists()
    assert read_report((tmp_path / "report.json").read_bytes()).plots == []
    assert (tmp_path / "report.html").read_text().startswith("<!")


def test_a_name_that_is_no_version_branch_or_commit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = bare_project(tmp_path / "shop", PARAMS.format(policy="pass"))
    shop.run("git", "init", "--quiet", "--initial-branch=main")
    shop.commit("Begin")
    monkeypatch.chdir(shop.path)
    with pytest.raises(UserError, match=r"^v9 is no version, branch or commit\. No version is published yet"):
        find_champion("v9")
    with pytest.raises(UserError, match=r"^main has no trained model in its dvc\.lock: compare with"):
        find_champion("main")
    lock_bundle(shop.path, "a" * 32)
    commit = shop.commit("First")
    give_version(shop.path, "v1.0.0")
    shop.run("git", "commit", "--quiet", "--allow-empty", "--message", "Second")
    give_version(shop.path, "v1.1.0")
    assert find_champion("v1.0.0") == Champion("v1.0.0", commit, "named")
    assert find_champion() == find_champion("v1.1.0") and find_champion().kind == "champion"
