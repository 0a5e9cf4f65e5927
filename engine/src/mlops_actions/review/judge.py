"""`mlops compare`: measure both models, let the gate rule, write the report."""

import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core import github
from ..core.config import Config, load_config
from ..core.errors import UserError
from ..core.files import write_file
from ..core.paths import BUNDLE
from ..registry.outputs import locked
from ..registry.versions import refresh_tags
from ..stages.outdated import what_changed
from ..stages.workspace import require_outputs, settle_inputs
from ..stats.own_metrics import named_metrics
from .champion import Champion, find_baseline
from .changes import data_changes, params_changes, same_recipe, schema_changes, stages_run
from .engine_update import find_engine_update
from .gate import rule
from .markdown import render
from .redefined import has_other_metrics, redefined_for_same_model
from .report import FORMAT, Note, Report

if TYPE_CHECKING:
    from ..stats.intervals import Interval
    from .compare import Comparison

FALSE_ALARMS = 0.05  # the share of equally good models that a gate may block


def compare(against: str | None = None, directory: Path = Path("report")) -> bool:
    """Show the report of this tree's model against the champion and return whether the gate passes it.

    `directory` gets report.json (what the comment is made from), report.html, and the pictures.

    Raises:
        UserError: the model here is out of date, an object is in no store, or the champion cannot be known.
    """
    config = load_config()
    named_metrics(config)
    settle_inputs(config)
    if reasons := what_changed():
        raise UserError(f"{'; '.join(reasons)}: run `mlops train` first.")
    require_outputs()
    champion, notes = find_baseline(against, all_tags=refresh_tags())
    report = describe(config, champion, notes)
    if not report.unchanged:
        report = judge(report, config, champion)
    elif champion and has_other_metrics(config, champion):
        report = replace(report, redefined=redefined_for_same_model(champion))
    write(report, directory)
    show(report)
    print(f"The full report: {directory}/report.html")
    return report.passed


def show(report: Report) -> None:
    """Print the report: laid out in a terminal, as Markdown elsewhere and in the run's summary."""
    text = render(report, run_url=github.run_url(), commit=os.environ.get("GITHUB_SHA"), limit=None)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        Path(summary).write_text(text, encoding="utf-8")
    if not sys.stdout.isatty():
        print(text)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    text = render(report, run_url=None, commit=None, pictures={}, limit=None)
    Console().print(Markdown(re.sub("<details><summary>(.*)</summary>", r"**\1**", text)))


def describe(config: Config, champion: Champion | None, notes: Sequence[Note] = ()) -> Report:
    """Return what is known of this tree's model without running it: whether it changed, and what else did."""
    commit = champion.commit if champion else None
    return Report(
        format=FORMAT,
        passed=True,
        unchanged=commit is not None and locked(BUNDLE) == locked(BUNDLE, commit),
        same_recipe=commit is not None and same_recipe(commit),
        pull_request=github.event().get("number"),
        champion=champion.name if champion else None,
        baseline=champion.kind if champion else "champion",
        primary=config.gate.primary,
        margin=config.gate.margin,
        confidence=config.gate.confidence,
        engine=find_engine_update(),
        params=params_changes(commit, config),
        schema=schema_changes(commit),
        data=data_changes(commit),
        stages=stages_run(),
        notes=[*notes],
    )


def judge(report: Report, config: Config, champion: Champion | None) -> Report:
    """Return the report with both models measured and the gate's rulings."""
    from .compare import compare_models

    return apply_gate(report, config, compare_models(config, champion))


def apply_gate(report: Report, config: Config, comparison: "Comparison") -> Report:
    """Return the report with what was measured of both models, and the gate's rulings on it."""
    rulings = rule(comparison, config.gate)
    uncompared = comparison.incomparable is not None and config.gate.compare
    return replace(
        report,
        passed=all(ruling.passed for ruling in rulings) and not uncompared,
        incomparable=comparison.incomparable,
        notes=[*report.notes, *comparison.notes],
        rows=comparison.rows,
        metrics=comparison.metrics,
        rulings=rulings,
        slices=comparison.slices,
        slice_margin=config.gate.slices.margin,
        costs=comparison.costs,
        shifts=comparison.shifts,
        plots=comparison.plots,
        confusion=comparison.confusion,
        redefined=comparison.redefined,
        **_resolution(comparison.intervals.get(config.gate.primary), config),
    )


def _resolution(interval: "Interval | None", config: Config) -> dict[str, Any]:
    """Return how small a change these rows can show, and what that means for the margin where it is too small."""
    if interval is None:
        return {}
    from ..stats.intervals import chance_of_blocking_equal, enough_margin, smallest_detectable

    sure = interval.error, interval.df
    resolution = {"method": interval.method, "detectable": smallest_detectable(*sure, config.gate.confidence)}
    alarms = chance_of_blocking_equal(*sure, config.gate.margin)
    if config.gate.undecided != "estimate" or alarms <= FALSE_ALARMS:
        return resolution
    return {**resolution, "false_alarms": alarms, "enough_margin": enough_margin(*sure, FALSE_ALARMS)}


def write(report: Report, directory: Path) -> None:
    """Write report.json, the page and the pictures, and nothing else that an earlier run left there."""
    from .page import write_page
    from .plots import draw_pictures

    write_file(directory / "report.json", report.to_json().encode())
    write_file(directory / "report.html", write_page(report).encode())
    shutil.rmtree(directory / "pictures", ignore_errors=True)
    for name, picture in draw_pictures(report).items():
        write_file(directory / "pictures" / name, picture)
