"""What makes a bundle a version's: the stamp that says so, on the bytes that training made."""

import hashlib
import json
import zipfile

from ..bundle.parts import RELEASE
from ..core.files import open_stored, pack
from .versions import Version


def stamp(bundle: bytes, version: Version) -> bytes:
    """Return the bundle with its version and the commit that it was made from; the same bytes for the same bundle."""
    stamped = json.dumps({"version": version.name, "commit": version.commit}).encode() + b"\n"
    return pack({**_files(bundle), RELEASE: stamped})


def is_stamped(bundle: bytes, version: Version, md5: str) -> bool:
    """Return whether a bundle is what `stamp` makes of the bytes with this MD5, which the version's dvc.lock names."""
    try:
        trained = pack({name: content for name, content in _files(bundle).items() if name != RELEASE})
    except (zipfile.BadZipFile, NotImplementedError, OSError, RuntimeError):
        return False
    return hashlib.md5(trained, usedforsecurity=False).hexdigest() == md5 and stamp(trained, version) == bundle


def _files(bundle: bytes) -> dict[str, bytes]:
    with open_stored(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
