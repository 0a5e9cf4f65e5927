"""The report: what a run found, as data, and the one place that turns it into Markdown.

A pull request's run writes `report.json`; the job that comments reads it back. That job trusts nothing of the pull
request, so the file carries data only: `read_report` checks every type and size, and `render` puts every string that
came from it into a code span, where it cannot mention people, link, or become HTML.

Only the standard library is imported: the job that comments installs no third-party package.
"""

import json
import math
import types
import typing
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any

from ..errors import UserError

FORMAT = 1
COMMENT_LIMIT = 65_536  # characters, GitHub's limit for one comment
CELL_LIMIT = 120
SAME = 5e-6  # a difference below it is float32's
SHORT_TABLE = 6  # rows that are read at a glance; more are folded
SHORT_LIST = 3
MANY = 20
ROW_LIMITS = (50, 20, 5, 0)  # rows that a table keeps, tried in turn until the comment is short enough


@dataclass(frozen=True)
class Metric:
    """One metric of champion and candidate on the same test rows; None where it is undefined or not compared."""

    name: str
    greater_is_better: bool
    champion: float | None
    candidate: float | None


@dataclass(frozen=True)
class Comparison:
    """Every metric of both models; `incomparable` says why the champion has none although there is one."""

    metrics: list[Metric]
    test_rows: int
    incomparable: str | None = None


@dataclass(frozen=True)
class Ruling:
    """What the gate says of one rule: an absolute `limit`, or the champion's value less a `margin`."""

    metric: str
    passed: bool
    candidate: float | None
    champion: float | None
    limit: float


@dataclass(frozen=True)
class Change:
    """One param or one fact of the data that differs; None where one side lacks it."""

    name: str
    champion: str | None
    candidate: str | None


@dataclass(frozen=True)
class Stage:
    """One pipeline stage; `seconds` is None where it was up to date and did not run."""

    name: str
    seconds: float | None


@dataclass(frozen=True)
class Report:
    """Everything that a reviewer is shown of one run."""

    format: int
    passed: bool
    unchanged: bool
    pull_request: int | None
    champion: str | None
    incomparable: str | None
    test_rows: int
    primary: str
    metrics: list[Metric]
    rulings: list[Ruling]
    params: list[Change]
    data: list[Change]
    stages: list[Stage]

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"


def read_report(text: bytes) -> Report:
    """Return the report in JSON `text`, trusting none of it.

    Raises:
        UserError: it is not a report that this version writes.
    """
    try:
        report = _typed(Report, json.loads(text))
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise UserError(f"report.json is not a report: {type(error).__name__}") from error
    if report.format != FORMAT:
        raise UserError(f"report.json has format {report.format}; this version reads format {FORMAT}")
    return report


def _typed(kind: Any, value: Any) -> Any:
    """Return `value`, parsed from JSON, as `kind`: a dataclass, a list of one, a scalar or an optional scalar."""
    if isinstance(kind, type) and is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        if not isinstance(value, dict) or set(value) != {field.name for field in fields(kind)}:
            raise TypeError(kind)
        return kind(**{name: _typed(hints[name], value[name]) for name in hints})
    if typing.get_origin(kind) is list:
        if not isinstance(value, list):
            raise TypeError(kind)
        return [_typed(typing.get_args(kind)[0], item) for item in value]
    if isinstance(kind, types.UnionType):
        return None if value is None else _typed(typing.get_args(kind)[0], value)
    if type(value) not in ((int, float) if kind is float else (kind,)):
        raise TypeError(kind)
    if kind is float and not math.isfinite(value):
        raise ValueError(value)
    return kind(value)


def render(report: Report, *, run_url: str | None, commit: str | None, limit: int | None = COMMENT_LIMIT) -> str:
    """Return the report as Markdown of at most `limit` characters, or uncut: long tables are cut, and say so."""
    whole = _render(report, run_url, commit, None)
    if limit is None or len(whole) <= limit:
        return whole
    return next(text for rows in ROW_LIMITS if len(text := _render(report, run_url, commit, rows)) <= limit)


def headline(report: Report) -> str:
    """Return the verdict and its reason in one line."""
    if report.unchanged:
        return f"➖ Nothing to retrain: the model is the champion's, {code(report.champion)}, byte for byte"
    if not report.passed:
        failed = [_sentence(report, ruling) for ruling in report.rulings if not ruling.passed]
        failed += ["the champion could not be run on these test rows"] if report.incomparable else []
        more = f"; and {len(failed) - SHORT_LIST} more" if len(failed) > SHORT_LIST else ""
        return "❌ Fails: " + "; ".join(failed[:SHORT_LIST] or ["the gate gave no reason"]) + more
    if report.champion is None:
        return "✅ Passes: the first model; there is no champion yet, and every threshold is met"
    if report.incomparable:
        return "✅ Passes on thresholds alone: the champion could not be run on these test rows"
    against = next((ruling for ruling in report.rulings if ruling.champion is not None), None)
    if against is None:
        return "✅ Passes: every threshold is met; not held against the champion"
    return "✅ Passes: " + _sentence(report, against)


