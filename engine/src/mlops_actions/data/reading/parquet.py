"""Parquet, as typed there, in columns that are plain: numbers, booleans, text, moments."""

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from ...core.errors import UserError
from ..batches import rows_to_read
from .kinds import COLUMNS, check_names

ROWS = 2**16  # of a table
FOOTER = 2**26  # bytes: reading it takes ten times as many
BUFFER = 2**20  # bytes of each column chunk that are read at once, where the whole chunk may not fit the memory,
BUFFERS = 2**29  # and of all columns' together


def read_parquet(files: list[Path]) -> Iterator[tuple[Path, pa.Table]]:
    """Yield the rows of the files in order, in tables of any size, whose types fit all of the files."""
    schemas = {file: _read_schema(file) for file in files}
    wanted: dict[str, pa.DataType] = {}
    for file, schema in schemas.items():
        for field in schema:
            wanted[field.name] = _common(wanted.get(field.name, field.type), field, file, files[0])
    for file, schema in schemas.items():
        target = pa.schema([(name, wanted[name]) for name in schema.names])
        yield file, target.empty_table()
        for table in _read_rows(file, target):
            yield file, table


# In functions of their own, so that no file's list of row groups is still held when the next is opened.
def _read_schema(file: Path) -> pa.Schema:
    _check_footer(file)
    with _open(file) as opened:
        check_names(file, opened.schema_arrow.names)
        return plain_schema(_without_index(opened.schema_arrow), str(file))


def _read_rows(file: Path, target: pa.Schema) -> Iterator[pa.Table]:
    with _open(file, len(target)) as opened:
        try:
            for batch in opened.iter_batches(rows_to_read(len(opened.schema_arrow), ROWS)):
                yield make_plain(pa.Table.from_batches([batch]).select(target.names), target, str(file))
        except (pa.ArrowException, OSError) as error:
            raise _broken(file, error) from None


def plain_schema(schema: pa.Schema, where: str) -> pa.Schema:
    """Return the types that `make_plain` gives the columns of a schema; one that has no plain form is a UserError."""
    return pa.schema([(field.name, _plain_type(field, where)) for field in schema])


def make_plain(table: pa.Table, schema: pa.Schema, where: str) -> pa.Table:
    """Return the table with the types of a schema that `plain_schema` made."""
    columns = []
    for column, field in zip(table.columns, schema, strict=True):
        try:
            columns.append(_cast(column, field.type))
        except (pa.ArrowException, UnicodeDecodeError):
            raise UserError(
                f"{where}: column {field.name!r} holds values of type {column.type} that {field.type} cannot hold; "
                "write it as text or as a number."
            ) from None
    return pa.table(columns, schema=schema)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if column.type == kind:
        return column
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if isinstance(column.type, pa.BaseExtensionType):
        if column.type.extension_name == "arrow.uuid":
            return pa.chunked_array([pa.array([value and str(value) for value in column.to_pylist()], kind)])
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    if pa.types.is_duration(column.type):
        return pc.divide(column.cast(pa.int64()).cast(kind), 1000.0 ** ["s", "ms", "us", "ns"].index(column.type.unit))
    return column.cast(kind)


def _plain_type(field: pa.Field, where: str) -> pa.DataType:
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if isinstance(kind, pa.OpaqueType) and not pa.types.is_string(kind.storage_type):
        raise UserError(f"{where}: column {field.name!r} is of type {kind.type_name}; write it as text or as a number.")
    if isinstance(kind, pa.BaseExtensionType):
        kind = pa.string() if kind.extension_name == "arrow.uuid" else kind.storage_type
    if pa.types.is_nested(kind):
        raise UserError(f"{where}: column {field.name!r} holds lists or records; spread it over plain columns.")
    if pa.types.is_interval(kind) or pa.types.is_fixed_size_binary(kind):
        raise UserError(f"{where}: column {field.name!r} is of type {kind}; write it as text or as a number.")
    if pa.types.is_decimal(kind) or pa.types.is_duration(kind):
        return pa.float64()
    # Older writers do not say that their bytes are text.
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
    return pa.string() if binary or pa.types.is_string_view(kind) else kind


def _common(known: pa.DataType, field: pa.Field, file: Path, first: Path) -> pa.DataType:
    try:
        pair = [pa.schema([(field.name, kind)]) for kind in (known, field.type)]
        return pa.unify_schemas(pair, promote_options="permissive").field(0).type
    except pa.ArrowException:
        raise UserError(
            f"{file}: column {field.name!r} is of type {field.type}, in {first.name} of type {known}; write them alike."
        ) from None


def _check_footer(file: Path) -> None:
    """Refuse a file whose list of columns and row groups alone would take the memory."""
    with file.open("rb") as stream:
        stream.seek(-min(8, file.stat().st_size), 2)
        size = int.from_bytes(stream.read(4), "little")
    if FOOTER < size < file.stat().st_size:
        raise UserError(
            f"{file}: lists {size // 10**6:,} MB of columns and row groups; write it in fewer files, with at most "
            f"{COLUMNS:,} columns and row groups of {ROWS:,} rows or more."
        )


def _open(file: Path, columns: int = 1) -> pa.parquet.ParquetFile:
    try:
        return pa.parquet.ParquetFile(file, buffer_size=max(2**14, min(BUFFER, BUFFERS // columns)), pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise _broken(file, error) from None


def _broken(file: Path, error: Exception) -> UserError:
    return UserError(f"{file}: cannot be read as Parquet ({str(error).splitlines()[0]}); write it again.")


def _without_index(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field for field in schema if not re.fullmatch(r"__index_level_\d+__", field.name)])
