"""A generated project with a published model, in which commands and workflows are measured."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local_github import LocalGitHub, PullRequest, Repository

from bench.generation import OWNER, TEMPLATE, generator

PLAIN = Path(__file__).parent / "workflows" / "plain.yml"
BY_PIP = "python3 -m venv .venv\n          .venv/bin/pip install --quiet --requirement requirements.txt"
BY_UV = '"$LOCAL_GITHUB_UV/uv" sync --locked --quiet'


@dataclass(frozen=True)
class Project:
    """A clone on a laptop, and its repository on the local GitHub."""

    path: Path
    github: LocalGitHub
    repository: Repository

    def run(self, *command: str) -> str:
        """Return what a command printed here."""
        return self.github.on_laptop(list(command), self.path, OWNER)

    def tool(self, *command: str, status: int = 0) -> Callable[[], None]:
        """Return what runs a command of this project's environment, which must end with `status`."""
        binaries = self.path / ".venv" / "bin"
        environment = self.github.laptop(OWNER)
        environment["PATH"] = f"{binaries}:{environment['PATH']}"

        def run() -> None:
            done = subprocess.run(
                [binaries / command[0], *command[1:]], cwd=self.path, env=environment, capture_output=True, text=True
            )
            if done.returncode != status:
                raise RuntimeError(f"{' '.join(command)}: {done.stdout}\n{done.stderr}")

        return run

    def branch(self, name: str, file: str, change: Callable[[str], str]) -> None:
        """Commit a change of one file on a new branch of main."""
        self.run("git", "switch", "--quiet", "--create", name, "main")
        path = self.path / file
        path.write_text(change(path.read_text()))
        self.run("git", "commit", "--quiet", "--all", "--message", f"Change {file}")

    def propose(self, branch: str) -> PullRequest:
        """Return a pull request of a branch, after the first run of each workflow on it."""
        self.repository.push(self.path, branch)
        pull = self.repository.open_pull_request(branch, branch)
        for run in pull.runs:
            run.expect("success")
        return pull


def publish_project(github: LocalGitHub, directory: Path) -> Project:
    """Return a project of the example whose first model is published, the plain workflows beside ours."""
    path = generator(TEMPLATE, directory)()
    repository = github.create_repository(f"{OWNER}/{path.name}")
    project = Project(path, github, repository)
    workflows = path / ".github" / "workflows"
    (workflows / "checks.yml").unlink()  # not measured
    plain = PLAIN.read_text()
    (workflows / "plain.yml").write_text(plain)
    (workflows / "plain-uv.yml").write_text(plain.replace("plain\n", "plain-uv\n", 1).replace(BY_PIP, BY_UV))
    project.run("make", "setup")
    project.run("make", "train")
    export = ["uv", "export", "--quiet", "--locked", "--no-dev", "--no-hashes", "--output-file", "requirements.txt"]
    project.run(*export)
    storage = directory / "plain-remote"
    project.tool("dvc", "remote", "add", "plain", str(storage))()
    project.tool("dvc", "push", "--remote", "plain")()
    repository.connect(path)
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message", "First model")
    repository.disabled = {"deploy"}
    for run in repository.push(path):
        run.expect("success")
    project.run("git", "fetch", "--quiet", "--tags", "origin")
    return project


def forget_caches(github: LocalGitHub) -> None:
    """Drop what earlier runs cached, so that every run is the first of its pull request."""
    shutil.rmtree(github.root / "caches", ignore_errors=True)
