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
    if report.contradicted:
        lines.append(
            f"{report.contradicted:,} predictions have truths that contradict each other; the first one counts."
        )
    lines += [f"Not read: {sentence}." for sentence in report.unread]
    return "\n".join(lines).rstrip() + "\n"


def _rows(traffic: Sequence[Traffic]) -> Iterator[list[str]]:
    yield ["", *(f"{role.role} {role.version}" for role in traffic)]
    yield ["requests", *(f"{role.requests:,}" for role in traffic)]
    yield ["errors", *(f"{role.errors:,} ({100 * role.error_rate:.2f} %)" for role in traffic)]
    yield ["  bounds", *(f"{100 * role.error_low:.2f} to {100 * role.error_high:.2f} %" for role in traffic)]
    yield ["latency, ms: p50, p95, p99", *(_latencies(role) for role in traffic)]
    yield ["truths", *(f"{role.truths:,}" for role in traffic)]
    names = list(dict.fromkeys(answer.name for role in traffic for answer in role.answers))
    for name in names[:MOST_ANSWERS]:
        shares = [
            next((f"{answer.value:.4g}" for answer in role.answers if answer.name == name), "0") for role in traffic
        ]
        yield [f"answered {name}", *shares]


def _latencies(traffic: Traffic) -> str:
    values = (traffic.latency_p50, traffic.latency_p95, traffic.latency_p99)
    return ", ".join("–" if value is None else f"{value:.3g}" for value in values)


def _metrics(role: str, metrics: Sequence[Judged]) -> Iterator[list[str]]:
    yield ["", "champion", role, "gain", "bounds", "margin", "verdict"]
    for metric in metrics:
        numbers = [
            f"{metric.champion:.4g}",
            f"{metric.canary:.4g}",
            f"{metric.gain:+.4g}",
            f"{metric.low:+.4g} to {metric.high:+.4g}",
        ]
        yield [
            metric.name if metric.greater_is_better else f"{metric.name} ↓",
            *numbers,
            f"{metric.margin:g}",
            metric.verdict,
        ]


def _align(rows: Iterator[list[str]]) -> Iterator[str]:
    """Yield each row as a line, the columns under each other."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        yield "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M %Z}"
