"""Another dataset, or another target, in place of the one that a project has.

What is new is brought beside the old, noted in PENDING, and switched to in steps that may be repeated: a run that is
killed before the note has changed nothing, and after it `mlops setup` does what is left.
"""

import json
import os
from pathlib import Path
from typing import Any

from ..core.config import PARAMS, Config, load_config
from ..core.errors import UserError, need
from ..core.files import remove, write_file
from ..core.git import git
from ..core.params_file import update_params
from ..data.reading.kinds import kind_of, suffixes_of
from ..data.schema import SCHEMA
from ..data.sources.addresses import named_file
from ..data.sources.databases import load_driver
from ..data.sources.queries import load_query
from ..stages.ingest import STAGE_FILE
from .dataset import DATASET, QUERY, copy_dataset, is_query, name_files
from .describe import check_dataset
from .profile.knobs import forget_guesses

ABOUT = ("data/raw/SOURCE.md", STAGE_FILE, STAGE_FILE.replace(".yaml", ".lock"))  # what is said of the former data
INCOMING = Path(".dvc/tmp/dataset")  # what is brought, as it will lie in the project
PENDING = Path(".dvc/tmp/dataset.json")  # what params.yaml will say, from when all is brought until all is done


def replace_dataset(data: str, target: str, task: str) -> None:
    """Put a dataset, a target or a task in place of the present one; what setup had guessed is to be guessed anew.

    Args:
        data: a file, folder or pattern, a URL, or a `.sql` file; empty keeps the dataset.
        target: the column to predict; empty keeps it.
        task: as data.task has it; empty keeps it, or finds out what suits another target.

    Raises:
        UserError: the contract is in git, or there is no such dataset, or what it needs is not installed, or the target
            cannot be learned from it.
    """
    _require_no_contract(load_config(guesses=True))
    changes = {name: value for name, value in (("data.target", target), ("data.task", task)) if value}
    remove(INCOMING)  # what a killed run left
    if data:
        changes |= _bring(data)
    try:
        _refuse_hopeless(changes, INCOMING if data else Path())
    except UserError as error:
        remove(INCOMING)
        raise UserError(str(error).replace(str(INCOMING / changes.get("data.path", "")), data)) from None
    if data:
        print(f"setup: {data} becomes {changes['data.path']}")
    write_file(PENDING, json.dumps(changes).encode())
    finish_replacement()


def finish_replacement() -> None:
    """Do what is left of a replacement, if one is pending: a run that was killed may have done any part of it."""
    if not PENDING.exists():
        return
    changes = json.loads(PENDING.read_bytes())
    if "data.path" in changes:
        _switch(load_config(guesses=True).data.path, changes["data.path"], changes["data.source"])
    Path(SCHEMA).unlink(missing_ok=True)
    update_params(Path(PARAMS), _with_guesses_forgotten(changes))
    remove(INCOMING)
    PENDING.unlink()


def _refuse_hopeless(changes: dict[str, Any], place: Path) -> None:
    """Refuse a dataset at a place from which its target cannot be learned; what is not here is not read."""
    shadow = INCOMING / PARAMS
    write_file(shadow, Path(PARAMS).read_bytes())
    update_params(shadow, _with_guesses_forgotten(changes))
    config = load_config(INCOMING, guesses=True).model_copy(update={"root": place})
    if config.path(config.data.path).exists():
        check_dataset(config)


def _with_guesses_forgotten(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the changes, and what else they ask to be guessed anew: the task is one of the former target."""
    forgotten: dict[str, Any] = forget_guesses(Path(PARAMS).read_text("utf-8"))
    if "data.target" in changes:
        forgotten["data.task"] = ("guess", "")
    return forgotten | changes


def _require_no_contract(config: Config) -> None:
    if not Path(SCHEMA).exists() or not git("ls-files", "--", SCHEMA):
        return
    path = config.data.path
    new_rows = "run `mlops ingest`" if config.data.source else f"edit {path} and run `uv run dvc add {path}`"
    raise UserError(
        f"{SCHEMA} is in git, the contract of {path}: for new rows, {new_rows}; to begin anew with other data, delete "
        f"{SCHEMA} and run this again."
    )


def _bring(data: str) -> dict[str, Any]:
    """Copy what the answer names into INCOMING, and return what params.yaml will say of it."""
    if "://" in data:
        return {"data.source": data, "data.path": DATASET + suffixes_of(named_file(data))}
    given, source, path = Path(data).expanduser(), None, DATASET
    if is_query(data):
        load_driver(load_query(given))
        source, path = QUERY, f"{DATASET}.parquet"
    elif kind_of(name_files(data)[0]) == "workbook":
        need("python_calamine", f"{data}: a workbook")
    if given.is_file() and not source:
        path += suffixes_of(given)
    copy_dataset(data, path, INCOMING)
    return {"data.source": source, "data.path": path}


def _switch(former: str, path: str, source: str | None) -> None:
    """Move what was brought to its place, and remove what there was before with all that is said of it."""
    brought = [path] if source is None else [QUERY] if source == QUERY else []
    places = {former, path, QUERY, f"{former}.dvc", f"{path}.dvc", *ABOUT} - {*brought}
    data = {place for place in places if place.startswith(DATASET) and ".." not in Path(place).parts}
    gone = [place for place in places if place in data or place in (QUERY, *ABOUT)]
    git(
        "rm", "-r", "--quiet", "--cached", "--ignore-unmatch", "--", *gone
    )  # else a record that is missing counts as lost
    for place in gone:
        remove(Path(place))
    for place in brought:
        if (INCOMING / place).exists():
            remove(Path(place))
            Path(place).parent.mkdir(parents=True, exist_ok=True)
            os.replace(INCOMING / place, place)
