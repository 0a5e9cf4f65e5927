"""The charts: a report's plots as SVG, for the pictures of the comment and for the page.

Everything is drawn from the report alone. A chart is as wide as a phone; champion and candidate differ in dash, shape
and lightness besides hue. Their marks are of the classes `champion` and `candidate`, by which the page picks one out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

from .markdown import AXES, PLOT_TITLES, SHARES, number, signed
from .report import Confusion, Curve, MetricChange, Model, Plot, Report, Slice
from .svg import FONT, SIZE, Axis, element, group, line, measure, path, span, words

WIDTH, HEIGHT = 420, 290  # CSS pixels
EDGE = 10
TOP = 64  # below the title and the legend
LONGEST = 33  # characters of a name that the data gave
WORST = 6  # slices among the intervals
MOST = 16  # intervals
ROW = 44  # CSS pixels of one interval
FARTHEST = 4.0  # margins from zero that the intervals show; what lies beyond is an arrow
BESIDE = 3  # classes of two matrices that fit beside each other
DASHES: dict[Model, str] = {"champion": "6 4", "candidate": "none"}
POINTS: dict[Model, str] = {"champion": "m-3,0a3,3 0 1 0 6,0a3,3 0 1 0 -6,0", "candidate": "m-2.5,-2.5l5,5m0,-5l-5,5"}
Place = tuple[float, float]
TITLES = {**PLOT_TITLES, "confusion": "Confusion: rows, and share of the actual class"}


@dataclass(frozen=True)
class Tip:
    """What a mark says when it is pointed at; `model` is empty where it is of no model alone."""

    x: float
    y: float
    model: str
    text: str


@dataclass(frozen=True)
class Chart:
    """A picture in colours yet to be set, and what its marks say."""

    name: str
    svg: str
    tips: list[Tip]


@dataclass(frozen=True)
class ScaledInterval:
    """The gain of one metric or slice in units of its margin, so that all share one axis and its limit, −1.

    A margin of zero is no unit: such a gain is in units of its interval's far end, and its limit is 0.
    """

    name: str
    kind: str
    gain: float
    low: float
    high: float
    limit: float
    change: str
    failed: bool


def make_charts(report: Report) -> Iterator[Chart]:
    """Return each chart that the report has data for."""
    if intervals := list(find_intervals(report))[:MOST]:
        yield _intervals(intervals)
    for plot in report.plots:
        yield _curves(report, plot)
    if report.confusion:
        yield _matrices(report, report.confusion)


def find_intervals(report: Report) -> Iterator[ScaledInterval]:
    """Return the primary metric, the guards and the first, worst slices, as far as they have an interval."""
    metrics = {metric.name: metric for metric in report.metrics}
    for rule in ("champion", "guard"):
        for ruling in report.rulings:
            if ruling.rule == rule and (metric := metrics.get(ruling.subject)):
                greater = metric.greater_is_better
                yield from _interval(metric.name, rule, metric, greater, ruling.limit, not ruling.passed)
    if report.slice_margin is None or report.primary not in metrics:
        return
    greater = metrics[report.primary].greater_is_better
    judged = [part for part in report.slices if part.why is None]
    for part in judged[:WORST]:
        yield from _interval(part.name, "slice", part, greater, report.slice_margin, part.collapsed)


def _interval(
    name: str, kind: str, of: MetricChange | Slice, greater: bool, margin: float, failed: bool
) -> Iterator[ScaledInterval]:
    if of.champion is None or of.candidate is None or of.low is None or of.high is None:
        return
    change = of.candidate - of.champion
    label = f"{signed(change)}  [{signed(of.low)}, {signed(of.high)}]"
    unit = margin or max(abs(of.low), abs(of.high)) or 1.0
    low, gain, high = (value / unit for value in (of.low, change, of.high))
    if not greater:
        low, gain, high = -high, -gain, -low
    yield ScaledInterval(name, kind, gain, low, high, -1.0 if margin else 0.0, label, failed)


def _intervals(intervals: list[ScaledInterval]) -> Chart:
    """Return each interval below its name and numbers, coloured and shaped by whether it fails."""
    left = max(-FARTHEST, min(-1.5, *(interval.low * 1.05 for interval in intervals)))
    right = min(FARTHEST, max(0.5, *(interval.high * 1.05 for interval in intervals)))
    across = Axis(left, right, EDGE, WIDTH - EDGE)
    bottom = 34 + ROW * len(intervals)
    drawn = [_axis_below(across, bottom, "← worse\u2003·\u2003gain in margins, limit −1\u2003·\u2003better →")]
    tips = []
    for row, interval in enumerate(intervals):
        top = 34 + ROW * row
        y = top + 31
        colour = "var(--failed)" if interval.failed else "var(--candidate)"
        ends = [across.at(min(max(end, left), right)) for end in (interval.low, interval.high)]
        name = shorten(interval.name)
        drawn += [
            line(across.at(0), y - 10, across.at(0), y + 10, "var(--quiet)", stroke_width=2),
            line(across.at(interval.limit), y - 10, across.at(interval.limit), y + 10, "var(--failed)", stroke_width=2),
            line(ends[0], y, ends[1], y, colour, stroke_width=3),
            words(name, EDGE, top + 15, font_weight="normal" if interval.kind == "slice" else "bold"),
            words(interval.change, WIDTH - EDGE, top + 15, "var(--quiet)", text_anchor="end"),
        ]
        if left <= interval.gain <= right:
            drawn.append(
                _cross(across.at(interval.gain), y, colour)
                if interval.failed
                else _circle(across.at(interval.gain), y, colour)
            )
        drawn += [_arrow(EDGE, y, -9, colour)] if interval.low < left else []
        drawn += [_arrow(WIDTH - EDGE, y, 9, colour)] if interval.high > right else []
        tip = f"{name}\nchange {interval.change}\n{'fails' if interval.failed else 'holds'}"
        tips += [Tip(x, y, "", tip) for x in (*ends, across.at(min(max(interval.gain, left), right)))]
    return _whole("interval", drawn, bottom + 44, tips)


def _circle(x: float, y: float, colour: str) -> str:
    return element("circle", cx=x, cy=y, r=6, fill=colour)


def _cross(x: float, y: float, colour: str) -> str:
    return element("path", d=f"M{x:.1f},{y - 7:.1f}v14m-7,-7h14", stroke=colour, stroke_width=5)


def _arrow(x: float, y: float, length: float, colour: str) -> str:
    """Return a triangle whose tip points along the axis, out of the picture."""
    return element("path", d=f"M{x - length / 2:.1f},{y - 6:.1f}v12L{x + length / 2:.1f},{y:.1f}z", fill=colour)


def _curves(report: Report, plot: Plot) -> Chart:
    """Return the lines of shares; predictions as points; residuals as points below the lines of their quantiles."""
    shares, residuals = plot.name in SHARES, plot.name == "residuals"
    titles = AXES[plot.name]
    bottom = HEIGHT - 46
    if shares:
        ends = (0.0, 1.0), (0.0, 1.0)
    elif residuals:
        ends = span(x for curve in plot.curves for x in curve.x), span(y for curve in plot.curves for y in curve.y)
    else:
        ends = (span(value for curve in plot.curves for value in (*curve.x, *curve.y)),) * 2
    up = Axis(*ends[1], bottom, TOP)
    left = 2 * EDGE + SIZE + max(measure(text) for _, text in up.ticks())
    across = Axis(*ends[0], left, WIDTH - EDGE)
    models = [model for model in DASHES if any(curve.model == model for curve in plot.curves)]
    drawn = [
        *(line(x, TOP, x, bottom) for x, _ in across.ticks()),
        *(line(left, y, across.end, y) for y, _ in up.ticks()),
        _axis_below(across, bottom, titles[0]),
        *(words(text, left - 6, y + 4, text_anchor="end") for y, text in up.ticks()),
        _title_beside(titles[1], (TOP + bottom) / 2),
        _legend(report, models, left, not shares),
    ]
    if residuals:
        drawn.append(line(left, up.at(0), across.end, up.at(0), "var(--quiet)"))
    elif plot.name != "precision_recall":
        drawn.append(line(left, bottom, across.end, TOP, "var(--quiet)", stroke_dasharray="1 3"))
    lines = [curve for curve in plot.curves if shares or curve.label]
    clouds = [curve for curve in plot.curves if curve not in lines]
    tips = []
    for curve in [*clouds, *lines]:
        places = [(across.at(x), up.at(y)) for x, y in zip(curve.x, curve.y, strict=True)]
        if curve in clouds:
            drawn.append(_cloud(curve.model, places, opacity=0.3 if lines else 0.8))
        else:
            drawn.append(_line(curve, places, dots=plot.name == "calibration", thin=curve.label in ("p10", "p90")))
        shown = report.shown(curve.model)
        model = f"{shown}, {curve.label}" if residuals and curve.label else shown
        tip = (
            f"{model}\n{titles[0]} {number(x)}\n{titles[1]} {number(y)}" for x, y in zip(curve.x, curve.y, strict=True)
        )
        tips += [Tip(*place, curve.model, text) for place, text in zip(places, tip, strict=True)]
    return _whole(plot.name, drawn, HEIGHT, tips)


def _line(curve: Curve, places: list[Place], dots: bool, thin: bool) -> str:
    colour = f"var(--{curve.model})"
    width = 1.25 if thin else 2.5
    marks = [path(places, stroke=colour, stroke_width=width, stroke_dasharray=DASHES[curve.model])]
    marks += [element("circle", cx=x, cy=y, r=3.5, fill=colour) for x, y in places if dots]
    return group(marks, class_=curve.model)


def _cloud(model: Model, places: list[Place], opacity: float) -> str:
    """Return a point at each place; where many are, they are darker."""
    points = [element("path", d=f"M{x:.1f},{y:.1f}{POINTS[model]}") for x, y in places]
    look: dict[str, str | float] = {"stroke": f"var(--{model})", "stroke_width": 1.5, "stroke_opacity": opacity}
    return group(points, class_=model, fill="none", **look)


def _legend(report: Report, models: Sequence[Model], left: float, points: bool) -> str:
    """Return the models' marks and names; on the page each is a button."""
    entries = []
    for place, model in enumerate(models):
        x = left + 100 * place
        look = {"stroke": f"var(--{model})", "fill": "none"}
        if points:
            mark = element("path", d=f"M{x + 8:.1f},46{POINTS[model]}", stroke_width=1.5, **look)
        else:
            mark = line(x, 46, x + 18, 46, stroke_width=2.5, stroke_dasharray=DASHES[model], stroke=look["stroke"])
        entries.append(group([mark, words(report.shown(model), x + 24, 50)], class_=f"legend {model}"))
    return "".join(entries)


