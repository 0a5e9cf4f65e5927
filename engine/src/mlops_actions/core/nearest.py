"""The name that somebody most likely meant."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return the end of a sentence that refuses a name: the known one that it is nearest to, or else `otherwise`.

    Examples:
        >>> did_you_mean("accuraccy", ["accuracy", "recall"], "use accuracy or recall.")
        'did you mean accuracy?'
    """
    close = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {close[0]}?" if close else otherwise
