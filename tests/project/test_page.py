"""The page of a report is one file that asks nothing of the network and runs nothing that the data says."""

import base64
import hashlib
import json
import re
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser

from engine import build

TEXT = {"h1", "h2", "p", "code", "strong", "ul", "li", "div"}
TABLE = {"table", "thead", "tbody", "tr", "th", "td", "button", "input"}
DRAWING = {"svg", "g", "rect", "line", "polyline", "path", "circle", "text"}
TAGS = {"html", "head", "meta", "title", "style", "body", "header", "figure", "script"} | TEXT | TABLE | DRAWING
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
def file(drawn: Path, request: pytest.FixtureRequest) -> Path:
    return drawn / request.param / "report.html"


@pytest.fixture
def page(file: Path) -> Page:
    return Page(file.read_text("utf-8"))


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


def test_its_charts_are_the_pictures_and_know_their_values(file: Path, page: Page) -> None:
    tips = json.loads(page.scripts[0][1])
    figures = [has["id"] for tag, has in page.tags if tag == "figure"]
    drawn = {path.stem.rsplit("-", 1)[0] for path in (file.parent / "pictures").iterdir()}
    assert set(figures) == set(tips) == drawn and all(tips.values())
    assert [tag for tag, _ in page.tags].count("svg") == len(figures)


@pytest.mark.parametrize("case", [*CASES, "many rows", "many numbers"])
def test_it_is_small(drawn: Path, case: str) -> None:
    assert (drawn / case / "report.html").stat().st_size < 250_000


def test_the_metric_that_decides_and_those_of_which_less_is_better_are_marked(drawn: Path) -> None:
    text = (drawn / "two classes/report.html").read_text()
    names = re.findall(r"<td><code>([a-z_]+)</code>([^<]*)</td>", text.partition("<h2>Rules")[0])
    assert names == [("roc_auc", " decides"), ("log_loss", " ↓"), ("accuracy", ""), ("brier_score", " ↓")]


def test_a_report_without_charts_says_nothing_of_them(drawn: Path) -> None:
    text = (drawn / "nothing drawn.html").read_text()
    assert len(text) < 30_000 and "Charts" not in text


def test_the_wheel_carries_the_pages_template(tmp_path: Path) -> None:
    with zipfile.ZipFile(build.build(tmp_path)) as archive:
        assert "mlops_actions/review/page.html" in archive.namelist()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.stop()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_a_browser_shows_it_and_runs_nothing_of_the_data(file: Path, browser: Browser, theme: str, width: int) -> None:
    browser.open(file, width, theme)
    assert browser.ask("document.title") == "Model report"
    assert browser.ask("document.querySelectorAll('img').length") == 0
    assert browser.ask("document.documentElement.scrollWidth") <= width, "only tables scroll sideways"
    grounds = "[...document.querySelectorAll('svg > rect:first-child')].map((rect) => getComputedStyle(rect).fill)"
    assert set(browser.ask(grounds)) == {"rgb(255, 255, 255)" if theme == "light" else "rgb(13, 17, 23)"}
    sizes = browser.ask(
        "[...document.querySelectorAll('figure > svg')].map((svg) => svg.getBoundingClientRect().width)"
    )
    assert min(sizes) > 320
    assert browser.asked == [file.as_uri()]
    assert not browser.said


def test_pointing_at_a_mark_shows_its_values(drawn: Path, browser: Browser) -> None:
    browser.open(drawn / "two classes/report.html")
    assert browser.ask("tip.hidden")
    browser.point("#calibration .candidate circle:nth-of-type(4)")
    said = browser.ask("tip.hidden || tip.textContent").splitlines()
    curve = json.loads((drawn / "two classes/report.json").read_text())["plots"][2]["curves"][1]
    assert said == ["candidate", f"predicted {curve['x'][3]:.4f}", f"observed {curve['y'][3]:.4f}"]
    browser.move(2, 2)
    assert browser.ask("tip.hidden")
    browser.open(drawn / "hostile names/report.html")
    browser.point("#confusion rect:nth-of-type(4)")
    assert "</script><" in browser.ask("tip.hidden || tip.textContent"), "data is text"
    assert not browser.said


def test_a_legend_picks_one_model_out_and_puts_it_back(drawn: Path, browser: Browser) -> None:
    browser.open(drawn / "two classes/report.html")
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


def test_tables_sort_and_search(drawn: Path, browser: Browser) -> None:
    browser.open(drawn / "two classes/report.html")
    rows = "[...document.querySelectorAll('#slices tbody tr')].map((row) => row.cells[1].textContent)"
    browser.point("#slices th:nth-child(2) button", click=True)
    assert browser.ask(rows) == ["3", "60", "80"]
    browser.point("#slices th:nth-child(2) button", click=True)
    assert browser.ask(rows) == ["80", "60", "3"]
