"""The lock of a project: what a branch brings in its place is never written through."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlops_actions.core.errors import UserError
from mlops_actions.core.turns import LOCK, turn

LEFT = "what somebody has there"


def link_lock(elsewhere: Path) -> None:
    LOCK.parent.mkdir(parents=True)
    LOCK.symlink_to(elsewhere / "mlops.lock")


def link_folder(elsewhere: Path) -> None:
    Path(".dvc").mkdir()
    LOCK.parent.symlink_to(elsewhere)


PLACES: dict[str, tuple[Callable[[Path], object], str]] = {
    "the lock": (link_lock, f"{LOCK} is a link"),
    "its folder": (link_folder, f"{LOCK.parent} is a link"),
    "a folder": (lambda _: LOCK.mkdir(parents=True), f"{LOCK} is no file"),
}


@pytest.mark.parametrize(("lay", "said"), PLACES.values(), ids=PLACES)
def test_what_stands_in_the_place_of_the_lock_is_named_and_not_written(
    lay: Callable[[Path], object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/mlops.lock").write_text(LEFT)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    lay(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=f"^{said}.*: delete it\\.$"), turn("train"):
        raise AssertionError("nothing runs")
    assert (tmp_path / "elsewhere/mlops.lock").read_text() == LEFT


def test_a_turn_is_said_in_the_lock_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for verb in ("train", "compare"):
        with turn(verb):
            assert LOCK.read_text().startswith(f"`mlops {verb}` (process ")
