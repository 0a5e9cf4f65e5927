"""How the cells of one column are written: its type, format and unit, and what stands for a missing value."""

import datetime as dt
import re
import unicodedata
from itertools import product

import pandas as pd

from ...data.cells import NUMBERS
from ...data.rules import Column
from ...data.values import as_text, is_text, kind_of, parse_values

Found = tuple[Column, list[str]]
TRIED = 100  # distinct values that a format must read before all are tried
MOSTLY = 0.1  # of the cells: if no more are no numbers, the others look like a mistake
# Words that stand for a missing value where everything else is a number, a date, true or false.
SIGNS = {"?", "-", "--", "---", "–", "—", ".", "..", "...", "*", "#", "n/a", "n.a.", "n.a", "#n/a", "#na", "#value!",
         "#div/0!", "#ref!", "#num!", "(null)", "(blank)", "(none)", "\\n"}  # fmt: skip
# In a column of categories these may be one of them, such as a garage of the type none.
WORDS = SIGNS | {"na", "none", "nil", "null", "nan", "unknown", "unk", "missing", "undefined", "empty", "blank", "tbd",
                 "not available", "not applicable", "not known", "no data"}  # fmt: skip
LOW, HIGH = (-9, -99, -999, -9999, -99999, -999999), (999, 9999, 99999, 999999)
UNITS = {"%", "‰", "°C", "°F", "USD", "EUR", "GBP", "CHF", "JPY", "CNY", "INR", "AUD", "CAD", "NZD", "SEK", "NOK",
         "DKK", "PLN", "CZK", "BRL", "MXN", "ZAR", "kr", "R$", "US$", "A$", "C$"}  # fmt: skip
DATES = ["%d.%m.%Y", "%d.%m.%y", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%Y/%m/%d", "%Y.%m.%d", "%d-%m-%Y",
         "%m-%d-%Y", "%Y-%m-%d", "%b %d, %Y", "%b %d %Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %b %y", "%B %d, %Y",
         "%B %d %Y", "%d %B %Y", "%d. %B %Y", "%Y-%m", "%Y/%m", "%m/%Y", "%b %Y", "%B %Y"]  # fmt: skip
