"""A server asks for the attestation of what it serves, in a process of its own."""

import re
from pathlib import Path

import pytest
from baked import Project
from mlops_actions.core.config import Attestation, Serving
from mlops_actions.core.errors import UserError
from mlops_actions.core.paths import BUNDLE
from mlops_actions.registry.attestation import require_attested
from mlops_actions.serving.server import serve as run_server
from serving import serve
from signing import REPOSITORY, SIGSTORES, sign, write_proof, write_roots


def test_a_bundle_with_its_attestation_is_served_and_no_other_byte_is(own: Project) -> None:
    served = own.path / "dist/bundle.zip"  # in the place of models/bundle.zip what dvc.lock records would be put again
    served.parent.mkdir()
    served.write_bytes((own.path / BUNDLE).read_bytes())
    roots = write_roots(own.path / "roots.jsonl", *SIGSTORES.values())
    required = Attestation(repository=REPOSITORY, required=True, trusted_root=str(roots))
    with pytest.raises(UserError, match="bundle.zip: refused, there is no bundle.zip.sigstore.json beside it"):
        run_server(Serving(port=0, attestation=required), served)
    for sigstore in SIGSTORES.values():  # what the last of them signed is served
        write_proof(served, sign(served, sigstore))
        require_attested(served, required)
    own.set(**{"serving.attestation.required": True, "serving.attestation.trusted_root": "roots.jsonl"})
    with serve(own, "--bundle", "dist/bundle.zip") as server:
        assert server.ask("/v2/health/ready").status == 200
        maps = Path(f"/proc/{server.process.pid}/maps").read_text()
        assert not re.search("cryptography|rfc3161", maps), "another process has checked it"
    with served.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(UserError, match="refused, its attestation does not hold: it is about other bytes than these. "):
        run_server(Serving(port=0, attestation=required), served)


def test_an_attestation_is_checked_though_none_is_required_and_not_where_nobodys_counts(own: Project) -> None:
    write_proof(own.path / BUNDLE, {})
    with pytest.raises(UserError, match="is no Sigstore bundle"):
        run_server(Serving(port=0, attestation=Attestation(repository=REPOSITORY)), own.path / BUNDLE)
    own.set(**{"serving.attestation.repository": None})
    with serve(own, "--bundle", BUNDLE) as server:
        assert server.ask("/v2/health/ready").status == 200
