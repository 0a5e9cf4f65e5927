"""The baseline: the champion, which is the version in production; before there is one, the commit before."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from ..core import github
from ..core.engine import Engine
from ..core.errors import ROWS_REFUSED, UserError
from ..core.git import rev_parse
from ..core.paths import BUNDLE, LOCK, TEST_ROWS, TRAIN_ROWS
from ..registry.outputs import fetch_outputs, locked
from ..registry.roles import known
from ..registry.versions import champion_version, is_shallow, list_versions, shown, why_no_version
from .report import Baseline, Note

ROWS = (TEST_ROWS, TRAIN_ROWS)


class Incomparable(Exception):
    """The champion could not be run on these rows; the text says why."""


class Unrunnable(Incomparable):
    """Its code fails, whatever the rows: other libraries may help."""


@dataclass(frozen=True)
class Champion:
    """What the candidate is compared with: its name, as people say it, its commit, and what it is to the project."""

    name: str
    commit: str
    kind: Baseline = "champion"

    @property
    def moved(self) -> bool:
        """Return whether its rows are others than this tree's."""
        return any(locked(path) != locked(path, self.commit) for path in ROWS)

    def fetch(self) -> None:
        """Bring what a comparison needs of it from the store.

        Raises:
            UserError: nothing was trained there, or no store has it.
        """
        fetch_outputs(*((path, self.commit) for path in (BUNDLE, *(ROWS if self.moved else ()))))


def find_champion(against: str | None = None) -> Champion | None:
    """Return the version in the role `prod`, else the newest, else None; or whatever `against` names.

    Raises:
        UserError: `against` is no version, branch or commit, or nothing was trained there.
    """
    version = champion_version()
    if version and against in (None, version.name):
        return Champion(version.name, version.commit)
    if against is None:
        return None
    for version in list_versions():
        if version.name == against:
            return Champion(version.name, version.commit, "named")
    commit = rev_parse(against)
    if commit is None:
        why = why_no_version(against, "is no version, branch or commit")
        raise UserError(f"{why}. {known(list_versions())}")
    if locked(BUNDLE, commit) is None:
        raise UserError(f"{shown(against)} has no trained model in its {LOCK}: compare with a commit that has.")
    return Champion(against, commit, "named")


def find_baseline(against: str | None, all_tags: bool) -> tuple[Champion | None, list[Note]]:
    """Return what to compare with, and what a reader must know of it.

    Before the first release that is the model which the commit before records. `all_tags` says whether the version tags
    are known to be all here.

    Raises:
        UserError: `against` names no trained model, or whether there is a champion cannot be known here.
    """
    if champion := find_champion(against):
        return champion, []
    if not all_tags and is_shallow():
        raise UserError(
            "this clone is shallow and has no version's tag, so whether there is a champion is not known here: "
            "`git fetch --unshallow --tags origin` brings the tags."
        )
    commit, kind = commit_before()
    if commit is None or (recorded := locked(BUNDLE, commit)) is None:
        return None, []
    before = Champion(commit[:7], commit, kind)
    if recorded == locked(BUNDLE):
        return None, [Note("same_model", [before.name])]
    try:
        before.fetch()
    except UserError as error:
        return None, [Note("not_fetched", [f"commit {before.name}: {error}"])]
    return before, []


def commit_before() -> tuple[str | None, Baseline]:
    """Return the commit that a run's change is made to, and elsewhere the last one, with which of them it is."""
    if base := github.base_commit():
        # Of a merge the first parent is what it was made on; an event may be older than that.
        merged_into = rev_parse("HEAD^1") if rev_parse("HEAD^2") else rev_parse(base)
        if merged_into:
            return merged_into, "base"
    return rev_parse("HEAD"), "head"


def run_theirs(engine: Engine, home: Path, *words: str) -> str:
    """Return what a verb prints, run by an engine on the code of the checkout `home`.

    Raises:
        Incomparable: it refused the rows, for the reason that it gave.
        Unrunnable: it failed for another one.
    """
    done = subprocess.run(engine.command(*words), cwd=home, env=engine.variables, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise Incomparable(reason) if done.returncode == ROWS_REFUSED else Unrunnable(reason)
    return done.stdout
