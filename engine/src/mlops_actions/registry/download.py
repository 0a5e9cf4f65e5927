"""The files of a version's release, as GitHub gives them to a machine that has no `gh`, such as a server."""

import json
import os
import re
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import quote

from ..bundle.parts import LARGEST
from ..core.errors import UserError
from ..core.git import remote_url, shown
from ..core.github import server_url
from ..core.http_client import open_url
from .versions import Version

ORIGIN = (
    re.compile(r"https?://(?:[^/@]*@)?([^/]+)/([^/]+/[^/]+?)(?:\.git)?/?"),
    re.compile(r"(?:ssh://)?[^/@]+@([^/:]+)(?::\d+)?[:/]([^/]+/[^/]+?)(?:\.git)?/?"),
)


def fetch_asset(version: Version, name: str) -> bytes:
    """Return a file of a version's release: with a token by the API, else from its public address.

    Raises:
        UserError: origin is not on GitHub, or the file could not be had from there.
    """
    host, repository = origin()
    token = None
    if f"https://{host}" == server_url():
        token = os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN")
    tag = quote(version.tag)
    try:
        if not token:
            return get(f"https://{host}/{repository}/releases/download/{tag}/{name}")
        release = json.loads(get(f"{api(host)}/repos/{repository}/releases/tags/{tag}", token, "application/json"))
        (url,) = [asset["url"] for asset in release["assets"] if asset["name"] == name]
        return get(url, token if url.startswith(f"{api(host)}/") else None)
    except HTTPError as error:
        hint = "" if token else "; in a private repository, set GITHUB_TOKEN"
        reason = f"HTTP {error.code}{hint}"
    except (OSError, HTTPException) as error:
        reason = str(getattr(error, "reason", error))
    except (ValueError, LookupError, TypeError):
        reason = "it has no such file"
    raise UserError(f"{repository}'s release {version.tag} on {host} did not give {name}: {reason}.")


def origin() -> tuple[str, str]:
    """Return the host and the owner/name of origin.

    Raises:
        UserError: it has none.
    """
    url = remote_url() or ""
    match = next(filter(None, (pattern.fullmatch(url) for pattern in ORIGIN)), None)
    if match is None:
        raise UserError(f"origin ({shown(url) or 'there is none'}) is no repository on GitHub, so it has no releases.")
    return match[1], match[2]


def api(host: str) -> str:
    """Return the address of a host's API: a host of its own on GitHub's cloud, else a folder."""
    cloud = host == "github.com" or host.endswith(".ghe.com")
    return f"https://api.{host}" if cloud else f"https://{host}/api/v3"


def get(url: str, token: str | None = None, kind: str = "application/octet-stream") -> bytes:
    """Return the bytes behind an address; the token goes to its server alone, not to where that sends on."""
    with open_url(url, {"Accept": kind} | ({"Authorization": f"Bearer {token}"} if token else {})) as answer:
        content = bytes(answer.read(LARGEST + 1))
    if len(content) > LARGEST:
        raise OSError(f"it is larger than {LARGEST:,} bytes")
    return content
