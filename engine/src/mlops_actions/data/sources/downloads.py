"""Files at a URL: http(s) and S3."""

import http.client
import netrc
import os
import shutil
import time
import urllib.error
from pathlib import Path
from typing import IO, Any, BinaryIO, cast
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import wrap_file

from ...core.errors import UserError
from ...core.git import shown
from ...core.http_client import basic, open_url
from .addresses import check_url

TRIES = 4
PAUSE = 0.5  # seconds after the first try, and twice as many after each further one


def download(url: str, target: Path) -> None:
    """Write the bytes at a URL into a file, after some tries where the connection or the server fails.

    Credentials are those of ~/.netrc (http) and of the AWS environment and files (S3, which also reads
    AWS_ENDPOINT_URL). They go to the URL's own server, and to none that it leads to.

    Raises:
        UserError: the URL is no file's or holds a secret, or nothing could be had there.
    """
    check_url(url)
    if urlsplit(url).scheme == "s3":
        _from_s3(url, target)
        return
    for number in range(1, TRIES + 1):
        try:
            _from_http(url, target)
            return
        except urllib.error.HTTPError as error:
            problem, final = f"{error.code} {error.reason}", error.code < 500 and error.code not in (408, 429)
        except (OSError, ValueError, http.client.HTTPException) as error:
            problem, final = str(getattr(error, "reason", error)) or type(error).__name__, False
        if final or number == TRIES:
            raise UserError(f"{url}: cannot be fetched ({problem}); check data.source, the network and your access.")
        time.sleep(PAUSE * 2 ** (number - 1))


def _from_http(url: str, target: Path) -> None:
    with open_url(url, _login(url)) as answer, target.open("wb") as file:
        if answer.headers.get_content_type() == "text/html":
            raise UserError(f"{url}: answers with a web page, not with data; use the address of the file itself.")
        length = int(answer.headers["Content-Length"] or 0)
        _copy(answer, file, length)
        if length and file.tell() != length:
            raise http.client.IncompleteRead(b"", length - file.tell())


def _from_s3(url: str, target: Path) -> None:
    from pyarrow import ArrowException, fs

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    try:
        if endpoint:  # which Arrow does not look for
            filesystem, key = _filesystem_at(endpoint, url), url.removeprefix("s3://")
        else:
            filesystem, key = fs.FileSystem.from_uri(url)
        with filesystem.open_input_stream(key) as stream, target.open("wb") as file:
            _copy(stream, file, filesystem.get_file_info(key).size or 0)
    except (ArrowException, OSError) as error:
        problem = str(error).splitlines()[0]
        raise UserError(f"{url}: cannot be fetched ({problem}); check data.source and your AWS credentials.") from None


def _filesystem_at(endpoint: str, url: str) -> Any:
    """Return the file system of an endpoint that is not Amazon's, from which Arrow follows no redirect.

    It would take a session's token along to any server.
    """
    from pyarrow import fs

    filesystem = fs.S3FileSystem(endpoint_override=endpoint)
    if filesystem.region == "us-east-1":
        return fs.S3FileSystem(endpoint_override=endpoint, region="aws-global")  # by this name it follows none
    address = f"{'' if '://' in endpoint else 'https://'}{endpoint.rstrip('/')}/"
    try:
        with open_url(address + url.removeprefix("s3://")) as answer:  # as anybody: with no credential
            place = answer.url
    except urllib.error.HTTPError as error:
        place = error.url
    if not place.startswith(address):
        raise UserError(f"{url}: {shown(endpoint)} leads to another server, which AWS_ENDPOINT_URL has to name itself.")
    return filesystem


def _copy(source: IO[bytes], file: IO[bytes], length: int) -> None:
    console = Console(stderr=True)
    with wrap_file(cast(BinaryIO, source), length, description="ingest", console=console, transient=True) as counted:
        shutil.copyfileobj(counted if console.is_terminal else source, file, 2**20)


def _login(url: str) -> dict[str, str]:
    """Return the header for a host that ~/.netrc has a login for."""
    try:
        login = netrc.netrc().authenticators(urlsplit(url).hostname or "")
    except (OSError, netrc.NetrcParseError):
        return {}
    return {"Authorization": basic(login[0], login[2] or "")} if login else {}
