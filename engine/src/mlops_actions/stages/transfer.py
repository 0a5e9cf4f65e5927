"""Moving data and results: to the DVC remote, from it, and into their places here.

What is in their places is asked of DVC, which is imported only then: the job that publishes places nothing.
"""

import sys
from pathlib import Path

from ..core.errors import UserError
from ..core.tools import run_tool
from ..registry import store
from ..registry.objects import wanted
from ..registry.versions import list_versions, refresh_tags


def checkout(force: bool = False, fetch: bool = True) -> None:
    """Place what the record names of data and results where something else lies; `force` replaces edited data too.

    Without `fetch`, results that are not on this machine are left.

    Raises:
        UserError: data was edited and not recorded, or what is recorded is in no store, or a recipe cannot be made.
    """
    from ..core.config import PARAMS, load_config
    from ..core.typed_yaml import read_yaml
    from .recipes import write_recipes
    from .workspace import place_sources, require_outputs

    read_yaml(Path(PARAMS))  # which DVC reads too, and says less of
    place_sources(force=force)
    require_outputs(fetch=fetch)
    write_recipes(load_config())


def push(replace: bool = False, older: bool = False) -> None:
    """Send every object that dvc.lock and the .dvc files name to the DVC remote.

    Args:
        replace: those that it has as well.
        older: those that the versions name as well, as far as they are here.

    Raises:
        UserError: an object is neither here nor there, or the remote refused.
    """
    if older and not store.uses_store():
        raise UserError(
            "`mlops push --all` knows the repository's own store, and .dvc/config names another remote: "
            "`dvc push --all-tags` sends there."
        )
    if any(Path(path).exists() for path in wanted().values()):
        _tell_of_edits()
    if older:
        refresh_tags()
        store.push(replace=replace, versions={version.name: version.commit for version in list_versions()})
    elif store.uses_store():
        store.push(replace=replace)
    else:
        store.require_dvc()
        _run("dvc", "push")


def pull(source: str | None = None, only: list[str] | None = None) -> None:
    """Fetch the objects that dvc.lock and the .dvc files name, all or those of the paths `only`, and place them.

    Raises:
        UserError: an object is in no store, or its bytes, and the others are placed; or data was edited and not
            recorded.
    """
    try:
        store.fetch(wanted(only=only), sources=[source] if source else None)
    except store.NotStored as error:
        if only is not None:
            raise
        from .workspace import place_kept

        raise UserError(f"{error} {place_kept()} All else is placed.") from error
    if only is None:
        from .workspace import place_sources, require_outputs

        place_sources()
        require_outputs()
    _run("dvc", "pull", "--quiet", *(only or []))


def _tell_of_edits() -> None:
    """Print which sources were edited and not recorded."""
    from ..core.config import PARAMS
    from ..core.typed_yaml import read_yaml
    from .workspace import edited_sources

    read_yaml(Path(PARAMS))
    for sentence in edited_sources():
        print(f"{sentence} What is recorded is pushed.", file=sys.stderr)


def _run(*command: str) -> None:
    if run_tool(*command):
        raise UserError(f"`{' '.join(command)}` failed: its own message is above.")