def _sentence(report: Report, ruling: Ruling) -> str:
    """Return what one ruling says, as half a sentence."""
    measured = f"{code(ruling.metric)} {number(ruling.candidate)}"
    if ruling.candidate is None:
        return f"{code(ruling.metric)} is undefined on these test rows"
    if ruling.champion is None:
        return f"{measured} {'meets' if ruling.passed else 'misses'} the threshold {number(ruling.limit)}"
    greater = any(metric.greater_is_better for metric in report.metrics if metric.name == ruling.metric)
    gain = ruling.candidate - ruling.champion if greater else ruling.champion - ruling.candidate
    champion = f"the champion's {number(ruling.champion)}"
    if abs(gain) < SAME:
        return f"{measured}, the same as {champion}"
    if gain > 0:
        return f"{measured}, better than {champion} by {number(gain)}"
    margin = f"{'within' if ruling.passed else 'beyond'} the margin {number(ruling.limit)}"
    return f"{measured}, worse than {champion} by {number(-gain)}, {margin}"


def _render(report: Report, run_url: str | None, commit: str | None, rows: int | None) -> str:
    parts = [f"### {headline(report)}"]
    if not report.unchanged:
        parts.append(_metrics(report, rows))
    if report.incomparable:
        parts.append(f"The champion was not compared: {code(report.incomparable, 600)}")
    parts += [_changes("Params", report.params, rows), _changes("Data", report.data, rows)]
    if not report.unchanged:
        parts.append(_stages(report.stages))
        parts.append(_reproduce(report.pull_request))
    parts.append(_footer(run_url, commit))
    return "\n\n".join(part for part in parts if part) + "\n"


def _metrics(report: Report, rows: int | None) -> str:
    champion = code(report.champion) if report.champion else "none"
    lines = [
        [
            f"**{code(metric.name)}**" if metric.name == report.primary else code(metric.name),
            number(metric.champion),
            number(metric.candidate),
            _change(metric),
            _verdict(report, metric.name),
        ]
        for metric in sorted(report.metrics, key=lambda metric: metric.name != report.primary)
    ]
    head = ["metric", f"champion {champion}", "candidate", "change", "gate"]
    return f"On {report.test_rows:,} test rows, the same for both:\n\n" + _table(head, lines, rows)


def _verdict(report: Report, metric: str) -> str:
    ruled = [ruling.passed for ruling in report.rulings if ruling.metric == metric]
    return "" if not ruled else "passes" if all(ruled) else "**fails**"


def _change(metric: Metric) -> str:
    if metric.champion is None or metric.candidate is None:
        return ""
    change = metric.candidate - metric.champion
    if abs(change) < SAME:
        return "same"
    return f"{signed(change)} {'better' if (change > 0) == metric.greater_is_better else 'worse'}"


def _changes(title: str, changes: Sequence[Change], rows: int | None) -> str:
    if not changes:
        return f"**{title}** unchanged"
    lines = [[code(change.name), code(change.champion), code(change.candidate)] for change in changes]
    first = _table([title.lower(), "champion", "candidate"], lines[:SHORT_TABLE], rows)
    if len(lines) <= SHORT_TABLE:
        return f"**{title}** changed\n\n{first}"
    more = _table([title.lower(), "champion", "candidate"], lines[SHORT_TABLE:], rows)
    summary = f"{len(lines) - SHORT_TABLE} more"
    return f"**{title}** changed\n\n{first}\n\n<details><summary>{summary}</summary>\n\n{more}\n\n</details>"


def _stages(stages: Sequence[Stage]) -> str:
    ran = [f"{code(stage.name)} {stage.seconds:.1f} s" for stage in stages[:MANY] if stage.seconds is not None]
    kept = [code(stage.name) for stage in stages[:MANY] if stage.seconds is None]
    text = "**Retrained** " + (", ".join(ran) if ran else "nothing in this run")
    return text + (f"; up to date: {', '.join(kept)}" if kept else "")


def _reproduce(pull_request: int | None) -> str:
    checkout = f"git fetch origin pull/{pull_request}/head && git checkout FETCH_HEAD\n" if pull_request else ""
    return (
        "<details><summary>Reproduce it on a laptop</summary>\n\n"
        f"```sh\n{checkout}make setup train compare\n```\n\n</details>"
    )


def _footer(run_url: str | None, commit: str | None) -> str:
    parts = [
        f"[The run, its log and the full report]({run_url})" if run_url else "",
        commit and f"commit {commit[:10]}",
    ]
    return " · ".join(part for part in parts if part)


def _table(head: Sequence[str], lines: Sequence[Sequence[str]], rows: int | None) -> str:
    text = [head, ["---"] * len(head), *lines[:rows]]
    kept = len(text) - 2
    cut = f"\n\n… and {len(lines) - kept} more in the full report" if kept < len(lines) else ""
    return "\n".join("| " + " | ".join(line) + " |" for line in text) + cut


def number(value: float | None) -> str:
    """Return a metric's value as people read it: four decimals, or four digits where it is large or tiny."""
    if value is None:
        return "–"
    return f"{value:.4f}" if 5e-5 <= abs(value) < 1e3 or value == 0 else f"{value:.4g}"


def signed(change: float) -> str:
    """Return a change as `number` does, with its sign."""
    return f"{'+' if change >= 0 else '−'}{number(abs(change))}"


def code(text: str | None, limit: int = CELL_LIMIT) -> str:
    """Return any text as an inert code span: nothing in it is a mention, a link, HTML or a table cell's end."""
    if text is None:
        return "–"
    plain = "".join(char if char.isprintable() else " " for char in text[: limit + 1])
    plain = " ".join(plain.replace("`", "'").replace("|", "¦").split()) or " "
    return f"`{plain[:limit]}…`" if len(text) > limit else f"`{plain}`"
