"""Which bytes CML's binaries have: its makers publish no checksum, so the project keeps its own for install-cml.

Only the standard library is imported, so that it runs anywhere.
"""

import hashlib
import os
import re
import subprocess
import sys
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from .errors import UserError
from .files import write_file
from .git import shown
from .http_client import open_url
from .paths import PACKAGE

INSTALLER = Path(".github/actions/setup/install-cml")
DIGESTS = INSTALLER.with_name("cml.sha256")
BINARIES = ("cml-linux-arm64", "cml-linux-x64")
ELF = b"\x7fELF"  # a Linux program begins so


def trust_cml() -> None:
    """Record the digests of CML's binaries, one for each platform of a runner, as `sha256sum` prints them.

    Raises:
        UserError: a binary could not be fetched, or is not the one that is recorded.
    """
    version, releases = _read_setting("version"), os.environ.get("CML_RELEASES") or _read_setting("releases")
    lines = DIGESTS.read_text(errors="replace") if DIGESTS.exists() else ""
    recorded = {binary: value for value, binary in re.findall(r"^([0-9a-f]{64})  (\S+)$", lines, re.MULTILINE)}
    digests = {}
    for binary in (f"{version}/{name}" for name in BINARIES):
        print(f"Fetching {shown(releases)}/{binary}", flush=True)
        digests[binary] = digest(f"{releases}/{binary}")
        if recorded.get(binary, digests[binary]) != digests[binary]:
            raise UserError(
                f"{shown(releases)}/{binary} is not the file that {DIGESTS} names: nothing is recorded. Find out why "
                "it was replaced; if that was right, delete its line and run this again."
            )
    write_file(DIGESTS, "".join(f"{value}  {binary}\n" for binary, value in digests.items()).encode())
    print(f"{DIGESTS} names the binaries of CML {version}: commit it.")


def trust_cml_within(seconds: float) -> None:
    """Record the digests where there are none and the network gives the binaries soon; say in one line what was done.

    A process of its own, so that whatever it waits for, a name server too, has an end.
    """
    if DIGESTS.exists() or not INSTALLER.exists():
        return
    command = [sys.executable, "-P", "-m", PACKAGE, "trust", "cml"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        reason = done.stderr.strip().removeprefix("mlops trust: ")
    except subprocess.TimeoutExpired:
        reason = f"it would take more than {seconds:.0f} s"
    if DIGESTS.exists():
        print(f"setup: {DIGESTS} names the binaries of CML that workflows may run; commit it")
    else:
        print(f"CML's binaries are not recorded ({reason}): run `mlops trust cml` some time.", file=sys.stderr)


def digest(address: str) -> str:
    """Return the SHA-256 of what is behind an address, which must be reached by TLS.

    Raises:
        UserError: it could not be fetched whole.
    """
    try:
        with open_url(address, tls=True) as answer:
            read = hashlib.sha256(magic := answer.read(len(ELF)))
            while chunk := answer.read(2**20):
                read.update(chunk)
            if answer.length:  # Python calls a body that is cut off the end of it
                raise OSError("the connection broke off")
            if magic != ELF:
                raise OSError("what is there is no program, but a page of a network that wants to be logged in to, say")
    except HTTPError as error:
        raise UserError(f"{shown(address)} could not be fetched: HTTP {error.code} {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise UserError(f"{shown(address)} could not be fetched: {getattr(error, 'reason', error)}") from error
    return read.hexdigest()


def _read_setting(name: str) -> str:
    line = re.search(rf"^{name}=(\S+)$", INSTALLER.read_text() if INSTALLER.exists() else "", re.MULTILINE)
    if line is None:
        raise UserError(f"{INSTALLER} has no line {name}=…, which says what of CML to fetch.")
    return line[1]
