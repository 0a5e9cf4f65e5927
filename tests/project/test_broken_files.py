"""A file of the project that was broken by hand is named in one sentence by every verb that reads it."""

from pathlib import Path

import pytest
from baked import Project
from verbs import Answer, call_verb

BROKEN = {
    "not closed": b"a: [1\nb: }\n",
    "no text": b"\xff\xfe\x00",
    "a list": b"- 1\n",
    "stages that are none": b"stages: 5\nouts: 5\n",
}
FILES = (
    "dvc.yaml",
    "dvc.lock",
    "pyproject.toml",
    "params.yaml",
    "schema.yaml",
    ".dvc/config",
    "data/raw/dataset.csv.dvc",
)
VERBS = (("checkout",), ("pull",), ("push",), ("params",), ("stage", "recipes"), ("stage", "prepare"))


@pytest.fixture(scope="module")
def copied(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return project.copy(tmp_path_factory.mktemp("broken") / "project")


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("file", FILES)
def test_a_broken_file_is_one_sentence(copied: Project, file: str, kind: str) -> None:
    path = copied.path / file
    honest = path.read_bytes() if path.exists() else None
    path.write_bytes(BROKEN[kind])
    try:
        said = {" ".join(words): call_verb(copied.path, *words) for words in VERBS}
    finally:
        path.unlink() if honest is None else path.write_bytes(honest)
    assert_sentences(said)
    if kind == "not closed":
        assert any(answer.code and Path(file).name in answer.err for answer in said.values()), said


def test_lists_in_lists_without_end_are_one_sentence(copied: Project) -> None:
    """Of one file and verb alone: DVC takes long to give up."""
    honest = copied.read("dvc.yaml")
    copied.write("dvc.yaml", "[" * 1000)
    try:
        said = call_verb(copied.path, "checkout")
    finally:
        copied.write("dvc.yaml", honest)
    assert_sentences({"checkout": said})
    assert "has lists in lists without end: `git status` shows which one was changed" in said.err


def assert_sentences(said: dict[str, Answer]) -> None:
    """Whatever fails says so in one line of its own."""
    for verb, (code, _, err) in said.items():
        own = [line for line in err.splitlines() if line.startswith("mlops ")]
        assert len(own) == bool(code) and "Traceback" not in err, (verb, code, err)
