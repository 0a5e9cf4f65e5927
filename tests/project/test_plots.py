"""The pictures of a report show both models, in both themes, whatever was predicted."""

import json
import struct
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

CURVES = {"roc", "precision_recall", "calibration"}
POINTS = {"predicted_actual", "residuals"}
Pixel = tuple[int, ...]


def names(drawn: Path, case: str) -> set[str]:
    """The pictures of a case, each of which must be there in both themes."""
    files = {path.stem.rsplit("-", 1)[0]: path for path in (drawn / case / "pictures").iterdir()}
    assert len(list((drawn / case / "pictures").iterdir())) == 2 * len(files)
    return set(files)


def read(drawn: Path, case: str, file: str) -> Any:
    return json.loads((drawn / case / file).read_text())


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
def test_each_plot_that_can_be_drawn_is_a_picture(drawn: Path, case: str, expected: set[str]) -> None:
    assert names(drawn, case) == expected


@pytest.mark.parametrize(
    "case", ["two classes", "six classes", "twenty classes", "numbers", "many rows", "hostile names"]
)
def test_pictures_are_small_readable_and_in_the_themes_colours(drawn: Path, case: str) -> None:
    backgrounds = read(drawn, case, "facts.json")["backgrounds"]
    assert backgrounds == {"light": "#ffffff", "dark": "#0d1117"}, "GitHub's own"
    for name in names(drawn, case):
        shapes = set()
        for theme, background in backgrounds.items():
            png = (drawn / case / f"pictures/{name}-{theme}.png").read_bytes()
            assert len(png) < (90_000 if name == "confusion" else 40_000)
            width, height, colours = decode(png)
            assert 740 <= width <= 880 and 300 <= height <= 2000, "420 CSS pixels, for a phone"
            share = colours[tuple(bytes.fromhex(background[1:]))] / (width * height)
            assert 0.25 < share < 0.99, "drawn on, and not painted over"
            shapes.add((width, height))
        assert len(shapes) == 1


@pytest.mark.parametrize("case", ["two classes", "numbers", "many numbers", "hostile names"])
def test_a_picture_has_the_colours_of_its_own_theme_alone(drawn: Path, case: str) -> None:
    facts = read(drawn, case, "facts.json")
    light, dark = (set(facts["painted"][theme]) for theme in ("light", "dark"))
    assert light <= set(facts["themes"]["light"]) and dark <= set(facts["themes"]["dark"])
    assert not set(facts["themes"]["light"]) & set(facts["themes"]["dark"])
    assert len(light) == len(dark) >= 6


def test_a_name_like_a_colours_is_drawn_as_it_is(drawn: Path) -> None:
    assert any("var(--text)" in text for _, text in read(drawn, "hostile names", "facts.json")["tips"]["confusion"])
    assert "#1f2328" not in (drawn / "hostile names/report.html").read_text().partition("<body>")[2]


def test_axes_have_round_numbers_at_even_steps_over_all_that_is_drawn(drawn: Path) -> None:
    axes = json.loads((drawn / "axes.json").read_text())
    for numbers, (low, high) in axes["ends"].items():
        least, most = json.loads(numbers.replace("(", "[").replace(")", "]"))
        assert low <= least <= most <= high and low < high
        assert 3 <= len(axes["ticks"][numbers]) <= 9
        assert len(set(axes["ticks"][numbers])) == len(axes["ticks"][numbers])
    assert axes["ticks"]["(0.0, 1.0)"] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert axes["ticks"]["(-3.2, 11.0)"] == ["0", "5", "10"]
    assert axes["ticks"]["(12300.0, 98000.0)"] == ["20,000", "40,000", "60,000", "80,000", "100,000"]
    widths = json.loads((drawn / "widths.json").read_text())
    true = {"1.0": 16.7, "−0.25": 30.4, "Overall": 38.7, "中文": 24.0}  # Liberation Sans at 12 pixels
    assert widths == pytest.approx(true, rel=0.12)


def test_every_point_tells_its_model_and_its_values(drawn: Path) -> None:
    report, tips = (read(drawn, "two classes", file) for file in ("report.json", "facts.json"))
    for plot in report["plots"]:
        expected = [curve["model"] for curve in plot["curves"] for _ in curve["x"]]
        assert [model for model, _ in tips["tips"][plot["name"]]] == expected
    (first, *_), confusion = tips["tips"]["roc"], [text for _, text in tips["tips"]["confusion"]]
    curve = report["plots"][0]["curves"][0]
    expected = f"champion\nfalse positive rate {curve['x'][0]:.4f}\ntrue positive rate {curve['y'][0]:.4f}"
    assert first == ["champion", expected]
    count = report["confusion"]["candidate"][1][0]
    assert any(text.startswith(f"candidate\nactual yes, predicted no\n{count:,} rows, ") for text in confusion)


