"""`mlops compare`: measure both models, let the gate rule, write the report."""

import os
from pathlib import Path

from .. import github
from ..config import Config, load_config
from ..errors import UserError
from ..outputs import BUNDLE, locked
from ..pipeline.stages import outdated_stages
from .champion import Champion, find_champion
from .changes import data_changes, params_changes, stages_run
from .gate import rule
from .report import FORMAT, Comparison, Report, render


def compare(against: str | None = None, directory: Path | None = None) -> bool:
    """Print the report of this tree's model against the champion and return whether the gate passes it.

    With `directory`, report.json (what the comment is made from) and report.md (uncut) are written there.

    Raises:
        UserError: the model here is out of date, or an object is in no store.
    """
    config = load_config()
    if outdated := sorted(stage.addressing for stage in outdated_stages()):
        raise UserError(f"{', '.join(outdated)} did not run since something changed: run `mlops train` first.")
    report = judge(config, find_champion(against))
    text = render(report, run_url=github.run_url(), commit=os.environ.get("GITHUB_SHA"), limit=None)
    print(text)
    if directory:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "report.json").write_text(report.to_json(), encoding="utf-8")
        (directory / "report.md").write_text(text, encoding="utf-8")
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        Path(summary).write_text(text, encoding="utf-8")
    return report.passed


def judge(config: Config, champion: Champion | None) -> Report:
    """Return what a reviewer is shown of this tree's model; a model that is the champion's own needs no measuring."""
    commit = champion.commit if champion else None
    unchanged = commit is not None and locked(BUNDLE) == locked(BUNDLE, commit)
    comparison = Comparison([], 0)
    if not unchanged:
        from .compare import compare_models  # pandas and more, which a docs-only pull request need not wait for

        comparison = compare_models(config, champion)
    rulings = [] if unchanged else rule(comparison.metrics, config.gate)
    return Report(
        format=FORMAT,
        passed=all(ruling.passed for ruling in rulings) and not (comparison.incomparable and config.gate.compare),
        unchanged=unchanged,
        pull_request=github.event().get("number"),
        champion=champion.name if champion else None,
        incomparable=comparison.incomparable,
        test_rows=comparison.test_rows,
        primary=config.gate.primary,
        metrics=comparison.metrics,
        rulings=rulings,
        params=params_changes(commit),
        data=data_changes(commit),
        stages=stages_run(),
    )
