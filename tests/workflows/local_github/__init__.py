"""A GitHub on loopback on which tests play whole stories with real git, act and gh."""

from .events import Event
from .github import LocalGitHub, start_github
from .permissions import Token
from .pull_request import PullRequest
from .repository import MergeBlockedError, Repository
from .run import Run, Step
from .runner import run_workflow
from .workflows import Workflow, read_workflows, read_yaml

__all__ = [
    "Event",
    "LocalGitHub",
    "MergeBlockedError",
    "PullRequest",
    "Repository",
    "Run",
    "Step",
    "Token",
    "Workflow",
    "read_workflows",
    "read_yaml",
    "run_workflow",
    "start_github",
]
