"""What a pull request's comment shows: a verdict, a table of both models, pictures. Each must be there."""

import re
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from local_github import LocalGitHub, PullRequest, Run

from demo.errors import DemoError
from demo.page import write_page

VERDICT = re.compile(r"### ([✅❌] .+)")
PICTURE = re.compile(r"<picture>.*?</picture>", re.S)
ADDRESS = re.compile(r'(src|srcset)="(https://[^"]+/([\w-]+\.png))"')
WATERMARK = re.compile(r"!\[\]\(https://cml\.dev/watermark\.png\S* .+\)")
SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Review:
    """The verdict, each metric of champion and candidate, the pictures, and the pages to look at."""

    headline: str
    metrics: dict[str, tuple[float, float]]
    pictures: list[Path]
    comment: Path
    report: Path


def read_review(pull: PullRequest, folder: Path) -> Review:
    """Return what the pull request's one comment shows; its pictures and its pages are in `folder`.

    Raises:
        DemoError: something that is promised is not there.
    """
    comments = pull.comments()
    if len(comments) != 1:
        raise DemoError(f"Pull request {pull.number} has {len(comments)} comments; one is promised.")
    body = str(comments[0]["body"])
    headline, metrics = read_headline(body), read_metrics(body)
    pictures = fetch_pictures(pull.base.hub, pull.author, body, folder / "pictures")
    comment, report = folder / "comment.html", folder / "report.html"
    retrain, page = find_report(pull)
    report.write_bytes(page)
    shown = ADDRESS.sub(r'\1="pictures/\3"', WATERMARK.sub("", body)).replace(retrain.url, report.name)
    write_page(comment, comments[0]["user"]["login"], f"{pull.title} #{pull.number}", shown)
    return Review(headline, metrics, pictures, comment, report)


def read_headline(body: str) -> str:
    """Return the first line, a verdict on a model that was retrained."""
    first = body.partition("\n")[0]
    if not (verdict := VERDICT.fullmatch(first)):
        raise DemoError(f"The comment has no verdict on a new model, it begins: {first.lstrip('# ')}.")
    return verdict[1]


def read_metrics(body: str) -> dict[str, tuple[float, float]]:
    """Return champion's and candidate's value of each metric, one of which differs at least."""
    metrics = dict(_read_rows(body))
    if not metrics:
        raise DemoError("The comment has no table with the metrics of champion and candidate.")
    if all(champion == candidate for champion, candidate in metrics.values()):
        raise DemoError("The comment's table shows the same values for champion and candidate.")
    return metrics


def _read_rows(body: str) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield the rows of the first table: a name in code, then the two values."""
    table = re.search(r"(^\|.+\|$\n?)+", body, re.M)
    for line in table[0].splitlines() if table else ():
        name, champion, candidate = (line.strip("|").split("|") + ["", ""])[:3]
        if found := re.search(r"`(\w+)`", name):
            with suppress(ValueError):  # a dash stands for a value that is undefined
                yield found[1], (_number(champion), _number(candidate))


def _number(cell: str) -> float:
    return float(cell.strip().replace("−", "-").replace(",", ""))


def fetch_pictures(github: LocalGitHub, reader: str, body: str, folder: Path) -> list[Path]:
    """Return the comment's pictures, fetched from where it links them, as a reader's browser does."""
    addresses = {name: address for picture in PICTURE.findall(body) for _, address, name in ADDRESS.findall(picture)}
    if not addresses:
        raise DemoError("The comment shows no picture.")
    folder.mkdir(exist_ok=True)
    context = ssl.create_default_context(cafile=github.trust["SSL_CERT_FILE"])
    headers = {"Authorization": f"Bearer {github.people[reader].value}"}
    for name, address in addresses.items():
        try:
            with urlopen(Request(address, headers=headers), context=context) as answer:
                content = answer.read()
        except URLError as error:
            raise DemoError(f"The comment shows {name}, which cannot be fetched: {error.reason}.") from error
        if not content.startswith(SIGNATURE):
            raise DemoError(f"The comment shows {name}, which is no PNG picture.")
        (folder / name).write_bytes(content)
    return [folder / name for name in addresses]


def find_report(pull: PullRequest) -> tuple[Run, bytes]:
    """Return the run that kept the full report, and its page."""
    for run in reversed(pull.runs):
        if "report" in run.artifacts and (page := run.artifacts["report"].read().get("report.html")):
            return run, page
    raise DemoError(f"No run of pull request {pull.number} kept a full report.")
