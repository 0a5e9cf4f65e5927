"""The pictures of a report show both models, in both themes, whatever was predicted."""

import re
import struct
import zlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from drawing import CASES, make_report, page_of, pictures_of, report_of
from mlops_actions.review.charts import find_intervals, make_charts
from mlops_actions.review.pictures import check_png
from mlops_actions.review.plots import draw_pictures
from mlops_actions.review.report import read_report
from mlops_actions.review.svg import THEMES, Axis, measure, paint, span
from mlops_actions.stats.metrics import METRICS

COLOUR = re.compile(r'"(#[0-9a-f]{6}|var[^"]*)"')
CURVES = {"roc", "precision_recall", "calibration"}
POINTS = {"predicted_actual", "residuals"}
Pixel = tuple[int, ...]


def names(case: str) -> set[str]:
    """Return the pictures of a case, each of which must be there in both themes."""
    files = pictures_of(case)
    found = {name.rpartition("-")[0] for name in files}
    assert set(files) == {f"{name}-{theme}.png" for name in found for theme in THEMES}
    return found


def decode(png: bytes) -> tuple[int, int, Counter[Pixel]]:
    """The width, height and colours of a picture with a palette and unfiltered rows."""
    place, chunks = 8, {}
    while place < len(png):
        size, kind = struct.unpack(">I4s", png[place : place + 8])
        chunks[kind] = chunks.get(kind, b"") + png[place + 8 : place + 8 + size]
        place += size + 12
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colour) == (8, 3)
    rows = zlib.decompress(chunks[b"IDAT"])
    lines = [rows[start : start + width + 1] for start in range(0, len(rows), width + 1)]
    assert len(lines) == height and not any(line[0] for line in lines)
    palette = chunks[b"PLTE"]
    counted = Counter(b"".join(line[1:] for line in lines))
    return width, height, Counter({tuple(palette[3 * index : 3 * index + 3]): n for index, n in counted.items()})


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("two classes", {"interval", "confusion"} | CURVES),
        ("six classes", {"interval", "confusion"} | CURVES),
        ("first model", {"confusion"} | CURVES),
        ("numbers", {"interval"} | POINTS),
        ("constant predictions", {"interval", "confusion"} | CURVES),
        ("one class in the truth", {"interval", "confusion"}),
        ("two rows", {"confusion"} | CURVES),
        ("not a number", {"interval", "confusion"} | CURVES),
        ("a class that is gone", {"interval", "confusion"} | CURVES),
        ("a class that is new", {"interval", "confusion"} | CURVES),
        ("infinite", {"interval"}),
        ("some infinite", {"interval"} | POINTS),
        ("far too large", {"interval"}),
        ("a constant number", {"interval"} | POINTS),
        ("hostile names", {"interval", "confusion"} | CURVES),
    ],
)
def test_each_plot_that_can_be_drawn_is_a_picture(case: str, expected: set[str]) -> None:
    assert names(case) == expected


@pytest.mark.parametrize(
    "case", ["two classes", "six classes", "twenty classes", "numbers", "many rows", "hostile names"]
)
def test_pictures_are_small_readable_and_in_the_themes_colours(case: str) -> None:
    backgrounds = {name: theme.background for name, theme in THEMES.items()}
    assert backgrounds == {"light": "#ffffff", "dark": "#0d1117"}, "GitHub's own"
    for name in names(case):
        shapes = set()
        for theme, background in backgrounds.items():
            png = pictures_of(case)[f"{name}-{theme}.png"]
            assert len(png) < (90_000 if name == "confusion" else 40_000)
            width, height, colours = decode(png)
            assert 740 <= width <= 880 and 300 <= height <= 2000, "420 CSS pixels, for a phone"
            share = colours[tuple(bytes.fromhex(background[1:]))] / (width * height)
            assert 0.25 < share < 0.99, "drawn on, and not painted over"
            shapes.add((width, height))
        assert len(shapes) == 1


