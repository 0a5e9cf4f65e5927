"""A wheel's parts agree, or it is said which do not."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from mlops_actions.core.errors import UserError
from mlops_actions.core.wheel import Wheel, unpack
from wheels import VERSION

Change = Callable[[str, bytes], list[tuple[str, bytes]]]
ERRORS = "mlops_actions/core/errors.py"


def change(wheel: Path, edit: Change) -> bytes:
    """Return a wheel's bytes with each file replaced by what `edit` makes of it."""
    content = io.BytesIO()
    with zipfile.ZipFile(wheel) as former, zipfile.ZipFile(content, "w") as archive:
        for name in former.namelist():
            for now, text in edit(name, former.read(name)):
                archive.writestr(now, text)
    return content.getvalue()


def edited(name: str, content: bytes) -> list[tuple[str, bytes]]:
    return [(name, content + b"#" if name == ERRORS else content)]


def added(name: str, content: bytes) -> list[tuple[str, bytes]]:
    return [(name, content), *([("mlops_actions/more.py", b"")] if name == ERRORS else [])]


def removed(name: str, content: bytes) -> list[tuple[str, bytes]]:
    return [(name, content)] if name != ERRORS else []


def renumbered(name: str, content: bytes) -> list[tuple[str, bytes]]:
    return [
        (name, content.replace(f"Version: {VERSION}".encode(), b"Version: 0") if name.endswith("METADATA") else content)
    ]


def renamed(name: str, content: bytes) -> list[tuple[str, bytes]]:
    return [(name, content.replace(b"Name: mlops", b"Name: other") if name.endswith("METADATA") else content)]


def test_a_built_wheel_agrees_with_itself(wheel: Path) -> None:
    assert not list(Wheel.read(wheel).disagreements())


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (edited, f"{ERRORS} in it is not what its RECORD says"),
        (added, "mlops_actions/more.py in it is not what its RECORD says"),
        (removed, f"{ERRORS} in it is not what its RECORD says"),
        (renumbered, f"its METADATA has the version 0, and its name {VERSION}"),
        (renamed, "its METADATA has the name other-actions, and its name mlops-actions"),
    ],
)
def test_a_wheel_that_was_changed_says_where(wheel: Path, edit: Change, sentence: str) -> None:
    assert Wheel.of(f"vendor/{wheel.name}", change(wheel, edit)).disagreements().__next__() == sentence


@pytest.mark.parametrize("end", [0, 100, -1])
def test_a_wheel_that_is_cut_short_is_refused(wheel: Path, end: int) -> None:
    with pytest.raises(UserError, match=f"^vendor/{wheel.name} is not a wheel, or not a whole one"):
        Wheel.of(f"vendor/{wheel.name}", wheel.read_bytes()[:end])


@pytest.mark.parametrize("name", ["other-1.0-py3-none-any.whl", "mlops_actions-1.0.whl", "mlops_actions-1.0.zip"])
def test_a_file_of_another_name_is_no_wheel_of_the_engine(wheel: Path, name: str) -> None:
    with pytest.raises(UserError, match="is not called as a wheel of the engine is"):
        Wheel.of(name, wheel.read_bytes())


def test_a_file_twice_in_a_wheel_is_refused(wheel: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = change(wheel, lambda name, text: [(name, text)] * (1 + (name == ERRORS)))
    with pytest.raises(UserError, match="is not a wheel, or not a whole one"):
        Wheel.of(wheel.name, content)


def test_a_wheel_that_unpacks_without_end_is_refused(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_actions.core.wheel.LARGEST", 2**16)
    with pytest.raises(UserError, match="is not a wheel, or not a whole one"):
        Wheel.of(wheel.name, wheel.read_bytes())


def test_a_wheel_is_unpacked_once_for_each_digest(wheel: Path, patched: Path, tmp_path: Path) -> None:
    first, other = (unpack(Wheel.read(path), tmp_path) for path in (wheel, patched))
    assert first != other and (first / ERRORS).read_bytes() != (other / ERRORS).read_bytes()
    (first / ERRORS).write_bytes(b"kept")
    assert (unpack(Wheel.read(wheel), tmp_path) / ERRORS).read_bytes() == b"kept"
