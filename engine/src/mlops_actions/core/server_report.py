"""The canary report that a running server answers with, as JSON from outside."""

import json
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError

from .errors import UserError

LIMIT = 1_000_000  # bytes
TIMEOUT = 60  # seconds


def fetch_report(url: str) -> Any:
    """Return the JSON that the server at `url` answers of its canary.

    Raises:
        UserError: the server is not reached, or answers with something else.
    """
    address = f"{url.rstrip('/')}/canary"
    if not address.startswith(("http://", "https://")):
        raise UserError(f"{url} is no address of a server: it must begin with http:// or https://.")
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as response:
            body = response.read(LIMIT + 1)
    except HTTPError as error:
        answer = error.read(LIMIT).decode(errors="replace").strip()
        raise UserError(f"{address} does not answer with a report: {error.code}: {answer or error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise UserError(f"{address} does not answer: {error}.") from error
    if len(body) > LIMIT:
        raise UserError(f"{address} answers with more than {LIMIT:,} bytes: that is no canary report.")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{address} answers with something that is no canary report: {error}.") from error
