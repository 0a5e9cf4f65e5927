"""A version's bundle is the one that was trained, and a stamp that says which version it is."""

import hashlib
from pathlib import Path

import pytest
from mlops_actions.bundle.parts import read_parts
from mlops_actions.registry.stamp import is_stamped, stamp
from mlops_actions.registry.versions import Version
from runs import make_trained

VERSION = Version("v1.2.3", "a" * 40)


@pytest.fixture
def bundle(tmp_path: Path) -> bytes:
    make_trained(tmp_path / "bundle.zip")
    return (tmp_path / "bundle.zip").read_bytes()


def test_a_stamped_bundle_says_its_version_and_is_the_same_bytes_each_time(bundle: bytes, tmp_path: Path) -> None:
    stamped = stamp(bundle, VERSION)
    assert stamped == stamp(bundle, VERSION) == stamp(stamped, VERSION) != bundle
    (tmp_path / "stamped.zip").write_bytes(stamped)
    assert read_parts(tmp_path / "stamped.zip").version == "v1.2.3"


def test_only_the_stamp_of_the_recorded_bytes_is_taken(bundle: bytes) -> None:
    md5, stamped = hashlib.md5(bundle, usedforsecurity=False).hexdigest(), stamp(bundle, VERSION)
    assert is_stamped(stamped, VERSION, md5)
    assert not is_stamped(stamped, Version("v1.2.4", VERSION.commit), md5)
    assert not is_stamped(stamped, VERSION, "0" * 32)
    assert not is_stamped(bundle, VERSION, md5), "no stamp at all"
    assert not is_stamped(b"no zip", VERSION, md5)