def _matrices(report: Report, confusion: Confusion) -> Chart:
    """Return both models' matrices, beside each other where they fit, each cell shaded by its share of its row."""
    names, labels = ([shorten(name, limit) for name in confusion.classes] for limit in (LONGEST // 3, LONGEST))
    models = [(report.rival, confusion.champion), ("candidate", confusion.candidate)]
    matrices = [(model, matrix) for model, matrix in models if matrix]
    beside = len(matrices) if len(names) <= BESIDE else 1
    left = 2 * EDGE + SIZE + max(map(measure, names))
    side = (WIDTH - EDGE - left - 20 * (beside - 1)) / beside
    cell = side / len(names)
    row = max(30, min(cell, 62))
    slanted = any(measure(name) > cell - 4 for name in names)
    below = 30 + (0.65 * max(map(measure, names)) if slanted else SIZE / 2)
    drawn, tips = [], []
    for place, (model, matrix) in enumerate(matrices):
        x = left + place % beside * (side + 20)
        top = 62 + place // beside * (len(names) * row + below + 34)
        bottom = top + len(names) * row
        drawn.append(words(model, x, top - 10, font_weight="bold"))
        drawn.append(words("predicted", x + side / 2, bottom + below, "var(--quiet)", text_anchor="middle"))
        for column, name in enumerate(names):
            middle = x + cell * (column + 0.5)
            turned = {"text_anchor": "end", "transform": f"rotate(-40 {middle:.1f} {bottom + 14:.1f})"}
            drawn.append(words(name, middle, bottom + 16, **(turned if slanted else {"text_anchor": "middle"})))
        for actual, counts in enumerate(matrix):
            y = top + row * (actual + 0.5)
            if x == left:
                drawn.append(words(names[actual], x - 6, y + 4, text_anchor="end"))
            for predicted, count in enumerate(counts):
                share = count / sum(counts) if sum(counts) else 0.0
                percent = f"{share:.0%}" if sum(counts) else "–"
                middle = x + cell * (predicted + 0.5)
                corner = {"x": middle - cell / 2 + 1, "y": y - row / 2 + 1, "width": cell - 2, "height": row - 2}
                drawn += [
                    element("rect", fill="var(--cell)", fill_opacity=share, **corner),
                    words(f"{count:,}", middle, y - 2, text_anchor="middle", font_weight="bold"),
                    words(percent, middle, y + 12, text_anchor="middle", font_size=SIZE - 1),
                ]
                actually = f"actual {labels[actual]}, predicted {labels[predicted]}"
                tips.append(Tip(middle, y, "", f"{model}\n{actually}\n{count:,} rows, {percent}"))
        if x == left:
            drawn.append(_title_beside("actual", (top + bottom) / 2))
    return _whole("confusion", drawn, bottom + below + EDGE, tips)


def _axis_below(axis: Axis, y: float, title: str) -> str:
    labels = []
    for x, text in axis.ticks():
        half = measure(text) / 2 + 4
        labels.append(line(x, y, x, y + 5))
        labels.append(words(text, min(max(x, half), WIDTH - half), y + 18, text_anchor="middle"))
    middle = (axis.start + axis.end) / 2
    titled = words(title, middle, y + 36, "var(--quiet)", text_anchor="middle")
    return group([line(axis.start, y, axis.end, y), *labels, titled])


def _title_beside(title: str, y: float) -> str:
    x = EDGE + SIZE - 2
    return words(title, x, y, "var(--quiet)", text_anchor="middle", transform=f"rotate(-90 {x} {y:.1f})")


def _whole(name: str, drawn: list[str], height: float, tips: list[Tip]) -> Chart:
    ground = element("rect", width=WIDTH, height=height, fill="var(--background)")
    title = words(TITLES[name], EDGE, 23, font_size=14, font_weight="bold")
    root: dict[str, str | float] = {"viewBox": f"0 0 {WIDTH} {height:.0f}", "width": WIDTH, "height": round(height)}
    font: dict[str, str | float] = {"font_family": FONT, "font_size": SIZE}
    svg = element("svg", [ground, title, *drawn], xmlns="http://www.w3.org/2000/svg", **root, **font)
    return Chart(name, svg, tips)


def shorten(name: str, limit: int = LONGEST) -> str:
    """Return a name from the data as one short line of printable characters, its middle left out where it is long."""
    plain = "".join(char if char.isprintable() else " " for char in name)
    plain = " ".join(plain.split()) or "(empty)"
    if any(east_asian_width(char) in "FW" for char in plain):
        limit //= 2
    half = (limit - 1) // 2
    return plain if len(plain) <= limit else f"{plain[:half]}…{plain[-half:]}"
