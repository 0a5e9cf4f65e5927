"""The canary report that a running server answers with, as JSON from outside."""

import json
import os
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError

from .errors import UserError
from .git import shown
from .http_client import open_url

LIMIT = 1_000_000  # bytes
SERVER_TOKEN = "MLOPS_TOKEN"  # the variable with what a server asks for, and who asks it brings


def fetch_report(url: str) -> Any:
    """Return the JSON that the server at `url` answers of its canary; MLOPS_TOKEN is brought, where it is set.

    Raises:
        UserError: the server is not reached, or answers with something else.
    """
    address = f"{shown(url).rstrip('/')}/canary"
    if not address.startswith(("http://", "https://")):
        raise UserError(f"{shown(url)} is no address of a server: it must begin with http:// or https://.")
    try:
        token = os.environ.get(SERVER_TOKEN, "").strip()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with open_url(f"{url.rstrip('/')}/canary", headers) as response:
            body = response.read(LIMIT + 1)
    except HTTPError as error:
        if error.code == HTTPStatus.UNAUTHORIZED:
            how = "it does not take the one that is set" if token else "none is set"
            raise UserError(f"{address} asks for a token, and {how}; set {SERVER_TOKEN} to the server's.") from error
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
