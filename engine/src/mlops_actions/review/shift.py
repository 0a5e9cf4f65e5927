"""How far each column's values moved between the champion's data and the candidate's."""

import numpy as np
import pandas as pd

from .report import Shift

NEGLIGIBLE = 0.005  # of all rows: what would read as 0%
SHOWN = 40  # characters of a category


def find_shifts(champion_rows: pd.DataFrame, candidate_rows: pd.DataFrame, target: str) -> list[Shift]:
    """Return how far each shared column moved, the largest first but for the target, which leads where it moved.

    A size is a share, 0 to 1, of rows that would have to change: the total variation distance of categories and
    booleans, the Kolmogorov–Smirnov distance of numbers and datetimes. It is a size and not a p-value because most
    rows are in both datasets, which no test of two samples allows for, and because with many rows every change is
    significant. Shifts below NEGLIGIBLE are left out, and so are columns that have no distance: those whose type
    changed, and categories that are another in most rows, such as identifiers.
    """
    pairs = [(str(name), champion_rows[name], candidate_rows[name]) for name in candidate_rows if name in champion_rows]
    shifts = [measure_shift(*pair) for pair in pairs if pair[1].dtype == pair[2].dtype and all(map(len, pair[1:]))]
    moved = [shift for shift in shifts if shift.size >= NEGLIGIBLE]
    return sorted(moved, key=lambda shift: (shift.column != target, -shift.size, shift.column))


def measure_shift(column: str, before: pd.Series, after: pd.Series) -> Shift:
    """Return one column's shift; its texts are the medians, or the shares of the category that moved most.

    Where the medians are the same, the texts are shares of rows up to the value at which the distributions differ most.
    """
    measure = _compare_ordered if before.dtype.kind in "fiuM" else _compare_categories
    size, texts = measure(before, after)
    gaps = [float(values.isna().mean()) for values in (before, after)]
    missing = [f"{_percent(gap)} missing" if any(gaps) else "" for gap in gaps]
    champion, candidate = (", ".join(filter(None, pair)) for pair in zip(texts, missing, strict=True))
    return Shift(column, champion, candidate, size)


def show_values(values: np.ndarray) -> list[str]:
    """Return numbers or moments as the shortest texts, of three digits or a day at least, that tell them apart."""
    if values.dtype.kind == "M":
        tries = (np.datetime_as_string(values, unit=unit).tolist() for unit in ("D", "m", "s", "us"))
    else:
        tries = ([_show_number(value, digits) for value in values.tolist()] for digits in range(3, 18))
    different = len(set(values.tolist()))
    texts = next(texts for texts in tries if len(set(texts)) == different)
    return [text.replace("T", " ") for text in texts]


def _show_number(value: float, digits: int) -> str:
    whole = len(str(int(abs(value)))) if abs(value) < 1e15 else 0
    return f"{value + 0.0:.{max(digits, whole)}g}"


def _compare_categories(before: pd.Series, after: pd.Series) -> tuple[float, list[str]]:
    """Return the total variation distance, missing values being a category of their own, and two texts."""
    codes, names = pd.factorize(pd.concat([before, after]))  # a missing value's code is -1
    counts = [np.bincount(part + 1, minlength=len(names) + 1) for part in np.split(codes, [len(before)])]
    shares = np.array([count / count.sum() for count in counts])
    change = np.abs(shares[1] - shares[0])
    if not len(names) or min(np.count_nonzero(count[1:]) / count.sum() for count in counts) > 0.5:
        return 0.0, ["", ""]
    most = 1 + np.lexsort((-shares[0, 1:], -change[1:].round(12)))[0]
    name = str(names[most - 1])
    name = name if len(name) <= SHOWN else f"{name[: SHOWN - 1]}…"
    return float(change.sum() / 2), [f"{name} {_percent(share)}" for share in shares[:, most]]


def _compare_ordered(before: pd.Series, after: pd.Series) -> tuple[float, list[str]]:
    """Return the Kolmogorov–Smirnov distance and two texts.

    Missing values have no place in the order, so the distance is the larger of the two that putting them all before
    or all after the known ones gives: it counts them, is never below the change of their share, and is the usual
    distance where there are none.
    """
    known = [np.sort(values.dropna().to_numpy()) for values in (before, after)]
    points = np.concatenate(known)
    below, now = (
        np.searchsorted(part, points, side="right") / len(values)
        for part, values in zip(known, (before, after), strict=True)
    )
    appeared = len(known[0]) / len(before) - len(known[1]) / len(after)
    gap = np.abs(now - below)
    size = float(max(gap.max(initial=0), np.abs(now - below + appeared).max(initial=0)))
    medians = [part[(len(part) - 1) // 2 :][:1] for part in known]
    if all(map(len, known)) and medians[0] == medians[1] and size - abs(appeared) >= NEGLIGIBLE:
        most = int(gap.argmax())
        value = show_values(points[most : most + 1])[0]
        return size, [f"{_percent(share[most])} up to {value}" for share in (below, now)]
    shown = iter(show_values(np.concatenate(medians)))
    return size, [f"median {next(shown)}" if len(median) else "" for median in medians]


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"
