"""A bundle is taken by the attestation of its publish workflow: what does not hold is refused with its reason.

The attestations are by a Sigstore of the tests' own, and are checked by Sigstore's own library.
"""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from baked import run
from local_github.sigstore import Job, Sigstore
from mlops_actions.core.config import Attestation, load_config
from mlops_actions.core.errors import UserError
from mlops_actions.registry.attestation import main, require_attested, verify
from signing import PRIVATE, PUBLIC, REPOSITORY, SIGSTORES, Proof, sign, write_proof, write_roots

PUBLISHES = "https://github.com/your-github-login/customer-churn/.github/workflows/publish.yml@refs/heads/main"


class Impostor(Job):
    """A job that another issuer vouches for."""

    issuer = "https://token.actions.example.com"


class Caller(Job):
    """A job of another repository that calls the publish workflow."""

    def claims(self) -> dict[int, str]:
        return {**super().claims(), 12: "https://github.com/mallory/churn"}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "bundle.zip"
    path.write_bytes(b"a bundle")
    return path


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    """The trusted roots of both Sigstores."""
    return write_roots(tmp_path / "roots.jsonl", *SIGSTORES.values())


def without_log(bundle: Path) -> Proof:
    proof = sign(bundle)
    del proof["verificationMaterial"]["tlogEntries"]
    return proof


def with_other_time(bundle: Path) -> Proof:
    proof, other = sign(bundle, PRIVATE), sign(bundle, PRIVATE)
    name = "timestampVerificationData"
    proof["verificationMaterial"][name] = other["verificationMaterial"][name]
    return proof


def retold(bundle: Path, by: Sigstore) -> Proof:
    """The signature of another text."""
    proof = sign(bundle, by)
    proof["dsseEnvelope"]["payload"] = base64.b64encode(b"{}").decode()
    return proof


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "another repository": (
        lambda bundle: sign(bundle, job=Job("mallory/customer-churn")),
        f"it is by {PUBLISHES.replace('your-github-login', 'mallory')}, not by {PUBLISHES}. Fetch both",
    ),
    "another workflow": (
        lambda bundle: sign(bundle, job=Job(REPOSITORY, workflow=".github/workflows/retrain.yml")),
        "retrain.yml@refs/heads/main, not by",
    ),
    "another branch": (lambda bundle: sign(bundle, job=Job(REPOSITORY, ref="refs/pull/7/merge")), "@refs/pull/7/"),
    "another branch, private": (lambda bundle: sign(bundle, PRIVATE, Job(REPOSITORY, ref="refs/heads/x")), "heads/x"),
    "another issuer": (lambda bundle: sign(bundle, job=Impostor(REPOSITORY)), "OIDCIssuer does not match"),
    "another caller": (lambda bundle: sign(bundle, job=Caller(REPOSITORY)), "OIDCSourceRepositoryURI does not match"),
    "an expired certificate": (lambda bundle: sign(bundle, minutes=20), "cert is not valid at validation time"),
    "expired, private": (lambda bundle: sign(bundle, PRIVATE, minutes=20), "cert is not valid at validation time"),
    "a foreign authority": (lambda bundle: sign(bundle, Sigstore()), "failed to build timestamp certificate chain"),
    "foreign, private": (lambda bundle: sign(bundle, Sigstore(logs=False)), "no authority that is trusted says when"),
    "no log": (without_log, "no authority that is trusted says when it was signed"),
    "another's timestamp": (with_other_time, "no authority that is trusted says when it was signed"),
    "another text": (lambda bundle: retold(bundle, PUBLIC), "DSSE: invalid signature"),
    "another text, private": (lambda bundle: retold(bundle, PRIVATE), "DSSE: invalid signature"),
    "another statement": (
        lambda bundle: sign(bundle, predicateType="https://spdx.dev/Document/v2.3"),
        "it does not say how the bundle was built",
    ),
    "another subject": (lambda bundle: sign(bundle, subject=[]), "it is about other bytes than these"),
    "not JSON": (lambda bundle: ..., "bundle.zip.sigstore.json is no Sigstore bundle"),
    "other JSON": (lambda bundle: [], "bundle.zip.sigstore.json is no Sigstore bundle"),
    "a hollow one": (lambda bundle: {"verificationMaterial": {"tlogEntries": [{}]}}, "failed to load bundle"),
}


