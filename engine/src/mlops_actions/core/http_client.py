"""Requests by HTTP whose credentials stay with the server that they are meant for.

urllib takes the headers of a request along wherever a redirect leads: to another host or port, or to the same host
without TLS. Here nothing goes along there that could be a credential.
"""

import base64
from collections.abc import Mapping
from http.client import HTTPMessage, HTTPResponse
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

SECONDS = 60  # without a byte
HARMLESS = ("User-agent", "Accept")
PORTS = {"http": 80, "https": 443}


def open_url(url: str, headers: Mapping[str, str] | None = None, tls: bool = False) -> HTTPResponse:
    """Return the answer to a GET, after the redirects there are; a login in `url` is sent as such.

    Args:
        url: an address by http or https.
        headers: sent to its server, which is its scheme, host and port, and to no other.
        tls: refuse every step that is not https.

    Raises:
        OSError, HTTPException: it is no such address, was not reached, or answers with an error or with nothing for a
            minute.
    """
    try:
        _origin(url, tls)
    except ValueError as error:
        raise URLError(str(error)) from None
    login, at, host = urlsplit(url).netloc.rpartition("@")
    request = Request(url.replace(login + at, "", 1), headers={"User-Agent": "mlops", **(headers or {})})
    if at:
        request.add_header("Authorization", basic(*map(unquote, (login + ":").split(":")[:2])))
    return build_opener(_Redirects(tls)).open(request, timeout=SECONDS)


def basic(user: str, password: str) -> str:
    """Return the header Authorization of a login."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


class _Redirects(HTTPRedirectHandler):
    def __init__(self, tls: bool) -> None:
        self.tls = tls

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        try:
            there = _origin(newurl, self.tls)
        except ValueError as error:
            raise HTTPError(req.full_url, code, f"it leads to {error}", headers, fp) from None
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request and there != _origin(req.full_url):
            request.headers = {name: value for name, value in request.headers.items() if name in HARMLESS}
        return request


def _origin(url: str, tls: bool = False) -> tuple[str, str, int]:
    """Return the scheme, host and port of an address; the ValueError of another shows no more of it."""
    parts = urlsplit(url)
    schemes = ("https",) if tls else tuple(PORTS)
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"{parts.scheme}://{parts.hostname or ''}, which is not {' or '.join(schemes)}")
    return parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme]
