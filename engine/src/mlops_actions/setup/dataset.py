"""A dataset's way into a project: its files, or the query for its rows, copied to where they lie there.

The standard library is enough: generating a project runs this from the wheel, where nothing is installed.
"""

import glob
import shutil
from pathlib import Path

from ..core.errors import UserError
from ..core.files import remove, write_file
from ..data.reading.kinds import check_alike, find_files, is_data
from ..data.sources.queries import load_query, movable_text

DATASET, QUERY = "data/raw/dataset", "ingest.sql"  # where a project has its data, but for the suffix, and its query


def copy_dataset(data: str, path: str, root: Path = Path()) -> None:
    """Copy a dataset into a project, in place of what is there.

    Args:
        data: a `.sql` file, which becomes the project's query; else the path of a file or of a folder of files, or a
            pattern for several.
        path: what data.path says: of a folder, if it has no suffix.
        root: the top of the project.

    Raises:
        UserError: there is no file, or they are no files of one kind with names of their own; or the query names no
            database that is there, is none, or holds a password.
    """
    given, target = Path(data).expanduser(), root / path
    if is_query(data):
        write_file(root / QUERY, movable_text(load_query(given)).encode())
        return
    files = name_files(data)
    try:
        remove(target)
        for file in files:
            place = target if given.is_file() and target.suffix else target / file.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
    except OSError as error:
        raise UserError(f"{data}: cannot be copied ({error.strerror}); correct that.") from None


def is_query(data: str) -> bool:
    """Return whether a dataset is named by a query for it."""
    return data.lower().endswith(".sql") and not Path(data).expanduser().is_dir()


def name_files(data: str) -> list[Path]:
    """Return the files that a path, folder or pattern names.

    Raises:
        UserError: there is none, or they are no files of one kind with names of their own.
    """
    path = Path(data).expanduser()
    try:
        if path.exists():
            return find_files(path)
        files = sorted(file for file in map(Path, glob.glob(str(path), recursive=True)) if is_data(file))
    except OSError as error:
        raise UserError(f"{data}: cannot be read ({error.strerror}); correct that.") from None
    if not files:
        raise UserError(f"{data!r} is neither a file nor a folder or pattern with files, nor a URL; correct it.")
    check_alike(files)
    names = [file.name for file in files]
    if len({*names}) < len(names):
        raise UserError(f"{data!r}: two files are named {max(names, key=names.count)}; rename one.")
    return files
