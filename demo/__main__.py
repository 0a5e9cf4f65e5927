"""The whole story on this machine: a first push, a pull request that retrains, its comment, a merge that publishes.

Everything is real (git, DVC, GTO, the generated workflows in act, the GitHub CLI) but GitHub itself, which is the local
one that the tests use.
"""

import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cookiecutter.main import cookiecutter
from local_github import LocalGitHub, Repository, Run, start_github

from demo.page import write_page

TEMPLATE = Path(__file__).resolve().parent.parent
OUTPUT = TEMPLATE / ".demo"
OWNER = "acme"


def main() -> None:
    """Play the story into `.demo/`."""
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir()
    with tempfile.TemporaryDirectory() as directory, start_github(Path(directory), (OWNER,)) as github:
        play(github)


def play(github: LocalGitHub) -> None:
    """Play the story on a local GitHub."""
    with step("Generate a project from the bundled example"):
        answers = {"github_owner": OWNER}
        project = Path(cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(OUTPUT), extra_context=answers))

    def run(*command: str) -> None:
        github.on_laptop(list(command), project, OWNER)

    with step("make setup: install, describe the data, track it"):
        run("make", "setup")
    with step("make train: the first model"):
        run("make", "train")
    repository = github.create_repository(f"{OWNER}/{project.name}")
    repository.connect(project)
    run("git", "add", "--all")
    run("git", "commit", "--quiet", "--message", "First model")
    with step("git push: checks and publish run"):
        show(repository.push(project))

    run("git", "switch", "--quiet", "--create", "slower-learning")
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("params: {}", "params: {learning_rate: 0.05, max_iter: 200}", 1))
    run("git", "commit", "--quiet", "--all", "--message", "Learn slower, for longer")
    with step("A pull request changes two parameters: checks, retrain and report run"):
        show(repository.push(project, "slower-learning"))
        pull = repository.open_pull_request("slower-learning", "Learn slower, for longer")
        show(pull.runs)
    comment = pull.comments()[-1]
    page = OUTPUT / "comment.html"
    write_page(
        page, comment["user"]["login"], f"{pull.title} #{pull.number}", keep_pictures(repository, comment["body"])
    )
    retrain = next(run for run in pull.runs if run.name == "retrain")
    report = OUTPUT / "report.html"
    report.write_bytes(retrain.artifacts["report"].read()["report.html"])

    with step("Merge: main trains from merged code, the gate rules again, a version is released"):
        show(repository.merge(pull))
    released = OUTPUT / "release"
    newest = max(repository.releases(), key=lambda release: release["published_at"])
    with step(f"Download the release {newest['tag_name']} and check its sums"):
        released.mkdir()
        gh = ["gh", "release", "download", newest["tag_name"], "--repo", repository.name, "--dir", str(released)]
        run(*gh)
        github.on_laptop(["sha256sum", "--check", "SHA256SUMS"], released, OWNER)

    print(f"\n{comment['body'].splitlines()[0]}\n")
    print(f"The comment:  {page}")
    print(f"The report:   {report}")
    print("The release:")
    for file in sorted(released.iterdir()):
        print(f"  {file}  {file.stat().st_size:,} bytes")


def keep_pictures(repository: Repository, body: str) -> str:
    """Return the comment with its pictures beside the page, for when the local GitHub is gone."""
    for address, commit, name in set(re.findall(r'"(http[^"]+/raw/([0-9a-f]{40})/([a-z_-]+\.png))"', body)):
        (OUTPUT / name).write_bytes(repository.bare.read_bytes(commit, name))
        body = body.replace(address, name)
    return body


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print what happens, and how long it took."""
    print(f"▶ {title} …", flush=True)
    started = time.monotonic()
    yield
    print(f"  done in {time.monotonic() - started:.0f} s", flush=True)


def show(runs: list[Run]) -> None:
    """Print each run that had something to do; one that failed ends the demo with its log."""
    for run in (run for run in runs if run.conclusion != "skipped"):
        print(f"  {run.name}: {run.conclusion} in {run.seconds:.0f} s", flush=True)
        run.expect("success")


if __name__ == "__main__":
    main()
