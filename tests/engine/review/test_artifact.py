"""What a retrain left is read as data: a report of the right types in a readable zip file, or a refusal."""

import json
import re
import zipfile
from typing import Any

import pytest
from hostile import honest_report, pack
from mlops_actions.review import artifact, report


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    """What an honest retrain of the first pull request reports."""
    return honest_report()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format":' * 50_000,
        b"1" * 10_000,
        b'{"format": 1e999}',
    ],
    ids=["empty", "list", "object", "null", "bytes", "deep", "deep-objects", "long-number", "infinite"],
)
def test_what_is_no_report_is_refused_in_one_sentence(text: bytes) -> None:
    with pytest.raises(report.UserError, match=r"^report\.json is not a report: \w+$"):
        report.read_report(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("passed", "true"),
        ("passed", 1),
        ("pull_request", "1"),
        ("pull_request", True),
        ("pull_request", 1.0),
        ("margin", float("nan")),
        ("rows", {}),
        ("rows", {"test": 1.5, "decided": 1, "new": 0, "gone": 0, "edited": 0, "trained": 0}),
        ("notes", [{"kind": "@acme", "names": []}]),
        ("costs", [{"name": "<b>", "champion": None, "candidate": 1}]),
        ("plots", [{"name": "cat", "curves": []}]),
        ("plots", [{"name": "roc", "curves": [{"model": "@acme", "label": "", "x": [], "y": []}]}]),
        ("plots", [{"name": "roc", "curves": [{"model": "champion", "label": "", "x": ["1"], "y": [1]}]}]),
        ("confusion", {"classes": ["a"], "champion": None, "candidate": [["1"]]}),
        ("champion", 5),
        ("champion", ["v1"]),
        ("metrics", {}),
        ("metrics", [[]]),
        ("metrics", [None]),
        ("stages", [{"name": "train"}]),
        ("stages", [{"name": "train", "seconds": float("inf")}]),
        ("stages", [{"name": "train", "seconds": float("nan")}]),
        ("stages", [{"name": "train", "seconds": 10**400}]),
        ("params", [{"name": "a", "champion": 1, "candidate": None}]),
        ("extra", "more"),
    ],
)
def test_a_report_of_wrong_types_is_refused(written: dict[str, Any], field: str, value: Any) -> None:
    with pytest.raises(report.UserError, match="is not a report"):
        report.read_report(json.dumps(written | {field: value}).encode())
    with pytest.raises(report.UserError, match="is not a report"):
        report.read_report(json.dumps({key: item for key, item in written.items() if key != field} | {"x": 1}).encode())


def test_a_report_of_another_format_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(report.UserError, match="this version reads format"):
        report.read_report(json.dumps(written | {"format": 99}).encode())


def test_a_damaged_zip_is_refused_wherever_the_damage_is(written: dict[str, Any]) -> None:
    text = json.dumps(written).encode()
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        whole = pack(("report.json", text), compression=compression)
        for position in range(0, len(whole), 7):
            damaged = bytearray(whole)
            damaged[position] ^= 0xFF
            try:
                artifact.unpack(bytes(damaged))
            except artifact.UserError as error:
                assert re.search(r"no readable (report\.json|zip file)", str(error))


def test_a_zip_bomb_is_not_unpacked() -> None:
    bomb = pack(("report.json", bytes(300 * 2**20)))
    with pytest.raises(artifact.UserError, match=r"larger than 1,048,576 bytes"):
        artifact.unpack(bomb)


def test_a_zip_that_lists_files_without_end_is_refused(
    written: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = pack(("report.json", json.dumps(written).encode()), *((f"{number:030x}", b"") for number in range(999)))
    assert artifact.unpack(packed)
    monkeypatch.setattr("mlops_actions.core.files.LISTING", 2**16)
    with pytest.raises(report.UserError, match="^the report artifact is no readable zip file: BadZipFile$"):
        artifact.unpack(packed)


def test_files_that_overlap_or_lie_about_their_size_are_read_within_the_limit(written: dict[str, Any]) -> None:
    """All entries of a list may point at the same bytes, and say that they are few."""
    packed = bytearray(pack(("report.json", bytes(artifact.MAX_REPORT + 1)), ("pictures.png", b"x")))
    entry = packed.index(b"PK\x01\x02")
    packed[entry + 24 : entry + 28] = (99).to_bytes(4, "little")
    with pytest.raises(report.UserError, match=r"^the report artifact has no readable report\.json: BadZipFile$"):
        artifact.unpack(bytes(packed))
