"""The pipeline of a generated project as three plain servers have it; `load` is what they share."""

from pathlib import Path

import skops.io


def load(path: str | Path):
    """Return the fitted pipeline that `mlops train` wrote, trusted since it was made here."""
    return skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
