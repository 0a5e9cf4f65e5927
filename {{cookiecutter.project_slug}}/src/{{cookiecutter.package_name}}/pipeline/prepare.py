"""Stage 1: rows that keep the contract, divided into train and test for good."""

import json
from hashlib import blake2b

import numpy as np
import pandas as pd

from ..config import Config
from ..errors import UserError
from ..files import write_file
from ..outputs import SUMMARY, TEST_ROWS, TRAIN_ROWS
from ..schema import SCHEMA, Schema, load_schema
from ..table import read_table, write_parquet

SHOWN = 60  # characters of a text in the summary


def run(config: Config) -> None:
    """Writes the train and test rows, and a summary of the data that Git can compare."""
    schema = load_schema(config.path(SCHEMA))
    _check_names(config, schema)
    rows = schema.apply(read_table(config.path(config.data.path)), source=config.data.path)
    test = is_test(config, rows)
    _check_split(config, rows, test)
    # In an order that the values decide, so that sorting the dataset differently retrains nothing.
    order = np.argsort(hash_rows(rows), kind="stable")
    rows, test = rows.iloc[order], test[order]
    write_parquet(rows[~test], config.path(TRAIN_ROWS))
    write_parquet(rows[test], config.path(TEST_ROWS))
    summary = json.dumps(summarize(rows, test, schema), indent=2, ensure_ascii=False)
    write_file(config.path(SUMMARY), f"{summary}\n".encode())
    print(
        f"prepare: {len(rows):,} rows of {rows.shape[1]} columns, "
        f"{int((~test).sum()):,} to train and {int(test.sum()):,} to test"
    )


def is_test(config: Config, rows: pd.DataFrame) -> np.ndarray:
    """Which of the typed rows are test rows, decided by each row alone."""
    split = config.split
    if split.method == "time":
        return _from_cutoff(rows[split.column or ""], split.column, split.cutoff)
    key = rows[split.key] if split.key else rows.drop(columns=config.data.target)
    return hash_rows(key) < np.uint64(int(split.test_size * 2**64))


def hash_rows(rows: pd.DataFrame) -> np.ndarray:
    """A 64-bit hash of each typed row: the same on any platform, in any column order, from CSV or Parquet."""
    columns = [_as_words(rows[name]) for name in sorted(rows.columns)]
    table = np.column_stack(columns).astype("<u8").tobytes()
    width = 8 * len(columns)
    digests = b"".join(
        blake2b(table[start : start + width], digest_size=8).digest() for start in range(0, len(table), width)
    )
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def summarize(rows: pd.DataFrame, test: np.ndarray, schema: Schema) -> dict[str, object]:
    """What the data looks like, small enough to commit: a change of the data is a readable diff."""
    columns: dict[str, object] = {}
    for name, values in rows.items():
        column = schema.columns.get(str(name), schema.target)
        facts: dict[str, object] = {
            "type": column.type,
            "missing": int(values.isna().sum()),
            "distinct": int(values.nunique()),
        }
        known = values.dropna()
        if name == schema.target.name and schema.target.values is not None:
            facts["classes"] = {str(label): int(count) for label, count in known.value_counts().sort_index().items()}
        elif not known.empty and column.type in ("number", "boolean"):
            facts["mean"] = float(f"{known.astype('float64').mean():.6g}")
        elif not known.empty:
            counts = known.value_counts()
            facts["top"] = str(min(counts.index[counts == counts.max()]))[:SHOWN]
        columns[str(name)] = facts
    return {
        "rows": len(rows),
        "train_rows": int((~test).sum()),
        "test_rows": int(test.sum()),
        "columns": columns,
    }


def _as_words(values: pd.Series) -> np.ndarray:
    if isinstance(values.dtype, pd.StringDtype):
        codes, texts = pd.factorize(values)
        words = [int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") for text in texts]
        return np.array([*words, 0], dtype="<u8")[codes]
    if isinstance(values.dtype, pd.BooleanDtype):
        return values.astype("Int64").fillna(2).to_numpy("<u8")
    if values.dtype.kind == "M":
        return values.to_numpy("datetime64[us]").view("<i8").view("<u8")
    numbers = values.to_numpy("<f8") + 0.0
    numbers[np.isnan(numbers)] = np.nan
    return numbers.view("<u8")


def _from_cutoff(values: pd.Series, name: str | None, cutoff: float | str | None) -> np.ndarray:
    if values.isna().any():
        raise UserError(
            f"params.yaml: split.column {name!r} is missing in {int(values.isna().sum())} rows; fill them or "
            "choose another."
        )
    if isinstance(cutoff, str) and values.dtype.kind == "M":
        try:
            moment = pd.to_datetime(cutoff, utc=True, format="ISO8601").tz_localize(None)
        except ValueError:
            raise UserError(
                f"params.yaml: split.cutoff {cutoff!r} is not a moment; write it like 2026-01-31."
            ) from None
        return (values >= moment).to_numpy()
    if isinstance(cutoff, float | int) and values.dtype.kind == "f":
        return (values >= cutoff).to_numpy()
    kinds = {
        "M": "datetime, so split.cutoff must be a moment like 2026-01-31",
        "f": "number, so split.cutoff must be one too",
    }
    problem = kinds.get(values.dtype.kind, "category, which has no order; choose a datetime or number column")
    raise UserError(f"params.yaml: split.column {name!r} is a {problem}.")


def _check_names(config: Config, schema: Schema) -> None:
    if schema.target.name != config.data.target:
        raise UserError(
            f"schema.yaml: its target is {schema.target.name!r} but data.target in params.yaml is "
            f"{config.data.target!r}; remove schema.yaml and run `mlops setup` to infer it again."
        )
    if (schema.target.values is None) != (config.data.task == "regression"):
        raise UserError(
            f"schema.yaml: its target does not fit data.task {config.data.task} in params.yaml; remove it "
            "and run `mlops setup` to infer it again."
        )
    column = [config.split.column] if config.split.method == "time" and config.split.column else []
    for section, names in (
        ("data.drop", config.data.drop),
        ("split.key", config.split.key),
        ("split.column", column),
    ):
        for name in names:
            if name not in schema.columns:
                raise UserError(
                    f"params.yaml: {section} names {name!r}, which is no column of schema.yaml; correct it."
                )
    if not schema.without(config.data.drop).columns:
        raise UserError("params.yaml: data.drop leaves no column to predict from; keep at least one.")


def _check_split(config: Config, rows: pd.DataFrame, test: np.ndarray) -> None:
    knob = "split.test_size" if config.split.method == "hash" else "split.cutoff"
    for part, mask in (("test", test), ("train", ~test)):
        if not mask.any():
            raise UserError(
                f"params.yaml: {knob} puts none of the {len(rows)} rows into {part}; change it or add data."
            )
    target = rows[config.data.target]
    if target.nunique() < 2:
        raise UserError(
            f"{config.data.path}: the target {config.data.target!r} is {target.iloc[0]} in every row; "
            "add rows where it differs."
        )
    if config.data.task == "classification":
        absent = sorted(set(target) - set(target[~test]))
        if absent:
            raise UserError(
                f"{config.data.path}: no row of class {absent[0]!r} falls into train; "
                "add rows of it or merge it with another."
            )
