"""Follows the roles on origin: what is promoted there is served here, without a restart.

The server looks at the tags' list, which costs little; when it has changed, a process of its own finds out what to
serve, fetches the bundles and writes the state, so that the server itself never holds DVC, GTO or pandas.
"""

import hashlib
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from ..bundle.parts import needs_code, read_parts
from ..core.config import Attestation, load_config
from ..core.errors import UserError
from ..core.files import write_file
from ..core.git import check_out, complaint, remote_url, run
from ..core.paths import BUNDLE, HISTORY, SERVING_STATE
from ..registry.attestation import beside, require_attested
from ..registry.download import fetch_asset
from ..registry.outputs import locked, output_file, place_output
from ..registry.stamp import is_stamped, stamp
from ..registry.versions import (
    CANARY_ROLE,
    CHAMPION_ROLE,
    MODEL,
    SHADOW_ROLE,
    Assignment,
    Version,
    current_roles,
    describe_ignored,
    fetch_tags,
)
from .state import Served, State, read_state, write_state

KEPT = 10  # bundles, for a way back that needs no network


class Follower(threading.Thread):
    """Looks at origin every so many seconds."""

    def __init__(self, seconds: float) -> None:
        """Do not begin yet."""
        super().__init__(name="follower", daemon=True)
        self.seconds, self._ended = seconds, threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._seen: bytes | None = None
        self._said = self._noted = ""

    def run(self) -> None:
        """Look until the end; origin may be away for a while."""
        while not self._ended.is_set():
            self._look()
            self._ended.wait(self.seconds)

    def end(self) -> None:
        """Stop looking."""
        self._ended.set()
        if self._process and self._process.poll() is None:
            self._process.terminate()
        self.join()

    def _look(self) -> None:
        """Find out what to serve when the tags have changed, or when that failed before."""
        patterns = f"refs/tags/{MODEL}@*", f"refs/tags/{MODEL}#*"
        listed = run("ls-remote", "origin", *patterns) if remote_url() else run("show-ref", "--tags")
        if listed.returncode and listed.stderr:
            self._say(f"{complaint(listed.stderr)}.")
        elif listed.stdout != self._seen:
            self._process = subprocess.Popen([sys.executable, "-P", "-m", __name__], stderr=subprocess.PIPE)
            _, errors = self._process.communicate()
            self._seen = None if self._process.returncode else listed.stdout
            self._say(errors.decode(errors="replace").strip() if self._process.returncode else "")
            if not self._process.returncode:
                self._note(describe_ignored())

    def _say(self, problem: str) -> None:
        """Print a problem once; "" is that there is none."""
        if problem not in ("", self._said) and not self._ended.is_set():
            print(f"serve: the roles cannot be followed now, and what was served goes on: {problem}", flush=True)
        self._said = problem

    def _note(self, note: str) -> None:
        """Print once what follows from the tags besides the roles; "" is nothing."""
        if note not in ("", self._noted):
            print(f"serve: {note}", flush=True)
        self._noted = note


def find_state() -> State:
    """Return what origin's roles say is to be served, with the bundles on this machine.

    Raises:
        UserError: origin cannot be reached, no store has a bundle, or one lacks the attestation that it must have.
    """
    settings = load_config().serving.attestation
    if remote_url():
        fetch_tags()
    roles = current_roles()
    champion, canary, shadow = (
        _served(roles[role], settings) if role in roles else None for role in (CHAMPION_ROLE, CANARY_ROLE, SHADOW_ROLE)
    )
    return State(champion, canary, shadow)


def _served(assignment: Assignment, settings: Attestation) -> Served:
    version = Version(assignment.version, assignment.commit)
    path = fetch_bundle(version)
    if settings.required:
        fetch_attestation(version, path, settings)
    code = lay_code(assignment) if needs_code(read_parts(path).manifest) else ""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Served(assignment.version, str(path), digest, assignment.tag, assignment.share or 0.0, code)


def lay_code(assignment: Assignment) -> str:
    """Return the folder with the project's files of a version that needs its own features.py or history."""
    place = (SERVING_STATE / "code" / assignment.commit).resolve()
    if not place.exists():
        partial = place.with_name(f".{assignment.commit}")
        shutil.rmtree(partial, ignore_errors=True)  # what a killed run left
        partial.mkdir(parents=True)
        check_out(assignment.commit, partial)
        if load_config(partial).history.entity:
            place_output(HISTORY, assignment.commit, partial)
        partial.replace(place)
    return str(place)


def fetch_bundle(version: Version) -> Path:
    """Return the file of a version's bundle, the bytes that were released, fetched where it is not here yet.

    Raises:
        UserError: neither a store nor the version's release has it.
    """
    md5 = locked(BUNDLE, version.commit)
    if md5 is None:
        raise UserError(f"{version} was published without {BUNDLE}: train it, and merge.")
    path = (SERVING_STATE / "bundles" / f"{version}-{md5[:8]}.zip").resolve()
    if not path.exists() or not is_stamped(path.read_bytes(), version, md5):
        write_file(path, _find_bundle(version, md5))
    return path


def _find_bundle(version: Version, md5: str) -> bytes:
    try:
        content = output_file(BUNDLE, version.commit).read_bytes()
        if hashlib.md5(content, usedforsecurity=False).hexdigest() == md5:
            return stamp(content, version)
        problem = f"the store's {BUNDLE} is damaged; `mlops push --replace` mends it."
    except UserError as error:
        problem = str(error)
    try:
        content = fetch_asset(version, Path(BUNDLE).name)
    except UserError as error:
        raise UserError(f"{version}: {problem} And {error}") from None
    if not is_stamped(content, version, md5):
        raise UserError(f"{version}: {problem} And the bundle of its release is not what its dvc.lock names.")
    return content


def fetch_attestation(version: Version, bundle: Path, settings: Attestation) -> None:
    """Put the attestation of a version's release beside its bundle, where it is not yet, and check it.

    Raises:
        UserError: the release has none, or it does not hold.
    """
    if not beside(bundle).exists():
        write_file(beside(bundle), fetch_asset(version, beside(Path(BUNDLE)).name))
    try:
        require_attested(bundle, settings)
    except UserError:
        beside(bundle).unlink()  # to be fetched anew
        raise


def is_written(state: State) -> bool:
    """Return whether a state is the one that workers read; one that cannot be read is not."""
    try:
        return read_state() == state
    except UserError:
        return False


def main() -> int:
    """Write the state; exit 1 where it could not be found out."""
    try:
        state = find_state()
        if not is_written(state):
            write_state(state)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    served = {Path(version.bundle).name for version in (state.champion, state.canary, state.shadow) if version}
    kept = sorted((SERVING_STATE / "bundles").glob("*.zip"), key=lambda path: path.stat().st_mtime)[-KEPT:]
    for path in (SERVING_STATE / "bundles").glob("*.zip"):
        if path not in kept and path.name not in served:
            path.unlink()
            beside(path).unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
