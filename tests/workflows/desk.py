"""Where people and runners work in the stories: a clone at somebody's desk, and a publish run that can be cut short."""

import hashlib
import io
import itertools
import json
import os
import re
import secrets
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from baked import Project
from local_github import LocalGitHub, PullRequest, Repository, Run, Token, Workflow, read_workflows
from local_github.events import push_event
from local_github.permissions import BOT
from mlops_actions.core.params_file import update_params
from mlops_actions.registry.objects import place
from records import train_here

OWNER = "acme"
ASSETS = ["MODEL_CARD.md", "SHA256SUMS", "bundle.zip", "metrics.json", "schema.yaml"]
PROOF = "bundle.zip.sigstore.json"
FORGED = itertools.count(1)
VERBS = "mlops push && mlops version && mlops release"


def find_run(runs: list[Run], name: str) -> Run:
    """The one run of a workflow among several."""
    (run,) = [run for run in runs if run.name == name]
    return run


def propose_untrained(hub: LocalGitHub, project: Project, name: str, private: bool = False) -> PullRequest:
    """A pull request to a repository in which nothing was trained and only reports run: a test says what was left."""
    repository = hub.create_repository(name, private=private)
    repository.disabled = {"checks", "keep", "retrain", "publish"}
    repository.connect(project.path)
    project.commit("Begin")
    repository.push(project.path)
    project.run("git", "switch", "--quiet", "--create", "tuned")
    project.write("NOTES.md", "Tuned.\n")
    project.commit("Tune")
    repository.push(project.path, "tuned")
    return repository.open_pull_request("tuned", "Tune")


def bump_checkout(desk: "Desk") -> str:
    """Commit a bump of an action, as Dependabot proposes it; its commit."""
    for path in (desk.path / ".github/workflows").glob("*.yml"):
        bumped = rf"\1@{secrets.token_hex(20)} # v8.0.0"
        path.write_text(re.sub(r"(actions/checkout)@\w+ # .*", bumped, path.read_text()))
    desk.run("git", "commit", "--quiet", "--no-verify", "--message", "Bump actions/checkout", ".github/workflows")
    return desk.run("git", "rev-parse", "HEAD")


def kept_branches(repository: Repository) -> dict[str, str]:
    """The commit of each branch that keeps workflows, by the tree that its name says."""
    refs = repository.bare.refs("refs/heads/releases/")
    return {name.removeprefix("refs/heads/releases/"): commit for name, (commit, _) in refs.items()}


def delete_other_branches(repository: Repository) -> None:
    """Leave main alone, as when every pull request is merged and somebody tidied up."""
    for name in repository.bare.refs("refs/heads/"):
        if name != "refs/heads/main":
            repository.bare.git("update-ref", "-d", name)


def state(repository: Repository) -> dict[str, Any]:
    """What people find in a repository: its branches, its tags' objects, its store, its releases with their bytes."""
    releases = {
        release["tag_name"]: (release["draft"], {asset["name"]: digest_of(asset) for asset in release["assets"]})
        for release in repository.releases()
    }
    assert len(releases) == len(repository.releases()), "one release a tag"
    tags = {tag: repository.bare.resolve(tag) for tag in repository.tags()}
    branches = {"main": repository.bare.resolve("main"), "kept": kept_branches(repository)}
    stored = set(repository.bare.files("refs/dvc/store", "."))
    return {**branches, "tags": tags, "stored": stored, "releases": releases}


def digest_of(asset: dict[str, str]) -> str:
    """What stays the same when an asset is made again: of an attestation, which a new key signs, that it is there."""
    return "signed" if asset["name"] == PROOF else asset["digest"]


