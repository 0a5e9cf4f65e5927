"""The page: the whole report as one interactive HTML file that asks nothing of the network.

Every word of the report is escaped, and a policy in the page lets only its own script run.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from html import escape
from importlib import resources

from .charts import Chart, make_charts
from .markdown import COSTS, NOTES, arrow, code, describe, engine_update, headline, number, rival, short, signed
from .report import Cost, MetricChange, Report, Ruling, Shift, Slice, Stage, ValueChange
from .svg import THEMES, Theme

SEARCHED = 8  # rows from which on a table can be searched
Cell = str | tuple[float | None, str]  # Markdown's code and bold; or a number to sort by, and how it is shown


def write_page(report: Report) -> str:
    """Return the report as HTML."""
    charts = list(make_charts(report))
    template = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    script = template.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    tips = {
        chart.name: [[round(tip.x, 1), round(tip.y, 1), tip.model, tip.text] for tip in chart.tips] for chart in charts
    }
    parts = {
        "POLICY": f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
        "LIGHT": _properties(THEMES["light"]),
        "DARK": _properties(THEMES["dark"]),
        "BODY": "\n".join(_body(report, charts)),
        "TIPS": json.dumps(tips, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c"),
    }
    return re.sub(rf"\b({'|'.join(parts)})\b", lambda found: parts[found[0]], template)


def _properties(theme: Theme) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in asdict(theme).items())


def _body(report: Report, charts: Sequence[Chart]) -> Iterator[str]:
    passed = "passed" if report.passed else "failed"
    yield f'<header class="{passed}"><h1>{markup(headline(report))}</h1>'
    yield f'<p class="quiet">{markup(" · ".join(_facts(report)))}</p></header>'
    if report.engine:
        yield f"<p>{markup(engine_update(report))}</p>"
    if report.incomparable:
        yield f"<p>{markup(f'The {report.rival} was not compared: {code(report.incomparable, 600)}')}</p>"
    notes = [NOTES[note.kind](", ".join(code(name, 300) for name in note.names), report.rival) for note in report.notes]
    if notes:
        yield f"<ul>{''.join(f'<li>{markup(note)}</li>' for note in notes)}</ul>"
    change = f"change ({report.confidence:.0%} interval)"
    primary_first = sorted(report.metrics, key=lambda metric: metric.name != report.primary)
    metrics = [_metric(metric, metric.name == report.primary) for metric in primary_first]
    sides = [report.rival, "candidate"]
    yield _table("Metrics", ["metric", *sides, change], metrics)
    rules = ["rule", "on", *sides, "limit", "verdict", "result"]
    yield _table("Rules", rules, [_ruling(report, ruling) for ruling in report.rulings])
    if charts:
        yield '<h2>Charts</h2><p class="quiet">Point at a mark for its values; pick a model in a legend.</p>'
        yield '<div class="charts">'
        for chart in charts:
            label = escape(describe(chart.name, report))
            yield f'<figure id="{chart.name}" aria-label="{label}">{chart.svg}</figure>'
        yield "</div>"
    slices = ["slice", "rows", *sides, change, "result"]
    yield _table(f"Slices, by {code(report.primary)}", slices, [_slice(part) for part in report.slices])
    yield _table("Params", ["param", *sides], _changes(report.params))
    yield _table("Schema", ["schema", *sides], _changes(report.schema))
    yield _table("Data", ["data", *sides], _changes(report.data))
    shifted = ["column", *sides, "share of rows that differ"]
    yield _table("Columns that shifted", shifted, [_shift(shift) for shift in report.shifts])
    yield _table("Costs", ["cost", *sides], [_cost(cost) for cost in report.costs])
    yield _table("Stages", ["stage", "seconds"], [_stage(stage) for stage in report.stages])


def _facts(report: Report) -> Iterator[str]:
    rows = report.rows
    mark = "" if report.baseline == "champion" else ":"
    yield f"{report.rival}{mark} {rival(report)}" if report.champion else "nothing is released yet"
    if report.pull_request:
        yield f"pull request {report.pull_request}"
    if rows.test:
        yield f"decided on {rows.decided:,} of {rows.test:,} test rows"
    if rows.new or rows.gone or rows.edited:
        yield f"since the {report.rival} {rows.new:,} rows new, {rows.gone:,} gone, {rows.edited:,} edited"
    if rows.trained:
        yield f"{rows.trained:,} do not decide, because the {report.rival} was trained on them"
    if report.detectable is not None:
        yield f"smallest change that these rows can show {short(report.detectable)}"
    if report.false_alarms is not None and report.enough_margin is not None:
        yield (
            f"**too few rows for a margin of {short(report.margin)}: it blocks {report.false_alarms:.0%} of equally "
            f"good models; {short(report.enough_margin)} would block 5%**"
        )
    if report.method:
        yield f"intervals by {code(report.method)}"


def _metric(metric: MetricChange, primary: bool) -> list[Cell]:
    return [code(metric.name) + arrow(metric) + " decides" * primary, *_values(metric), _change(metric)]


def _ruling(report: Report, ruling: Ruling) -> list[Cell]:
    values: list[Cell] = [(value, number(value)) for value in (ruling.champion, ruling.candidate, ruling.limit)]
    result = "holds" if ruling.passed else "**fails**"
    rule = report.rival if ruling.rule == "champion" else ruling.rule
    return [rule, code(ruling.subject), *values, ruling.verdict or "–", result]


def _slice(part: Slice) -> list[Cell]:
    result = "**collapsed**" if part.collapsed else code(part.why) if part.why else "holds"
    return [code(part.name), (part.rows, f"{part.rows:,}"), *_values(part), _change(part), result]


def _values(of: MetricChange | Slice) -> list[Cell]:
    return [(of.champion, number(of.champion)), (of.candidate, number(of.candidate))]


def _change(of: MetricChange | Slice) -> Cell:
    if of.champion is None or of.candidate is None:
        return None, "–"
    change = of.candidate - of.champion
    if of.low is None or of.high is None:
        return change, signed(change)
    return change, f"{signed(change)} [{signed(of.low)}, {signed(of.high)}]"


def _shift(shift: Shift) -> list[Cell]:
    return [code(shift.column), code(shift.champion), code(shift.candidate), (shift.size, f"{shift.size:.1%}")]


def _cost(cost: Cost) -> list[Cell]:
    name, unit = COSTS[cost.name]
    values: list[Cell] = [(value, short(value)) for value in (cost.champion, cost.candidate)]
    return [f"{name}, {unit}", *values]


def _stage(stage: Stage) -> list[Cell]:
    return [code(stage.name), (stage.seconds, "up to date" if stage.seconds is None else f"{stage.seconds:.1f}")]


def _changes(changes: Sequence[ValueChange]) -> list[list[Cell]]:
    return [[code(change.name), code(change.champion), code(change.candidate)] for change in changes]


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a table that sorts by any column, and that a longer one can be searched in; nothing where it is empty."""
    if not rows:
        return ""
    name = re.sub(r"\W.*", "", title).lower()
    kinds = [' class="number"' if isinstance(cell, tuple) else "" for cell in rows[0]]
    heads = [f"<th{kind}><button>{escape(text)}</button></th>" for text, kind in zip(head, kinds, strict=True)]
    lines = [f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows]
    search = (
        f'<input type="search" data-table="{name}" aria-label="Search {name}" placeholder="Search {len(rows)} rows">'
    )
    return "\n".join(
        [
            f"<h2>{markup(title)}</h2>",
            *([search] if len(rows) > SEARCHED else []),
            f'<div class="scroll"><table id="{name}"><thead><tr>{"".join(heads)}</tr></thead><tbody>',
            *lines,
            "</tbody></table></div>",
        ]
    )


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return f"<td>{markup(cell)}</td>"
    value, text = cell
    return f'<td class="number" data-value="{"" if value is None else value}">{escape(text)}</td>'


def markup(text: str) -> str:
    """Return Markdown's code spans and bold as HTML, all else escaped."""
    outside, *spans = re.split(r"`([^`]*)`", escape(text))
    pairs = zip(spans[::2], spans[1::2], strict=True)
    return _bold(outside) + "".join(f"<code>{inside}</code>{_bold(after)}" for inside, after in pairs)


def _bold(text: str) -> str:
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
