"""The page of a report is one file that asks nothing of the network and runs nothing that the data says."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import pytest
from baked import Project

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
TEXT = {"h1", "h2", "p", "code", "strong", "ul", "li", "div"}
TABLE = {"table", "thead", "tbody", "tr", "th", "td", "button", "input"}
TAGS = {"html", "head", "meta", "title", "style", "body", "header", "figure", "script"} | TEXT | TABLE
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


def test_only_its_own_two_scripts_may_run_and_nothing_may_be_fetched(page: Page) -> None:
    data, *own = page.scripts
    assert data[0] == "application/json" and [kind for kind, _ in own] == [None, None]
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for _, text in own]
    assert page.policy == {
        "default-src": ["'none'"],
        "style-src": ["'unsafe-inline'"],
        "script-src": [f"'sha256-{digest}'" for digest in digests],
    }


def test_its_charts_are_the_reports_in_both_themes(file: Path, page: Page) -> None:
    specs = json.loads(page.scripts[0][1])
    figures = [has["id"] for tag, has in page.tags if tag == "figure"]
    drawn = {path.stem.rsplit("-", 1)[0] for path in (file.parent / "pictures").iterdir()}
    assert set(figures) == set(specs["light"]) == set(specs["dark"]) == drawn
    assert '"url"' not in page.scripts[0][1]


def test_a_report_without_charts_has_no_vega_and_says_nothing_of_them(drawn: Path) -> None:
    text = (drawn / "nothing drawn.html").read_text()
    assert len(text) < 30_000 and "Charts" not in text


def test_where_vega_cannot_be_bundled_the_page_says_so_and_has_its_tables(drawn: Path) -> None:
    words = Page((drawn / "no bundle.html").read_text()).words
    assert "The charts are missing here, because Vega could not be bundled: Bundling failed:" in words
    assert "roc_auc" in words


def test_the_package_carries_the_pages_template(project: Project, tmp_path: Path) -> None:
    project.run("uv", "build", "--quiet", "--wheel", "--out-dir", tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert "customer_churn/review/page.html" in archive.namelist()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_in_a_browser_every_chart_is_drawn_and_nothing_of_the_data_runs(file: Path, tmp_path: Path) -> None:
    named = tmp_path / "report.html"  # headless Chromium takes no path with a space
    shutil.copy(file, named)
    options = [*QUIET.split(), f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=10000"]
    command = [str(CHROMIUM), *options, "--enable-logging=stderr", "--dump-dom", f"file://{named}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert "CONSOLE" not in done.stderr, done.stderr
    assert re.findall(r"<title>(.*?)</title>", done.stdout)[0] == "Model report"
    figures = re.findall(r"<figure .*?</figure>", done.stdout, re.S)
    assert figures and all(figure.count("<svg") == 1 for figure in figures)
    assert "<img" not in done.stdout.partition("<script")[0]