@dataclass(frozen=True)
class Desk:
    """A person's clone, with the virtual environment of the project that the repository began with."""

    repository: Repository
    path: Path
    user: str

    @classmethod
    def clone(cls, repository: Repository, path: Path, venv: Path, user: str = OWNER) -> "Desk":
        """A fresh clone of the default branch."""
        repository.clone(path, user)
        (path / ".venv").symlink_to(venv)
        (path / ".git/info/exclude").write_text(".venv\n")
        return cls(repository, path, user)

    def run(self, *command: str) -> str:
        """What a command prints; the project's own commands are on PATH."""
        path = f"PATH={self.path}/.venv/bin{os.pathsep}{self.repository.hub.laptop(self.user)['PATH']}"
        return self.repository.hub.on_laptop(["env", path, *command], self.path, self.user)

    def read(self, name: str) -> str:
        return (self.path / name).read_text()

    def replace(self, name: str, old: str, new: str) -> None:
        """Change a file at the first place that says `old`; there must be one."""
        text = self.read(name)
        assert old in text, f"{name} does not say {old!r}"
        (self.path / name).write_text(text.replace(old, new, 1))

    def set(self, **values: Any) -> None:
        """Give knobs of params.yaml their values: `set(**{"serving.limits.seconds": 4})`."""
        update_params(self.path / "params.yaml", values)

    def set_params(self, params: str) -> None:
        """Give the estimator other params."""
        self.replace("params.yaml", "params: {}", f"params: {params}")

    def trust(self, repository: str, required: bool = True) -> None:
        """Let what a repository of this GitHub published be served."""
        hub = self.repository.hub
        (self.path / "roots.jsonl").write_text(hub.trusted_roots())
        knobs = {"repository": f"{hub.url}/{repository}", "required": required, "trusted_root": "roots.jsonl"}
        self.set(**{f"serving.attestation.{name}": value for name, value in knobs.items()})

    def train(self) -> None:
        """Train here, and send what that makes: a runner has nothing left to train."""
        self.run("mlops", "pull")
        train_here(Project(self.path))
        self.run("mlops", "push")

    def commit(self, message: str) -> str:
        """Commit everything and return the commit."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--no-verify", "--message", message)
        return self.run("git", "rev-parse", "HEAD")

    def propose(self, branch: str, title: str, to: Repository | None = None) -> PullRequest:
        """Commit everything on a new branch and open a pull request, in the repository itself where none is named."""
        self.run("git", "switch", "--quiet", "--create", branch)
        self.commit(title)
        self.run("git", "push", "--quiet", "origin", branch)
        return (to or self.repository).open_pull_request(branch, title, self.repository if to else None)

    def push_quietly(self, branch: str = "main") -> None:
        """Push by git alone: no workflow runs."""
        self.run("git", "push", "--quiet", "origin", f"HEAD:{branch}")


def forge_model(tree: Path) -> None:
    """Let a tree's lock name a bundle that no store has, as if its last merge had trained one."""
    began = (tree / ".venv").resolve().parent
    packed, year = io.BytesIO(), 1980 + next(FORGED)
    with zipfile.ZipFile(began / "models/bundle.zip") as bundle, zipfile.ZipFile(packed, "w") as forged:
        for name in bundle.namelist():
            forged.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), bundle.read(name))
    content = packed.getvalue()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    cached = place(tree / ".dvc/cache/files/md5", md5)
    cached.parent.mkdir(parents=True, exist_ok=True)
    cached.write_bytes(content)
    lock = yaml.safe_load((tree / "dvc.lock").read_text())
    (out,) = lock["stages"]["export"]["outs"]
    out |= {"md5": md5, "size": len(content)}
    (tree / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))


def hand_over(desk: Desk) -> Run:
    """Push a desk's commit to main; the publish run whose training made what the desk has, and that died then.

    `rerun(run, failed=True)` publishes it.
    """
    desk.push_quietly()
    repository, hub = desk.repository, desk.repository.hub
    run = hub.begin_run(repository, find_publish(repository), push_event(repository, "refs/heads/main", None, OWNER))
    run.jobs = dict.fromkeys(run.workflow.jobs, "cancelled") | {"train": "success"}
    run.conclusion = "cancelled"
    hub.keep_artifact(run.id, "trained", pack_handover(desk))
    return run


def pack_handover(desk: Desk) -> bytes:
    """What the job that trains hands over of what a desk has, as the artifact's zip file."""
    desk.run("mlops", "handover", "write", "trained")
    packed, folder = io.BytesIO(), desk.path / "trained"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.rglob("*"):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
    return packed.getvalue()


def find_publish(repository: Repository) -> Workflow:
    """The workflow that publishes, as main has it."""
    return next(found for found in read_workflows(repository.bare, "main") if found.name == "publish")


@dataclass(frozen=True)
class Runner:
    """The last steps of a publish run on a tree that is trained: fast enough to be cut short at every call."""

    hub: LocalGitHub
    repository: Repository
    tree: Path
    venv: Path

    def publish(self, verbs: str = VERBS) -> Run:
        """Play the steps with a token of the workflow's own; a run that was killed is `cancelled`."""
        event = push_event(self.repository, "refs/heads/main", None, OWNER)
        run = self.hub.begin_run(self.repository, find_publish(self.repository), event)
        run.token = self.hub.issue_token(Token("", BOT, self.repository.name, lambda: {"contents": "write"})).value
        home = run.directory / "home"
        home.mkdir()
        (run.directory / "event.json").write_text(json.dumps(event.payload))
        environment = self.hub.machine(home) | {
            "PATH": os.pathsep.join([f"{self.venv}/bin", str(self.hub.tools), self.hub.system_path]),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_PATH": str(run.directory / "event.json"),
            "GITHUB_REF_NAME": "main",
            "GITHUB_REPOSITORY": self.repository.name,
            "GITHUB_RUN_ID": str(run.id),
            "GITHUB_SERVER_URL": self.hub.url,
            "GITHUB_TOKEN": run.token,
        }
        with run.journal.open("w+") as log:
            run.process = subprocess.Popen(
                ["bash", "-e", "-c", verbs], cwd=self.tree, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
            code = run.process.wait(120)
            log.seek(0)
            run.log = log.read()
        del self.hub.tokens[run.token]
        run.token = ""
        run.conclusion = "cancelled" if run.cancelled else "failure" if code else "success"
        return run
