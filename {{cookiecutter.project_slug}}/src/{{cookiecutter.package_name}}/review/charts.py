"""The charts: a report's plots as Vega-Lite specs, for the pictures of the comment and for the page.

Everything is drawn from the report alone. A chart is as wide as a phone, in the colours of GitHub's light or dark
theme; champion and candidate differ in dash, shape and lightness besides hue.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .markdown import AXES, PLOT_TITLES, signed
from .report import Confusion, Curve, Metric, Plot, Report, Slice

Spec = dict[str, Any]
WIDTH, HEIGHT = 420, 290  # CSS pixels
FONT = "Liberation Sans, Arial, sans-serif"  # vl-convert carries the first
LONGEST = 33  # characters of a name that the data gave
WORST = 6  # slices among the intervals
MOST = 16  # intervals
ROW = 44  # CSS pixels of one interval
FARTHEST = 4.0  # margins from zero that the intervals show; what lies beyond is an arrow
CROSS = "M-.8,-.8L.8,.8M.8,-.8L-.8,.8"
BESIDE = 3  # classes of two matrices that fit beside each other
SQUARE = {"scale": {"domain": [0, 1], "nice": False}}
DIAGONAL = [{"x": 0, "y": 0}, {"x": 1, "y": 1}]
TITLES = {**PLOT_TITLES, "confusion": "Confusion: rows, and share of the actual class"}


@dataclass(frozen=True)
class Theme:
    """The colours of one of GitHub's themes."""

    background: str
    text: str
    quiet: str
    grid: str
    champion: str
    candidate: str
    failed: str
    cell: str


THEMES = {
    "light": Theme("#ffffff", "#1f2328", "#59636e", "#d8dee4", "#818b98", "#0550ae", "#bc4c00", "#54aeff"),
    "dark": Theme("#0d1117", "#f0f6fc", "#9198a1", "#2f353d", "#848d97", "#79c0ff", "#f0883e", "#1158c7"),
}


@dataclass(frozen=True)
class Interval:
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


def make_charts(report: Report, theme: Theme) -> Iterator[tuple[str, Spec]]:
    """Return the name and the spec of each chart that the report has data for."""
    if intervals := list(find_intervals(report))[:MOST]:
        yield "interval", _whole("interval", _intervals(intervals, theme), theme)
    for plot in report.plots:
        spec = {"predicted_actual": _points, "residuals": _residuals}.get(plot.name, _lines)(plot, theme)
        yield plot.name, _whole(plot.name, {"width": WIDTH, "height": HEIGHT, **spec}, theme)
    if report.confusion:
        yield "confusion", _whole("confusion", _matrices(report.confusion, theme), theme)


def find_intervals(report: Report) -> Iterator[Interval]:
    """Return the primary metric, the guards and the worst slices, as far as they have an interval."""
    metrics = {metric.name: metric for metric in report.metrics}
    for rule in ("champion", "guard"):
        for ruling in report.rulings:
            if ruling.rule == rule and (metric := metrics.get(ruling.subject)):
                greater = metric.greater_is_better
                yield from _interval(metric.name, rule, metric, greater, ruling.limit, not ruling.passed)
    margin = next((ruling.limit for ruling in report.rulings if ruling.rule == "slice"), None)
    if margin is None or report.primary not in metrics:
        return
    greater = metrics[report.primary].greater_is_better
    found = [_interval(part.name, "slice", part, greater, margin, part.collapsed) for part in report.slices]
    yield from sorted((one for some in found for one in some), key=lambda one: (not one.failed, one.gain))[:WORST]


def _interval(
    name: str, kind: str, of: Metric | Slice, greater: bool, margin: float, failed: bool
) -> Iterator[Interval]:
    if of.champion is None or of.candidate is None or of.low is None or of.high is None:
        return
    change = of.candidate - of.champion
    words = f"{signed(change)}  [{signed(of.low)}, {signed(of.high)}]"
    unit = margin or max(abs(of.low), abs(of.high)) or 1.0
    low, gain, high = (value / unit for value in (of.low, change, of.high))
    if not greater:
        low, gain, high = -high, -gain, -low
    yield Interval(name, kind, gain, low, high, -1.0 if margin else 0.0, words, failed)


