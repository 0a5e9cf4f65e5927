"""A bundle is served by the attestation of its publish workflow: what does not hold is refused with its reason.

The attestations are by a Sigstore of the tests' own, and are checked by Sigstore's own library.
"""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from baked import Project
from inside import Inside
from local_github.sigstore import Job, Sigstore
from serving import serve

BUNDLE = "models/bundle.zip"
PROOF = f"{BUNDLE}.sigstore.json"
REPOSITORY = "your-github-login/customer-churn"
PUBLISHER = Job(REPOSITORY)
PUBLISHES = "https://github.com/your-github-login/customer-churn/.github/workflows/publish.yml@refs/heads/main"
PUBLIC, PRIVATE = Sigstore(), Sigstore(logs=False)
SIGSTORES = {"public": PUBLIC, "private": PRIVATE}
Proof = dict[str, Any]


class Impostor(Job):
    """A job that another issuer vouches for."""

    issuer = "https://token.actions.example.com"


class Caller(Job):
    """A job of another repository that calls the publish workflow."""

    def claims(self) -> dict[int, str]:
        return {**super().claims(), 12: "https://github.com/mallory/churn"}


@pytest.fixture
def bundle(released: Project, tmp_path: Path) -> Project:
    """The project with its bundle, and beside it the roots of both Sigstores, one a line."""
    project = Project(tmp_path / released.path.name)
    shutil.copytree(released.path, project.path, symlinks=True)
    project.write("roots.jsonl", "".join(f"{json.dumps(one.trusted_root())}\n" for one in SIGSTORES.values()))
    return project


def sign(project: Project, by: Sigstore = PUBLIC, job: Job = PUBLISHER, minutes: int = 0, **said: Any) -> Proof:
    """The attestation of a project's bundle."""
    digest = hashlib.sha256((project.path / BUNDLE).read_bytes()).hexdigest()
    return by.sign(job, {**job.statement({"bundle.zip": digest}), **said}, minutes)


def without_log(project: Project) -> Proof:
    proof = sign(project)
    del proof["verificationMaterial"]["tlogEntries"]
    return proof


def with_other_time(project: Project) -> Proof:
    proof, other = sign(project, PRIVATE), sign(project, PRIVATE)
    name = "timestampVerificationData"
    proof["verificationMaterial"][name] = other["verificationMaterial"][name]
    return proof


def retold(project: Project, by: Sigstore) -> Proof:
    """The signature of another text."""
    proof = sign(project, by)
    proof["dsseEnvelope"]["payload"] = base64.b64encode(b"{}").decode()
    return proof


REFUSED: dict[str, tuple[Callable[[Project], Any], str]] = {
    "another repository": (
        lambda project: sign(project, job=Job("mallory/customer-churn")),
        f"it is by {PUBLISHES.replace('your-github-login', 'mallory')}, not by {PUBLISHES}. Fetch both",
    ),
    "another workflow": (
        lambda project: sign(project, job=Job(REPOSITORY, workflow=".github/workflows/retrain.yml")),
        "retrain.yml@refs/heads/main, not by",
    ),
    "another branch": (lambda project: sign(project, job=Job(REPOSITORY, ref="refs/pull/7/merge")), "@refs/pull/7/"),
    "another branch, private": (lambda project: sign(project, PRIVATE, Job(REPOSITORY, ref="refs/heads/x")), "heads/x"),
    "another issuer": (lambda project: sign(project, job=Impostor(REPOSITORY)), "OIDCIssuer does not match"),
    "another caller": (lambda project: sign(project, job=Caller(REPOSITORY)), "OIDCSourceRepositoryURI does not match"),
    "an expired certificate": (lambda project: sign(project, minutes=20), "cert is not valid at validation time"),
    "expired, private": (lambda project: sign(project, PRIVATE, minutes=20), "cert is not valid at validation time"),
    "a foreign authority": (lambda project: sign(project, Sigstore()), "failed to build timestamp certificate chain"),
    "foreign, private": (lambda project: sign(project, Sigstore(logs=False)), "no authority that is trusted says when"),
    "no log": (without_log, "no authority that is trusted says when it was signed"),
    "another's timestamp": (with_other_time, "no authority that is trusted says when it was signed"),
    "another text": (lambda project: retold(project, PUBLIC), "DSSE: invalid signature"),
    "another text, private": (lambda project: retold(project, PRIVATE), "DSSE: invalid signature"),
    "another statement": (
        lambda project: sign(project, predicateType="https://spdx.dev/Document/v2.3"),
        "it does not say how the bundle was built",
    ),
    "another subject": (lambda project: sign(project, subject=[]), "it is about other bytes than these"),
    "not JSON": (lambda project: ..., "bundle.zip.sigstore.json is no Sigstore bundle"),
    "other JSON": (lambda project: [], "bundle.zip.sigstore.json is no Sigstore bundle"),
    "a hollow one": (lambda project: {"verificationMaterial": {"tlogEntries": [{}]}}, "failed to load bundle"),
}


