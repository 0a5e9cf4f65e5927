"""The report as Markdown: the comment, the run's summary.

Every string that came from the report goes through `code`, into a code span, where it cannot mention people, link, or
become HTML. Only the standard library is imported: the job that comments installs no third-party package.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from .report import (
    PLOTS,
    Baseline,
    Confusion,
    Cost,
    CostName,
    EngineVersion,
    MetricChange,
    NoteKind,
    Plot,
    Report,
    Ruling,
    Slice,
    ValueChange,
)

COMMENT_LIMIT = 65_536  # characters, GitHub's limit for one comment
CELL_LIMIT = 120
SAME = 5e-6  # a difference below it is float32's
SHORT_TABLE = 6  # rows that are read at a glance; more are folded
SHORT_LIST = 3
WORST_SLICES = 5
MANY = 20
ROW_LIMITS = (50, 20, 5, 0)  # rows that a table keeps, tried in turn until the comment is short enough
PICTURE_WIDTH = 400  # CSS pixels: two beside each other on a desk, one on a phone
MERMAID_POINTS = 11
WIDEST = 1e15  # of an axis in text: there is no room for more digits
SHARES = ("roc", "precision_recall", "calibration")  # plots whose axes go from 0 to 1

MARKS = {True: "✅", False: "❌"}
# What is said of the names, and of the `rival`: the champion, or what stands in for it.
NOTES: dict[NoteKind, Callable[[str, str], str]] = {
    "own_rows": lambda why, rival: f"The {rival} cannot read these rows ({why}): it was given its own copy of them.",
    "absent_classes": lambda names, _: f"No row that decides has the class {names}.",
    "new_classes": lambda names, rival: f"New since the {rival}, which never answers with it: the class {names}.",
    "gone_classes": lambda names, rival: f"The {rival} may answer with a class that is gone: {names}.",
    "constant": lambda names, _: f"The same answer to every row is given by the {names}.",
    "same_model": lambda commit, _: f"Commit {commit} records this very model: nothing was compared.",
    "not_fetched": lambda why, _: f"The model that was recorded before is not here, and was not compared: {why}.",
}
# What the name of the rival stands for, where it is no champion.
RIVALS: dict[Baseline, Callable[[str], str]] = {
    "champion": lambda name: name,
    "named": lambda name: name,
    "head": lambda name: f"the last commit, {name} (nothing is released yet)",
    "base": lambda name: f"the commit before, {name} (nothing is released yet)",
}
# Whether the engine's wheel is a release of the template, as the run of the change says it.
RELEASES = {
    "same": "The run compared it with the template's release:",
    "different": "❌ **It is not the template's release:**",
    "unknown": "⚠️ **Whether it is a release of the template is not known:**",
}
COSTS: dict[CostName, tuple[str, str]] = {
    "model_mb": ("size", "MB"),
    "latency_ms": ("one row answered", "ms"),
    "training_seconds": ("training", "s"),
}
PLOT_TITLES = {
    "interval": "Change against the margin",
    "roc": "ROC",
    "precision_recall": "Precision and recall",
    "calibration": "Calibration",
    "confusion": "Confusion",
    "predicted_actual": "Predicted and actual",
    "residuals": "Residuals",
}
AXES = {
    "roc": ("false positive rate", "true positive rate"),
    "precision_recall": ("recall", "precision"),
    "calibration": ("predicted", "observed"),
    "predicted_actual": ("actual", "predicted"),
    "residuals": ("predicted", "residual"),
}


def render(
    report: Report,
    *,
    run_url: str | None,
    commit: str | None,
    pictures: Mapping[str, str] | None = None,
    limit: int | None = COMMENT_LIMIT,
) -> str:
    """Return the report as Markdown of at most `limit` characters, or uncut: long tables are cut, and say so.

    `pictures` has the address of each picture that can be shown, by its name such as `roc-light`; where it is None,
    tables and Mermaid stand in.
    """
    whole = _render(report, run_url, commit, pictures, None)
    if limit is None or len(whole) <= limit:
        return whole
    cut = (_render(report, run_url, commit, pictures, rows) for rows in ROW_LIMITS)
    return next(text for text in cut if len(text) <= limit)


def headline(report: Report) -> str:
    """Return the verdict and its reason in one line."""
    if report.unchanged:
        return f"➖ {_unchanged(report)}"
    decisive = next((ruling for ruling in report.rulings if ruling.rule == "champion"), None)
    failed = _failures(report, [ruling for ruling in report.rulings if not ruling.passed and ruling is not decisive])
    more = [f"and {len(failed) - SHORT_LIST} more"] if len(failed) > SHORT_LIST else []
    reasons = "; ".join(failed[:SHORT_LIST] + more)
    if decisive and decisive.verdict != "undefined":
        return _compared(report, decisive, reasons)
    if not report.passed:
        undefined = [f"{code(decisive.subject)} is undefined on these test rows"] if decisive else []
        return "❌ Fails: " + ("; ".join([*undefined, *filter(None, [reasons])]) or "the gate gave no reason")
    if report.champion is None:
        return f"✅ Passes: nothing is released yet to compare it with, and {_thresholds(report)}"
    if report.incomparable:
        return f"✅ Passes on thresholds alone: the {report.rival} could not be run on these test rows"
    return f"✅ Passes: {_thresholds(report)}; not held against the {report.rival}"


def _thresholds(report: Report) -> str:
    there = any(ruling.rule == "threshold" for ruling in report.rulings)
    return "every threshold is met" if there else "no threshold is set"


def rival(report: Report) -> str:
    """Return what the candidate is compared with, by its name and what that is."""
    return RIVALS[report.baseline](code(report.champion))


def _unchanged(report: Report) -> str:
    ran = any(stage.seconds is not None for stage in report.stages)
    name = code(report.champion)
    if not report.same_recipe:  # stages ran, here or before
        return f"{'Retrained; the' if ran else 'The'} model is byte for byte {name}: these changes do not reach it"
    if ran:
        return f"Retrained as {name} was: the model is the same, byte for byte"
    owner = "the champion's," if report.baseline == "champion" else "that of"
    return f"Nothing to retrain: the model is {owner} {name}, byte for byte"


def _failures(report: Report, rulings: Sequence[Ruling]) -> list[str]:
    """Return what failed, as half sentences; slices that collapsed are counted where there are more than one."""
    slices = [ruling for ruling in rulings if ruling.rule == "slice"]
    failed = [sentence(report, ruling) for ruling in rulings if ruling.rule != "slice" or len(slices) == 1]
    if len(slices) > 1:
        worst = code(slices[0].subject)
        failed.append(f"{code(report.primary)} collapses on {len(slices):,} slices, most surely where {worst}")
    if report.incomparable and not report.passed:
        failed.append(f"the {report.rival} could not be run on these test rows")
    return failed


def _compared(report: Report, ruling: Ruling, reasons: str) -> str:
    metric = next((metric for metric in report.metrics if metric.name == ruling.subject), None)
    word = (ruling.verdict or "").capitalize()
    margin = f"the margin of {short(ruling.limit)}"
    why = {
        "better": "the interval lies above zero",
        "not worse": f"the interval stays inside {margin}",
        "worse": f"the interval lies beyond {margin}",
        "undecided": f"the interval straddles {margin}"
        + (f", the estimate is {'inside' if _is_inside(metric, ruling.limit) else 'beyond'} it" if metric else ""),
    }.get(ruling.verdict or "", "")
    change = f"{code(ruling.subject)} {number(ruling.candidate)}, {_change(metric)}" if metric else code(ruling.subject)
    text = f"{change} against {rival(report)}: {why}"
    if reasons and ruling.passed:
        return f"❌ Fails: {reasons}; otherwise {word.lower()}: {text}"
    if ruling.verdict == "undecided":
        word += ", passes" if ruling.passed else ", fails"
    besides = f"; besides, {reasons}" if reasons else ""
    return f"{MARKS[ruling.passed]} {word}: {text}{besides}"


def _is_inside(metric: MetricChange, margin: float) -> bool:
    """Return whether the measured harm is at most `margin`; whether that passes is the policy's to say."""
    change = (metric.candidate or 0.0) - (metric.champion or 0.0)
    return (change if metric.greater_is_better else -change) >= -margin


