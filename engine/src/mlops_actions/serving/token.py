"""The bearer token that a server may ask for, so that truths, metrics and reports are not everybody's."""

import base64
import binascii
import hmac
import ipaddress
import os

from ..core.config import Serving
from ..core.errors import UserError
from ..core.server_report import SERVER_TOKEN
from .http import Refused, Scope, header

ASKED = ((b"www-authenticate", b"Bearer"), (b"www-authenticate", b'Basic realm="MLOPS_TOKEN as the password"'))
_PREDICTIONS = ("/predict", "/infer")
_HEALTH = ("/live", "/ready")


def server_token() -> str:
    """Return the token that the environment has; spaces and a line's end around it are a file's."""
    return os.environ.get(SERVER_TOKEN, "").strip()


def token_for(path: str, settings: Serving) -> str:
    """Return the token that requests of a path must bring, which is empty where they need none."""
    token = server_token()
    if path.endswith(_HEALTH) or (path.endswith(_PREDICTIONS) and settings.protect == "operations"):
        return ""
    return token


def require_token(scope: Scope, token: str) -> None:
    """Refuse a request that does not bring the token: as a bearer, or as a browser does, as a password.

    Raises:
        Refused: it brings another one or none.
    """
    scheme, _, credentials = (header(scope, b"authorization") or "").partition(" ")
    if scheme.lower() == "basic":
        credentials = _password(credentials)
    elif scheme.lower() != "bearer":
        credentials = ""
    if not hmac.compare_digest(credentials.strip().encode("latin-1", "replace"), token.encode()):
        raise Refused(401, f"this needs the server's {SERVER_TOKEN}, as `Authorization: Bearer …`", *ASKED)


def _password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode("latin-1").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def warning(settings: Serving) -> str:
    """Return a line about a server that anybody can reach and nobody needs a token for; empty where that is not so.

    Raises:
        UserError: params.yaml asks for a token before predictions, and there is none.
    """
    if settings.protect == "everything" and not server_token():
        raise UserError(f"params.yaml: serving.protect is everything, so set {SERVER_TOKEN}, which is to be asked for.")
    if server_token() or _is_loopback(settings.host):
        return ""
    return (
        f"serve: {settings.host} can be reached from elsewhere and {SERVER_TOKEN} is not set: whoever reaches it may "
        "send truths and read /metrics and /canary."
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
