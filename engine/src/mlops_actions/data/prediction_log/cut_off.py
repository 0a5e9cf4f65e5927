"""Canaries that were cut off: written by the server, read with the log by who reports on it."""

from contextlib import suppress
from pathlib import Path

import msgspec

from ...core.errors import UserError
from ...core.files import write_file
from ...core.paths import SERVING_STATE

CUT_OFF = SERVING_STATE / "cut-off.json"


def read_cut_off(path: Path = CUT_OFF) -> dict[str, str]:
    """Return the assignments whose canary was cut off, each with the reason."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except msgspec.MsgspecError as error:
        raise UserError(f"{path}: not a JSON object of reasons ({error}); remove it.") from None


def cut_off(assignment: str, reason: str, path: Path = CUT_OFF) -> None:
    """Note, for every worker and every later start, that a canary got no more requests, and why."""
    known: dict[str, str] = {}
    with suppress(UserError):  # what cannot be read is replaced
        known = read_cut_off(path)
    write_file(path, msgspec.json.encode({**known, assignment: reason}))
