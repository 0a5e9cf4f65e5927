"""The stage that alone asks the source for its rows: a snapshot of them, which DVC keeps as it keeps a file."""

import filecmp
import os
import tempfile
from pathlib import Path

from ..core.config import Config, Read
from ..core.errors import UserError
from ..core.files import write_file
from ..data.reading.kinds import KINDS, suffix_of
from ..data.reading.sniff import sniff
from ..data.reading.tables import read_tables
from ..data.sources.addresses import named_file
from ..data.sources.databases import write_query
from ..data.sources.downloads import download
from ..data.sources.queries import load_query

STAGE_FILE = "data/raw/dvc.yaml"
STAGE = """\
# How `mlops ingest` made the snapshot; it runs this stage, and nothing else does: no retrain asks the source again.
vars:
  - ../../params.yaml
stages:
  ingest:
    cmd: mlops stage ingest
    wdir: ../..
    frozen: true
{deps}    params:
      - data.source
    outs:
      - ${{data.path}}
"""


def run(config: Config) -> None:
    """Replace the snapshot by what the source has now, when that can be read, and say what changed.

    Raises:
        UserError: there is no source, it gives nothing, or what it gives is no table.
    """
    source, path = config.data.source, config.path(config.data.path)
    if source is None:
        raise UserError("params.yaml: data.source is null; name a URL or ingest.sql there, where rows come from.")
    rows = _count(path, config.data.read) if path.exists() else None
    temporary = config.path(".dvc/tmp")
    temporary.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ingest-", dir=temporary) as folder:
        fresh = Path(folder, path.name)
        _fetch(config, source, fresh)
        try:
            now = _count(fresh, config.data.read if rows is not None else sniff(fresh))
        except UserError as error:
            raise UserError(str(error).replace(str(fresh), source)) from None
        same = rows is not None and filecmp.cmp(path, fresh, shallow=False)
        size = fresh.stat().st_size
        if not same:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh.chmod(0o644)
            os.replace(fresh, path)
    before = "" if rows is None else f", {rows:,} before"
    outcome = f"nothing new, the same {now:,} rows" if same else f"{now:,} rows{before}"
    print(f"ingest: {outcome} ({size / 1e6:,.1f} MB) in {config.data.path}")


def write_stage(config: Config) -> None:
    """Write the dvc.yaml that names the snapshot as a stage's output, unless there is one."""
    query = (config.data.source or "").endswith(".sql")
    if not config.path(STAGE_FILE).exists():
        deps = f"    deps:\n      - {config.data.source}\n" if query else ""
        write_file(config.path(STAGE_FILE), STAGE.format(deps=deps).encode())


def _fetch(config: Config, source: str, fresh: Path) -> None:
    if not source.endswith(".sql"):
        if suffix_of(fresh) not in KINDS:
            named_file(source)  # which says what to do
        download(source, fresh)
    elif fresh.suffix == ".parquet":
        write_query(load_query(config.path(source)), fresh)
    else:
        raise UserError("params.yaml: data.path must end in .parquet, as which the rows of a query are kept.")


def _count(path: Path, read: Read) -> int:
    return sum(table.num_rows for table in read_tables(path, read))
