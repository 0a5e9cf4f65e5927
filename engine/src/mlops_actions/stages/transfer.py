"""Moving data and results: to the DVC remote, from it, and into their places here."""

import sys
from pathlib import Path

from ..core.config import PARAMS
from ..core.errors import UserError
from ..core.tools import run_tool
from ..core.typed_yaml import read_yaml
from ..registry import store
from ..registry.objects import wanted
from .workspace import edited_sources, place_sources, require_outputs


def checkout(force: bool = False, fetch: bool = True) -> None:
    """Place what the record names of data and results where something else lies; `force` replaces edited data too.

    Without `fetch`, results that are not on this machine are left.

    Raises:
        UserError: data was edited and not recorded, or what is recorded is in no store.
    """
    read_yaml(Path(PARAMS))  # which DVC reads too, and says less of
    place_sources(force=force)
    require_outputs(fetch=fetch)


def push(replace: bool = False) -> None:
    """Send every object that dvc.lock and the .dvc files name to the DVC remote; with `replace`, those it has as well.

    Raises:
        UserError: an object is neither here nor there, or the remote refused.
    """
    read_yaml(Path(PARAMS))
    for sentence in edited_sources():
        print(f"{sentence} What is recorded is pushed.", file=sys.stderr)
    if store.uses_store():
        store.push(replace=replace)
    else:
        _run("dvc", "push")


def pull(source: str | None = None, only: list[str] | None = None) -> None:
    """Fetch the objects that dvc.lock and the .dvc files name, all or those of the paths `only`, and place them.

    Raises:
        UserError: an object is in no store, or data was edited and not recorded.
    """
    store.fetch(wanted(only=only), sources=[source] if source else None)
    if only is None:
        place_sources()
        require_outputs()
    _run("dvc", "pull", "--quiet", *(only or []))


def _run(*command: str) -> None:
    if run_tool(*command):
        raise UserError(f"`{' '.join(command)}` failed: its own message is above.")
