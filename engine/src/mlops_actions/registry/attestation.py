"""The attestation of a bundle: the proof by Sigstore that one repository's publish workflow made exactly these bytes.

It lies beside the bundle's file. It is checked without a network, and by a process of its own: Sigstore's library would
take a server as much memory again.
"""

import hashlib
import json
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from ..core.errors import UserError, need

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from sigstore.models import TrustedRoot

    from ..core.config import Attestation

SUFFIX = ".sigstore.json"
WORKFLOW = ".github/workflows/publish.yml@refs/heads/main"
PROVENANCE = "https://slsa.dev/provenance/v1"
STATEMENT = "application/vnd.in-toto+json"
PUBLIC = "https://tuf-repo-cdn.sigstore.dev"  # where Sigstore's library has the root from that it brings


def beside(bundle: Path) -> Path:
    """Return the file of a bundle's attestation."""
    return bundle.with_name(bundle.name + SUFFIX)


def require_attested(bundle: Path, settings: "Attestation") -> None:
    """Check the attestation beside a bundle; there need be none unless params.yaml requires one.

    Raises:
        UserError: it is required and absent, or it does not hold.
    """
    if settings.repository is None or not bundle.exists():  # who opens it says that it is not there
        return
    if beside(bundle).exists():
        words = [str(bundle), settings.repository, *([settings.trusted_root] if settings.trusted_root else [])]
        done = subprocess.run([sys.executable, "-P", "-m", __name__, *words], capture_output=True)
        if done.returncode:
            raise UserError((done.stderr.decode(errors="replace").splitlines() or ["it was killed"])[-1])
    elif settings.required:
        raise UserError(
            f"{bundle}: refused, there is no {beside(bundle).name} beside it, which serving.attestation.required in "
            "params.yaml asks for; fetch it from the version's release."
        )


def verify(bundle: Path, repository: str, trusted_root: Path | None = None) -> None:
    """Check that the attestation beside a bundle holds, by Sigstore's public root or those in a file.

    Raises:
        UserError: it does not, and why.
    """
    need("sigstore", "an attestation")
    roots = list(read_roots(trusted_root))
    try:
        proof = json.loads(beside(bundle).read_bytes())
        logged = bool(proof["verificationMaterial"].get("tlogEntries"))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise refusal(bundle, f"{beside(bundle).name} is no Sigstore bundle ({error})") from None
    problem: object = (
        "it is in no public log, so it is a private repository's, which needs GitHub's own root: write it with "
        "`gh attestation trusted-root > FILE`, and name it as serving.attestation.trusted_root"
    )
    for root in roots:
        if bool(root._inner.tlogs) != logged:
            continue
        try:
            kind, payload = (read_logged if logged else read_timestamped)(proof, root, Publisher(repository))
            statement = json.loads(payload)
            if (kind, statement["predicateType"]) != (STATEMENT, PROVENANCE):
                raise ValueError("it does not say how the bundle was built")
            attested = [subject["digest"].get("sha256") for subject in statement["subject"]]
        except Exception as error:  # whatever a forged file makes the library fail with, it is refused
            problem = error
            continue
        if hashlib.sha256(bundle.read_bytes()).hexdigest() in attested:
            return
        problem = "it is about other bytes than these"
    raise refusal(bundle, problem)


def refusal(bundle: Path, problem: object) -> UserError:
    """Return the sentence for an attestation that does not hold."""
    reason = (str(problem).splitlines() or [type(problem).__name__])[0][:400].rstrip(".")
    return UserError(
        f"{bundle}: refused, its attestation does not hold: {reason}. Fetch both from the release again; whose "
        "attestations count is said by serving.attestation in params.yaml."
    )


