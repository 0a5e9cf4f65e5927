"""The story, act by act: a first push, a pull request that changes the model, its comment, a merge that publishes.

Everything is real (git, DVC, GTO, the generated workflows in act, the GitHub CLI) but GitHub itself, which is the local
one that the tests use. Each act ends with what the README promises of it, or with a `DemoError`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local_github import MergeBlockedError, PullRequest, Repository, Run

from demo.errors import DemoError
from demo.progress import Progress
from demo.review import Review, read_review

TEMPLATE = Path(__file__).resolve().parent.parent
OWNER = "acme"
BRANCH, TITLE = "total-charge", "Sum up the charges, leave out the noise"
BEFORE = "    return rows\n"
AFTER = """\
    # A tree splits one column at a time: it cannot see what a customer pays in all.
    rows["total_charge"] = rows[[f"total_{part}_charge" for part in ("day", "eve", "night", "intl")]].sum(axis=1)
    noise = ["state", "area_code", "account_length", "total_day_calls", "total_eve_calls", "total_night_calls"]
    return rows.drop(columns=noise)
"""
ASSETS = {"bundle.zip", "MODEL_CARD.md", "SHA256SUMS"}
CHUNK = 4096


def sum_charges(project: Path) -> None:
    """Edit features.py as a data scientist would.

    Raises:
        DemoError: features.py does not end as it did when this was written.
    """
    (features,) = project.glob("src/*/features.py")
    text = features.read_text(encoding="utf-8")
    if not text.endswith(BEFORE):
        raise DemoError(f"{features.name} does not end in `{BEFORE.strip()}`, which the demo's pull request changes.")
    features.write_text(text.removesuffix(BEFORE) + AFTER, encoding="utf-8")


@dataclass
class Story:
    """A repository on a local GitHub, its project on the owner's machine, and where the results go."""

    repository: Repository
    project: Path
    output: Path
    progress: Progress

    def generate(self) -> None:
        """Write the project, as `cookiecutter` does for a user."""
        answers = ["--no-input", "--output-dir", str(self.project.parent), str(TEMPLATE)]
        values = [f"project_slug={self.project.name}", f"github_owner={OWNER}"]
        self.run(sys.executable, "-m", "cookiecutter", *answers, *values, directory=self.project.parent)

    def train(self) -> None:
        """Install the project, train its first model, and commit both."""
        self.run("make", "setup")
        self.run("make", "train")
        self.repository.hub.keep_bytecode(self.project / ".venv")
        self.repository.connect(self.project)
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", "First model")

    def push(self) -> None:
        """Push main: its runs release v1.0.0."""
        self._expect_success(self.repository.push(self.project))
        self._expect_release("model@v1.0.0")

    def propose(self, change: Callable[[Path], None] = sum_charges) -> PullRequest:
        """Return the pull request of a change, once its runs have ended."""
        self.run("git", "switch", "--quiet", "--create", BRANCH)
        change(self.project)
        self.run("git", "commit", "--quiet", "--all", "--message", TITLE)
        self._expect_success(self.repository.push(self.project, BRANCH))
        pull = self.repository.open_pull_request(BRANCH, TITLE)
        self._expect_success(pull.runs)
        return pull

    def review(self, pull: PullRequest) -> Review:
        """Return what the pull request's comment shows, kept with the full report as pages."""
        return read_review(pull, self.output)

    def merge(self, pull: PullRequest) -> Path:
        """Merge, and return the folder with the second release's files, checked against their sums."""
        try:
            self._expect_success(self.repository.merge(pull))
        except MergeBlockedError as error:
            raise DemoError(f"The merge is refused: {error}") from error
        tag = self._expect_release("model@v1.1.0")
        folder = self.output / "release"
        self.run("gh", "release", "download", tag, "--repo", self.repository.name, "--dir", str(folder))
        if missing := ASSETS - {path.name for path in folder.iterdir()}:
            raise DemoError(f"The release {tag} lacks {', '.join(sorted(missing))}.")
        self.run("sha256sum", "--check", "--strict", "SHA256SUMS", directory=folder)
        return folder

    def run(self, *command: str, directory: Path | None = None) -> None:
        """Run a command on the owner's machine, and hear what it says while it runs.

        Raises:
            DemoError: it failed.
        """
        environment = self.repository.hub.laptop(OWNER)
        program = shutil.which(command[0], path=environment["PATH"]) or command[0]
        name = " ".join([Path(command[0]).name, *command[1:3]])
        with self.progress.running(name):
            process = subprocess.Popen(
                [program, *command[1:]],
                cwd=directory or self.project,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            assert process.stdout is not None
            said = ""
            with process:
                while chunk := os.read(process.stdout.fileno(), CHUNK):
                    said += chunk.decode(errors="replace")
                    self.progress.hear(said[-CHUNK:])
        if process.returncode:
            raise DemoError(f"`{name}` failed; {self._keep_log('failed', said)}.")

    def _expect_success(self, runs: list[Run]) -> None:
        for run in runs:
            if run.conclusion not in ("success", "skipped"):
                log = self._keep_log(run.name, run.log)
                raise DemoError(f"The workflow {run.name} ended in {run.conclusion}; {log}.")

    def _expect_release(self, tag: str) -> str:
        found = [release["tag_name"] for release in self.repository.releases() if not release["draft"]]
        if found[:1] != [tag]:
            raise DemoError(f"{tag} was not released; the releases are: {', '.join(found) or 'none'}.")
        return tag

    def _keep_log(self, name: str, text: str) -> str:
        path = self.output / f"{name}.log"
        path.write_text(text, encoding="utf-8")
        return f"what it said is in {path}"
