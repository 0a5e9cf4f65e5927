"""What texts mean in a cell, for all that read cells: pandas and Arrow, DuckDB, and the server, which has neither.

Patterns are such as Python's `re`, RE2 and DuckDB read alike.
"""

import datetime as dt
import re

MISSING_WORDS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "<NA>")
EPOCHS = {"epoch s": 1_000_000, "epoch ms": 1_000}  # a moment's format, and the microseconds in one of it
# A number's format is its example: what divides thousands, and what comes before the decimals.
NUMBERS = {"1,234.5": ("[,' \u00a0\u202f]", "."), "1.234,5": ("[.' \u00a0\u202f]", ",")}
_CLOCK = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
MOMENT = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:[T ]{_CLOCK})?(?:Z|[+-][0-9]{{2}}:?[0-9]{{2}})?"
WHOLE = r"^(-?[0-9]+)\.0+$"  # a text that a whole number became on its way through a column with gaps
AHEAD = dt.timedelta(hours=14)  # no clock on Earth is further ahead of UTC


def number_pattern(format: str | None, unit: str | None) -> str:
    """Return what matches a number that is written for people, such as "(€ 1.234,50)", and nothing else.

    Args:
        format: a key of `NUMBERS`; None is the first.
        unit: what stands before or after the number, such as €.
    """
    divider, point = NUMBERS[format or "1,234.5"]
    digits = rf"(?:[0-9]{{1,3}}(?:{divider}[0-9]{{3}})+|[0-9]+)(?:\{point}[0-9]*)?|\{point}[0-9]+"
    space = "[\t\n\f\r \u00a0\u202f]*"
    near = f"{space}(?:{re.escape(unit)})?{space}" if unit else space
    return rf"[-+−]?{near}[-+−]?(?:{digits}){near}|\({near}(?:{digits}){near}\)"
