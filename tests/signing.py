"""Attestations of bundles, as a publish workflow has them signed, by Sigstores of the tests' own."""

import hashlib
import json
from pathlib import Path
from typing import Any

from local_github.sigstore import Job, Sigstore

REPOSITORY = "your-github-login/customer-churn"
PUBLISHER = Job(REPOSITORY)
PUBLIC, PRIVATE = Sigstore(), Sigstore(logs=False)
SIGSTORES = {"public": PUBLIC, "private": PRIVATE}
Proof = dict[str, Any]


def sign(bundle: Path, by: Sigstore = PUBLIC, job: Job = PUBLISHER, minutes: int = 0, **changes: Any) -> Proof:
    """Return the attestation of a bundle; `changes` are to what it states."""
    digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
    return by.sign(job, {**job.statement({"bundle.zip": digest}), **changes}, minutes)


def write_proof(bundle: Path, proof: Any) -> None:
    """Put an attestation beside a bundle."""
    bundle.with_name(f"{bundle.name}.sigstore.json").write_text(json.dumps(proof))


def write_roots(path: Path, *sigstores: Sigstore) -> Path:
    """Write the trusted roots of Sigstores, one a line."""
    path.write_text("".join(f"{json.dumps(each.trusted_root())}\n" for each in sigstores))
    return path
