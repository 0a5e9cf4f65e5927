"""The pictures of the docs: the comment and the report, as Chromium shows them in light mode."""

import base64
import tempfile
from pathlib import Path

from browser import CHROMIUM, Browser

from demo.errors import DemoError
from demo.review import Review

COMMENT_WIDTH, REPORT_WIDTH = 930, 1400  # CSS pixels
END_OF_CHARTS = "document.querySelector('.charts').getBoundingClientRect().bottom + 16"
END = "document.documentElement.scrollHeight"


def require_browser() -> None:
    """Raise DemoError where no browser can take pictures."""
    if CHROMIUM is None:
        raise DemoError("Pictures need Chromium or Chrome on PATH: install it, such as by `apt-get install chromium`.")


def take_pictures(review: Review, folder: Path) -> list[Path]:
    """Return the docs' pictures of a comment and its report."""
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(Path(profile))
        try:
            return [
                take_picture(browser, review.comment, folder / "comment.png", COMMENT_WIDTH, END, scale=1.5),
                take_picture(browser, review.report, folder / "report.png", REPORT_WIDTH, END_OF_CHARTS),
            ]
        finally:
            browser.stop()


def take_picture(browser: Browser, page: Path, picture: Path, width: int, end: str, scale: float = 1) -> Path:
    """Return a page's picture of some CSS pixels' width, down to where the script `end` says."""
    browser.open(page, width)
    browser.call("Emulation.setScrollbarsHidden", hidden=True)
    clip = {"x": 0, "y": 0, "width": width, "height": browser.ask(end), "scale": scale}
    taken = browser.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
    picture.write_bytes(base64.b64decode(taken["data"]))
    return picture