@pytest.mark.parametrize("case", ["two classes", "numbers", "many numbers", "hostile names"])
def test_a_picture_has_the_colours_of_its_own_theme_alone(case: str) -> None:
    charts = list(make_charts(report_of(case)))
    light, dark = (
        {colour for chart in charts for colour in COLOUR.findall(paint(chart.svg, theme))} for theme in THEMES.values()
    )
    assert light <= set(vars(THEMES["light"]).values()) and dark <= set(vars(THEMES["dark"]).values())
    assert not set(vars(THEMES["light"]).values()) & set(vars(THEMES["dark"]).values())
    assert len(light) == len(dark) >= 6


def test_a_name_like_a_colours_is_drawn_as_it_is() -> None:
    assert any("var(--text)" in text for _, text in tips_of("hostile names", "confusion"))
    assert "#1f2328" not in page_of("hostile names").partition("<body>")[2]


@pytest.mark.parametrize(
    "numbers",
    [(0.0, 1.0), (-3.2, 11.0), (7.0, 7.0), (0.0, 0.0), (12_300.0, 98_000.0), (1e-9, 3e-9), (-2e12, 5e12)],
)
def test_axes_have_round_numbers_at_even_steps_over_all_that_is_drawn(numbers: tuple[float, float]) -> None:
    (low, high), (least, most) = span(numbers), numbers
    assert low <= least <= most <= high and low < high
    labels = ticks_of(numbers)
    assert 3 <= len(labels) <= 9 and len(set(labels)) == len(labels)


def ticks_of(numbers: tuple[float, float]) -> list[str]:
    return [label for _, label in Axis(*span(numbers), 0, 300).ticks()]


def test_an_axis_is_labelled_as_people_write_numbers() -> None:
    assert ticks_of((0.0, 1.0)) == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert ticks_of((-3.2, 11.0)) == ["0", "5", "10"]
    assert ticks_of((12_300.0, 98_000.0)) == ["20,000", "40,000", "60,000", "80,000", "100,000"]


def test_the_width_of_a_text_is_known_without_its_font() -> None:
    true = {"1.0": 16.7, "−0.25": 30.4, "Overall": 38.7, "中文": 24.0}  # Liberation Sans at 12 pixels
    assert {text: measure(text) for text in true} == pytest.approx(true, rel=0.12)


def tips_of(case: str, chart: str) -> list[tuple[str, str]]:
    """Return what each mark of a chart tells: its model, and its values."""
    (found,) = [one for one in make_charts(report_of(case)) if one.name == chart]
    return [(tip.model, tip.text) for tip in found.tips]


def test_every_point_tells_its_model_and_its_values() -> None:
    report = report_of("two classes")
    for plot in report.plots:
        expected = [curve.model for curve in plot.curves for _ in curve.x]
        assert [model for model, _ in tips_of("two classes", plot.name)] == expected
    curve = report.plots[0].curves[0]
    expected = f"champion\nfalse positive rate {curve.x[0]:.4f}\ntrue positive rate {curve.y[0]:.4f}"
    assert tips_of("two classes", "roc")[0] == ("champion", expected)
    count = report.confusion.candidate[1][0]
    texts = [text for _, text in tips_of("two classes", "confusion")]
    assert any(text.startswith(f"candidate\nactual yes, predicted no\n{count:,} rows, ") for text in texts)


def test_champion_and_candidate_differ_in_lightness_not_in_hue_alone() -> None:
    for theme in ("light", "dark"):
        _, _, both = decode(pictures_of("two classes")[f"roc-{theme}.png"])
        _, _, one = decode(pictures_of("first model")[f"roc-{theme}.png"])
        background = both.most_common(1)[0][0]
        blues = [pixel for pixel, n in one.items() if n > 300 and pixel[2] - pixel[0] > 60]
        greys = [pixel for pixel, n in both.items() if n > 300 and pixel not in one and pixel != background]
        assert blues and greys
        assert all(abs(sum(blue) - sum(grey)) > 60 for blue in blues[:1] for grey in greys[:1])