def sentence(report: Report, ruling: Ruling) -> str:
    """Return what one ruling says, as half a sentence."""
    if ruling.candidate is None:
        return f"{code(ruling.subject)} is undefined on these test rows"
    if ruling.rule == "threshold":
        met = "meets" if ruling.passed else "misses"
        return f"{code(ruling.subject)} {number(ruling.candidate)} {met} the threshold {short(ruling.limit)}"
    if ruling.rule == "cost":
        return f"{code(ruling.subject)} {short(ruling.candidate)} is over the limit of {short(ruling.limit)}"
    values = f"{number(ruling.champion)} → {number(ruling.candidate)}"
    if ruling.rule == "slice":
        return f"{code(report.primary)} collapses from {values} where {code(ruling.subject)}"
    return f"{code(ruling.subject)} {values} is {ruling.verdict} beyond its margin of {short(ruling.limit)}"


def _render(
    report: Report, run_url: str | None, commit: str | None, pictures: Mapping[str, str] | None, rows: int | None
) -> str:
    parts = [f"### {headline(report)}", engine_update(report), redefined_metrics(report, rows)]
    if not report.unchanged:
        parts += [_what_decided(report), _metrics(report, rows), _notes(report, rows)]
        parts.append(_drawn_in_text(report, rows) if pictures is None else _pictures(report, pictures))
        parts.append(_slices(report, rows))
    if report.champion is not None:
        parts += [_changes("Params", report, report.params, rows), _changes("Schema", report, report.schema, rows)]
        parts.append(_data(report, rows))
    parts.append(_ran(report))
    if not report.unchanged:
        parts += [_costs(report, rows), _reproduce(report)]
    parts.append(_footer(run_url, commit))
    return "\n\n".join(part for part in parts if part) + "\n"