TIMES = ["", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", "T%H:%M", "T%H:%M:%S"]
_DATE = r"^(?:\d{1,4}[./-]\d{1,2}(?:[./-]\d{1,4})?|[A-Za-z]{3,9}\.? \d{1,4}|\d{1,2}\.?[ -][A-Za-z]{3,9})"
_MOMENT_NAME = re.compile(r"date|time|epoch|created|updated|modified|timestamp|(?:^|_)(?:at|on|ts|dt)$", re.IGNORECASE)
_EPOCH = {"epoch s": (631152000, 4102444800), "epoch ms": (631152000000, 4102444800000)}  # from 1990 to 2100


def read_writing(name: str, values: pd.Series) -> Found:
    """Return what a column of raw values holds and how it is written, with a sentence for each guess."""
    column, guesses = _read(name, values)
    parsed, _ = parse_values(values, column.type, column.format, column.unit, column.missing_values)
    if column.type == "number" and (word := _sentinel(parsed)) is not None:
        column = column.model_copy(update={"missing_values": [*column.missing_values, word]})
        guesses = [*guesses, f"{word} means missing, for it lies far from the other numbers"]
        parsed = parsed.where(parsed != float(word))
    return column.model_copy(update={"missing": bool(parsed.isna().any())}), guesses


def _read(name: str, values: pd.Series) -> Found:
    kind = kind_of(values)
    if kind == "number" and (format := _moment_format(name, values)):
        return Column(type="datetime", format=format), [f"these numbers are dates ({format})"]
    if kind != "category":
        return Column(type=kind), []
    text = as_text(values).dropna()
    folded = text.str.casefold()
    for words in (set(), WORDS):
        known = text[~folded.isin(words)]
        words_there = sorted(text[folded.isin(words)].unique())
        if known.empty or (words and not words_there):
            continue
        missing = [_mean_missing(words_there)] if words_there else []
        if written := _written(name, known):
            return written[0].model_copy(update={"missing_values": words_there}), written[1] + missing
    signs = sorted(text[folded.isin(SIGNS)].unique())
    known = text[~text.isin(signs)]
    if known.empty:
        return Column(type="category"), []
    guesses = [_mean_missing(signs)] if signs else []
    odd = known[parse_values(known, "number")[1]]
    if 0 < len(odd) < MOSTLY * len(known):
        guesses.append(
            f"a category, for {len(odd):,} of {len(known):,} cells are no numbers, such as {odd.iloc[0]!r:.40}"
        )
    if is_text(known.value_counts()):
        return Column(type="text", missing_values=signs), [*guesses, "sentences, of which the model learns words"]
    return Column(type="category", missing_values=signs), guesses


def _mean_missing(words: list[str]) -> str:
    return f"{', '.join(map(repr, words))} {'means' if len(words) == 1 else 'mean'} missing"


def _written(name: str, text: pd.Series) -> Found | None:
    """Return what these texts can all be read as other than categories."""
    kind = kind_of(text)
    if kind == "number" and (format := _moment_format(name, text)):
        return Column(type="datetime", format=format), [f"these numbers are dates ({format})"]
    if kind != "category":
        return Column(type=kind), []
    some = pd.Series(text.unique()[:TRIED], dtype="str")
    return _as_number(text, some) or _as_date(text, some)


def _as_number(text: pd.Series, some: pd.Series) -> Found | None:
    if not some.str.contains(r"\d").all():
        return None
    units = {unit for value in some for unit in re.findall(r"[^\d\s.,'’+\-−()\u00a0\u202f]+", value)}
    unit = units.pop() if len(units) == 1 else None
    if units or (unit and unit not in UNITS and not all(unicodedata.category(sign) == "Sc" for sign in unit)):
        return None
    fitting = [
        format
        for format in NUMBERS
        if not parse_values(some, "number", format, unit)[1].any()
        and not parse_values(text, "number", format, unit)[1].any()
    ]
    if not fitting or some.str.match(r"^0\d").any():
        return None
    divided = text[text.str.contains(r"\d[.,' \u00a0\u202f]\d")]
    both = len(fitting) == 2 and len(divided) > 0
    # Money has two decimals: a point before three digits divides thousands, as a comma does.
    thousands = both and divided.str.contains(r"\.\d{3}(?!\d)").all()
    format = "1.234,5" if thousands and unit else fitting[0]
    note = f"numbers written like {format}{f' with the unit {unit}' if unit else ''}"
    doubt = "; another reading is possible, so check one" if both else ""
    written = format if len(divided) else None
    return Column(type="number", format=written, unit=unit), [note + doubt]


def _as_date(text: pd.Series, some: pd.Series) -> Found | None:
    if not some.str.match(_DATE).all():
        return None
    dates = DATES if some.str.match(r"\d\d\.\d\d\.\d\d").all() else [date for date in DATES if date != "%d.%m.%y"]
    formats = [date + time for date, time in product(dates, TIMES) if all(_reads(value, date + time) for value in some)]
    fitting = [format for format in formats if not parse_values(text, "datetime", format)[1].any()]
    if not fitting:
        return None
    doubt = "; day and month could be the other way round" if len(fitting) > 1 else ""
    return Column(type="datetime", format=fitting[0]), [f"dates written as {fitting[0]}{doubt}"]


def _reads(value: str, format: str) -> bool:
    try:
        return bool(dt.datetime.strptime(value, format))
    except ValueError:
        return False


def _moment_format(name: str, values: pd.Series) -> str | None:
    """Return how whole numbers are moments: in a column that is named so, and all in a range that makes sense."""
    if not _MOMENT_NAME.search(name) or pd.api.types.is_timedelta64_dtype(values.dtype):
        return None
    numbers = parse_values(values, "number")[0].dropna()
    if numbers.empty or (numbers % 1 != 0).any():
        return None
    for format, (first, last) in _EPOCH.items():
        if numbers.between(first, last).all():
            return format
    if numbers.between(19000101, 21001231).all() and not parse_values(numbers, "datetime", "%Y%m%d")[1].any():
        return "%Y%m%d"
    return None


def _sentinel(numbers: pd.Series) -> str | None:
    """Return the number that stands for a missing one: -999 or 999 and their like, repeated, far from all others."""
    known = numbers.dropna()
    if known.nunique() < 3:
        return None
    for edge, candidates in ((known.min(), LOW), (known.max(), HIGH)):
        others = known[known != edge]
        often = len(known) - len(others) >= max(2, len(known) / 200)
        far = others.min() >= 0 if edge < 0 else others.max() < edge / 5
        if edge in candidates and often and far:
            return f"{edge:.0f}"
    return None
