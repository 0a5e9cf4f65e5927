"""The manifests that run a version in a Kubernetes cluster, written into a project that asks for them."""

import errno
import os
import re
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from ..core.config import load_config
from ..core.errors import UserError
from ..core.files import scratch, write_file
from ..core.owner import project_name


def manifests(folder: Path, force: bool = False) -> None:
    """Write the manifests below a folder, all of them or none; those that are there already stay as they are.

    Args:
        folder: where they go, from the project's top.
        force: replace files that differ from what would be written.

    Raises:
        UserError: a file differs and is not to be replaced, or the folder cannot be written.
    """
    config = load_config(guesses=True)
    image = config.serving.image or image_name(project_name(config.root))
    contents = render_manifests(folder, image)
    try:
        new = {name: text for name, text in contents.items() if not _has(folder / name, text)}
        different = [str(folder / name) for name in new if os.path.lexists(folder / name)]
        if different and not force:
            verb = "differs" if len(different) == 1 else "differ"
            raise UserError(f"{_some(different)} {verb} from what would be written: --force replaces what is there.")
        _place(folder.resolve(), new)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}: {error.filename}): name another by --out."
        ) from None
    print(f"Wrote {len(new)} files to {folder}" if new else f"{folder} is as it would be written")
    if config.serving.image is None:
        print(f"serving.image in params.yaml is null: they name {image}, which no registry has")


def render_manifests(folder: Path, image: str) -> dict[str, str]:
    """Return the text of each manifest by its path below `folder`, for an image."""
    named = {"folder": folder.as_posix(), "image": image}
    shipped = resources.files(__package__).joinpath("kubernetes")
    return {name: Template(file.read_text("utf-8")).substitute(named) for name, file in _walk(shipped)}


def image_name(project: str) -> str:
    """Return the name that an image of a project has where there is no registry: as an index writes project names."""
    return re.sub(r"[-_.]+", "-", project).lower()


def _walk(folder: Traversable, place: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _walk(entry, f"{place}{entry.name}/")
        else:
            yield f"{place}{entry.name}", entry


def _has(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text("utf-8", errors="replace") == text


def _place(folder: Path, contents: dict[str, str]) -> None:
    """Move files into a folder once all of them are written; a new folder comes as a whole."""
    with scratch((folder if folder.exists() else folder.parent) / ".manifests") as staged:
        whole = staged / folder.name
        for name, text in contents.items():
            write_file(whole / name, text.encode())
        if not folder.exists():
            whole.rename(folder)
            return
        for name in contents:  # whatever is in the way shows before anything is replaced
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if (folder / name).is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(folder / name))
        for name in contents:
            os.replace(whole / name, folder / name)


def _some(paths: list[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
