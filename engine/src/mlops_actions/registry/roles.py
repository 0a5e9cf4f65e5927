"""The verbs that move versions between the roles: champion (`prod`), canary and shadow.

Each fetches origin's tags first. One that is run again finds what it did, says so, and changes nothing.
"""

from collections.abc import Callable

from ..core.errors import UserError
from .tags import RoleChange, push_changes
from .versions import (
    CANARY_ROLE,
    CHAMPION_ROLE,
    SHADOW_ROLE,
    Assignment,
    Version,
    current_roles,
    fetch_tags,
    list_assignments,
    list_versions,
    read_tags,
    why_no_version,
)

TITLES = {CHAMPION_ROLE: "champion", CANARY_ROLE: "canary", SHADOW_ROLE: "shadow"}
NAMED = 10


def promote(name: str, reason: str) -> None:
    """Make a version champion; where none is named, the canary.

    Raises:
        UserError: there is no such version, or no canary, or origin refuses.
    """
    fetch_tags()
    give(CHAMPION_ROLE, find_version(name or canary_to_promote(reason)).name, reason)


def canary_to_promote(reason: str) -> str:
    """Return the canary's version, or the champion's that was promoted for this reason: then it ran before.

    Raises:
        UserError: there is neither.
    """
    roles, versions = current_roles(), list_versions()
    champion, canary = roles.get(CHAMPION_ROLE), roles.get(CANARY_ROLE)
    if canary:
        return canary.version
    if champion and champion.reason == reason and not champion.rolled_back:
        return champion.version
    raise UserError(f"There is no canary to promote: name the version. {known(versions)}" if versions else known([]))


def rollback(reason: str) -> None:
    """Make that version champion which was it before the present one was promoted.

    Raises:
        UserError: there was none, or origin refuses.
    """
    fetch_tags()
    champion = current_roles().get(CHAMPION_ROLE)
    if champion is None:
        raise UserError(known([]))
    if champion.rolled_back and champion.reason == reason:
        print(
            f"{champion.version} is champion already, in place of {champion.rolled_back} and for this reason. "
            "To go back further, give another reason."
        )
        return
    earlier = earlier_champion([assignment for assignment in list_assignments() if assignment.role == CHAMPION_ROLE])
    if earlier is None:
        raise UserError(
            f"There is nothing to return to: no version was promoted before {champion.version}. "
            "`mlops promote VERSION` makes any version champion."
            if champion.promoted
            else f"There is nothing to return to: no version was promoted, and {champion.version} is champion because "
            "it is the newest. `mlops promote VERSION` makes any version champion."
        )
    give(CHAMPION_ROLE, earlier, reason, rolled_back=champion.version)


def earlier_champion(assignments: list[Assignment]) -> str | None:
    """Return the champion before the present one; a version that was rolled back is passed over."""
    line: list[str] = []
    for assignment in assignments:
        if assignment.rolled_back and assignment.version in line:
            while line[-1] != assignment.version:
                line.pop()
        elif line[-1:] != [assignment.version]:
            line.append(assignment.version)
    return line[-2] if len(line) > 1 else None


def start_canary(name: str, share: float, reason: str) -> None:
    """Let a version, the newest where none is named, answer a share of the traffic, in percent.

    Raises:
        UserError: there is no such version, it is the champion, or origin refuses.
    """
    fetch_tags()
    give(CANARY_ROLE, find_challenger(name).name, reason, share=share)


def start_new_canary(share: float) -> None:
    """Let the newest version answer a share of the traffic, if it never had a role and another one is champion.

    Raises:
        UserError: origin refuses.
    """
    fetch_tags()
    champion, versions = current_roles().get(CHAMPION_ROLE), list_versions()
    if champion is None:
        print(f"{known(versions)} No canary is started.")
    elif not champion.promoted:
        print(
            f"No version was promoted yet, so {champion.version}, the newest, is champion, and no canary is started. "
            f"Once `mlops promote {champion.version}` was run, later versions begin as canaries."
        )
    elif any(tag.role and tag.commit == versions[0].commit for tag in read_tags()):
        print(f"{versions[0]}, the newest version, has or had a role already: no canary is started.")
    else:
        give(CANARY_ROLE, versions[0].name, "A new version", share=share)


