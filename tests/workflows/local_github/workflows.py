"""What a workflow file says before it runs: its name, triggers, permissions, concurrency and actions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .bare import BareRepository
from .concurrency import Turn
from .events import Event
from .expressions import fill
from .permissions import read_permissions

ACTIONS = Path(__file__).parent.parent / "actions"
DEFAULT_TYPES = {"pull_request": ["opened", "synchronize", "reopened"]}


class _Loader(yaml.SafeLoader):
    """YAML 1.2's booleans, so that `on` is a word."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))


def read_yaml(text: str) -> Any:
    """The content of a workflow or action file."""
    return yaml.load(text, _Loader)


@dataclass(frozen=True)
class Workflow:
    """A workflow file at a commit."""

    path: str
    content: dict[str, Any]

    @property
    def name(self) -> str:
        """Its name, or its path where it has none."""
        return str(self.content.get("name", self.path))

    @property
    def jobs(self) -> dict[str, dict[str, Any]]:
        """Its jobs by their ids."""
        return dict(self.content["jobs"])

    def permissions(self, job: str) -> dict[str, str]:
        """What the token of a job may do."""
        return read_permissions(self.jobs[job].get("permissions", self.content.get("permissions")))

    def needs(self) -> dict[str, set[str]]:
        """The jobs that each of its jobs waits for."""
        needed = {job: content.get("needs", []) for job, content in self.jobs.items()}
        return {job: {names} if isinstance(names, str) else set(names) for job, names in needed.items()}

    def concurrency(self, github: dict[str, Any]) -> Turn | None:
        """How its runs take turns, or None."""
        block = self.content.get("concurrency")
        if block is None:
            return None
        block = {"group": block} if isinstance(block, str) else block
        cancel, keep = bool(fill(block.get("cancel-in-progress", False), github)), block.get("queue") == "max"
        if cancel and keep:
            raise ValueError(f"{self.path}: GitHub takes no `queue: max` beside `cancel-in-progress: true`.")
        return Turn(str(fill(block["group"], github)), cancel, keep)

    def starts_on(self, event: Event) -> bool:
        """Whether the event starts it."""
        triggers = self.content["on"]
        if isinstance(triggers, str):
            triggers = [triggers]
        if isinstance(triggers, list):
            triggers = dict.fromkeys(triggers)
        if event.name not in triggers:
            return False
        filters = triggers[event.name] or {}
        if event.name == "schedule":
            return event.payload["schedule"] in [entry["cron"] for entry in filters]
        if event.name == "workflow_run":
            run = event.payload["workflow_run"]
            kinds = filters.get("types", ["requested", "completed"])
            named = run["name"] in _listed(filters["workflows"])
            return named and event.action in _listed(kinds) and _passes(filters, "branches", run["head_branch"])
        if event.name == "pull_request":
            kinds = _listed(filters.get("types", DEFAULT_TYPES["pull_request"]))
            if event.action not in kinds or not _passes(filters, "branches", "main"):
                return False
        if event.name == "push":
            kind = "tags" if event.ref.startswith("refs/tags/") else "branches"
            other = {"tags": "branches", "branches": "tags"}[kind]
            name = event.ref.split("/", 2)[2]
            if {other, f"{other}-ignore"} & set(filters) and not {kind, f"{kind}-ignore"} & set(filters):
                return False
            if not _passes(filters, kind, name):
                return False
        return _touches(filters, event.changed)

    def steps(self) -> Iterator[dict[str, Any]]:
        """Every step of every job."""
        for job in self.jobs.values():
            yield from job.get("steps", [])


def read_workflows(bare: BareRepository, commit: str) -> list[Workflow]:
    """The workflows of a repository at a commit."""
    paths = [path for path in bare.files(commit, ".github/workflows") if re.search(r"\.ya?ml$", path)]
    return [Workflow(path, read_yaml(bare.read(commit, path))) for path in paths]


def find_stand_ins(bare: BareRepository, commit: str, workflow: Workflow) -> dict[str, Path]:
    """The stand-in for each hosted action that a workflow and the repository's own actions use."""
    steps = list(workflow.steps())
    for path in bare.files(commit, ".github/actions"):
        if re.search(r"/action\.ya?ml$", path):
            steps += read_yaml(bare.read(commit, path))["runs"].get("steps", [])
    found = {}
    for step in steps:
        uses = step.get("uses", "")
        if not uses or uses.startswith("./"):
            continue
        owner, name, *inner = uses.partition("@")[0].split("/")
        directory = ACTIONS / owner / name
        description = directory.joinpath(*inner, "action.yml")
        if not description.exists():
            raise LookupError(f"{workflow.path} uses {uses}, which has no stand-in in {ACTIONS}.")
        unknown = set(step.get("with") or {}) - set(read_yaml(description.read_text()).get("inputs", {}))
        if unknown:
            raise LookupError(f"{workflow.path} gives {uses} the unknown inputs {sorted(unknown)}.")
        found[f"{owner}/{name}@{uses.partition('@')[2]}"] = directory
    return found


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _passes(filters: dict[str, Any], kind: str, name: str) -> bool:
    if kind in filters:
        return _matches(_listed(filters[kind]), name)
    return not _matches(_listed(filters.get(f"{kind}-ignore", [])), name)


def _touches(filters: dict[str, Any], changed: list[str]) -> bool:
    if "paths" in filters:
        return any(_matches(_listed(filters["paths"]), path) for path in changed)
    ignored = _listed(filters.get("paths-ignore", []))
    return not ignored or any(not _matches(ignored, path) for path in changed)


def _matches(patterns: list[str], name: str) -> bool:
    matched = False
    for pattern in patterns:
        negated = pattern.startswith("!")
        if re.fullmatch(_translate(pattern.removeprefix("!")), name):
            matched = not negated
    return matched


def _translate(pattern: str) -> str:
    pieces = re.split(r"(\*\*/|\*\*|\*)", pattern)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    return "".join(known.get(piece) or re.escape(piece).replace(r"\?", "?") for piece in pieces)
