"""Rows of a query: a `.sql` file whose first line names the database, the rest of which is the query."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
from rich.console import Console
from rich.progress import track

from ...core.errors import UserError
from ..batches import regroup
from ..reading.kinds import check_names
from ..reading.parquet import make_plain, plain_schema

ROWS = 2**16  # of a row group, whatever pieces the database sends
EXAMPLE = "-- sqlite:///shop.db"


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
    """The query in a `.sql` file.

    Raises:
        UserError: there is none, the first line names no database, or it holds a password.
    """
    if not file.is_file():
        raise UserError(f"{file}: not found; write the query there, below a line such as `{EXAMPLE}`.")
    try:
        first, _, rest = file.read_text(encoding="utf-8-sig").partition("\n")
    except UnicodeDecodeError:
        raise UserError(f"{file}: is not UTF-8 text; save it as UTF-8.") from None
    named = re.fullmatch(r"--\s*([a-z_]+:.*\S)\s*", first)
    if not named:
        raise UserError(f"{file}: its first line must name the database in a comment, such as `{EXAMPLE}`.")
    if re.search(r"://[^/@\s]*:[^/@\s]+@|\bpass(word|wd)?\s*=", named[1], re.IGNORECASE):
        raise UserError(f"{file}: holds a password, which git would keep; use PGPASSWORD or ~/.pgpass instead.")
    text = rest.strip().rstrip(";").rstrip()
    if not re.sub(r"--.*|/\*[\s\S]*?\*/|\s", "", text):
        raise UserError(f"{file}: has no query below its first line; write one.")
    return Query(named[1], text, file)


def write_query(query: Query, target: Path) -> None:
    """Writes the rows of a query as Parquet: the same rows in the same order always make the same bytes.

    Never more than a row group of them is held.

    Raises:
        UserError: the database is not there, or refuses; or a column has no plain form.
    """
    where, shown = query.file.name, Console(stderr=True)
    opener = {"sqlite": _from_sqlite, "postgres": _from_postgres}.get(query.scheme, _from_duckdb)
    with ExitStack() as stack:
        with _sentences(query):
            batches = stack.enter_context(opener(query))
        check_names(query.file, batches.schema.names)
        schema = plain_schema(batches.schema, where)
        tables = (make_plain(table, schema, where) for table in _read(query, batches))
        pieces = track(regroup(tables, ROWS), "ingest", console=shown, transient=True, disable=not shown.is_terminal)
        rows = 0
        with pa.parquet.ParquetWriter(target, schema, compression="zstd") as writer:
            for table in pieces:
                writer.write_table(table)
                rows += table.num_rows
    if not rows:
        raise UserError(f"{query.file}: the query gives no rows; correct it.")


def _read(query: Query, batches: pa.RecordBatchReader) -> Iterator[pa.Table]:
    with _sentences(query):
        for batch in batches:
            yield pa.Table.from_batches([batch])


@contextmanager
def _sentences(query: Query) -> Iterator[None]:
    """Turn what drivers raise into what a user sees."""
    try:
        yield
    except ImportError:
        raise UserError(
            f'{query.file}: {query.scheme} needs the group "databases": name it in default-groups of pyproject.toml, '
            "then `uv sync`."
        ) from None
    except Exception as error:
        driver = type(error).__module__.split(".")[0] in ("adbc_driver_manager", "duckdb", "_duckdb", "pyarrow")
        if not driver and not isinstance(error, OSError):
            raise
        raise UserError(f"{query.file}: {_explain(query, error)}") from None


@contextmanager
def _from_sqlite(query: Query) -> Iterator[pa.RecordBatchReader]:
    from adbc_driver_sqlite import dbapi

    place = _local_file(query).as_uri().replace("file://", "file:", 1)
    with dbapi.connect(f"{place}?mode=ro") as connection, connection.cursor() as cursor:
        # SQLite's columns have no types: those of so many rows decide.
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(ROWS)})
        cursor.execute(query.text)
        yield cursor.fetch_record_batch()


@contextmanager
def _from_postgres(query: Query) -> Iterator[pa.RecordBatchReader]:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(query.database) as connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute(query.text)
        yield cursor.fetch_record_batch()


@contextmanager
def _from_duckdb(query: Query) -> Iterator[pa.RecordBatchReader]:
    import duckdb

    if query.scheme == "duckdb":
        with duckdb.connect(str(_local_file(query)), read_only=True) as database:
            yield database.sql(query.text).to_arrow_reader(ROWS)
        return
    with duckdb.connect() as database:
        place = query.database.replace("'", "''")
        database.execute(f"ATTACH '{place}' AS source (READ_ONLY)")
        database.execute("USE source")
        yield database.sql(query.text).to_arrow_reader(ROWS)


def _local_file(query: Query) -> Path:
    """The database's file: a relative path begins where the `.sql` file is."""
    path = (query.file.parent / Path(re.sub(r"^[a-z]+:(///)?", "", query.database)).expanduser()).resolve()
    if not path.is_file():
        raise UserError(f"{query.file}: there is no database {path}; correct the first line.")
    return path


def _explain(query: Query, error: Exception) -> str:
    problem = re.sub(r"^[A-Z_ ]+: (\[\w+\] )?", "", str(error).strip().splitlines()[0]).rstrip(". ")
    if 'xtension "' in problem:
        return f"DuckDB's extension for {query.scheme} is not here and cannot be fetched ({problem}); install it once."
    if "Type mismatch" in problem:
        return f"a column holds values of several types ({problem}); CAST it to one in the query."
    return f"the database says: {problem}; correct the query or the first line."