def _intervals(intervals: list[Interval], theme: Theme) -> Spec:
    """Return each interval below its name and numbers, coloured and shaped by whether it fails."""
    left = max(-FARTHEST, min(-1.5, *(one.low * 1.05 for one in intervals)))
    right = min(FARTHEST, max(0.5, *(one.high * 1.05 for one in intervals)))
    values = [
        {
            "row": row,
            "name": shorten(one.name),
            "weight": "normal" if one.kind == "slice" else "bold",
            "change": one.change,
            "low": min(max(one.low, left), right),
            "high": max(min(one.high, right), left),
            "gain": one.gain if left <= one.gain <= right else None,
            "zero": 0,
            "limit": one.limit,
            "left": left if one.low < left else None,
            "right": right if one.high > right else None,
            "ruling": "fails" if one.failed else "holds",
        }
        for row, one in enumerate(intervals)
    ]
    row: Spec = {"field": "row", "type": "ordinal", "axis": None, "scale": {"padding": 0}}
    colour: Spec = {
        "field": "ruling",
        "scale": {"domain": ["holds", "fails"], "range": [theme.candidate, theme.failed]},
        "legend": None,
    }
    words: Spec = {"type": "text", "baseline": "middle", "yOffset": -11, "color": theme.text}

    title = "← worse\u2003·\u2003gain in margins, limit −1\u2003·\u2003better →"
    axis = {"grid": False, "tickCount": 5, "title": title}

    def at(field: str) -> Spec:
        return {"field": field, "type": "quantitative", "scale": {"domain": [left, right]}, "axis": axis}

    def tick(field: str, colour: str) -> Spec:
        mark = {"type": "tick", "color": colour, "thickness": 2, "size": 20, "yOffset": 9, "opacity": 1}
        return {"mark": mark, "encoding": {"y": row, "x": at(field)}}

    def arrow(field: str, shape: str) -> Spec:
        mark = {"type": "point", "filled": True, "shape": shape, "size": 70, "yOffset": 9, "opacity": 1}
        return {"mark": mark, "encoding": {"y": row, "x": at(field), "color": colour}}

    tip = [{"field": field, "type": "nominal"} for field in ("name", "change", "ruling")]
    return {
        "width": WIDTH,
        "height": ROW * len(values) + 44,
        "data": {"values": values},
        "layer": [
            tick("zero", theme.quiet),
            tick("limit", theme.failed),
            {
                "mark": {"type": "rule", "strokeWidth": 3, "yOffset": 9},
                "encoding": {"y": row, "x": at("low"), "x2": {"field": "high"}, "color": colour, "tooltip": tip},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 110, "yOffset": 9, "opacity": 1},
                "encoding": {
                    "y": row,
                    "x": at("gain"),
                    "color": colour,
                    "tooltip": tip,
                    "shape": {
                        "field": "ruling",
                        "scale": {"domain": ["holds", "fails"], "range": ["circle", "cross"]},
                        "legend": None,
                    },
                },
            },
            arrow("left", "triangle-left"),
            arrow("right", "triangle-right"),
            {
                "mark": {**words, "align": "left", "fontWeight": {"expr": "datum.weight"}},
                "encoding": {"y": row, "x": {"value": 0}, "text": {"field": "name"}},
            },
            {
                "mark": {**words, "align": "right", "color": theme.quiet},
                "encoding": {"y": row, "x": {"value": "width"}, "text": {"field": "change"}},
            },
        ],
    }


def _lines(plot: Plot, theme: Theme) -> Spec:
    across, up = AXES[plot.name]
    encoding = {
        "x": _number("x", across, **SQUARE),
        "y": _number("y", up, **SQUARE),
        **_by_model(plot, theme, "strokeDash", {"champion": [6, 4], "candidate": [1, 0]}),
        "order": {"field": "x", "type": "quantitative"},
        "tooltip": _tooltip(across, up),
    }
    line: Spec = {"mark": {"type": "line", "strokeWidth": 2.5}, "params": [_picked()], "encoding": encoding}
    layers = [line]
    if plot.name == "calibration":
        dots = {name: value for name, value in encoding.items() if name not in ("order", "strokeDash")}
        layers.append({"mark": {"type": "point", "filled": True, "size": 45, "opacity": 1}, "encoding": dots})
    if plot.name != "precision_recall":
        layers.insert(0, _reference(DIAGONAL, theme))
    return {"data": {"values": _rows(plot.curves)}, "layer": layers}


