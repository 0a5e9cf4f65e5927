"""The files of a release, made from the version's own commit: bundle, metrics, schema, model card, checksums."""

import hashlib
from pathlib import Path

from ..core.files import write_file
from ..core.git import show_file
from ..core.paths import BUNDLE, METRICS
from .card import write_card
from .outputs import output_file
from .stamp import stamp
from .versions import Version

CARD = "MODEL_CARD.md"
ASSETS = (CARD, Path(BUNDLE).name, METRICS, "schema.yaml", "SHA256SUMS")


def write_bundle(version: Version, directory: Path) -> Path:
    """Write the bundle of `version`, which says which version it is, into `directory` and return its file."""
    path = directory / Path(BUNDLE).name
    write_file(path, stamp(output_file(BUNDLE, version.commit).read_bytes(), version))
    return path


def write_assets(version: Version, directory: Path) -> list[Path]:
    """Write every file of the release of `version` into `directory` and return them, in the order of ASSETS.

    Each takes the place of what is there: a link of its name, which somebody may have committed, leads nowhere.
    """
    directory.mkdir(parents=True, exist_ok=True)
    card, bundle, *committed, sums = files = [directory / name for name in ASSETS]
    write_bundle(version, directory)
    for file in committed:
        write_file(file, show_file(version.commit, file.name) or b"")
    write_file(card, write_card(version, bundle).encode())
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files[:-1]}
    write_file(sums, "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode())
    return files
