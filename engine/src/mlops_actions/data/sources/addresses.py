"""URLs of files: which are one, and what kind of file they promise."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from ...core.errors import UserError
from ..reading.kinds import KINDS, suffix_of

# The template's hooks refuse the same.
SECRET = r"://[^/?#]*@|[?&](?i:[\w-]*(token|signature|password|secret)|sig|(api_?)?key|X-Amz-Credential)="


def check_url(url: str) -> None:
    """Refuse a URL that is no file's, or that holds what must not be in a repository.

    Raises:
        UserError: it is.
    """
    if re.search(SECRET, url):
        raise UserError("data.source holds a password or token, which git would keep; use ~/.netrc or AWS credentials.")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UserError(f"data.source {url!r} is no URL ({error}); correct it.") from None
    if parts.scheme not in ("http", "https", "s3"):
        raise UserError(f"data.source {url!r} is no http(s):// or s3:// URL and no .sql file; use one.")
    if not parts.hostname or not parts.path.strip("/") or re.search(r"\s", url):
        raise UserError(
            f"data.source {url!r} is no URL of a file; it needs a host, or bucket, and a path without spaces."
        )


def named_file(url: str) -> Path:
    """Return the name of a URL's file: what stands behind a `#`, else the end of its path.

    Raises:
        UserError: it is no URL of a file, or says no kind of table.
    """
    check_url(url)
    parts = urlsplit(url)
    file = Path(parts.fragment or parts.path)
    if suffix_of(file) not in KINDS:
        raise UserError(f"{url}: says no kind of table; put a name behind it that does, as in {url}#rows.csv.")
    return file
