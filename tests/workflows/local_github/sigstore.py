"""A Sigstore of the tests' own: it certifies whoever signs, keeps what is signed in a log, and says when it was signed.

What it makes is what Sigstore makes, so that Sigstore's own library and `gh attestation verify` verify it, by
`trusted_root` instead of the public one. GitHub signs for private repositories with no log: so does this one where
`logs` is false.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from asn1crypto import algos, cms, core, tsp
from asn1crypto.x509 import Certificate as Asn1Certificate
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

FULCIO = "1.3.6.1.4.1.57264.1"
SCT_LIST = "1.3.6.1.4.1.11129.2.4.2"
PAYLOAD = "application/vnd.in-toto+json"
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Job:
    """Whose job signs: what GitHub's identity token tells Fulcio of it."""

    repository: str
    server: str = "https://github.com"
    workflow: str = ".github/workflows/publish.yml"
    ref: str = "refs/heads/main"
    sha: str = "0" * 40
    event: str = "push"
    run: str = "actions/runs/1/attempts/1"

    @property
    def url(self) -> str:
        """The repository's address."""
        return f"{self.server}/{self.repository}"

    @property
    def signer(self) -> str:
        """The workflow's address, which is the certificate's subject."""
        return f"{self.url}/{self.workflow}@{self.ref}"

    @property
    def issuer(self) -> str:
        """Who vouches for the job."""
        host = self.server.partition("://")[2]
        return f"https://token.actions.{'githubusercontent.com' if host == 'github.com' else host}"

    def claims(self) -> dict[int, str]:
        """The values of Fulcio's extensions, by the last number of their identifiers; those above 7 are in DER."""
        return {
            1: self.issuer, 2: self.event, 3: self.sha, 5: self.repository, 6: self.ref, 8: self.issuer,
            9: self.signer, 10: self.sha, 11: "github-hosted", 12: self.url, 13: self.sha, 14: self.ref,
            16: self.url.rpartition("/")[0], 18: self.signer, 19: self.sha, 20: self.event,
            21: f"{self.url}/{self.run}",
        }  # fmt: skip

    def statement(self, subjects: dict[str, str]) -> dict[str, Any]:
        """What actions/attest says, unless told otherwise: how the subjects, by their SHA-256, were built."""
        return {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in subjects.items()],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {
                "buildDefinition": {
                    "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                    "externalParameters": {
                        "workflow": {"ref": self.ref, "repository": self.url, "path": self.workflow},
                    },
                    "resolvedDependencies": [
                        {"uri": f"git+{self.url}@{self.ref}", "digest": {"gitCommit": self.sha}},
                    ],
                },
                "runDetails": {
                    "builder": {"id": self.signer},
                    "metadata": {"invocationId": f"{self.url}/{self.run}"},
                },
            },
        }


