"""The page of a report is one file that asks nothing of the network and runs nothing that the data says."""

import base64
import hashlib
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from drawing import page_of, pictures_of, report_of
from mlops_actions.review.page import write_page

from engine import build

TEXT = {"h1", "h2", "p", "code", "strong", "ul", "li", "div"}
TABLE = {"table", "thead", "tbody", "tr", "th", "td", "button", "input"}
DRAWING = {"svg", "g", "rect", "line", "polyline", "path", "circle", "text"}
TAGS = {"html", "head", "meta", "title", "style", "body", "header", "figure", "script"} | TEXT | TABLE | DRAWING
Open = Callable[..., Browser]
CASES = ["two classes", "numbers", "hostile names", "twenty classes"]


class Page(HTMLParser):
    """What a browser would make of a page: its tags and attributes, its text, its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[str | None, str]] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs).get("type"), ""))

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and not self.scripts[-1][1]:
            self.scripts[-1] = (self.scripts[-1][0], data)
        elif self.lasttag not in ("script", "style"):
            self.words += data

    @property
    def policy(self) -> dict[str, list[str]]:
        (content,) = [has["content"] for tag, has in self.tags if has.get("http-equiv") == "Content-Security-Policy"]
        return {name: values for name, *values in (part.split() for part in str(content).split(";"))}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def page(case: str) -> Page:
    return Page(page_of(case))


def test_it_has_no_tag_of_the_data_and_no_address(page: Page) -> None:
    assert {tag for tag, _ in page.tags} <= TAGS
    for tag, attributes in page.tags:
        assert not attributes.keys() & {"src", "href", "srcset", "data", "action", "style"}, tag
        assert not any(name.startswith("on") for name in attributes), tag
    assert "document.title='pwned'" in page.words, "what the data says is shown as it is"


def test_only_its_own_script_may_run_and_nothing_may_be_fetched(page: Page) -> None:
    (kind, _), (own, script) = page.scripts
    assert kind == "application/json" and own is None
    assert "eval" not in script and "innerHTML" not in script
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert page.policy == {
        "default-src": ["'none'"],
        "style-src": ["'unsafe-inline'"],
        "script-src": [f"'sha256-{digest}'"],
    }


def test_its_charts_are_the_pictures_and_know_their_values(case: str, page: Page) -> None:
    tips = json.loads(page.scripts[0][1])
    figures = [has["id"] for tag, has in page.tags if tag == "figure"]
    drawn = {name.rpartition("-")[0] for name in pictures_of(case)}
    assert set(figures) == set(tips) == drawn and all(tips.values())
    assert [tag for tag, _ in page.tags].count("svg") == len(figures)


@pytest.mark.parametrize("case", [*CASES, "many rows", "many numbers"])
def test_it_is_small(case: str) -> None:
    assert len(page_of(case).encode()) < 250_000


def test_the_metric_that_decides_and_those_of_which_less_is_better_are_marked() -> None:
    text = page_of("two classes")
    names = re.findall(r"<td><code>([a-z_]+)</code>([^<]*)</td>", text.partition("<h2>Rules")[0])
    assert names == [("roc_auc", " decides"), ("log_loss", " ↓"), ("accuracy", ""), ("brier_score", " ↓")]


def test_a_report_without_charts_says_nothing_of_them() -> None:
    text = write_page(replace(report_of("two classes"), plots=[], rulings=[], slices=[], confusion=None))
    assert len(text) < 30_000 and "Charts" not in text


def test_the_wheel_carries_the_pages_template(tmp_path: Path) -> None:
    with zipfile.ZipFile(build.build(tmp_path)) as archive:
        assert "mlops_actions/review/page.html" in archive.namelist()


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """`opened("two classes", width=390)`: the browser that shows a case's page."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    folder = tmp_path_factory.mktemp("pages")
    browser = Browser(tmp_path_factory.mktemp("chromium"))

    def open_page(case: str, width: int = 1200, theme: str = "light") -> Browser:
        file = folder / f"{case}.html"
        file.write_text(page_of(case), "utf-8")
        browser.open(file, width, theme)
        assert browser.asked == [file.as_uri()]
        return browser

    yield open_page
    browser.stop()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_a_browser_shows_it_and_runs_nothing_of_the_data(case: str, opened: Open, theme: str, width: int) -> None:
    browser = opened(case, width, theme)
    assert browser.ask("document.title") == "Model report"
    assert browser.ask("document.querySelectorAll('img').length") == 0
    assert browser.ask("document.documentElement.scrollWidth") <= width, "only tables scroll sideways"
    grounds = "[...document.querySelectorAll('svg > rect:first-child')].map((rect) => getComputedStyle(rect).fill)"
    assert set(browser.ask(grounds)) == {"rgb(255, 255, 255)" if theme == "light" else "rgb(13, 17, 23)"}
    sizes = browser.ask(
        "[...document.querySelectorAll('figure > svg')].map((svg) => svg.getBoundingClientRect().width)"
    )
    assert min(sizes) > 320
    assert not browser.said


def test_pointing_at_a_mark_shows_its_values(opened: Open) -> None:
    browser = opened("two classes")
    assert browser.ask("tip.hidden")
    browser.point("#calibration .candidate circle:nth-of-type(4)")
    said = browser.ask("tip.hidden || tip.textContent").splitlines()
    curve = report_of("two classes").plots[2].curves[1]
    assert said == ["candidate", f"predicted {curve.x[3]:.4f}", f"observed {curve.y[3]:.4f}"]
    browser.move(2, 2)
    assert browser.ask("tip.hidden")
    browser = opened("hostile names")
    browser.point("#confusion rect:nth-of-type(4)")
    assert "</script><" in browser.ask("tip.hidden || tip.textContent"), "data is text"
    assert not browser.said


def test_a_legend_picks_one_model_out_and_puts_it_back(opened: Open) -> None:
    browser = opened("two classes")
    opacity = (
        "['champion', 'candidate'].map((model) => +getComputedStyle(document.querySelector(`#roc .${model}`)).opacity)"
    )
    assert browser.ask(opacity) == [1, 1]
    browser.point("#roc .legend.champion", click=True)
    assert browser.ask(opacity) == [1, 0.15]
    browser.point("#roc .legend.candidate", click=True)
    assert browser.ask(opacity) == [0.15, 1]
    browser.point("#roc .legend.candidate", click=True)
    assert browser.ask(opacity) == [1, 1]


def test_tables_sort_and_search(opened: Open) -> None:
    browser = opened("two classes")
    rows = "[...document.querySelectorAll('#slices tbody tr')].map((row) => row.cells[1].textContent)"
    browser.point("#slices th:nth-child(2) button", click=True)
    assert browser.ask(rows) == ["3", "60", "80"]
    browser.point("#slices th:nth-child(2) button", click=True)
    assert browser.ask(rows) == ["80", "60", "3"]
