"""`mlops canary settle`: what the canary report advises is done, if it is about the versions that have the roles."""

from dataclasses import dataclass
from typing import Any

from ..core import github
from ..core.errors import UserError
from ..core.git import shown
from ..core.server_report import fetch_report
from ..registry.roles import give, take
from ..registry.versions import CANARY_ROLE, CHAMPION_ROLE, current_roles, fetch_tags

ADVICE = ("promote", "watch", "stop")
REASON = 500  # letters


@dataclass(frozen=True)
class CanaryAdvice:
    """What a server says of its canary: which versions it compared, what it advises, and why."""

    canary: str | None
    champion: str | None
    advice: str
    reason: str


def settle(url: str, dry_run: bool) -> None:
    """Promote or stop the canary as the server's report advises; a dry run tells the workflow's next job the advice.

    Raises:
        UserError: the server does not answer with a report, or origin refuses.
    """
    if not canary_and_champion():
        print("There is no canary: nothing to settle.")
        return
    report = read_report(url)
    versions = canary_and_champion()  # once more: while the server computed, somebody may have moved one
    if versions != (report.canary, report.champion):
        print(
            f"The report is about {report.canary} beside {report.champion}, and the roles have "
            f"{' beside '.join(versions) if versions else 'no canary'}: nothing is done."
        )
    elif report.advice == "watch":
        print(f"{report.canary} is watched further: {report.reason}")
    elif dry_run:
        print(f"The report advises to {report.advice} {report.canary}: {report.reason}")
        github.set_output("advice", report.advice)
    elif report.advice == "promote":
        give(CHAMPION_ROLE, versions[0], report.reason)
    else:
        take(CANARY_ROLE, report.reason)


def canary_and_champion() -> tuple[str, str] | None:
    """Return the versions that are compared by origin's tags, or None where there is no canary."""
    fetch_tags()
    roles = current_roles()
    canary = roles.get(CANARY_ROLE)
    return (canary.version, roles[CHAMPION_ROLE].version) if canary else None


def read_report(url: str) -> CanaryAdvice:
    """Return the canary report of the server at `url`.

    Raises:
        UserError: the server is not reached, or answers with something else.
    """
    try:
        return parse_report(fetch_report(url))
    except ValueError as error:
        raise UserError(f"{shown(url)} answers with something that is no canary report: {error}.") from error


def parse_report(content: Any) -> CanaryAdvice:
    """Return the report in a server's answer.

    Raises:
        ValueError: a key is missing or has another type.
    """
    if not isinstance(content, dict):
        raise ValueError("it is not an object")
    for key in ("canary", "champion"):
        if not isinstance(content.get(key, 0), str | None):
            raise ValueError(f"{key} is neither a version nor null")
    if content.get("advice") not in ADVICE:
        raise ValueError(f"advice is none of {', '.join(ADVICE)}")
    reason = content.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        raise ValueError("reason is no text")
    return CanaryAdvice(content["canary"], content["champion"], content["advice"], " ".join(reason.split())[:REASON])
