"""The champion: the version in production, which a candidate is compared with."""

from dataclasses import dataclass

from ..errors import UserError
from ..git import rev_parse
from ..outputs import BUNDLE, LOCK, locked
from ..versions import champion_version, list_versions


@dataclass(frozen=True)
class Champion:
    """What the candidate is compared with: its name, as people say it, and its commit."""

    name: str
    commit: str


def find_champion(against: str | None = None) -> Champion | None:
    """Return the version at stage `prod`, else the newest, else None; or whatever `against` names.

    Raises:
        UserError: `against` is no version, branch or commit, or nothing was trained there.
    """
    if against is None:
        version = champion_version()
        return Champion(version.name, version.commit) if version else None
    for version in list_versions():
        if version.name == against:
            return Champion(version.name, version.commit)
    commit = rev_parse(against)
    if commit is None:
        raise UserError(f"{against} is no version, branch or commit: see `git tag --list 'model@*'`.")
    if locked(BUNDLE, commit) is None:
        raise UserError(f"{against} has no trained model in its {LOCK}: compare with a commit that has.")
    return Champion(against, commit)
