"""The project as DVC reads it, and DVC's exceptions as the one sentence that a user sees."""

import contextlib
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from dvc.dvcfile import is_lock_file, is_valid_filename
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.utils.serialize import ParseError
from dvc.utils.strictyaml import YAMLValidationError, merge_conflict_marker

from ..core.config import PARAMS
from ..core.errors import UserError
from ..core.git import list_files

ALSO_READ = (PARAMS, ".dvc/config", ".dvc/config.local")  # dvc.yaml may stand on values of params.yaml


def open_repo() -> Repo:
    """Return the project in the working directory, its pipeline read anew only where that changed since the last call.

    Reading YAML takes DVC longer than all else that is asked of it here. Who changes what was read, such as the record
    of a stage, opens one of their own by `Repo()`.
    """
    pipeline = (path for path in list_files() if is_valid_filename(path) or is_lock_file(path))
    files = [file for file in map(Path, [*pipeline, *ALSO_READ]) if file.is_file()]
    return _opened(Path.cwd(), tuple((file, file.read_bytes()) for file in files))


@lru_cache(maxsize=1)
def _opened(root: Path, state: tuple[tuple[Path, bytes], ...]) -> Repo:
    return Repo()


@contextlib.contextmanager
def readable_errors() -> Iterator[None]:
    """Turn DVC's exceptions into the one sentence that a user sees."""
    try:
        yield
    except (YAMLValidationError, ParseError) as error:
        path = os.path.normpath(error.path)
        why = "holds what DVC does not know" if isinstance(error, YAMLValidationError) else "cannot be read as YAML"
        if merge_conflict_marker.search(Path(path).read_text(errors="replace")):
            why = "has the marks of a merge that somebody has to settle"
        raise UserError(f"{path} {why}: `git restore {path}` brings it back as it was committed.") from error
    except RecursionError as error:
        raise UserError(
            "a dvc.yaml, dvc.lock or .dvc file, or params.yaml, has lists in lists without end: `git status` shows "
            "which one was changed, and `git restore` brings it back."
        ) from error
    except DvcException as error:
        raise UserError(f"DVC: {error}") from error
