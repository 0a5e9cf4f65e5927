"""GitHub's REST API: what emulate has is passed on to it, what it lacks is answered from git and from files."""

from . import actions, git, issues, pulls, releases, storage
from .graphql import answer_query
from .router import answer_call

__all__ = ["actions", "answer_call", "answer_query", "git", "issues", "pulls", "releases", "storage"]
