"""The pictures of the docs: the comment and the report, as Chromium shows them in light mode."""

import base64
import tempfile
from pathlib import Path

from browser import CHROMIUM, Browser

from demo.errors import DemoError
from demo.review import Review

SCALE = 1.5  # pixels of the picture for one of CSS
COMMENT, REPORT = (930, None), (1000, 1900)  # CSS pixels: the width, and where the picture ends


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
                take_picture(browser, review.comment, folder / "comment.png", *COMMENT),
                take_picture(browser, review.report, folder / "report.png", *REPORT),
            ]
        finally:
            browser.stop()


def take_picture(browser: Browser, page: Path, picture: Path, width: int, end: int | None) -> Path:
    """Return a page's picture, down to `end` or whole."""
    browser.open(page, width)
    height = browser.ask("document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, end or height), "scale": SCALE}
    taken = browser.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
    picture.write_bytes(base64.b64decode(taken["data"]))
    return picture
