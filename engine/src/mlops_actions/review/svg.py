"""Elements of an SVG: shapes and words in a theme's colours, and numbers at their places along an axis.

A colour is the CSS property of its name, `var(--candidate)`: a page sets it by its theme, and `paint` writes one
theme's colours in its place, for pictures.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from html import escape

SIZE = 12  # CSS pixels of the words: readable on a phone
FONT = "Liberation Sans, Arial, sans-serif"  # vl-convert carries the first
NARROW = {**dict.fromkeys(" .,:;|!'ijl[]", 0.28), **dict.fromkeys("()-frtI", 0.36)}  # widths of Liberation Sans, in ems


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


def paint(svg: str, theme: Theme) -> str:
    """Return the SVG in one theme's colours."""
    colours = asdict(theme)
    return re.sub(r"var\(--(\w+)\)", lambda found: colours[found[1]], svg)


def element(kind: str, inside: Iterable[str] = (), /, **attributes: str | float) -> str:
    """Return an element around others; the name `stroke_width` is `stroke-width`, and `class_` is `class`."""
    named = "".join(f' {name.strip("_").replace("_", "-")}="{_shown(is_)}"' for name, is_ in attributes.items())
    content = "".join(inside)
    return f"<{kind}{named}>{content}</{kind}>" if content else f"<{kind}{named}/>"


def _shown(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def group(inside: Iterable[str], /, **attributes: str | float) -> str:
    """Return elements with what they have in common."""
    return element("g", inside, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, stroke: str = "var(--grid)", **attributes: str | float) -> str:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, **attributes)


def path(points: Iterable[tuple[float, float]], **attributes: str | float) -> str:
    """Return the line through the points."""
    return element(
        "polyline", points=" ".join(f"{_shown(x)},{_shown(y)}" for x, y in points), fill="none", **attributes
    )


def words(text: str, x: float, y: float, fill: str = "var(--text)", **attributes: str | float) -> str:
    """Return text on the baseline `y`; it can be anything, a colour's name too."""
    return element("text", [escape(text).replace("(", "&#40;")], x=x, y=y, fill=fill, **attributes)


def measure(text: str) -> float:
    """Return about how wide the text is, in CSS pixels."""
    return SIZE * sum(NARROW.get(char, 0.56 if char.isascii() else 1) for char in text.replace("−", "+"))


@dataclass(frozen=True)
class Axis:
    """Numbers along a line: `low` is at the pixel `start`, `high` at the pixel `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the number's pixel."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """Return round numbers, about five, with their pixels and how they are written."""
        step = round_step(self.low, self.high)
        numbers = [
            place * step for place in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)
        ]
        far = max(abs(self.low), abs(self.high))
        style = f",.{max(0, -math.floor(math.log10(step) + 1e-9))}f" if step > 1e-4 and far < 1e7 else ".4g"
        return [(self.at(number), f"{number + 0.0:{style}}".replace("-", "−")) for number in numbers]


def round_step(low: float, high: float, steps: int = 5) -> float:
    """Return 1, 2 or 5 times a power of ten, about so many of which lie between the ends."""
    rough = (high - low) / steps
    power = 10.0 ** math.floor(math.log10(rough))
    return power * next(factor for most, factor in ((1.41, 1), (3.16, 2), (7.07, 5), (11, 10)) if rough / power < most)


def span(numbers: Iterable[float]) -> tuple[float, float]:
    """Return round ends that have all the numbers between them, and something between them where all are equal."""
    values = list(numbers)
    low, high = min(values), max(values)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        around = abs(low) / 10 or 1.0
        low, high = low - around, high + around
    step = round_step(low, high, 10)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