def engine_update(report: Report) -> str:
    """Return which engine the change brings and whether the template released it; nothing where it brings none."""
    update = report.engine
    if update is None:
        return ""
    before, now = (_engine(version) for version in (update.base, update.candidate))
    return f"**This changes the engine:** {before} → {now}. {RELEASES[update.release]} {code(update.text, 400)}"


def _engine(version: EngineVersion | None) -> str:
    if version is None:
        return "none"
    digest = f"SHA-256 {code(version.sha256)}" if version.sha256 else "no digest"
    return f"{code(version.version)} ({code(version.place)}, {digest})"


def redefined_metrics(report: Report, rows: int | None) -> str:
    """Return what the champion has by its own metrics.py and by this one; nothing where they are the same file."""
    if report.redefined is None:
        return ""
    text = (
        f"**This changes `metrics.py`**, by which both are judged. By its own and by this one the {report.rival} has:"
    )
    values = [
        f"{code(metric.name)} {number(metric.before)} and {number(metric.now)}" for metric in report.redefined[:rows]
    ]
    more = len(report.redefined) - len(values)
    return f"{text} {'; '.join([*values, *([f'and {more} more'] if more else [])]) or 'no metric'}."


def _what_decided(report: Report) -> str:
    rows = report.rows
    if report.incomparable:
        return f"The {report.rival} was not compared: {code(report.incomparable, 600)}"
    if report.champion is None:
        return f"On {rows.test:,} test rows."
    if rows.decided == rows.test and not (rows.new or rows.gone or rows.edited):
        text = f"Both answered the same {rows.decided:,} test rows."
    else:
        trained = f"; {rows.trained:,} do not decide, because the {report.rival} was trained on them"
        text = (
            f"Both answered {rows.decided:,} of {rows.test:,} test rows. Since the {report.rival}'s test set "
            f"{rows.new:,} rows are new, {rows.gone:,} gone, {rows.edited:,} edited{trained if rows.trained else ''}."
        )
    if report.detectable is not None:
        text += f" They can show a change of {short(report.detectable)} or more in {code(report.primary)}."
    undecided = any(ruling.rule == "champion" and ruling.verdict == "undecided" for ruling in report.rulings)
    if undecided and report.false_alarms is not None and report.enough_margin is not None:
        text += (
            f" **That is too few for the margin of {short(report.margin)}:** it would block {report.false_alarms:.0%} "
            f"of models as good as the {report.rival}; a margin of {short(report.enough_margin)} would block 5%."
        )
    return text