@pytest.mark.parametrize(("make", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_hold_is_refused_with_its_reason(
    inside: Inside, bundle: Project, make: Callable[[Project], Any], reason: str
) -> None:
    proof = make(bundle)
    bundle.write(PROOF, "\0" if proof is ... else json.dumps(proof))
    said = inside("verify", bundle.path, repository=REPOSITORY, trusted_root=str(bundle.path / "roots.jsonl"))
    assert f"{BUNDLE}: refused, its attestation does not hold: " in said and reason in said
    assert "\n" not in said and "pydantic" not in said


@pytest.mark.parametrize("by", SIGSTORES)
def test_the_github_cli_says_the_same_of_what_the_tests_sign(
    inside: Inside, bundle: Project, tmp_path: Path, by: str
) -> None:
    proof = sign(bundle, SIGSTORES[by])
    bundle.write(PROOF, json.dumps(proof))
    bundle.write("root.jsonl", json.dumps(SIGSTORES[by].trusted_root()) + "\n")
    verify = ["gh", "attestation", "verify", BUNDLE, "--bundle", PROOF, "--custom-trusted-root", "root.jsonl", "--repo"]
    for repository, code in ((REPOSITORY, 0), ("mallory/customer-churn", 1)):
        done = bundle.run(*verify, repository, check=False, GH_TOKEN="none is needed", HOME=str(tmp_path))
        said = inside("verify", bundle.path, repository=repository, trusted_root=str(bundle.path / "root.jsonl"))
        assert (done.returncode, bool(said)) == (code, bool(code)), done.stderr


@pytest.mark.parametrize(("by", "reason"), [("public", "certificate chain"), ("private", "`gh attestation trusted")])
def test_without_a_root_of_ones_own_it_is_sigstores_that_counts(
    inside: Inside, bundle: Project, by: str, reason: str
) -> None:
    bundle.write(PROOF, json.dumps(sign(bundle, SIGSTORES[by])))
    assert reason in inside("verify", bundle.path, repository=REPOSITORY, trusted_root=None)


@pytest.mark.parametrize("content", [None, "", "{}", "nothing"])
def test_a_root_that_is_none_is_named(inside: Inside, bundle: Project, content: str | None) -> None:
    bundle.write(PROOF, json.dumps(sign(bundle)))
    root = bundle.path / "root.json"
    if content is not None:
        root.write_text(content)
    said = inside("verify", bundle.path, repository=REPOSITORY, trusted_root=str(root))
    assert said.startswith(f"{root}: no trusted root of Sigstore (") and "\n" not in said


def test_a_repository_elsewhere_is_named_by_its_address(inside: Inside, bundle: Project) -> None:
    job = Job("acme/churn", server="https://acme.ghe.com")
    bundle.write(PROOF, json.dumps(sign(bundle, job=job)))
    roots = str(bundle.path / "roots.jsonl")
    assert inside("verify", bundle.path, repository="https://acme.ghe.com/acme/churn", trusted_root=roots) == ""
    assert "it is by https://acme.ghe" in inside("verify", bundle.path, repository="acme/churn", trusted_root=roots)


@pytest.mark.parametrize("by", SIGSTORES)
def test_a_bundle_with_its_attestation_is_served_and_no_other_byte_is(
    bundle: Project, mlops: Callable[..., Any], by: str
) -> None:
    served = "dist/bundle.zip"  # in the place of models/bundle.zip what dvc.lock records would be put again
    (bundle.path / "dist").mkdir()
    shutil.copy(bundle.path / BUNDLE, bundle.path / served)
    words = ("--bundle", served)
    bundle.set(**{"serving.attestation.required": True, "serving.attestation.trusted_root": "roots.jsonl"})
    done = mlops(bundle, "serve", *words, "--port", "0", check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "mlops serve: dist/bundle.zip: refused, there is no bundle.zip.sigstore.json beside it, which "
        "serving.attestation.required in params.yaml asks for; fetch it from the version's release.\n"
    )
    bundle.write(f"{served}.sigstore.json", json.dumps(sign(bundle, SIGSTORES[by])))
    with serve(bundle, *words) as server:
        assert server.ask("/v2/health/ready").status == 200
        maps = Path(f"/proc/{server.process.pid}/maps").read_text()
        assert not re.search("cryptography|rfc3161", maps), "another process has checked it"
    with (bundle.path / served).open("ab") as file:
        file.write(b"\0")
    done = mlops(bundle, "serve", *words, "--port", "0", check=False)
    assert done.returncode == 1
    assert f"{served}: refused, its attestation does not hold: it is about other bytes than these. " in done.stderr


def test_an_attestation_is_checked_though_none_is_required_and_not_where_nobodys_counts(
    bundle: Project, mlops: Callable[..., Any]
) -> None:
    bundle.write(PROOF, "{}")
    done = mlops(bundle, "serve", "--bundle", BUNDLE, "--port", "0", check=False)
    assert done.returncode == 1 and "is no Sigstore bundle" in done.stderr and done.stderr.count("\n") == 1
    bundle.set(**{"serving.attestation.repository": None})
    with serve(bundle, "--bundle", BUNDLE) as server:
        assert server.ask("/v2/health/ready").status == 200


@pytest.mark.parametrize(
    ("repository", "required", "said"),
    [
        ("churn", False, "serving.attestation.repository must be OWNER/NAME, or"),
        (None, True, "name yours"),
    ],
)
def test_a_publisher_that_is_none_is_refused(
    bundle: Project, mlops: Callable[..., Any], repository: str | None, required: bool, said: str
) -> None:
    bundle.set(**{"serving.attestation.repository": repository, "serving.attestation.required": required})
    done = mlops(bundle, "serve", "--bundle", BUNDLE, "--port", "0", check=False)
    assert done.returncode == 1 and said in done.stderr
