"""A pipeline's output is found by what dvc.lock names: here, in the store, or by DVC in another remote."""

import shutil
from pathlib import Path

import pytest
from clones import git
from mlops_actions.core.errors import UserError
from mlops_actions.registry import store
from mlops_actions.registry.dvc_repo import readable_errors
from mlops_actions.registry.objects import CACHE, drop_damaged
from mlops_actions.registry.objects import place as place_of
from mlops_actions.registry.outputs import fetch_outputs, locked, output_file, place_output, place_recorded
from runs import CONFIG, Trained, make_trained, md5, place

BINARY = "models/x.bin"


@pytest.fixture
def trained(tmp_path: Path) -> Trained:
    return make_trained(tmp_path / "bundle.zip")


@pytest.fixture
def recorded(unpublished: Path, trained: Trained) -> str:
    """The commit that records what was trained, whose objects are in the store on origin and not here."""
    place(trained)
    git("add", "--all")
    git("commit", "--quiet", "--message", "Trained")
    store.push()
    shutil.rmtree(CACHE)
    return git("rev-parse", "HEAD")


def test_an_output_comes_from_the_store_of_any_revision(recorded: str, trained: Trained) -> None:
    assert locked(BINARY) == locked(BINARY, recorded) == md5(b"three")
    trained.keep("export", BINARY, b"another")
    place(trained)
    assert output_file(BINARY).read_bytes() == b"another"
    assert output_file(BINARY, recorded).read_bytes() == b"three"
    Path("models").mkdir()
    Path(BINARY).write_bytes(b"edited")
    assert output_file(BINARY) == Path(BINARY), "what is there counts, whatever it is"
    assert output_file(BINARY, recorded).read_bytes() == b"three"


def test_a_folder_is_placed_with_its_members(recorded: str, tmp_path: Path) -> None:
    place_output("data/history", recorded, tmp_path / "home")
    there = tmp_path / "home/data/history"
    assert (there / "2026.parquet").read_bytes() == b"one"
    assert (there / "more/2027.parquet").read_bytes() == b"two"


def test_what_is_recorded_takes_the_place_of_what_lies_there(recorded: str, capsys: pytest.CaptureFixture[str]) -> None:
    for content in (None, b"edited"):
        if content:
            Path(BINARY).write_bytes(content)
        Path("models").mkdir(exist_ok=True)
        place_recorded(Path(BINARY))
        assert Path(BINARY).read_bytes() == b"three"
        assert f"{BINARY} is now what dvc.lock records." in capsys.readouterr().err
    place_recorded(Path(BINARY))
    assert "is now" not in capsys.readouterr().err, "it is so already"
    Path("own.zip").write_bytes(b"mine")
    place_recorded(Path("own.zip"))
    place_recorded(Path("../elsewhere.zip"))
    assert Path("own.zip").read_bytes() == b"mine" and not Path("../elsewhere.zip").exists()


def test_several_are_fetched_at_once_and_what_is_here_is_not(recorded: str) -> None:
    fetch_outputs((BINARY, None), ("models/bundle.zip", recorded))
    assert place_of(store.STORE, md5(b"three")).exists()
    with pytest.raises(UserError, match=r"^dvc\.lock has no models/other\.zip: run `mlops train` first\.$"):
        fetch_outputs(("models/other.zip", None))
    with pytest.raises(UserError, match=f"^{recorded} has no models/other"):
        output_file("models/other.zip", recorded)


def test_where_the_remote_is_another_one_dvc_fetches(recorded: str, tmp_path: Path) -> None:
    shutil.rmtree(".dvc/store", ignore_errors=True)
    bucket = tmp_path / "bucket/files/md5"
    for content in (b"three", b"one", b"two"):
        place_of(bucket, md5(content)).parent.mkdir(parents=True)
        place_of(bucket, md5(content)).write_bytes(content)
    Path(".dvc/config").write_text(CONFIG.format(url=tmp_path / "bucket"))
    git("commit", "--quiet", "--all", "--message", "Another remote")
    assert output_file(BINARY, "HEAD").read_bytes() == b"three"
    for rev in ("HEAD", None):
        with pytest.raises(UserError, match="bundle.zip is neither on this machine nor in the DVC remote|^DVC: "):
            output_file("models/bundle.zip", rev)


def test_an_output_that_is_damaged_here_is_fetched_again(recorded: str, trained: Trained) -> None:
    place(trained)
    place_of(CACHE, md5(b"three")).write_bytes(b"half")
    assert output_file(BINARY, recorded).read_bytes() == b"three"


def test_a_damaged_object_is_deleted_with_a_word(
    unpublished: Path, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    place(trained)
    listing = trained.lock["stages"]["history"]["outs"][0]["md5"]
    place_of(CACHE, md5(b"one")).write_bytes(b"half")
    drop_damaged({listing: "data/history", md5(b"three"): BINARY})
    assert capsys.readouterr().err.count("was damaged (data/history/2026.parquet), so it is deleted.") == 1
    assert not place_of(CACHE, md5(b"one")).exists() and place_of(CACHE, md5(b"three")).exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stages: {a: {cmd: x, color: red}}\n", "holds what DVC does not know"),
        ("stages: [\n", "cannot be read as YAML"),
        ("<<<<<<< HEAD\nstages: {}\n=======\nstages: {a: {}}\n>>>>>>> b\n", "has the marks of a merge"),
    ],
)
def test_what_dvc_complains_of_is_one_sentence(unpublished: Path, text: str, said: str) -> None:
    from dvc.repo import Repo

    Path("dvc.yaml").write_text(text)
    with (
        pytest.raises(UserError, match=rf"^dvc\.yaml {said}.*: `git restore dvc\.yaml` brings it back"),
        readable_errors(),
    ):
        list(Repo().index.stages)


def test_a_dvc_configuration_that_is_none_is_named(unpublished: Path) -> None:
    Path(".dvc/config").write_text("no section")
    with pytest.raises(UserError, match=r"^\.dvc/config is not a DVC configuration: restore it with"):
        store.uses_store()
