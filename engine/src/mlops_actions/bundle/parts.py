"""The parts of a bundle, checked before anything of them is used; with the standard library alone."""

import hashlib
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import UserError
from ..core.files import open_stored
from ..core.typed_json import typed

MANIFEST = "manifest.json"
SCHEMA = "schema.yaml"
REFERENCE = "reference.json"
RELEASE = "release.json"  # which version it is; a bundle that was not released has none
LARGEST = 2**31  # bytes: a hostile file must not fill the memory
# What parts of the manifest are, where it has them: the types that whoever reads it relies on.
TYPES: dict[str, Any] = {
    "format": str, "why": str, "compiled": str, "classes": list[str] | None, "positive": str | None,
    "threshold": float | None, "trusted": list[str], "contract": dict, "features": dict | None,
}  # fmt: skip
# What hostile bytes make zipfile and json raise, and whoever looks for something in what they made.
UNREADABLE = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, LookupError, TypeError, ValueError, RuntimeError,
    NotImplementedError,
)  # fmt: skip


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
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path}: is larger than a bundle may be; fetch it again.")
        content = path.read_bytes()
        if sha256 and hashlib.sha256(content).hexdigest() != sha256:
            raise UserError(f"{path}: refused, its SHA-256 is not {sha256}; fetch it again.")
        with open_stored(content) as archive:
            manifest = _read_manifest(archive.read(MANIFEST))
            digests = typed(dict, manifest["sha256"])
            files = {name: archive.read(name) for name in digests}
            schema, model = files[SCHEMA].decode(), files[f"model.{manifest['format']}"]
            reference = typed(dict, json.loads(files[REFERENCE]))
            release = json.loads(archive.read(RELEASE)) if RELEASE in archive.namelist() else {}
            version = typed(str, release["version"]) if release else None
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run `mlops train` or `mlops pull`.") from None
    except UNREADABLE as error:
        reason = str(error) or type(error).__name__
        raise UserError(f"{path}: not a model bundle ({reason}); fetch it again or run `mlops train`.") from None
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != digests[name]:
            raise UserError(f"{path}: refused, {name} in it is not what manifest.json says; fetch it again.")
    return Parts(manifest, schema, model, reference, version)


def _read_manifest(content: bytes) -> dict[str, Any]:
    manifest: dict[str, Any] = typed(dict, json.loads(content))
    for name, kind in TYPES.items():
        if name in manifest:
            try:
                typed(kind, manifest[name])
            except (TypeError, ValueError):
                raise TypeError(f"its manifest's {name} is {str(manifest[name])[:40]!r}") from None
    for name in ("numbers", "categories") if "inputs" in manifest else ():
        typed(list[str], manifest["inputs"][name])
    return manifest


def needs_code(manifest: dict[str, Any]) -> str | None:
    """Return why a bundle cannot be answered without scikit-learn or pandas, or None."""
    if manifest["format"] != "onnx":
        return f"is answered by scikit-learn: {manifest.get('why')}"
    if manifest.get("features") is None:
        return f"has features made by pandas: {manifest.get('compiled')}"
    return None
