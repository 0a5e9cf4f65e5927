"""DVC's exceptions as the one sentence that a user sees."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.utils.serialize import ParseError
from dvc.utils.strictyaml import YAMLValidationError, merge_conflict_marker

from ..core.errors import UserError


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
    except DvcException as error:
        raise UserError(f"DVC: {error}") from error
