"""The one exception that a user is meant to see."""

import errno
import importlib
from pathlib import Path
from typing import Any

# The group of pyproject.toml that installs a package; cluster has every other.
GROUPS = {
    "adbc_driver_postgresql": "databases",
    "adbc_driver_sqlite": "databases",
    "onnxmltools": "xgboost",
    "python_calamine": "excel",
    "sigstore": "serving",
    "xgboost": "xgboost",
}
FULL = (errno.ENOSPC, errno.EDQUOT)

ROWS_REFUSED = 3  # the exit code that tells a refusal of the rows from every other failure


class UserError(Exception):
    """A mistake that the user can mend; its text is the one sentence shown: what, where, what to do.

    Examples:
        >>> raise UserError("features.py: the rows lack the column age; add it to the data.")
        Traceback (most recent call last):
        mlops_actions.core.errors.UserError: features.py: the rows lack the column age; add it to the data.
    """


class RowsRefused(UserError):
    """Rows that are not as the contract or the history asks; whichever libraries there are, they are refused."""


def disk_full(where: str | Path) -> UserError:
    """Return the error that there is no room on a disk, or in its quota, for what is at `where`."""
    return UserError(f"the disk is full: {where} could not be written; free some space there and run this again.")


def need(package: str, what: str) -> Any:
    """Return the imported package, or the sentence that says how to install it; `what` asks for it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        lacking = error.name or package
        group = GROUPS.get(lacking.partition(".")[0], "cluster")
        raise UserError(
            f'{what} needs {lacking}: add "{group}" to default-groups in pyproject.toml, then `uv sync`.'
        ) from None
