"""JSON lines: an object a line, every value as text, as it would be in a CSV."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from ...core.errors import UserError
from ..batches import rows_to_read
from .kinds import UNREADABLE, check_names, compression_of, open_bytes
from .text import read_head

if TYPE_CHECKING:
    import duckdb

ROWS = 2**14  # of a table


def read_lines(file: Path) -> Iterator[pa.Table]:
    """Yield the rows of a file in order, in tables of any size; a key that an object lacks is missing there.

    The columns are the keys of the first object, then those that only later ones have, by name.
    """
    import duckdb

    compression = compression_of(file) or "none"
    if compression in ("bz2", "xz"):
        raise UserError(f"{file}: JSON lines are read from .gz and .zst only; compress it as one of them.")
    read_head(file, 8)
    if compression != "none":
        _check_size(file)
    place = re.sub(r"([*?\[])", r"[\1]", str(file))  # DuckDB would take it for a pattern
    source = f"read_json_objects({_literal(place)}, format='newline_delimited', compression='{compression}')"
    with duckdb.connect() as database:
        try:
            names = _read_names(file, database, source)
            check_names(file, names)
            keys = ", ".join(map(_pointer, names))
            values = ", ".join(f"v[{number}] AS c{number}" for number in range(1, len(names) + 1))
            parsed = f"SELECT json_extract_string(json, [{keys}]) AS v FROM {source}"
            yield pa.table({name: pa.array([], pa.string()) for name in names})
            for batch in database.sql(f"SELECT {values} FROM ({parsed})").to_arrow_reader(
                rows_to_read(len(names), ROWS)
            ):
                yield pa.Table.from_batches([batch]).rename_columns(names)
        except duckdb.Error as error:
            line = _find_line(file)
            problem = f"cannot be read as JSON lines ({str(error).splitlines()[0].strip()}); write it again"
            raise UserError(f"{file}: {f'{line} is not JSON in UTF-8; correct it' if line else problem}.") from None
        except RecursionError:
            raise UserError(f"{file}: holds records in records without end; spread them over plain columns.") from None


def _read_names(file: Path, database: "duckdb.DuckDBPyConnection", source: str) -> list[str]:
    structures = database.sql(f"SELECT DISTINCT json_structure(json) FROM {source}").fetchall()
    if not structures:
        raise UserError(f"{file}: is empty; put an object a line into it.")
    kinds: dict[str, list[object]] = {}
    for structure in (json.loads(text or "null") for (text,) in structures):
        if not isinstance(structure, dict):
            line = _find_line(file) or "line 1"
            raise UserError(f'{file}: {line} must be an object with keys, such as {{"a": 1}}; correct it.')
        for name, kind in structure.items():
            kinds.setdefault(name, []).append(kind)
    nested = sorted(name for name in kinds if any(not isinstance(kind, str) for kind in kinds[name]))
    if nested:
        raise UserError(f"{file}: column {nested[0]!r} holds lists or records; spread it over plain columns.")
    ((first,),) = database.sql(f"SELECT json_keys(json) FROM {source} LIMIT 1").fetchall()
    names = list(dict.fromkeys(first))
    return names + sorted(kinds.keys() - names)


def _check_size(file: Path) -> None:
    """Refuse a compressed file that is far larger than it looks, before DuckDB unpacks it."""
    try:
        with open_bytes(file) as stream:
            while stream.read(2**20):
                pass
    except UNREADABLE:
        pass  # damaged, as DuckDB says


def _find_line(file: Path) -> str | None:
    """Return the first line that is no JSON object, found slowly, once it is known that there is one."""
    try:
        with io.BufferedReader(cast(Any, open_bytes(file))) as stream:
            for number, line in enumerate(stream, 1):
                try:
                    if line.strip() and not isinstance(json.loads(line.decode("utf-8-sig")), dict):
                        return f"line {number}"
                except (ValueError, RecursionError):
                    return f"line {number}"
    except UNREADABLE:
        pass  # damaged, as DuckDB has said
    return None


def _pointer(name: str) -> str:
    return _literal("/" + name.replace("~", "~0").replace("/", "~1"))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