@pytest.mark.parametrize("case", ["two classes", "six classes", "twenty classes", "many rows"])
def test_the_area_under_the_drawn_curve_is_the_metric(case: str) -> None:
    truth, _, candidate = CASES[case]()
    curves = {plot.name: plot.curves[-1] for plot in report_of(case).plots}
    for name, metric, tolerance in (("roc", "roc_auc", 0.005), ("precision_recall", "average_precision", 0.02)):
        area = np.trapezoid(curves[name].y, curves[name].x)
        assert area == pytest.approx(METRICS[metric].compute(truth, candidate), abs=tolerance)


@pytest.mark.parametrize("case", ["two classes", "twenty classes", "many rows", "many numbers"])
def test_the_reports_data_stays_small(case: str) -> None:
    assert len(report_of(case).to_json().encode()) < 60_000


def test_each_model_has_its_curve_and_a_first_model_its_own_alone() -> None:
    for case, models in (("two classes", ["champion", "candidate"]), ("first model", ["candidate"])):
        for plot in report_of(case).plots:
            assert [curve.model for curve in plot.curves] == models
            assert all(0 <= value <= 1 for curve in plot.curves for value in (*curve.x, *curve.y))
    labels = {curve.label for plot in report_of("two classes").plots for curve in plot.curves}
    assert labels == {"yes"}, "two classes: the curve is the second one's"


def test_a_confusion_counts_every_row_once_and_folds_what_cannot_be_read() -> None:
    for case, rows, shown in (("two classes", 2_000, 2), ("twenty classes", 5_000, 8), ("hostile names", 500, 5)):
        confusion = report_of(case).confusion
        assert len(confusion.classes) == shown
        for counts in (confusion.champion, confusion.candidate):
            assert [len(line) for line in counts] == [shown] * shown
            assert sum(map(sum, counts)) == rows
    assert report_of("twenty classes").confusion.classes[-1] == "13 others"
    right, wrong = report_of("two classes").confusion.candidate[0]
    assert right > 3 * wrong


def test_residuals_of_many_rows_have_their_quantiles_over_few_points() -> None:
    residuals = report_of("many numbers").plots[1]
    points = [curve for curve in residuals.curves if not curve.label]
    assert [len(curve.x) for curve in points] == [300, 300]
    lines = {(curve.model, curve.label): curve.y for curve in residuals.curves if curve.label}
    low, middle, high = (lines["champion", label] for label in ("p10", "median", "p90"))
    assert all(a < b < c for a, b, c in zip(low, middle, high, strict=True))
    assert middle[-1] > 10 > 1 > abs(lines["candidate", "median"][-1]), "the champion predicts a tenth too little"


def test_intervals_are_gains_in_margins_with_what_fails_left_of_the_limit() -> None:
    report = report_of("two classes")
    found = {one.name: [one.low, one.gain, one.high, one.limit] for one in find_intervals(report)}
    assert list(found)[:3] == ["roc_auc", "log_loss", "brier_score"], "the primary metric first, then the guards"
    assert found["roc_auc"] == pytest.approx([0.2, 1.0, 1.8, -1])
    assert found["log_loss"] == pytest.approx([-3.5, -3.0, -2.5, -1]), "a loss that grew lies on the worse side"
    assert found["brier_score"] == pytest.approx([0.0, 0.5, 1.0, 0]), "a margin of zero has its limit at zero"
    assert "accuracy" not in found, "it has no interval"
    (collapsed, first), (other, second) = list(found.items())[3:]
    assert collapsed.startswith("plan = ") and first == pytest.approx([-4, -3, -2, -1])
    assert other == "age up to 30" and second == pytest.approx([-0.5, 0.2, 0.9, -1])
    calm = replace(report, rulings=[], slices=[part for part in report.slices if not part.collapsed])
    assert [one.name for one in find_intervals(calm)] == ["age up to 30"], "the worst slices, though none collapsed"


@pytest.mark.parametrize("case", CASES)
def test_any_report_crosses_the_border_as_json_and_its_pictures_are_such_as_are_taken(case: str) -> None:
    report = report_of(case)
    assert read_report(report.to_json().encode()) == report
    for picture in pictures_of(case).values():
        check_png(picture)


def test_the_same_models_have_the_same_pictures() -> None:
    assert draw_pictures(make_report(*CASES["two classes"]())) == pictures_of("two classes")
