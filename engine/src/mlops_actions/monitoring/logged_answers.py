"""The log's answers and truths, which are text, as the metrics take them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import compute, json

from ..stats.metrics import Predictions

BLOCK = 2**24  # bytes: an answer of a hundred thousand classes still fits


@dataclass(frozen=True)
class LoggedAnswers:
    """What was answered to each row.

    `said` is a class or a number, missing where nothing was answered. `values` has a column for each class, NaN where
    the version that answered does not know it; of a regression it is `said`.
    """

    said: pd.Series
    values: np.ndarray
    classes: list[str] | None

    def take(self, rows: np.ndarray) -> "LoggedAnswers":
        """Return the answers to some of the rows, by position."""
        return LoggedAnswers(self.said.iloc[rows], self.values[rows], self.classes)

    def predictions(self, positive: str | None) -> Predictions:
        """Return them over the classes that any of these versions knows; NaN where nothing was answered."""
        if self.classes is None:
            return Predictions(self.values)
        known = ~np.isnan(self.values)
        there = known.any(axis=0)
        values = np.where(known | ~known.any(axis=1)[:, None], self.values, 0.0)[:, there]
        classes = [name for name, used in zip(self.classes, there, strict=True) if used]
        decided = pd.Index(classes).get_indexer(pd.Index(self.said)).clip(0)
        return Predictions(values, classes, decided).about(positive)


def read_answers(texts: pd.Series, task: str) -> LoggedAnswers:
    """Return the answers in a column of JSON texts, missing ones included."""
    table = _parse(texts, task)
    predicted = table["prediction"].to_pandas()
    if task == "regression":
        return LoggedAnswers(predicted, predicted.to_numpy(float), None)
    if "probabilities" not in table.column_names or not pa.types.is_struct(table["probabilities"].type):
        return LoggedAnswers(predicted, np.empty((len(predicted), 0)), [])
    probabilities = table["probabilities"].combine_chunks()
    columns = dict(zip((field.name for field in probabilities.type), probabilities.flatten(), strict=True))
    classes = sorted(columns)
    values = [columns[name].to_numpy(zero_copy_only=False).astype(float) for name in classes]
    return LoggedAnswers(predicted, np.column_stack(values), classes)


def _parse(texts: pd.Series, task: str) -> pa.Table:
    """Return JSON texts as columns, an empty object where one is missing.

    A column of texts lies in one piece of memory: with a line end after each, that piece is a file.
    """
    kind, others = (pa.float64(), "ignore") if task == "regression" else (pa.string(), "infer")
    schema = pa.schema({"prediction": kind})
    if texts.empty:
        return schema.empty_table()
    column = pa.chunked_array([pa.array(texts, pa.large_string())]).combine_chunks()
    nothing, end = (pa.scalar(text, pa.large_string()) for text in ("", "\n"))
    lines = compute.binary_join_element_wise(column, nothing, end, null_handling="replace", null_replacement="{}")
    return json.read_json(
        pa.BufferReader(lines.buffers()[2]),
        read_options=json.ReadOptions(block_size=BLOCK),
        parse_options=json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=others),
    )


def read_truths(texts: pd.Series, classes: list[str] | None) -> np.ndarray:
    """Return numbers, NaN where a text is none, or names of these classes, empty where it is none."""
    if classes is None:
        return pd.to_numeric(texts, errors="coerce").to_numpy(float)
    known = {f"{name}.0": name for name in classes} | {name: name for name in classes}  # a number may be written so
    return texts.map(known).fillna("").to_numpy(object)


def find_contradicted(truths: pd.DataFrame, task: str) -> pd.Series:
    """Return the ids whose truths, in the columns id and truth, contradict each other; 2 and 2.0 are the same."""
    several = truths[truths["id"].duplicated(keep=False)]
    texts = several["truth"].astype("str")
    same = pd.to_numeric(texts, errors="coerce") if task == "regression" else texts.str.removesuffix(".0")
    counts = same.groupby(several["id"]).nunique(dropna=False)
    return counts.index[counts > 1].to_series()


def number_groups(keys: pd.Series) -> np.ndarray | None:
    """Return a number a row, the same for rows of the same key; None where no two rows share one."""
    codes, names = pd.factorize(keys)
    if len(names) == np.sum(codes >= 0):
        return None
    alone = codes < 0
    return np.where(alone, len(names) + np.cumsum(alone), codes)
