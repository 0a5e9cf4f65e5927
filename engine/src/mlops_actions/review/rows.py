"""Which test rows are new, gone or edited, and which decide: those on which neither model was trained."""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .report import ComparedRows


@dataclass(frozen=True)
class RowChanges:
    """The candidate's test rows against the champion's.

    `decides` says of each candidate test row whether neither model was trained on it. `pairs` holds positions, first
    among the candidate's and then among the champion's test rows, of rows that are surely the same.
    """

    rows: ComparedRows
    decides: np.ndarray
    pairs: tuple[np.ndarray, np.ndarray]


def compare_rows(
    test: pd.DataFrame, champion_test: pd.DataFrame, champion_train: pd.DataFrame, key: list[str], target: str
) -> RowChanges:
    """Return what became of the test rows, for frames of typed rows whose columns may differ.

    Shared columns have one name and one type on both sides. A row is what its `key` says where all of that is shared,
    else what all shared columns but the target say; its content is all of these and the target. Rows with the same
    identity, such as a customer's, are told apart by content, and those that are left over, one to one, are edited:
    a key alone cannot tell a correction from a replacement.

    A row is trained where the champion's train rows hold its identity. A key with rows on both sides of the champion's
    own split, as when it cuts by time, does not separate them; there all shared columns must be the same.

    A pair has the same identity, or the same shared columns, once among the candidate's test rows, once among the
    champion's and never among those that it was trained on; rows that these few columns cannot tell from others are
    left out. So are rows whose target was edited: there is no saying which truth is right.
    """
    shared = [str(name) for name in test if name != target and _is_shared(name, test, champion_test)]
    if not shared:
        nothing = np.array([], int)
        everything = ComparedRows(
            len(test), decided=len(test), new=len(test), gone=len(champion_test), edited=0, trained=0
        )
        return RowChanges(everything, np.ones(len(test), bool), (nothing, nothing))
    frames = test, champion_test, champion_train
    truth = [target] if _is_shared(target, test, champion_test) else []
    looks = _number_rows(shared, *frames)
    names = _number_rows(key, *frames) if key and set(key) <= set(shared) else looks
    ours, theirs, seen = looks if np.isin(names[1], names[2]).any() else names
    decides = ~np.isin(ours, seen)
    kept = _count_common(*names[:2])
    rows = ComparedRows(
        test=len(test),
        decided=int(decides.sum()),
        new=len(test) - kept,
        gone=len(champion_test) - kept,
        edited=kept - _count_common(*_number_rows([*shared, *truth], *frames[:2])),
        trained=int((~decides).sum()),
    )
    return RowChanges(rows, decides, _pair(frames, [looks, names], truth))


def _is_shared(name: Hashable, ours: pd.DataFrame, theirs: pd.DataFrame) -> bool:
    return name in ours and name in theirs and ours[name].dtype == theirs[name].dtype


def _number_rows(columns: list[str], *frames: pd.DataFrame) -> list[np.ndarray]:
    """Return for each frame a number a row, the same for rows of any frame with the same values in `columns`."""
    hashes = [pd.util.hash_pandas_object(frame[columns], index=False).to_numpy() for frame in frames]
    numbers, _ = pd.factorize(np.concatenate(hashes))
    return np.split(numbers, np.cumsum([len(part) for part in hashes])[:-1])


def _count_common(ours: np.ndarray, theirs: np.ndarray) -> int:
    """Return how many rows pair up, each with one of the same number."""
    size = 1 + max(ours.max(initial=0), theirs.max(initial=0))
    return int(np.minimum(np.bincount(ours, minlength=size), np.bincount(theirs, minlength=size)).sum())


def _pair(
    frames: tuple[pd.DataFrame, ...], numbered: list[list[np.ndarray]], truth: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of rows that any of the numberings finds once on both sides, with the same truth."""
    partner = np.full(len(frames[0]), -1)
    for ours, theirs, seen in numbered:
        size = 1 + max(part.max(initial=0) for part in (ours, theirs, seen))
        counts = [np.bincount(part, minlength=size) for part in (ours, theirs, seen)]
        once = (counts[0] == 1) & (counts[1] == 1) & (counts[2] == 0)
        place = np.empty(size, int)
        place[theirs] = np.arange(len(theirs))
        unique = np.flatnonzero(once[ours])
        partner[unique] = place[ours[unique]]
    ours = np.flatnonzero(partner >= 0) if truth else np.array([], int)
    theirs = partner[ours]
    if len(ours):
        mine, other = _number_rows(truth, frames[0].iloc[ours], frames[1].iloc[theirs])
        ours, theirs = ours[mine == other], theirs[mine == other]
    return ours, theirs
