"""The whole story on this machine: a first push, a pull request that retrains, its comment, a merge that publishes."""

import argparse
import os
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from local_github import start_github

from demo.errors import DemoError
from demo.pictures import require_browser, take_pictures
from demo.progress import Progress
from demo.review import Review
from demo.story import OWNER, TEMPLATE, Story

OUTPUT = TEMPLATE / ".demo"
PROJECT = "customer-churn"


def main() -> None:
    """Play the story into `.demo/`; take the docs' pictures of it where a folder for them is named."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--pictures", metavar="FOLDER", type=Path, help="where the docs' pictures go")
    folder = parser.parse_args().pictures
    try:
        if folder:
            require_browser()
        shutil.rmtree(OUTPUT, ignore_errors=True)
        OUTPUT.mkdir()
        review = play(OUTPUT, Progress())
        for picture in take_pictures(review, folder) if folder else ():
            print(f"Picture:  {picture}")
    except (DemoError, RuntimeError) as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        sys.exit("demo: stopped.")


def play(output: Path, progress: Progress) -> Review:
    """Play every act on a GitHub of its own, say what came of it, and return what the comment shows."""
    started = time.monotonic()
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        # Laptop and runs share two cores, and what mypy reads of the libraries.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        os.environ["MYPY_CACHE_DIR"] = str(Path(directory) / "mypy")
        with progress.step("Start a local GitHub"):
            started_github = start_github(Path(directory) / "github", (OWNER,), at_once=os.cpu_count() or 1)
            progress.github = github = stack.enter_context(started_github)
            repository = github.create_repository(f"{OWNER}/{PROJECT}")
        story = Story(repository, Path(directory) / PROJECT, output, progress)
        with progress.step("Generate a project from the bundled example: 5,000 customers, did they leave?"):
            story.generate()
        with progress.step("make setup, make train: install, describe the data, train the first model"):
            story.train()
        with progress.step("git push: checks, and main's first release"):
            story.push()
        with progress.step("A pull request sums up the charges and leaves out the noise: checks, retrain, the comment"):
            pull = story.propose()
            review = story.review(pull)
        with progress.step("Merge: trained again from merged code, judged again, released"):
            release = story.merge(pull)
        with progress.step("Stop the local GitHub and delete the project"):
            stack.close()
    print(f"\n{review.headline}\n")
    print(f"The comment:  {review.comment}")
    print(f"The report:   {review.report}")
    print(f"The release:  {release}: {', '.join(sorted(path.name for path in release.iterdir()))}")
    print(f"Played in {time.monotonic() - started:.0f} s.")
    return review


if __name__ == "__main__":
    main()
