"""Which versions are served, in which role: a file that the follower writes and every worker reads."""

import hashlib
from pathlib import Path

import msgspec

from ..bundle.parts import read_parts
from ..core.errors import UserError
from ..core.files import write_file
from ..core.paths import SERVING_STATE

STATE = SERVING_STATE / "state.json"


class Served(msgspec.Struct, frozen=True):
    """A version in a role: its bundle's file and digest, the tag that gave it the role, a canary's share in percent.

    `code` is where the project's files lie as they were at the version, if they are needed; empty is here.
    """

    version: str
    bundle: str
    sha256: str
    assignment: str = ""
    share: float = 0.0
    code: str = ""


class State(msgspec.Struct, frozen=True):
    """The version in each role; without a champion, `why` says what there is to do."""

    champion: Served | None = None
    canary: Served | None = None
    shadow: Served | None = None
    why: str = "no version is published yet: merge a first model to main"


def served_file(path: Path) -> Served:
    """Return a bundle's file as it is served by itself: its version is what its release says, else its digest.

    Raises:
        UserError: it is no bundle.
    """
    version = read_parts(path).version
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Served(version or digest[:12], str(path.resolve()), digest)


def read_state(path: Path = STATE) -> State | None:
    """Return the state that was written last, None before the first."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise UserError(f"{path}: cannot be read ({error}); delete it, and it is made anew.") from None


def write_state(state: State, path: Path = STATE) -> None:
    """Put a state where every worker looks."""
    write_file(path, msgspec.json.encode(state))