def _metrics(report: Report, rows: int | None) -> str:
    theirs = f"{report.rival} {code(report.champion) if report.champion else 'none'}"
    lines = [
        [
            (f"**{code(metric.name)}**" if metric.name == report.primary else code(metric.name)) + arrow(metric),
            number(metric.champion),
            number(metric.candidate),
            _change(metric),
            "; ".join(_ruled(ruling) for ruling in report.rulings[:MANY] if ruling.subject == metric.name),
        ]
        for metric in sorted(report.metrics, key=lambda metric: metric.name != report.primary)
    ]
    return _table(["metric", theirs, "candidate", f"change ({report.confidence:.0%})", "ruling"], lines, rows)


def arrow(metric: MetricChange) -> str:
    """Return the mark of a metric of which less is better."""
    return "" if metric.greater_is_better else " ↓"


def _ruled(ruling: Ruling) -> str:
    if ruling.rule == "threshold":
        return "threshold met" if ruling.passed else f"**misses {short(ruling.limit)}**"
    return f"{ruling.verdict}" if ruling.passed else f"**{ruling.verdict}**"


def _change(metric: MetricChange | Slice) -> str:
    if metric.champion is None or metric.candidate is None:
        return ""
    change = metric.candidate - metric.champion
    text = "same" if abs(change) < SAME else signed(change)
    if metric.low is None or metric.high is None:
        return text
    return f"{text} [{signed(metric.low)}, {signed(metric.high)}]"


def _notes(report: Report, rows: int | None) -> str:
    notes = report.notes[:MANY][:rows]
    return "\n".join(f"- {NOTES[note.kind](_names(note.names), report.rival)}" for note in notes)


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
    return ", ".join(code(name, 300) for name in names[:MANY]) + more


def _pictures(report: Report, pictures: Mapping[str, str]) -> str:
    shown = [picture(name, report, pictures) for name in PLOT_TITLES if f"{name}-light" in pictures]
    first, rest = shown[:2], shown[2:]
    folded = _folded("More pictures", "\n".join(rest)) if rest else ""
    return "\n\n".join(part for part in ("\n".join(first), folded) if part)


def picture(name: str, report: Report, pictures: Mapping[str, str]) -> str:
    """Return the HTML of one picture, which follows the reader's light or dark theme."""
    light = pictures[f"{name}-light"]
    dark = pictures.get(f"{name}-dark", light)
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" width="{PICTURE_WIDTH}" alt="{describe(name, report)}"></picture>'
    )


def describe(name: str, report: Report) -> str:
    """Return what a picture shows, for those who do not see it; no word of it is the report's own."""
    metrics = {metric.name: metric for metric in report.metrics}
    title = PLOT_TITLES[name]
    numbers = {"roc": "roc_auc", "precision_recall": "average_precision", "calibration": "brier_score"}
    metric = metrics.get(
        numbers.get(name, {"predicted_actual": "r2", "residuals": "rmse", "confusion": "accuracy"}.get(name, ""))
    )
    if metric is None:
        return f"{title}: the table has the numbers"
    theirs = f"{report.rival} {number(metric.champion)}, " if metric.champion is not None else ""
    return f"{title}: {metric.name.replace('_', ' ')} of {theirs}candidate {number(metric.candidate)}"


def _drawn_in_text(report: Report, rows: int | None) -> str:
    """Return what stands in for pictures where none can be shown: Mermaid charts, and the confusion as tables."""
    if rows == 0:
        return ""
    charts = [_mermaid(report, plot) for name in PLOTS for plot in report.plots[:MANY] if plot.name == name]
    parts = [*filter(None, charts), _confusion(report, report.confusion, rows) if report.confusion else ""]
    text = "\n\n".join(part for part in parts if part)
    return _folded("Charts", text) if text else ""