def test_champion_and_candidate_differ_in_lightness_not_in_hue_alone(drawn: Path) -> None:
    for theme in ("light", "dark"):
        _, _, both = decode((drawn / f"two classes/pictures/roc-{theme}.png").read_bytes())
        _, _, one = decode((drawn / f"first model/pictures/roc-{theme}.png").read_bytes())
        background = both.most_common(1)[0][0]
        blues = [pixel for pixel, n in one.items() if n > 300 and pixel[2] - pixel[0] > 60]
        greys = [pixel for pixel, n in both.items() if n > 300 and pixel not in one and pixel != background]
        assert blues and greys
        assert all(abs(sum(blue) - sum(grey)) > 60 for blue in blues[:1] for grey in greys[:1])


@pytest.mark.parametrize("case", ["two classes", "six classes", "twenty classes", "many rows"])
def test_the_area_under_the_drawn_curve_is_the_metric(drawn: Path, case: str) -> None:
    facts = read(drawn, case, "facts.json")
    assert facts["area"] == pytest.approx(facts["roc_auc"], abs=0.005)
    assert facts["precision"] == pytest.approx(facts["average_precision"], abs=0.02)


@pytest.mark.parametrize("case", ["two classes", "twenty classes", "many rows", "many numbers"])
def test_the_reports_data_stays_small(drawn: Path, case: str) -> None:
    assert (drawn / case / "report.json").stat().st_size < 60_000


def test_each_model_has_its_curve_and_a_first_model_its_own_alone(drawn: Path) -> None:
    for case, models in (("two classes", ["champion", "candidate"]), ("first model", ["candidate"])):
        for plot in read(drawn, case, "report.json")["plots"]:
            assert [curve["model"] for curve in plot["curves"]] == models
            assert all(0 <= value <= 1 for curve in plot["curves"] for value in (*curve["x"], *curve["y"]))
    labels = {curve["label"] for plot in read(drawn, "two classes", "report.json")["plots"] for curve in plot["curves"]}
    assert labels == {"yes"}, "two classes: the curve is the second one's"


def test_a_confusion_counts_every_row_once_and_folds_what_cannot_be_read(drawn: Path) -> None:
    for case, rows, shown in (("two classes", 2_000, 2), ("twenty classes", 5_000, 8), ("hostile names", 500, 5)):
        confusion = read(drawn, case, "report.json")["confusion"]
        assert len(confusion["classes"]) == shown
        for counts in (confusion["champion"], confusion["candidate"]):
            assert [len(line) for line in counts] == [shown] * shown
            assert sum(map(sum, counts)) == rows
    assert read(drawn, "twenty classes", "report.json")["confusion"]["classes"][-1] == "13 others"
    right, wrong = (read(drawn, "two classes", "report.json")["confusion"]["candidate"][0][place] for place in (0, 1))
    assert right > 3 * wrong


def test_residuals_of_many_rows_have_their_quantiles_over_few_points(drawn: Path) -> None:
    residuals = read(drawn, "many numbers", "report.json")["plots"][1]
    points = [curve for curve in residuals["curves"] if not curve["label"]]
    assert [len(curve["x"]) for curve in points] == [300, 300]
    lines = {(curve["model"], curve["label"]): curve["y"] for curve in residuals["curves"] if curve["label"]}
    low, middle, high = (lines["champion", label] for label in ("p10", "median", "p90"))
    assert all(a < b < c for a, b, c in zip(low, middle, high, strict=True))
    assert middle[-1] > 10 > 1 > abs(lines["candidate", "median"][-1]), "the champion predicts a tenth too little"


def test_intervals_are_gains_in_margins_with_what_fails_left_of_the_limit(drawn: Path) -> None:
    found = {name: values for name, *values in read(drawn, "two classes", "facts.json")["intervals"]}
    assert list(found)[:3] == ["roc_auc", "log_loss", "brier_score"], "the primary metric first, then the guards"
    assert found["roc_auc"] == pytest.approx([0.2, 1.0, 1.8, -1])
    assert found["log_loss"] == pytest.approx([-3.5, -3.0, -2.5, -1]), "a loss that grew lies on the worse side"
    assert found["brier_score"] == pytest.approx([0.0, 0.5, 1.0, 0]), "a margin of zero has its limit at zero"
    assert "accuracy" not in found, "it has no interval"
    (collapsed, first), (other, second) = list(found.items())[3:]
    assert collapsed.startswith("plan = ") and first == pytest.approx([-4, -3, -2, -1])
    assert other == "age up to 30" and second == pytest.approx([-0.5, 0.2, 0.9, -1])
    assert read(drawn, "two classes", "facts.json")["calm"] == ["age up to 30"], (
        "the worst slices, though none collapsed"
    )
