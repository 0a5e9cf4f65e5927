"""Files of an earlier stage give back their types, and some rows without reading the others."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from mlops_actions.core.errors import UserError
from mlops_actions.data.table import kinds_of, read_groups, read_typed, write_parquet
from pyarrow import parquet


def table(rows: int = 1200) -> pd.DataFrame:
    return pd.DataFrame({"n": range(rows), "even": pd.array([n % 2 == 0 for n in range(rows)], "boolean"), "t": "x"})


def test_a_file_has_the_same_bytes_and_the_types_that_it_was_given(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_parquet(table(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    pd.testing.assert_frame_equal(read_typed(tmp_path / "a"), table())
    pd.testing.assert_frame_equal(pd.concat(read_groups(tmp_path / "a")), table())


def test_so_many_rows_are_read_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.Table.from_pandas(table(), preserve_index=False), path, row_group_size=100)
    groups = parquet.ParquetFile(path).metadata
    spoiled = bytearray(path.read_bytes())
    for number in range(4, groups.num_row_groups):
        start = groups.row_group(number).column(0).data_page_offset
        spoiled[start : start + 50] = b"?" * 50
    path.write_bytes(bytes(spoiled))
    for rows in (1, 250, 400):
        pd.testing.assert_frame_equal(read_typed(path, rows), table(rows))
    with pytest.raises(OSError):
        read_typed(path)


def test_the_contract_s_kinds_travel_with_the_file(tmp_path: Path) -> None:
    fields = [pa.field("note", pa.string(), metadata={"kind": "text"}), pa.field("extra", pa.float32())]
    parquet.write_table(pa.table([["a"], [1.0]], schema=pa.schema(fields)), tmp_path / "rows.parquet")
    assert kinds_of(tmp_path / "rows.parquet") == {"note": "text"}


def test_a_file_that_no_stage_has_made_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rows\.parquet: not found; run `mlops train`, which makes it"):
        read_typed(tmp_path / "rows.parquet")
