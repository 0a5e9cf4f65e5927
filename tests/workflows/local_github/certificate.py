"""A certificate from an authority made for this one run."""

import os
import ssl
from pathlib import Path

import trustme


def make_certificate(directory: Path, *names: str) -> tuple[ssl.SSLContext, dict[str, str]]:
    """The TLS context of a server of these names, and the environment in which programs trust it.

    git trusts this server alone, for it reads its whole bundle anew for each call; the others trust what this
    machine trusts too.
    """
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    bundle = directory / "certificates.pem"
    machine = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    trusted = Path(machine).read_bytes() if machine and Path(machine).exists() else b""
    bundle.write_bytes(authority.cert_pem.bytes() + trusted)
    own = directory / "authority.pem"
    authority.cert_pem.write_to_path(str(own))
    both = dict.fromkeys(("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"), str(bundle))
    return context, both | dict.fromkeys(("GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS"), str(own))