def _points(plot: Plot, theme: Theme) -> Spec:
    across, up = AXES[plot.name]
    ends = [value for curve in plot.curves for value in (*curve.x, *curve.y)]
    low, high = min(ends), max(ends)
    both = {"scale": {"domain": [low, high], "zero": False, "nice": True}}
    diagonal = [{"x": low, "y": low}, {"x": high, "y": high}]
    encoding = {"x": _number("x", across, **both), "y": _number("y", up, **both), **_dots(plot, theme)}
    cloud = {"mark": {"type": "point", "strokeWidth": 1.5}, "encoding": {**encoding, "tooltip": _tooltip(across, up)}}
    layers = [_reference(diagonal, theme), {"params": [_picked()], **cloud}]
    return {"data": {"values": _rows(plot.curves)}, "layer": layers}


def _residuals(plot: Plot, theme: Theme) -> Spec:
    """Return residuals as points, under each model's median of them and the band that holds eight of ten."""
    across, up = AXES[plot.name]
    x, y = (_number(field, title, scale={"zero": False}) for field, title in (("x", across), ("y", up)))
    clouds = [curve for curve in plot.curves if not curve.label]
    lines = [curve for curve in plot.curves if curve.label]
    by_model = _by_model(plot, theme, "strokeDash", {"champion": [6, 4], "candidate": [1, 0]})
    line: Spec = {
        "x": x,
        "y": y,
        "color": by_model["color"],
        "strokeDash": {**by_model["strokeDash"], "legend": None},
        "detail": {"field": "label"},
        "strokeWidth": {"condition": {"test": "datum.label === 'median'", "value": 3}, "value": 1.25},
        "opacity": by_model["opacity"],
    }
    dots = {"x": x, "y": y, **_dots(plot, theme, faint=bool(lines)), "tooltip": _tooltip(across, up)}
    layers: list[Spec] = [
        {"params": [_picked()], "data": {"values": _rows(clouds)}, "mark": "point", "encoding": dots},
        {
            "data": {"values": [{"y": 0}]},
            "mark": {"type": "rule", "color": theme.quiet},
            "encoding": {"y": {"field": "y", "type": "quantitative"}},
        },
    ]
    if lines:
        layers.append({"data": {"values": _rows(lines)}, "mark": "line", "encoding": line})
    return {"layer": layers, "resolve": {"legend": {"strokeDash": "independent"}}}


