"""A query to a database: a `.sql` file whose first line names the database, the rest of which is the query.

The standard library is enough: generating a project copies a query where nothing is installed.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import UserError

EXAMPLE = "-- sqlite:///shop.db"
SECRET = r"//[^/@\s]*:[^/@\s]+@|--.*\b(?i:pass(word|wd)?)\s*="  # the template's hooks refuse the same
_LOCAL = ("sqlite", "duckdb")  # databases that are files


@dataclass(frozen=True)
class Query:
    """What to ask, and whom: a URL such as postgresql://host/shop, or what DuckDB attaches, such as mysql:host=…."""

    database: str
    text: str
    file: Path

    @property
    def scheme(self) -> str:
        """What kind of database it is."""
        return self.database.split(":")[0].replace("postgresql", "postgres")


def load_query(file: Path) -> Query:
    """Return the query in a `.sql` file.

    Raises:
        UserError: there is none, the first line names no database, or it holds a password.
    """
    if not file.is_file():
        raise UserError(f"{file}: not found; write the query there, below a line such as `{EXAMPLE}`.")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{file}: is not UTF-8 text; save it as UTF-8.") from None
    first, _, rest = text.partition("\n")
    if re.search(SECRET, text):
        raise UserError(f"{file}: holds a password, which git would keep; use PGPASSWORD or ~/.pgpass instead.")
    named = re.fullmatch(r"--\s*([a-z_]+:.*\S)\s*", first)
    if not named:
        raise UserError(f"{file}: its first line must name the database in a comment, such as `{EXAMPLE}`.")
    query = Query(named[1], rest.strip().rstrip(";").rstrip(), file)
    if query.scheme == "postgres" and "://" not in query.database:
        raise UserError(f"{file}: write the database as `-- postgresql://host/name`.")
    if not re.sub(r"--.*|/\*[\s\S]*?\*/|\s", "", query.text):
        raise UserError(f"{file}: has no query below its first line; write one.")
    return query


def database_file(query: Query) -> Path:
    """Return the file of an SQLite or DuckDB database: a relative path begins where the `.sql` file is.

    Raises:
        UserError: there is none.
    """
    path = (query.file.parent / Path(re.sub(r"^[a-z]+:(///)?", "", query.database)).expanduser()).resolve()
    if not path.is_file():
        raise UserError(f"{query.file}: there is no database {path}; correct the first line.")
    return path


def movable_text(query: Query) -> str:
    """Return the text of a `.sql` file that asks the same wherever it lies: the database's path is absolute.

    Raises:
        UserError: there is no such database.
    """
    database = f"{query.scheme}:///{database_file(query)}" if query.scheme in _LOCAL else query.database
    return f"-- {database}\n{query.text}\n"
