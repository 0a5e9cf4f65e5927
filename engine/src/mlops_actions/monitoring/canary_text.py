"""The canary report as text for a terminal."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from .canary_report import CanaryReport
from .live_metrics import Judged
from .traffic import Traffic

SAID = {"promote": "Promote", "watch": "Keep watching", "stop": "Stop"}
MOST_ANSWERS = 10  # classes that are shown


def render(report: CanaryReport) -> str:
    """Return the report as plain text, the advice first."""
    champion = f"champion {report.champion}" if report.champion else "the champion"
    until = f" to {_moment(report.until)}" if report.until else ""
    lines = [
        f"{SAID[report.advice]} {report.version}: {report.reason}.",
        "",
        f"{report.role.capitalize()} {report.version} against {champion}, {_moment(report.since)}{until}",
    ]
    if report.traffic:
        lines += ["", *_align(_rows(report.traffic))]
    if shadow := report.agreement:
        lines += [
            "",
            f"Shadow {shadow.version} and champion on the same {shadow.rows:,} rows: {100 * shadow.equal:.2f} % equal, "
            f"largest gap {shadow.largest_gap:.4g}",
        ]
    judged = [metric for metric in report.metrics if metric.why is None]
    if judged:
        level = ", ".join(dict.fromkeys(f"{100 * metric.confidence:.4g} %" for metric in judged))
        lines += ["", *_align(_metrics(report.role, judged)), f"The bounds ({level}) hold however often one looks."]
    lines += ["", *(f"{metric.name}: {metric.why}." for metric in report.metrics if metric.why)]
    if report.unusable:
        lines.append(f"{report.unusable:,} truths do not count: no number, or no class that either version knows.")
    return "\n".join(lines).rstrip() + "\n"


def _rows(traffic: Sequence[Traffic]) -> Iterator[list[str]]:
    yield ["", *(f"{one.role} {one.version}" for one in traffic)]
    yield ["requests", *(f"{one.requests:,}" for one in traffic)]
    yield ["errors", *(f"{one.errors:,} ({100 * one.error_rate:.2f} %)" for one in traffic)]
    yield ["  bounds", *(f"{100 * one.error_low:.2f} to {100 * one.error_high:.2f} %" for one in traffic)]
    yield ["latency, ms: p50, p95, p99", *(_latencies(one) for one in traffic)]
    yield ["truths", *(f"{one.truths:,}" for one in traffic)]
    names = list(dict.fromkeys(answer.name for one in traffic for answer in one.answers))
    for name in names[:MOST_ANSWERS]:
        said = [next((f"{answer.value:.4g}" for answer in one.answers if answer.name == name), "0") for one in traffic]
        yield [f"answered {name}", *said]


def _latencies(one: Traffic) -> str:
    values = (one.latency_p50, one.latency_p95, one.latency_p99)
    return ", ".join("–" if value is None else f"{value:.3g}" for value in values)


def _metrics(role: str, metrics: Sequence[Judged]) -> Iterator[list[str]]:
    yield ["", "champion", role, "gain", "bounds", "margin", "verdict"]
    for one in metrics:
        numbers = [f"{one.champion:.4g}", f"{one.canary:.4g}", f"{one.gain:+.4g}", f"{one.low:+.4g} to {one.high:+.4g}"]
        yield [one.name if one.greater_is_better else f"{one.name} ↓", *numbers, f"{one.margin:g}", one.verdict]


def _align(rows: Iterator[list[str]]) -> Iterator[str]:
    """Yield each row as a line, the columns under each other."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        yield "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M %Z}"
