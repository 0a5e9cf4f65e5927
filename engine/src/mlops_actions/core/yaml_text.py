"""Values as YAML that any parser reads back alike, one of YAML 1.1 too, which takes a bare `no` for false."""

import datetime as dt
import json
import math
import re
from typing import Any

_BARE = re.compile(r"[A-Za-z_][\w./+-]*(?: [\w./+-]+)*", re.ASCII)
_RESERVED = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def flow(value: Any) -> str:
    """Return a value of lists, mappings, texts, numbers, dates, truths and None in one line of YAML.

    Examples:
        >>> flow({"classes": ["no", "yes"], "path": "data/raw/rows.csv", "limit": None})
        '{classes: ["no", "yes"], path: data/raw/rows.csv, limit: null}'
    """
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{flow(key)}: {flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if isinstance(value, dt.date):
        return value.isoformat()
    if not isinstance(value, str):
        return json.dumps(value)
    return value if _BARE.fullmatch(value) and value.lower() not in _RESERVED else quoted(value)


def quoted(text: str) -> str:
    """Return a text in quotes, whatever is in it."""
    return "".join(
        letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in json.dumps(text, ensure_ascii=False)
    )
