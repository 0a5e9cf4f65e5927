"""Where a comment's pictures are kept: beside the repository's branches, found by the commit that holds them."""

import hashlib
import json
from typing import Any

import pytest
from drawing import pictures_of
from hostile import honest_report
from mlops_actions.core import github
from mlops_actions.core.errors import UserError
from mlops_actions.review import artifact, pictures
from pngs import pack

REF = "reports/pull/1"


class Objects:
    """GitHub's objects and refs, as far as pictures need them: an object's name is the digest of its content."""

    def __init__(self) -> None:
        self.trees: dict[str, str] = {}  # of each commit
        self.refs: dict[str, str] = {"refs/reports/pull/12": "0" * 40}
        self.refused = ""  # the error that an answer is, where there is one

    def send(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        if self.refused:
            raise UserError(self.refused)
        sha = hashlib.sha1(json.dumps(body, sort_keys=True).encode()).hexdigest()
        if path == "git/commits":
            assert body["parents"] == [], "a report is no history"
            self.trees[sha] = body["tree"]
        elif path.startswith("git/refs"):
            assert (method == "PATCH") == (f"refs/{REF}" in self.refs)
            self.refs[f"refs/{REF}"] = body["sha"]
        return {"sha": sha}

    def api(self, path: str, *_: str) -> Any:
        if path.startswith("git/matching-refs/"):
            return [{"ref": ref, "object": {"sha": sha}} for ref, sha in self.refs.items()]
        return {"tree": {"sha": self.trees[path.rpartition("/")[2]]}}


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Objects:
    objects = Objects()
    monkeypatch.setattr(github, "send", objects.send)
    monkeypatch.setattr(github, "api", objects.api)
    return objects


def test_the_same_pictures_again_change_nothing_and_others_take_their_place(objects: Objects) -> None:
    first = pictures.store({"roc-light": b"one"}, 1)
    assert objects.refs[f"refs/{REF}"] == first and first in objects.trees
    assert pictures.store({"roc-light": b"one"}, 1) == first
    second = pictures.store({"roc-light": b"two"}, 1)
    assert second != first and objects.refs[f"refs/{REF}"] == second
    assert objects.refs["refs/reports/pull/12"] == "0" * 40, "another pull request's"


@pytest.mark.parametrize("status", [403, 404, 422])
def test_a_token_that_may_not_write_stores_nothing_and_says_so(
    objects: Objects, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    objects.refused = f"GitHub refused it (HTTP {status})"
    assert pictures.store({"roc-light": b"one"}, 1) is None
    assert capsys.readouterr().out.startswith("The pictures are not stored, so the comment has tables instead: ")


def test_a_github_that_fails_is_an_error(objects: Objects) -> None:
    objects.refused = "GitHub does not answer (HTTP 502)"
    with pytest.raises(UserError, match="HTTP 502"):
        pictures.store({"roc-light": b"one"}, 1)


@pytest.mark.parametrize("commit", ["", "main", "a" * 39, "a" * 41, "A" * 40, "a" * 40 + "\n"])
def test_only_a_commit_is_linked(monkeypatch: pytest.MonkeyPatch, commit: str) -> None:
    monkeypatch.setenv("PICTURES_COMMIT", commit)
    assert pictures.addresses(pack({})) is None


def test_each_picture_has_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PICTURES_COMMIT": "a" * 40, "GITHUB_REPOSITORY": "acme/shop"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.example")
    packed = pack({f"pictures/{name}": picture for name, picture in pictures_of("two rows").items()})
    found = pictures.addresses(packed)
    assert found and found["roc-light"] == f"https://github.example/acme/shop/raw/{'a' * 40}/roc-light.png"
    assert pictures.addresses(pack({})) is None


@pytest.mark.parametrize("drawn", [True, False])
def test_the_next_job_is_told_the_commit(
    objects: Objects, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], drawn: bool
) -> None:
    told: dict[str, str] = {}
    files = {f"pictures/{name}": picture for name, picture in pictures_of("two rows").items()} if drawn else {}
    retrain = artifact.Retrain({"id": 7}, [1])
    retrain.__dict__["artifact"] = pack(files | {"report.json": json.dumps(honest_report()).encode()})
    monkeypatch.setattr(pictures, "find_retrain", lambda: retrain)
    monkeypatch.setattr(github, "set_output", lambda name, value: told.update({name: value}))
    pictures.pictures()
    assert told == ({"commit": objects.refs[f"refs/{REF}"]} if drawn else {})
    assert capsys.readouterr().out.startswith(f"Stored {len(files)} pictures of pull request 1") == drawn


def test_without_a_report_there_is_no_picture(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "find_retrain", lambda: None)
    pictures.pictures()
    assert objects.trees == {}
