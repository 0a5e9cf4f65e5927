"""Which engine a change brings: version and digest before and after, and whether the template released it."""

from ..core import github
from ..core.engine import FOLDER, Source, source_at, source_here
from ..core.engine_release import CRUFT, Release, template_url, verify
from ..core.errors import UserError
from ..core.git import run, show_file
from .champion import commit_before
from .report import EngineUpdate, EngineVersion

UNVERIFIED = Release("unknown", "not verified here: `mlops engine verify`")


def find_engine_update() -> EngineUpdate | None:
    """Return how the engine here differs from that of the commit before the change; None where it does not.

    In the run of a pull request or of a merge queue it is compared with the template's release, where that can be had.
    """
    base, _ = commit_before()
    if base is None or same_engine(base):
        return None
    now = source_here()
    release = UNVERIFIED
    if github.event().keys() & {"pull_request", "merge_group"}:
        release = _verify(now, base)
    return EngineUpdate(_version(_source_at(base)), _version(now), release.answer, release.text)


def same_engine(commit: str) -> bool:
    """Return whether the engine is the one of a commit, byte for byte."""
    before, now = _source_at(commit), source_here()
    if before is None or before.kind != "folder" or now.kind != "folder":
        return before is not None and now.same_as(before)
    return before == now and run("diff", "--quiet", commit, "--", FOLDER).returncode == 0


def _source_at(commit: str) -> Source | None:
    try:
        return source_at(commit)
    except UserError:  # it had none, or none that can be read
        return None


def _verify(source: Source, base: str) -> Release:
    """Return what a build of the template says; the base names it, so that no pull request chooses its own."""
    try:
        return verify(source, template_url(show_file(base, CRUFT)))
    except UserError as error:
        return Release("unknown", f"{error}")


def _version(source: Source | None) -> EngineVersion | None:
    return EngineVersion(source.version, source.place, source.sha256) if source else None
