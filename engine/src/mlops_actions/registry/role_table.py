"""`mlops roles`: which version is champion, canary and shadow, since when and why; and which tags are ignored."""

import json
import sys
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..core.errors import UserError
from .versions import Assignment, current_roles, fetch_tags, ignored_tags

NARROW = 110


def show_roles(as_json: bool) -> None:
    """Print the roles by origin's tags; where it is not reached, by those of the last fetch, with a word."""
    _fetch("roles")
    roles = current_roles()
    if as_json:
        content = {
            role: asdict(assignment) | {"time": assignment.time.isoformat()} for role, assignment in roles.items()
        }
        print(json.dumps(content, indent=2, ensure_ascii=False))
    elif roles:
        print_table(list(roles.values()))
    else:
        print("No version is published yet.")


def show_ignored(as_json: bool) -> None:
    """Print each tag that looks like a version or a role and is none, with why."""
    _fetch("tags")
    ignored = ignored_tags()
    if as_json:
        print(json.dumps(ignored, indent=2, ensure_ascii=False))
    elif ignored:
        print("\n".join(f"{name}: ignored, {why}" for name, why in ignored.items()))
    else:
        print("No tag is ignored.")


def _fetch(what: str) -> None:
    try:
        fetch_tags()
    except UserError as error:
        print(f"These are the {what} by the last fetch: {error}", file=sys.stderr)


def print_table(assignments: list[Assignment]) -> None:
    """Print a line for each assignment."""
    console = Console(highlight=False)
    if not console.is_terminal or console.width < NARROW:
        console = Console(highlight=False, width=NARROW)
    table = Table(box=None, pad_edge=False)
    for heading in ("role", "version", "share", "since (UTC)", "by", "reason"):
        table.add_column(heading, justify="right" if heading == "share" else "left", overflow="fold")
    for assignment in assignments:
        share = "" if assignment.share is None else f"{assignment.share:g}%"
        reason = (
            assignment.reason
            if assignment.promoted
            else f"the newest version; none was promoted yet ({assignment.reason})"
        )
        cells = (
            assignment.role,
            assignment.version,
            share,
            f"{assignment.time:%Y-%m-%d %H:%M}",
            assignment.author,
            reason,
        )
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