class Sigstore:
    """An instance of Sigstore: its authorities, its logs, and its root of trust."""

    def __init__(self, logs: bool = True) -> None:
        self.logs = logs
        self._fulcio, self._rekor, self._ct, self._tsa = (generate_private_key(SECP256R1()) for _ in range(4))
        self._authority = self._certify("tests.sigstore", self._fulcio, self._fulcio, _authority())
        self._tsa_certificate = self._certify("timestamp", self._tsa, self._fulcio, _usage("timeStamping", True))
        self._leaves: list[bytes] = []

    def trusted_root(self) -> dict[str, Any]:
        """What a client must have to verify what is signed here; without logs, it names none, as GitHub's."""
        since = {"start": "2020-01-01T00:00:00Z"}
        name = {"organization": "tests", "commonName": "tests.sigstore"}
        chains = {
            "certificateAuthorities": [self._authority],
            "timestampAuthorities": [self._tsa_certificate, self._authority],
        }
        root: dict[str, Any] = {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}
        for kind, chain in chains.items():
            encoded = [{"rawBytes": _base64(one.public_bytes(Encoding.DER))} for one in chain]
            root[kind] = [
                {"subject": name, "uri": "https://tests", "certChain": {"certificates": encoded}, "validFor": since}
            ]
        for kind, key in {"tlogs": self._rekor, "ctlogs": self._ct}.items() if self.logs else ():
            public = {"rawBytes": _base64(_der(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": since}
            root[kind] = [
                {
                    "baseUrl": "https://tests",
                    "hashAlgorithm": "SHA2_256",
                    "publicKey": public,
                    "logId": {"keyId": _base64(_key_id(key))},
                }
            ]
        return root

    def sign(self, job: Job, statement: dict[str, Any], minutes: int = 0) -> dict[str, Any]:
        """The bundle that says that a job signed a statement, so many minutes after its certificate was made."""
        key = generate_private_key(SECP256R1())
        certificate = self._certify_job(job, key)
        payload = json.dumps(statement).encode()
        encoded = b"DSSEv1 %d %b %d %b" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)
        signature = key.sign(encoded, ECDSA(SHA256()))
        signed = datetime.now(UTC) + timedelta(minutes=minutes)
        material: dict[str, Any] = {"certificate": {"rawBytes": _base64(certificate.public_bytes(Encoding.DER))}}
        if self.logs:
            material["tlogEntries"] = [self._log(certificate, payload, signature, signed)]
        else:
            stamp = self._stamp(signature, signed)
            material["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": _base64(stamp)}]}
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": material,
            "dsseEnvelope": {
                "payload": _base64(payload),
                "payloadType": PAYLOAD,
                "signatures": [{"sig": _base64(signature)}],
            },
        }

    def _certify(
        self, name: str, key: EllipticCurvePrivateKey, by: EllipticCurvePrivateKey, extensions: list[Any]
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name("tests.sigstore"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), False)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(by, SHA256())

    def _certify_job(self, job: Job, key: EllipticCurvePrivateKey) -> x509.Certificate:
        """Fulcio's certificate of a job, for ten minutes; where there are logs, with the proof that it is in one."""
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(_name("tests.sigstore"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(minutes=9))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._fulcio.public_key()), False)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(job.signer)]), True)
        )
        for extension, critical in _usage("codeSigning", False):
            builder = builder.add_extension(extension, critical)
        for number, value in job.claims().items():
            content = value.encode() if number < 8 else core.UTF8String(value).dump()
            builder = builder.add_extension(_extension(f"{FULCIO}.{number}", content), False)
        if not self.logs:
            return builder.sign(self._fulcio, SHA256())
        entry = builder.sign(self._fulcio, SHA256()).tbs_certificate_bytes
        milliseconds = int(now.timestamp() * 1000).to_bytes(8, "big")
        entry = hashlib.sha256(_der(self._fulcio)).digest() + len(entry).to_bytes(3, "big") + entry
        signature = self._ct.sign(b"\0\0" + milliseconds + b"\0\1" + entry + b"\0\0", ECDSA(SHA256()))
        sct = b"\0" + _key_id(self._ct) + milliseconds + b"\0\0" + b"\4\3" + _sized(signature)
        proof = core.OctetString(_sized(_sized(sct))).dump()
        return builder.add_extension(_extension(SCT_LIST, proof), False).sign(self._fulcio, SHA256())

    def _log(self, certificate: x509.Certificate, payload: bytes, signature: bytes, at: datetime) -> dict[str, Any]:
        """Rekor's entry: in a tree of all that it has logged, whose root it signs."""
        verifier = _base64(certificate.public_bytes(Encoding.PEM))
        body = _canonical(
            {
                "apiVersion": "0.0.1",
                "kind": "dsse",
                "spec": {
                    "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(payload + signature).hexdigest()},
                    "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
                    "signatures": [{"signature": _base64(signature), "verifier": verifier}],
                },
            }
        )
        # A tree of two: what was logged before, and this.
        before = hashlib.sha256(b"".join(self._leaves)).digest()
        self._leaves.append(hashlib.sha256(b"\0" + body).digest())
        root = hashlib.sha256(b"\1" + before + self._leaves[-1]).digest()
        note = f"tests - 1\n2\n{_base64(root)}\n"
        mark = _key_id(self._rekor)[:4] + self._rekor.sign(note.encode(), ECDSA(SHA256()))
        time = int(at.timestamp())
        promise = {"body": _base64(body), "integratedTime": time, "logID": _key_id(self._rekor).hex(), "logIndex": 1}
        return {
            "logIndex": "1",
            "logId": {"keyId": _base64(_key_id(self._rekor))},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(time),
            "inclusionPromise": {
                "signedEntryTimestamp": _base64(self._rekor.sign(_canonical(promise), ECDSA(SHA256())))
            },
            "inclusionProof": {
                "logIndex": "1",
                "rootHash": _base64(root),
                "treeSize": "2",
                "hashes": [_base64(before)],
                "checkpoint": {"envelope": f"{note}\n— tests {_base64(mark)}\n"},
            },
            "canonicalizedBody": _base64(body),
        }

    def _stamp(self, signature: bytes, at: datetime) -> bytes:
        """The answer of a timestamp authority (RFC 3161): when it saw a signature."""
        certificate = Asn1Certificate.load(self._tsa_certificate.public_bytes(Encoding.DER))
        digest = algos.DigestAlgorithm({"algorithm": "sha256"})
        told = tsp.TSTInfo(
            {
                "version": 1,
                "policy": "1.3.6.1.4.1.57264.2",
                "message_imprint": {"hash_algorithm": digest, "hashed_message": hashlib.sha256(signature).digest()},
                "serial_number": x509.random_serial_number(),
                "gen_time": at.replace(microsecond=0),
            }
        )
        attributes = cms.CMSAttributes(
            [
                {"type": "content_type", "values": ["tst_info"]},
                {"type": "message_digest", "values": [hashlib.sha256(told.dump()).digest()]},
                {
                    "type": "signing_certificate_v2",
                    "values": [{"certs": [{"cert_hash": hashlib.sha256(certificate.dump()).digest()}]}],
                },
            ]
        )
        signer = {
            "version": 1,
            "sid": {
                "issuer_and_serial_number": {
                    "issuer": certificate.issuer,
                    "serial_number": certificate.serial_number,
                }
            },
            "digest_algorithm": digest,
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": "sha256_ecdsa"},
            "signature": self._tsa.sign(attributes.dump(), ECDSA(SHA256())),
        }
        content = {
            "version": 3,
            "digest_algorithms": [digest],
            "encap_content_info": {"content_type": "tst_info", "content": told},
            "certificates": [certificate],
            "signer_infos": [signer],
        }
        token = {"content_type": "signed_data", "content": cms.SignedData(content)}
        return bytes(tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token}).dump())


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _canonical(value: dict[str, Any]) -> bytes:
    """JSON in the one form that is signed (RFC 8785, of texts in ASCII and whole numbers)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _der(key: EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key_id(key: EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha256(_der(key)).digest()


def _sized(content: bytes) -> bytes:
    return len(content).to_bytes(2, "big") + content


def _name(common: str) -> x509.Name:
    pairs = {NameOID.ORGANIZATION_NAME: "tests", NameOID.COMMON_NAME: common}
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in pairs.items()])


def _extension(identifier: str, content: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(identifier), content)


def _authority() -> list[tuple[x509.ExtensionType, bool]]:
    return [(x509.BasicConstraints(True, 1), True), (_key_usage(sign=False), True)]


def _usage(purpose: str, critical: bool) -> list[tuple[x509.ExtensionType, bool]]:
    identifiers = {"codeSigning": ExtendedKeyUsageOID.CODE_SIGNING, "timeStamping": ExtendedKeyUsageOID.TIME_STAMPING}
    return [(_key_usage(sign=True), True), (x509.ExtendedKeyUsage([identifiers[purpose]]), critical)]


def _key_usage(sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(sign, False, False, False, False, not sign, not sign, False, False)