def start_shadow(name: str, reason: str) -> None:
    """Let a version, the newest where none is named, see every request and answer none.

    Raises:
        UserError: there is no such version, it is the champion, or origin refuses.
    """
    fetch_tags()
    give(SHADOW_ROLE, find_challenger(name).name, reason)


def stop(role: str, reason: str) -> None:
    """Leave a role without any version.

    Raises:
        UserError: origin refuses.
    """
    fetch_tags()
    take(role, reason)


def give(role: str, version: str, reason: str, share: float | None = None, rolled_back: str | None = None) -> None:
    """Give a version a role, for which it leaves the canary's or the shadow's.

    Raises:
        UserError: somebody else gave the role away at the same time, or origin refuses.
    """
    note = f"\n\nShare: {share:g}" if share else f"\n\nRolled back: {rolled_back}" if rolled_back else ""
    left = {CANARY_ROLE, SHADOW_ROLE} - {role}

    def needed() -> list[RoleChange]:
        now = current_roles().get(role)
        has_it = now is not None and now.promoted and (now.version, now.share) == (version, share)
        leaving = {
            assignment.role
            for assignment in list_assignments()
            if assignment.version == version and assignment.role in left
        }
        return [
            *([] if has_it else [RoleChange(version, role, True, reason + note)]),
            *(RoleChange(version, other, False, reason) for other in sorted(leaving)),
        ]

    change(needed, f"{version} is {TITLES[role]}" + (f" with {share:g}% of the traffic" if share else ""))


def take(role: str, reason: str) -> None:
    """Take a role from every version that has it.

    Raises:
        UserError: somebody else gave the role away at the same time, or origin refuses.
    """

    def needed() -> list[RoleChange]:
        # By GTO's count a version has its role still when another gets it, and would be back without that one.
        having = {assignment.version for assignment in list_assignments() if assignment.role == role}
        return [RoleChange(version, role, False, reason) for version in sorted(having)]

    change(needed, f"There is no {TITLES[role]}")


def change(needed: Callable[[], list[RoleChange]], outcome: str) -> None:
    """Make the changes that are needed for an outcome, and say that it is so.

    Raises:
        UserError: somebody else made another change at the same time, or origin refuses.
    """
    changes = needed()
    if changes and push_changes(changes):
        print(f"{outcome} now.")
        return
    if changes:
        fetch_tags()
        if needed():
            raise UserError(
                "Somebody else moved a version at the same time, and nothing was changed here: "
                "see `mlops roles`, then run this again."
            )
    print(f"{outcome} already.")


def find_version(name: str) -> Version:
    """Return the version of that name, or the newest where there is no name.

    Raises:
        UserError: there is no such version.
    """
    versions = list_versions()
    for version in versions:
        if name in ("", version.name, version.tag):
            return version
    raise UserError(f"{why_no_version(name, 'is no version')}. {known(versions)}" if name else known(versions))


def find_challenger(name: str) -> Version:
    """Return the version of that name, or the newest where there is no name, if it is not the champion.

    Raises:
        UserError: it is, or there is no such version.
    """
    version = find_version(name)
    champion = current_roles()[CHAMPION_ROLE]
    if version.name != champion.version:
        return version
    if champion.promoted:
        raise UserError(f"{version} is the champion: name another version. {known(list_versions())}")
    raise UserError(
        f"No version was promoted yet, so {version}, the newest, is the champion: "
        "`mlops promote VERSION` the one that is to stay in production, then run this again."
    )


def known(versions: list[Version]) -> str:
    """Return the sentence that names the versions there are."""
    if not versions:
        return "No version is published yet: a merge publishes the first."
    more = f" and {len(versions) - NAMED} older ones" if len(versions) > NAMED else ""
    return f"There are {', '.join(map(str, versions[:NAMED]))}{more}."
