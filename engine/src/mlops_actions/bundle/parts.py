"""The parts of a bundle, checked before anything of them is used; with the standard library alone."""

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import UserError

MANIFEST = "manifest.json"
SCHEMA = "schema.yaml"
REFERENCE = "reference.json"
RELEASE = "release.json"  # which version it is; a bundle that was not released has none
# The largest that a bundle's parts may be: a hostile zip must not fill the memory.
LARGEST = 2**31


@dataclass(frozen=True)
class Parts:
    """What a bundle holds, as its manifest says: each part has the digest that stands there."""

    manifest: dict[str, Any]
    schema: str
    model: bytes
    reference: dict[str, Any]
    version: str | None


def read_parts(path: Path, sha256: str | None = None) -> Parts:
    """Return the parts of a bundle, whose file must have the digest `sha256` where that is known.

    Raises:
        UserError: there is no such file, it is no bundle, or it was changed after it was made.
    """
    try:
        content = path.read_bytes()
        if sha256 and hashlib.sha256(content).hexdigest() != sha256:
            raise UserError(f"{path}: refused, its SHA-256 is not {sha256}; fetch it again.")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > LARGEST:
                raise UserError(f"{path}: is larger than a bundle may be; fetch it again.")
            manifest = json.loads(archive.read(MANIFEST))
            digests = dict(manifest["sha256"])
            files = {name: archive.read(name) for name in digests}
            schema, model = files[SCHEMA].decode(), files[f"model.{manifest['format']}"]
            reference = json.loads(files[REFERENCE])
            release = json.loads(archive.read(RELEASE)) if RELEASE in archive.namelist() else {}
            version = str(release["version"]) if release else None
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run `mlops train` or `mlops pull`.") from None
    except (zipfile.BadZipFile, OSError, KeyError, TypeError, ValueError, NotImplementedError) as error:
        raise UserError(f"{path}: not a model bundle ({error}); fetch it again or run `mlops train`.") from None
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != digests[name]:
            raise UserError(f"{path}: refused, {name} in it is not what manifest.json says; fetch it again.")
    return Parts(manifest, schema, model, reference, version)


def needs_code(manifest: dict[str, Any]) -> str | None:
    """Return why a bundle cannot be answered without scikit-learn or pandas, or None."""
    if manifest["format"] != "onnx":
        return f"is answered by scikit-learn: {manifest['why']}"
    if manifest["features"] is None:
        return f"has features made by pandas: {manifest['compiled']}"
    return None
