"""Ground truth that comes as a file: a table with the columns id and truth."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ..core.config import PARAMS, Config
from ..core.errors import UserError
from ..data.prediction_log.log import read_predictions, read_truths, write_truths
from ..data.schema import SCHEMA, load_schema
from ..data.table import read_table
from ..data.values import as_text, parse_values
from .feedback import ID

NAMED = 3  # ids, in a sentence


class Kept(NamedTuple):
    """How many truths were kept, and the ids of those that say something else than another, or of no prediction."""

    truths: int
    contradicting: list[str]
    unknown: list[str]

    def __str__(self) -> str:
        """Return a sentence a line."""
        lines = ["1 truth is kept." if self.truths == 1 else f"{self.truths:,} truths are kept."]
        if self.contradicting:
            ids = _several(self.contradicting)
            lines.append(f"{ids}: told otherwise before; the first counts, `--replace` has these count in its place.")
        if self.unknown:
            lines.append(f"{_several(self.unknown)}: not in this log; they count when a log that has them is read.")
        return "\n".join(lines)


def keep_truths(config: Config, file: Path, folder: str | None, replace: bool = False) -> Kept:
    """Keep the truths in a file of any kind beside the prediction log, all of them or none.

    With `replace` they count in place of those that came before.

    Raises:
        UserError: no log is kept, or the file has other columns, an id that is none, or a truth that cannot be.
    """
    folder = folder or config.serving.log.path
    if folder is None:
        raise UserError(f"{PARAMS}: serving.log.path is null, so no prediction is kept; name a folder.")
    if not file.exists():
        raise UserError(f"{file}: not found; name a file with the columns id and truth.")
    table = read_table(file, config.data.read)
    for name in ("id", "truth"):
        if name not in table:
            raise UserError(f"{file}: lacks the column {name!r}; it needs `id`, of a prediction, and `truth`.")
    ids, truths = table["id"].astype("str"), as_text(table["truth"])
    _refuse(file, "id", ids, ~ids.str.fullmatch(ID.pattern).fillna(False), "the id of a prediction")
    target = load_schema(config.path(SCHEMA)).target
    if config.data.task == "regression":
        numbers, wrong = parse_values(table["truth"], "number")
        _refuse(file, "truth", table["truth"], pd.Series(wrong) | numbers.isna().to_numpy(), "a number")
    else:
        known = target.values or []
        _refuse(file, "truth", table["truth"], ~truths.isin(known), f"one of {', '.join(known[:20])}")
    told, log = pd.DataFrame({"id": ids, "truth": truths}), config.path(folder)
    before = read_truths(log)[["id", "truth"]]
    all_told = told if replace else pd.concat([before[before["id"].isin(ids)], told])
    differ = all_told.groupby("id", sort=False)["truth"].nunique() > 1
    unknown = ids[~ids.isin(read_predictions(log, ["id"])["id"])]
    write_truths(log, told, replace)
    return Kept(len(table), differ[differ].index.tolist(), unknown.drop_duplicates().tolist())


def _several(ids: list[str]) -> str:
    rest = len(ids) - NAMED
    return ", ".join(ids[:NAMED]) + (f" and {rest:,} more" if rest > 0 else "")


def _refuse(file: Path, name: str, values: pd.Series, wrong: pd.Series, what: str) -> None:
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        cell = str(values.iloc[row])[:60]
        raise UserError(f"{file}: {name} in row {row + 1} must be {what}, not {cell!r}; correct it.")