def _mermaid(report: Report, plot: Plot) -> str:
    """Return a plot as a Mermaid chart: the first curve of each model, its mean in equal steps along x."""
    curves = [
        next((curve for curve in plot.curves if curve.model == model), None) for model in ("champion", "candidate")
    ]
    drawn = [curve for curve in curves if curve and curve.x and len(curve.x) == len(curve.y)]
    if not drawn:
        return ""
    across, up = AXES[plot.name]
    shares = plot.name in SHARES
    low, high = (0.0, 1.0) if shares else (min(min(curve.x) for curve in drawn), max(max(curve.x) for curve in drawn))
    if not 0 < high - low < WIDEST:
        return ""
    lines = [_steps(curve.x, curve.y, low, high) for curve in drawn]
    bottom, top = (0.0, 1.0) if shares else (min(map(min, lines)), max(map(max, lines)))
    if not 0 < top - bottom < WIDEST:
        return ""
    names = " and ".join(report.shown(curve.model) for curve in drawn)
    return "\n".join(
        [
            "```mermaid",
            "xychart-beta",
            f'  title "{PLOT_TITLES[plot.name]}: {names}"',
            f'  x-axis "{across}" {_plain(low)} --> {_plain(high)}',
            f'  y-axis "{up}" {_plain(bottom)} --> {_plain(top)}',
            *(f"  line [{', '.join(map(_plain, line))}]" for line in lines),
            "```",
        ]
    )


def _plain(value: float) -> str:
    """Return four digits of a number without an exponent, which Mermaid does not read."""
    return f"{Decimal(f'{value:.4g}'):f}"


def _steps(x: Sequence[float], y: Sequence[float], low: float, high: float) -> list[float]:
    """Return the mean of `y` around each of MERMAID_POINTS places along x; an empty place takes the one before it."""
    last = MERMAID_POINTS - 1
    sums, counts = [0.0] * MERMAID_POINTS, [0] * MERMAID_POINTS
    for across, up in zip(x, y, strict=True):
        place = round(min(max((across - low) / (high - low), 0.0), 1.0) * last)
        sums[place] += up
        counts[place] += 1
    first = next(index for index, count in enumerate(counts) if count)
    means: list[float] = []
    for index in range(MERMAID_POINTS):
        means.append(
            sums[index] / counts[index] if counts[index] else means[-1] if means else sums[first] / counts[first]
        )
    return means


def _confusion(report: Report, confusion: Confusion, rows: int | None) -> str:
    classes = confusion.classes[:MANY]
    head = ["actual ↓ predicted →", *(code(name, 30) for name in classes)]
    tables = []
    for model, counts in ((report.rival, confusion.champion), ("candidate", confusion.candidate)):
        if counts:
            lines = [
                [code(name, 30), *(f"{count:,}" for count in line[:MANY])]
                for name, line in zip(classes, counts, strict=False)
            ]
            tables.append(f"Confusion, {model}:\n\n" + _table(head, lines, rows))
    return "\n\n".join(tables)


def _slices(report: Report, rows: int | None) -> str:
    judged = [part for part in report.slices if part.why is None]
    if not judged:
        return ""
    collapsed = sum(part.collapsed for part in judged)
    text = (
        f"**Slices** of {code(report.primary)}, the surest harm first: {collapsed or 'none'} of {len(judged):,} "
        f"collapsed by more than {short(report.slice_margin)}, allowing for as many looks"
    )
    head = ["slice", "rows", report.rival, "candidate", f"change ({report.confidence:.0%})", "ruling"]
    lines = [
        [
            code(part.name),
            f"{part.rows:,}",
            number(part.champion),
            number(part.candidate),
            _change(part),
            "**collapsed**" if part.collapsed else "holds",
        ]
        for part in judged[: max(WORST_SLICES, collapsed)]
    ]
    return f"{text}\n\n{_long_table(head, lines, rows, WORST_SLICES)}"


def _data(report: Report, rows: int | None) -> str:
    if not report.data and not report.shifts:
        return "**Data** unchanged"
    facts = [_change_line(change) for change in report.data]
    shifts = [
        [code(part.column), code(part.champion), code(part.candidate), f"{part.size:.1%}"] for part in report.shifts
    ]
    parts = ["**Data** changed"]
    if shifts:
        parts[0] += f"; shift is the share of rows that would have to change to look like the {report.rival}'s"
        parts.append(_long_table(["column", report.rival, "candidate", "shift"], shifts, rows))
    if facts:
        parts.append(_folded(f"{len(facts)} facts", _table(["data", report.rival, "candidate"], facts, rows)))
    return "\n\n".join(parts)


def _changes(title: str, report: Report, changes: Sequence[ValueChange], rows: int | None) -> str:
    if not changes:
        return f"**{title}** unchanged"
    lines = [_change_line(change) for change in changes]
    return f"**{title}** changed\n\n{_long_table([title.lower(), report.rival, 'candidate'], lines, rows)}"