@dataclass(frozen=True)
class Publisher:
    """Who must have signed: the publish workflow on the main branch of a repository, OWNER/NAME or a URL."""

    repository: str

    def verify(self, certificate: "Certificate") -> None:
        """Raise an error where a certificate is another workflow's: Sigstore's library calls it."""
        from cryptography.x509 import SubjectAlternativeName, UniformResourceIdentifier
        from sigstore.verify.policy import AllOf, OIDCIssuer, OIDCSourceRepositoryURI

        url = self.repository if "://" in self.repository else f"https://github.com/{self.repository}"
        host = urlparse(url).netloc
        names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
        signers = names.get_values_for_type(UniformResourceIdentifier)
        if signers != [f"{url}/{WORKFLOW}"]:
            raise ValueError(f"it is by {', '.join(signers)}, not by {url}/{WORKFLOW}")
        issuer = f"https://token.actions.{'githubusercontent.com' if host == 'github.com' else host}"
        AllOf([OIDCIssuer(issuer), OIDCSourceRepositoryURI(url)]).verify(certificate)


def read_roots(path: Path | None) -> Iterator["TrustedRoot"]:
    """Yield the roots in a file, JSON one after the other; without a file, Sigstore's public one.

    Raises:
        UserError: it cannot be read.
    """
    from sigstore._utils import read_embedded
    from sigstore.models import TrustedRoot
    from sigstore_models.trustroot.v1 import TrustedRoot as Content

    try:
        text = (path.read_bytes() if path else read_embedded("trusted_root.json", PUBLIC)).decode().strip()
        while True:
            content, end = json.JSONDecoder().raw_decode(text)
            # GitHub's own root does not name the logs that it does not have.
            yield TrustedRoot(Content.from_json(json.dumps({"tlogs": [], "ctlogs": [], **content})))
            text = text[end:].lstrip()
            if not text:
                return
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{path}: no trusted root of Sigstore ({str(error).splitlines()[0]}); `gh attestation trusted-root` writes "
            "one, and serving.attestation.trusted_root in params.yaml names it."
        ) from None


def read_logged(proof: dict[str, Any], root: "TrustedRoot", policy: Publisher) -> tuple[str, bytes]:
    """Return the type and the content of what a proof in a transparency log says, as public repositories have it."""
    from sigstore.models import Bundle
    from sigstore.verify import Verifier

    return Verifier(trusted_root=root).verify_dsse(Bundle.from_json(json.dumps(proof)), policy)


def read_timestamped(proof: dict[str, Any], root: "TrustedRoot", policy: Publisher) -> tuple[str, bytes]:
    """Return the type and the content of what a proof with a timestamp says: private repositories are in no log.

    Sigstore's library insists on a log, so its steps are taken one by one here.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.x509 import ExtendedKeyUsage, load_der_x509_certificate
    from cryptography.x509.oid import ExtendedKeyUsageOID
    from rfc3161_client import decode_timestamp_response
    from sigstore import dsse
    from sigstore.verify import Verifier

    class Timestamped(Verifier):
        def __init__(self) -> None:
            self._trusted_root, self._fulcio_certificate_chain = root, root.get_fulcio_certs()

    verifier, material = Timestamped(), proof["verificationMaterial"]
    certificate = load_der_x509_certificate(b64decode(material["certificate"]["rawBytes"]))
    envelope = dsse.Envelope._from_json(json.dumps(proof["dsseEnvelope"]))
    stamps = material.get("timestampVerificationData", {}).get("rfc3161Timestamps", [])
    decoded = [decode_timestamp_response(b64decode(stamp["signedTimestamp"])) for stamp in stamps]
    verified = [verifier._verify_signed_timestamp(response, envelope.signature) for response in decoded]
    times = [time for time in verified if time]
    if not times:
        raise ValueError("no authority that is trusted says when it was signed")
    for time in times:
        verifier._verify_chain_at_time(certificate, time)
    purposes, key = certificate.extensions.get_extension_for_class(ExtendedKeyUsage).value, certificate.public_key()
    if ExtendedKeyUsageOID.CODE_SIGNING not in purposes or not isinstance(key, EllipticCurvePublicKey):
        raise ValueError("its certificate is not for signing")
    policy.verify(certificate)
    return envelope._inner.payload_type, dsse._verify(key, envelope)


def main() -> int:
    """Check the bundle, by the repository and the root's file, that the command line names; exit 1 if it is refused."""
    bundle, repository, *root = sys.argv[1:]
    try:
        verify(Path(bundle), repository, Path(root[0]) if root else None)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
