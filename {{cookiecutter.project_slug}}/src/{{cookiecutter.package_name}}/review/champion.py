"""The champion: the version in production, and what its own code and model say of the candidate's test rows."""

import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import PARAMS, Data
from ..errors import UserError
from ..git import rev_parse, run
from ..outputs import BUNDLE, LOCK, locked, output_file
from ..versions import champion_version, list_versions
from .changes import yaml_at

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Champion:
    """What the candidate is compared with: its name, as people say it, and its commit."""

    name: str
    commit: str


class Incomparable(Exception):
    """The champion could not be run on the candidate's rows; the text says why."""


def find_champion(against: str | None = None) -> Champion | None:
    """Return the version at stage `prod`, else the newest, else None; or whatever `against` names.

    Raises:
        UserError: `against` is no version, branch or commit.
    """
    if against is None:
        version = champion_version()
        return Champion(version.name, version.commit) if version else None
    for version in list_versions():
        if version.name == against:
            return Champion(version.name, version.commit)
    commit = rev_parse(against)
    if commit is None:
        raise UserError(f"{against} is no version, branch or commit: see `git tag --list 'model@*'`")
    if locked(BUNDLE, commit) is None:
        raise UserError(f"{against} has no trained model in its {LOCK}: compare with a commit that has")
    return Champion(against, commit)


def predict(champion: Champion, rows: Path, data: Data) -> "pd.DataFrame":
    """Return the champion's predictions for the Parquet file `rows`, one line a row, in order.

    Its model runs under its own code, params and schema, checked out beside this tree: what a column becomes may have
    changed since. Columns that its schema does not know are ignored.

    Raises:
        Incomparable: it predicts something else than `data` says, or its code does not accept these rows.
    """
    theirs = yaml_at(champion.commit, PARAMS).get("data", {})
    if (theirs.get("target"), theirs.get("task")) != (data.target, data.task):
        raise Incomparable(f"it does {theirs.get('task')} of {theirs.get('target')}, not {data.task} of {data.target}")
    bundle = output_file(BUNDLE, champion.commit).resolve()
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        _check_out(champion.commit, home)
        (home / "rows.parquet").symlink_to(rows.resolve())
        cli = f"{__package__.partition('.')[0]}.cli"
        command = [sys.executable, "-m", cli, "predict", "rows.parquet", "--bundle", str(bundle), "--types-only"]
        done = subprocess.run(
            command,
            cwd=home,
            env={**os.environ, "PYTHONPATH": str(home / "src")},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["it gave no reason"]
            raise Incomparable(said[-1])
        import pandas as pd  # not before: most calls here need the champion's name alone

        return pd.read_parquet(home / "predictions.parquet")


def _check_out(commit: str, directory: Path) -> None:
    archive = run("archive", "--format=tar", commit)
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as tar:
        tar.extractall(directory, filter="data")
