"""What a candidate is compared with: the champion; before there is one, the commit before."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clones import LOCK, Clone, clean_environment, git, publisher
from mlops_actions.core import github
from mlops_actions.core.errors import UserError
from mlops_actions.registry import versions
from mlops_actions.review import champion

__all__ = ["clean_environment", "publisher"]


@pytest.fixture(autouse=True)
def another_event() -> Iterator[None]:
    """Forget the event that a test's run was started by."""
    yield
    github.event.cache_clear()


def test_a_shallow_clone_without_tags_gets_them_and_is_never_taken_for_a_project_without_a_champion(
    publisher: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.commit("c" * 32)
    publisher.git("push", "--quiet", "origin", "main")
    for name in ("cut", "again"):
        git("clone", "--quiet", "--depth=1", f"file://{tmp_path}/origin.git", name, cwd=tmp_path)
    cut, again = Clone(tmp_path / "cut"), Clone(tmp_path / "again")
    assert cut.versions() == []
    monkeypatch.chdir(again.path)
    assert champion.find_baseline(None, versions.refresh_tags())[0].name == "v1.0.0"
    monkeypatch.chdir(cut.path)
    for change in (("set-url", "origin", "file:///nowhere"), ("remove", "origin")):
        cut.git("remote", *change)
        with pytest.raises(UserError, match="this clone is shallow and has no version's tag"):
            champion.find_baseline(None, versions.refresh_tags())


@pytest.fixture
def young(clean_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    """A project in which nothing is released, in whose folder the test works."""
    git("init", "--quiet", "--initial-branch=main", "young", cwd=tmp_path)
    monkeypatch.chdir(tmp_path / "young")
    return Clone(tmp_path / "young")


def keep(clone: Clone, md5: str) -> None:
    """Let the cache hold an object of this name."""
    place = clone.path / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"zip")


def baseline() -> tuple[Any, ...]:
    """The kind and the commit that the candidate is compared with, or why with none."""
    found, notes = champion.find_baseline(None, True)
    return (found.kind, found.commit) if found else tuple((note.kind, *note.names) for note in notes)


def test_before_the_first_release_the_last_commit_is_what_a_model_is_compared_with(young: Clone) -> None:
    (young.path / ".gitignore").write_text(".dvc\n")
    assert baseline() == (), "no commit"
    young.git("add", "--all")
    young.git("commit", "--quiet", "--message", "Nothing is trained")
    assert baseline() == (), "no model"
    recorded = young.commit("a" * 32)
    keep(young, "a" * 32)
    assert baseline() == (("same_model", recorded[:7]),)
    (young.path / "dvc.lock").write_text(LOCK.format(md5="b" * 32))
    assert baseline() == ("head", recorded)


def test_a_model_whose_bytes_are_nowhere_is_not_compared_and_that_is_said(young: Clone) -> None:
    recorded = young.commit("a" * 32)
    (young.path / ".dvc").mkdir()
    (young.path / ".dvc/config").write_text("[core]\n    remote = store\n['remote \"store\"']\n    url = store\n")
    (young.path / "dvc.lock").write_text(LOCK.format(md5="b" * 32))
    ((kind, reason),) = baseline()
    assert kind == "not_fetched" and reason.startswith(f"commit {recorded[:7]}: ") and "models/bundle.zip" in reason


EVENTS: dict[str, Callable[[str], dict[str, Any]]] = {
    "a pull request": lambda base: {"number": 1, "before": "e" * 40, "pull_request": {"base": {"sha": base}}},
    "a merge queue": lambda base: {"merge_group": {"base_sha": base}},
    "a push": lambda base: {"before": base},
}


@pytest.mark.parametrize("event", EVENTS)
def test_in_a_run_the_baseline_is_what_the_change_is_made_to_not_what_its_author_trained(
    young: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    (young.path / ".gitignore").write_text(".dvc\n")
    base = young.commit("a" * 32)
    keep(young, "a" * 32)
    young.git("checkout", "--quiet", "-b", "change")
    young.commit("b" * 32)
    (tmp_path / "event.json").write_text(json.dumps(EVENTS[event](base)))
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
    assert baseline() == ("base", base)


def test_of_a_merge_the_baseline_is_what_it_was_made_on_even_where_the_event_is_older(
    young: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (young.path / ".gitignore").write_text(".dvc\n")
    old = young.commit("a" * 32)
    young.git("checkout", "--quiet", "-b", "change")
    young.git("commit", "--quiet", "--allow-empty", "--message", "Change")
    young.git("checkout", "--quiet", "main")
    newer = young.commit("b" * 32)
    keep(young, "b" * 32)
    young.git("merge", "--quiet", "--no-ff", "--message", "Merge", "change")
    young.commit("c" * 32)
    young.git("reset", "--quiet", "--soft", "HEAD^")
    (tmp_path / "event.json").write_text(json.dumps(EVENTS["a pull request"](old)))
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
    assert baseline() == ("base", newer)


def test_a_first_push_has_nothing_before_it(young: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = young.commit("a" * 32)
    (tmp_path / "event.json").write_text(json.dumps({"before": "0" * 40}))
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
    assert baseline() == (("same_model", recorded[:7]),)