def _matrices(confusion: Confusion, theme: Theme) -> Spec:
    """Return both models' matrices, beside each other where they fit, each cell shaded by its share of its row."""
    names = [shorten(name, LONGEST // 3) for name in confusion.classes]
    names = [name if names.count(name) == 1 else f"{name} ({place + 1})" for place, name in enumerate(names)]
    matrices = [("champion", confusion.champion), ("candidate", confusion.candidate)]
    values = [
        {
            "model": model,
            "actual": actual,
            "predicted": predicted,
            "rows": count,
            "share": count / sum(line) if sum(line) else 0,
            "count": f"{count:,}",
            "percent": f"{count / sum(line):.0%}" if sum(line) else "–",
        }
        for model, matrix in matrices
        if matrix
        for actual, line in zip(names, matrix, strict=True)
        for predicted, count in zip(names, line, strict=True)
    ]
    models = len({value["model"] for value in values})
    beside = models if len(names) <= BESIDE else 1
    side = (WIDTH - 108 - 20 * (beside - 1)) // beside
    text: Spec = {"type": "text", "color": theme.text, "baseline": "middle"}
    small = 12 if side / len(names) > 38 else 11
    axis = {"ticks": False, "domain": False, "labelLimit": 84, "titlePadding": 6}
    order = {"field": "model", "type": "nominal", "sort": ["champion", "candidate"], "title": None}
    return {
        "data": {"values": values},
        "facet": order,
        "columns": beside,
        "spacing": 20,
        "spec": {
            "width": side,
            "height": max(30 * len(names), min(side, 62 * len(names))),
            "encoding": {
                "x": {
                    "field": "predicted",
                    "type": "nominal",
                    "sort": names,
                    "axis": {**axis, "labelAngle": 0 if len(names) <= BESIDE else -40},
                },
                "y": {"field": "actual", "type": "nominal", "sort": names, "axis": axis},
            },
            "layer": [
                {
                    "mark": {"type": "rect", "stroke": theme.background, "strokeWidth": 2},
                    "encoding": {
                        "color": {
                            "field": "share",
                            "type": "quantitative",
                            "scale": {"domain": [0, 1], "range": [theme.background, theme.cell], "interpolate": "rgb"},
                            "legend": None,
                        },
                    },
                },
                {
                    "mark": {**text, "dy": -7, "fontWeight": "bold", "fontSize": small + 1},
                    "encoding": {"text": {"field": "count"}},
                },
                {"mark": {**text, "dy": 8, "fontSize": small}, "encoding": {"text": {"field": "percent"}}},
            ],
        },
    }


def _whole(name: str, spec: Spec, theme: Theme) -> Spec:
    """Return the spec with its title and the theme's colours; its width and height are those of the whole chart."""
    text, quiet = {"labelColor": theme.text}, {"titleColor": theme.quiet}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "background": theme.background,
        "padding": 8,
        **({} if "facet" in spec else {"autosize": {"type": "fit", "contains": "padding"}}),
        "title": {"text": TITLES[name], "anchor": "start", "offset": 10},
        **spec,
        "config": {
            "font": FONT,
            "axis": {
                **text,
                **quiet,
                "labelFontSize": 12,
                "titleFontSize": 12,
                "titleFontWeight": "normal",
                "gridColor": theme.grid,
                "domainColor": theme.grid,
                "tickColor": theme.grid,
            },
            "legend": {**text, "labelFontSize": 13, "title": None, "orient": "top", "symbolSize": 260},
            "header": {
                "labelColor": theme.text,
                "labelFontSize": 13,
                "labelFontWeight": "bold",
                "labelAnchor": "start",
            },
            "title": {"color": theme.text, "fontSize": 14},
            "text": {"fontSize": 12},
            "view": {"stroke": None},
        },
    }


def _rows(curves: list[Curve]) -> list[Spec]:
    return [
        {"model": curve.model, "label": curve.label, "x": x, "y": y}
        for curve in curves
        for x, y in zip(curve.x, curve.y, strict=False)
    ]


def _number(field: str, title: str, **more: Any) -> Spec:
    return {"field": field, "type": "quantitative", "title": title, "axis": {"tickCount": 5}, **more}


def _by_model(plot: Plot, theme: Theme, channel: str, marks: dict[str, Any]) -> Spec:
    """Return what tells the models apart: colour, another channel, and on the page, which the legend picked."""
    models = [model for model in ("champion", "candidate") if any(curve.model == model for curve in plot.curves)]
    colours = {"champion": theme.champion, "candidate": theme.candidate}

    def by(values: dict[str, Any]) -> Spec:
        scale = {"domain": models, "range": [values[model] for model in models]}
        return {"field": "model", "type": "nominal", "scale": scale}

    return {
        "color": {**by(colours), "legend": {"symbolType": "stroke"} if channel == "strokeDash" else {}},
        channel: by(marks),
        "opacity": {"condition": {"param": "picked", "value": 1}, "value": 0.12},
    }


def _dots(plot: Plot, theme: Theme, faint: bool = False) -> Spec:
    """Return how points look: the champion's are round, the candidate's are crosses."""
    encoding = _by_model(plot, theme, "shape", {"champion": "circle", "candidate": CROSS})
    encoding["opacity"]["condition"]["value"] = 0.3 if faint else 0.8
    return {**encoding, "size": {"value": 26}}


def _picked() -> Spec:
    return {"name": "picked", "select": {"type": "point", "fields": ["model"]}, "bind": "legend"}


def _tooltip(across: str, up: str) -> list[Spec]:
    return [
        {"field": "model"},
        {"field": "x", "type": "quantitative", "title": across, "format": ".4~g"},
        {"field": "y", "type": "quantitative", "title": up, "format": ".4~g"},
    ]


def _reference(ends: list[Spec], theme: Theme) -> Spec:
    encoding = {name: {"field": name, "type": "quantitative"} for name in ("x", "y")}
    mark = {"type": "line", "color": theme.quiet, "strokeWidth": 1, "strokeDash": [1, 3], "opacity": 0.8}
    return {"data": {"values": ends}, "mark": mark, "encoding": encoding}


def shorten(name: str, limit: int = LONGEST) -> str:
    """Return a name from the data as one short line of printable characters, its middle left out where it is long."""
    plain = "".join(char if char.isprintable() else " " for char in name)
    plain = " ".join(plain.split()) or "(empty)"
    half = (limit - 1) // 2
    return plain if len(plain) <= limit else f"{plain[:half]}…{plain[-half:]}"