def _change_line(change: ValueChange) -> list[str]:
    return [code(change.name), code(change.champion), code(change.candidate)]


def _ran(report: Report) -> str:
    """Return which stages ran, and for how long; nothing where none had to."""
    ran = [f"{code(stage.name)} {stage.seconds:.1f} s" for stage in report.stages[:MANY] if stage.seconds is not None]
    kept = [code(stage.name) for stage in report.stages[:MANY] if stage.seconds is None]
    if report.unchanged and report.same_recipe and not ran:
        return ""
    text = "**Retrained** " + (", ".join(ran) if ran else "nothing in this run")
    return text + (f"; up to date: {', '.join(kept)}" if kept else "")


def _costs(report: Report, rows: int | None) -> str:
    limits = {ruling.subject: ruling for ruling in report.rulings if ruling.rule == "cost"}
    lines = [_cost_line(cost, limits.get(cost.name)) for cost in report.costs[:MANY]]
    return _folded("Costs", _table(["cost", report.rival, "candidate", "limit"], lines, rows)) if lines else ""


def _cost_line(cost: Cost, limit: Ruling | None) -> list[str]:
    name, unit = COSTS[cost.name]
    amounts = [f"{short(value)} {unit}" if value is not None else "–" for value in (cost.champion, cost.candidate)]
    allowed = "none" if limit is None else short(limit.limit) if limit.passed else f"**over {short(limit.limit)}**"
    return [name, *amounts, allowed]


def _reproduce(report: Report) -> str:
    number = report.pull_request
    checkout = f"git fetch origin pull/{number}/head && git checkout FETCH_HEAD\n" if number else ""
    method = f"\n\nIntervals: {code(report.method)}." if report.method else ""
    return _folded(
        "Reproduce it on a laptop",
        f"```sh\n{checkout}make setup train compare\n```{method}",
    )


def _footer(run_url: str | None, commit: str | None) -> str:
    parts = [
        f"[The run, its log and the full report]({run_url})" if run_url else "",
        commit and f"commit {commit[:10]}",
    ]
    return " · ".join(part for part in parts if part)


def _folded(summary: str, text: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def _long_table(head: Sequence[str], lines: Sequence[Sequence[str]], rows: int | None, shown: int = SHORT_TABLE) -> str:
    """Return a table of the first lines, and the others folded."""
    first = _table(head, lines[:shown], rows)
    if len(lines) <= shown:
        return first
    return first + "\n\n" + _folded(f"{len(lines) - shown} more", _table(head, lines[shown:], rows))


def _table(head: Sequence[str], lines: Sequence[Sequence[str]], rows: int | None) -> str:
    text = [head, ["---"] * len(head), *lines[:rows]]
    kept = len(text) - 2
    cut = f"\n\n… and {len(lines) - kept} more in the full report" if kept < len(lines) else ""
    return "\n".join("| " + " | ".join(line) + " |" for line in text) + cut


def number(value: float | None) -> str:
    """Return a metric's value as people read it: four decimals, fewer where it is large, four digits where tiny."""
    if value is None:
        return "–"
    if value and not 5e-5 <= abs(value) < WIDEST:
        return f"{value:.4g}"
    whole = len(str(int(abs(value))))
    return f"{value:,.{max(0, 5 - whole)}f}"


def short(value: float | None) -> str:
    """Return a setting's or a cost's value in three digits, or all before the point."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1e3 else f"{value:.3g}"


def signed(change: float) -> str:
    """Return a change as `number` does, with its sign."""
    return f"{'+' if change >= 0 else '−'}{number(abs(change))}"


def code(text: str | None, limit: int = CELL_LIMIT) -> str:
    """Return any text as an inert code span: nothing in it is a mention, a link, HTML or a table cell's end."""
    if text is None:
        return "–"
    plain = text[: limit + 1]
    if not plain.isprintable():
        plain = "".join(char if char.isprintable() else " " for char in plain)
    plain = " ".join(plain.replace("`", "'").replace("|", "¦").split()) or " "
    return f"`{plain[:limit]}…`" if len(text) > limit else f"`{plain}`"