@pytest.mark.parametrize(("make", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_hold_is_refused_with_its_reason(
    bundle: Path, roots: Path, make: Callable[[Path], Any], reason: str
) -> None:
    proof = make(bundle)
    write_proof(bundle, proof) if proof is not ... else Path(f"{bundle}.sigstore.json").write_text("\0")
    with pytest.raises(UserError) as refused:
        verify(bundle, REPOSITORY, roots)
    said = str(refused.value)
    assert said.startswith(f"{bundle}: refused, its attestation does not hold: ") and reason in said
    assert "\n" not in said and "pydantic" not in said


@pytest.mark.parametrize("by", SIGSTORES)
def test_the_github_cli_says_the_same_of_what_the_tests_sign(bundle: Path, tmp_path: Path, by: str) -> None:
    write_proof(bundle, sign(bundle, SIGSTORES[by]))
    root = write_roots(tmp_path / "root.jsonl", SIGSTORES[by])
    words = ["gh", "attestation", "verify", bundle, "--bundle", f"{bundle}.sigstore.json"]
    words += ["--custom-trusted-root", root, "--repo"]

    def by_gh(repository: str) -> int:
        there = {"GH_TOKEN": "none is needed", "HOME": str(tmp_path)}
        return run(*words, repository, cwd=tmp_path, check=False, **there).returncode

    verify(bundle, REPOSITORY, root)
    assert by_gh(REPOSITORY) == 0
    with pytest.raises(UserError, match="does not hold"):
        verify(bundle, "mallory/customer-churn", root)
    assert by_gh("mallory/customer-churn") == 1


@pytest.mark.parametrize(("by", "reason"), [("public", "certificate chain"), ("private", "`gh attestation trusted")])
def test_without_a_root_of_ones_own_it_is_sigstores_that_counts(bundle: Path, by: str, reason: str) -> None:
    write_proof(bundle, sign(bundle, SIGSTORES[by]))
    with pytest.raises(UserError, match=reason):
        verify(bundle, REPOSITORY)


@pytest.mark.parametrize("content", [None, "", "{}", "nothing"])
def test_a_root_that_is_none_is_named(bundle: Path, tmp_path: Path, content: str | None) -> None:
    write_proof(bundle, sign(bundle))
    root = tmp_path / "root.json"
    if content is not None:
        root.write_text(content)
    with pytest.raises(UserError) as refused:
        verify(bundle, REPOSITORY, root)
    said = str(refused.value)
    assert said.startswith(f"{root}: no trusted root of Sigstore (") and "\n" not in said


def test_a_repository_elsewhere_is_named_by_its_address(bundle: Path, roots: Path) -> None:
    write_proof(bundle, sign(bundle, job=Job("acme/churn", server="https://acme.ghe.com")))
    verify(bundle, "https://acme.ghe.com/acme/churn", roots)
    with pytest.raises(UserError, match="it is by https://acme.ghe"):
        verify(bundle, "acme/churn", roots)


def test_another_process_says_the_same(
    bundle: Path, roots: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Attestation(repository=REPOSITORY, trusted_root=str(roots))
    monkeypatch.setattr("sys.argv", ["attestation", str(bundle), REPOSITORY, str(roots)])
    write_proof(bundle, sign(bundle))
    require_attested(bundle, settings)
    assert main() == 0
    bundle.write_bytes(b"other bytes")
    with pytest.raises(UserError, match="it is about other bytes than these") as refused:
        require_attested(bundle, settings)
    assert main() == 1 and capsys.readouterr().err == f"{refused.value}\n"


def test_an_attestation_is_checked_though_none_is_required_and_not_where_nobodys_counts(bundle: Path) -> None:
    require_attested(bundle, Attestation(repository=REPOSITORY))
    with pytest.raises(UserError) as refused:
        require_attested(bundle, Attestation(repository=REPOSITORY, required=True))
    assert str(refused.value) == (
        f"{bundle}: refused, there is no bundle.zip.sigstore.json beside it, which serving.attestation.required in "
        "params.yaml asks for; fetch it from the version's release."
    )
    write_proof(bundle, {})
    with pytest.raises(UserError, match="is no Sigstore bundle"):
        require_attested(bundle, Attestation(repository=REPOSITORY))
    require_attested(bundle, Attestation(repository=None))
    bundle.unlink()
    require_attested(bundle, Attestation(repository=REPOSITORY, required=True))  # who opens it says that it is gone


@pytest.mark.parametrize(
    ("repository", "required", "said"),
    [
        ("churn", False, "serving.attestation.repository must be OWNER/NAME, or"),
        (None, True, "name yours"),
    ],
)
def test_a_publisher_that_is_none_is_refused(
    fresh: Callable[..., Any], repository: str | None, required: bool, said: str
) -> None:
    project = fresh(1)
    project.set(**{"serving.attestation.repository": repository, "serving.attestation.required": required})
    with pytest.raises(UserError, match=said):
        load_config(project.path, guesses=True)
