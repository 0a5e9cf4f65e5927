"""The files of a release, made from the version's own commit: bundle, metrics, schema, model card, checksums."""

import hashlib
from pathlib import Path

from ..git import show_file
from ..outputs import BUNDLE, METRICS, output_file
from ..versions import Version
from .card import write_card
from .stamp import stamp

CARD = "MODEL_CARD.md"
SUMS = "SHA256SUMS"


def write_bundle(version: Version, directory: Path) -> Path:
    """Write the bundle of `version`, which says which version it is, into `directory` and return its file."""
    path = directory / Path(BUNDLE).name
    path.write_bytes(stamp(output_file(BUNDLE, version.commit).read_bytes(), version))
    return path


def write_assets(version: Version, directory: Path) -> list[Path]:
    """Write every file of the release of `version` into `directory` and return them, the model card first."""
    bundle = write_bundle(version, directory)
    committed = []
    for name in (METRICS, "schema.yaml"):
        committed.append(directory / name)
        committed[-1].write_bytes(show_file(version.commit, name) or b"")
    card = directory / CARD
    card.write_text(write_card(version, bundle), encoding="utf-8")
    files = [card, bundle, *committed]
    sums = directory / SUMS
    sums.write_text("".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files))
    return [*files, sums]
