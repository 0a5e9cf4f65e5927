"""What was trained passes to the job that publishes as data: a good artifact is taken, any other one refused whole."""

import io
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlops_actions
import pytest
import ruamel.yaml
import yaml
from clones import git
from mlops_actions.core.errors import UserError
from mlops_actions.registry import store
from mlops_actions.registry.handover import MAX_RECORD, take_handover, write_handover
from runs import CONFIG, MANIFEST, RECORD, Files, Trained, make_trained, md5, place


def kept() -> Files:
    """The objects in the working directory's cache, by their digests."""
    files = Path(".dvc/cache/files/md5").glob("??/*")
    return {file.parent.name + file.name: file.read_bytes() for file in files}


def pack(files: Files | list[tuple[str | zipfile.ZipInfo, bytes]], target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, content)
    return target


def written(folder: Path) -> Files:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_what_was_trained_arrives_as_it_was(unpublished: Path, trained: Trained, tmp_path: Path) -> None:
    place(trained)
    write_handover(Path("trained"))
    assert written(Path("trained")) == trained.files()
    artifact = pack(written(Path("trained")), tmp_path / "artifact.zip")

    git("clone", "--quiet", tmp_path / "origin.git", tmp_path / "runner")
    os.chdir(tmp_path / "runner")
    for _ in range(2):  # again, it changes nothing
        take_handover(artifact)
        assert kept() == trained.objects
        assert {name: Path(name).read_bytes() for name in RECORD} == trained.record
    assert git("status", "--porcelain").split() == ["??", "data/", "??", "dvc.lock", "??", "metrics.json"]
    modes = {stat.S_IMODE(file.stat().st_mode) for file in Path(".dvc/cache/files/md5").glob("??/*")}
    assert modes == {0o444}, "as DVC keeps what nobody may edit"
    assert store.push() == len(trained.objects)


def test_only_what_the_store_lacks_is_handed_over_and_missed(
    unpublished: Path, trained: Trained, tmp_path: Path
) -> None:
    place(trained)
    store.push()
    write_handover(Path("trained"))
    assert written(Path("trained")) == trained.record
    new = trained.keep("export", "models/x.bin", b"another")
    place(trained)
    write_handover(Path("trained"))
    assert written(Path("trained")) == trained.record | {f"objects/{new[:2]}/{new[2:]}": b"another"}
    artifact = pack(written(Path("trained")), tmp_path / "artifact.zip")
    git("clone", "--quiet", tmp_path / "origin.git", tmp_path / "runner")
    os.chdir(tmp_path / "runner")
    take_handover(artifact)
    assert kept() == {new: b"another"}


@pytest.mark.parametrize("folder", [".", "data", "mine"])
def test_a_folder_of_something_else_is_not_replaced(unpublished: Path, trained: Trained, folder: str) -> None:
    place(trained)
    Path("mine/data").mkdir(parents=True)
    Path("mine/data/rows.csv").touch()
    before = written(Path())
    with pytest.raises(UserError, match=r" would be replaced: name a folder that is new or empty\.$"):
        write_handover(Path(folder))
    assert written(Path()) == before


def test_what_is_nowhere_is_not_handed_over(unpublished: Path, trained: Trained) -> None:
    with pytest.raises(UserError, match=r"there is no dvc\.lock: run `mlops train` first\."):
        write_handover(Path("trained"))
    place(trained)
    shutil.rmtree(".dvc/cache/files/md5")
    with pytest.raises(UserError, match="data/history is neither on this machine nor in the DVC remote"):
        write_handover(Path("trained"))
    assert not Path("trained").exists()


def test_a_remote_that_only_dvc_reaches_is_asked_as_well(unpublished: Path, trained: Trained, tmp_path: Path) -> None:
    Path(".dvc/config").write_text(CONFIG.format(url=tmp_path / "bucket"))
    Path("data.csv").write_text("a,b\n")
    for content in (b"three", b"one"):
        there = tmp_path / "bucket/files/md5" / md5(content)[:2] / md5(content)[2:]
        there.parent.mkdir(parents=True)
        there.write_bytes(content)
    place(trained)
    write_handover(Path("trained"))
    absent = {f"objects/{md5(content)[:2]}/{md5(content)[2:]}" for content in (b"three", b"one")}
    assert written(Path("trained")) == {name: of for name, of in trained.files().items() if name not in absent}
    shutil.rmtree(".dvc/cache/files")
    take_handover(pack(written(Path("trained")), tmp_path / "artifact.zip"))
    assert set(kept().values()) == set(trained.objects.values()) - {b"three", b"one"}


# Artifacts that nobody should believe


def replaced(name: str, content: bytes) -> Callable[[Trained, Path], Files]:
    return lambda trained, _: trained.files() | {name: content}


def without(name: str) -> Callable[[Trained, Path], Files]:
    return lambda trained, _: {path: content for path, content in trained.files().items() if path != name}


def edited(edit: Callable[[Trained], object]) -> Callable[[Trained, Path], Files]:
    def make(trained: Trained, _: Path) -> Files:
        edit(trained)
        return trained.files()

    return make


def in_stage(name: str, **content: Any) -> Callable[[Trained, Path], Files]:
    return edited(lambda trained: trained.lock["stages"].update({name: content}))


def by_manifest(**changes: Any) -> Callable[[Trained, Path], Files]:
    return lambda _, tmp_path: make_trained(tmp_path / "other.zip", MANIFEST | changes).files()


def other_bytes(trained: Trained, _: Path) -> Files:
    files = trained.files()
    (name,) = [name for name, content in files.items() if content == b"three"]
    return files | {name: b"THREE"}


def linked(trained: Trained, _: Path) -> list[tuple[str | zipfile.ZipInfo, bytes]]:
    """An object that claims to be a symbolic link, whose bytes are where it leads to."""
    files = trained.files()
    (name,) = [name for name, content in files.items() if content == b"three"]
    link = zipfile.ZipInfo(name)
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    return [*((path, content) for path, content in files.items() if path != name), (link, b"/etc/passwd")]


def twice(trained: Trained, _: Path) -> list[tuple[str | zipfile.ZipInfo, bytes]]:
    return [*trained.files().items(), ("dvc.lock", b"")]


def packed_otherwise(trained: Trained, _: Path) -> list[tuple[str | zipfile.ZipInfo, bytes]]:
    info = zipfile.ZipInfo("metrics.json")
    info.compress_type = zipfile.ZIP_LZMA
    return [*without("metrics.json")(trained, _).items(), (info, trained.record["metrics.json"])]


HOSTILE: dict[str, tuple[Callable[[Trained, Path], Any], str]] = {
    "a path that leads out": (replaced("../../.git/config", b""), "it has '../../.git/config', which its dvc.lock"),
    "an absolute path": (replaced("/etc/passwd", b""), "it has '/etc/passwd', which its dvc.lock does not name"),
    "a path that leads out of the objects": (replaced("objects/../../x", b""), "it has 'objects/../../x', which"),
    "another file of the project": (replaced("src/churn/features.py", b""), "it has 'src/churn/features.py', which"),
    "an object that nothing names": (replaced(f"objects/{'a' * 2}/{'a' * 30}", b""), f"it has 'objects/aa/{'a' * 30}'"),
    "a name with a command": (replaced("x\n::set-output name=image::evil", b""), r"it has 'x\\n::set-output name=ima"),
    "a name with an old command": (replaced("##[set-output name=image;]evil", b""), r"it has '## \[set-output name="),
    "an object with other bytes": (other_bytes, "the bytes of 'models/x.bin' are not those that its dvc.lock names"),
    "an object that is a link": (linked, "the bytes of 'models/x.bin' are not those that its dvc.lock names"),
    "two files of one name": (twice, "it has two files of one name"),
    "another way of packing": (packed_otherwise, "'metrics.json' in it is packed by another method than artifacts are"),
    "no lock": (without("dvc.lock"), "it has no dvc.lock"),
    "no metrics": (without("metrics.json"), "it has no metrics.json"),
    "a lock that is too large": (replaced("dvc.lock", b"#" * (MAX_RECORD + 1)), "its dvc.lock has more than 4,194,304"),
    "a lock that is no YAML": (replaced("dvc.lock", b"a: [b"), "its dvc.lock cannot be read, it is not YAML"),
    "a lock that would load code": (replaced("dvc.lock", b"!!python/object/apply:os.getcwd []"), "cannot be read"),
    "a deep lock": (replaced("dvc.lock", b"[" * 500), "its dvc.lock cannot be read, it is not YAML"),
    "a lock that is a list": (replaced("dvc.lock", b"[1]"), "its dvc.lock has no stages"),
    "an empty lock": (replaced("dvc.lock", b""), "its metrics.json is not what its dvc.lock names"),
    "stages in a list": (replaced("dvc.lock", b"stages: [1]"), "its dvc.lock has no stages"),
    "a stage of its own": (
        edited(lambda trained: trained.keep("evil", "models/evil.bin", b"x")),
        "its dvc.lock has the stage 'evil', and dvc.yaml has not",
    ),
    "a stage with a command in its name": (
        in_stage("export@a\n::set-output::", cmd="x"),
        r"its dvc.lock has the stage 'export@a\\n::set-output::', and dvc.yaml has not",
    ),
    "a file that its stage does not make": (
        edited(lambda trained: trained.keep("export", "src/churn/features.py", b"x")),
        "its dvc.lock names 'src/churn/features.py', which the stage 'export' does not make",
    ),
    "another stage's file": (
        edited(lambda trained: trained.keep("export", "data/history", b"x")),
        "its dvc.lock names 'data/history', which the stage 'export' does not make",
    ),
    "a way out where the pipeline has a variable": (
        edited(lambda trained: trained.keep("export", "models/../../../evil.bin", b"x")),
        r"its dvc.lock names 'models/\.\./\.\./\.\./evil\.bin', which the stage 'export' does not make",
    ),
    "no digest": (
        in_stage("export", cmd="x", outs=[{"path": "models/bundle.zip", "hash": "md5", "md5": "../../x"}]),
        "its dvc.lock has no digest of 'models/bundle.zip'",
    ),
    "another kind of digest": (
        in_stage("export", cmd="x", outs=[{"path": "models/bundle.zip", "md5": "a" * 32}]),
        "its dvc.lock has no digest of 'models/bundle.zip'",
    ),
    "no command": (in_stage("export", outs=[]), "its dvc.lock does not say what the stage 'export' ran"),
    "a stage that is text": (
        edited(lambda trained: trained.lock["stages"].update(export="x")),
        "its dvc.lock does not say what the stage 'export' ran",
    ),
    "outs that are text": (in_stage("export", cmd="x", outs="abc"), "its dvc.lock names no files as outs of the stage"),
    "deps without paths": (in_stage("export", cmd="x", deps=[{"md5": "x"}]), "names no files as deps of the stage"),
    "a path with a command": (
        in_stage("export", cmd="x", outs=[{"path": "models/\r::stop-commands::x.bin"}]),
        "its dvc.lock names no files as outs of the stage 'export'",
    ),
    "a member that leads out": (
        edited(lambda trained: trained.list_members([{"md5": md5(b"one"), "relpath": "../../.git/hooks/pre-push"}])),
        "is not the listing of a directory",
    ),
    "a member that is absolute": (
        edited(lambda trained: trained.list_members([{"md5": md5(b"one"), "relpath": "/etc/passwd"}])),
        "is not the listing of a directory",
    ),
    "a deep listing": (
        edited(lambda trained: trained.keep("history", "data/history", b"[" * 100_000, ".dir")),
        "is not the listing of a directory",
    ),
    "a member that is nowhere": (
        edited(lambda trained: trained.fill({"2028.parquet": b"four"}) or trained.objects.pop(md5(b"four"))),
        "it lacks 'data/history/2028.parquet', which the DVC remote lacks as well",
    ),
    "an object that is nowhere": (
        edited(lambda trained: trained.objects.pop(trained.keep("export", "models/x.bin", b"four"))),
        "it lacks 'models/x.bin', which the DVC remote lacks as well",
    ),
    "metrics that are not the lock's": (
        replaced("metrics.json", b'{"roc_auc": 1.0}'),
        "its metrics.json is not what its dvc.lock names",
    ),
    "a summary that is not the lock's": (replaced("data/summary.json", b"{}"), "its data/summary.json is not what its"),
    "metrics that are no numbers": (
        edited(lambda trained: setattr(trained, "metrics", {"roc_auc": "![](http://evil)"})),
        "metrics.json must hold a finite number for each metric",
    ),
    "metrics that are not finite": (
        edited(lambda trained: setattr(trained, "metrics", b'{"roc_auc": NaN}')),
        "metrics.json must hold a finite number for each metric",
    ),
    "deep metrics": (
        edited(lambda trained: setattr(trained, "metrics", b"[" * 100_000)),
        "metrics.json must hold a finite number for each metric",
    ),
    "a summary without rows": (
        edited(lambda trained: setattr(trained, "summary", {"rows": "many"})),
        "data/summary.json must hold how many rows there are",
    ),
    "a bundle that is none": (
        edited(lambda trained: trained.keep("export", "models/bundle.zip", b"no zip")),
        "not a model bundle",
    ),
    "a bundle that says nothing of its model": (by_manifest(task=None), "it lacks what a model card says"),
    "a bundle with classes of another type": (by_manifest(classes=[["x"]]), "its manifest's classes is"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("make", "sentence"), HOSTILE.values(), ids=HOSTILE)
def test_an_artifact_that_is_anything_else_is_refused_in_a_sentence_and_nothing_of_it_is_taken(
    unpublished: Path, trained: Trained, tmp_path: Path, make: Callable[[Trained, Path], Any], sentence: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    artifact = pack(make(trained, tmp_path), tmp_path / "artifact.zip")
    with pytest.raises(UserError, match=sentence) as refused:
        take_handover(artifact)
    said = str(refused.value)
    assert said.startswith("the artifact `trained` of the job that trained is refused: ")
    assert said.endswith("; nothing of it was taken.") and said.isprintable() and "##[" not in said
    assert kept() == {} and git("status", "--porcelain") == "" and list(Path(".dvc/tmp").iterdir()) == []
    after = {path for path in tmp_path.rglob("*") if path.name not in ("artifact.zip", "other.zip", "tmp")}
    assert after == set(before), "nothing was written elsewhere"


@pytest.mark.parametrize("damage", [lambda packed: packed[:-40], lambda packed: b"", lambda packed: packed[:99] * 9])
def test_what_is_no_whole_zip_file_is_refused(
    unpublished: Path, trained: Trained, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    artifact = pack(trained.files(), tmp_path / "artifact.zip")
    artifact.write_bytes(damage(artifact.read_bytes()))
    with pytest.raises(UserError, match="it is no whole zip file"):
        take_handover(artifact)
    assert kept() == {}


def test_a_zip_file_that_lists_files_without_end_is_refused_before_the_list_is_read(
    unpublished: Path, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlops_actions.core.files.LISTING", 2**16)
    many = trained.files() | {f"objects/00/{number:030x}": b"" for number in range(999)}
    monkeypatch.setattr(zipfile.ZipInfo, "_decodeExtra", lambda *_: pytest.fail("the list was read"))
    with pytest.raises(UserError, match=r"is refused: it is no whole zip file .its list of files has 8.,... bytes"):
        take_handover(pack(many, tmp_path / "artifact.zip"))
    assert kept() == {}


def test_a_damaged_file_in_a_zip_file_is_refused(unpublished: Path, trained: Trained, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in trained.files().items():
            archive.writestr(name, content)
    artifact = tmp_path / "artifact.zip"
    artifact.write_bytes(packed.getvalue().replace(b"three", b"THREE"))
    with pytest.raises(UserError, match="it is no whole zip file .*Bad CRC"):
        take_handover(artifact)
    assert kept() == {}


def test_what_dvc_left_of_a_stage_that_is_gone_is_fine_as_the_commit_has_it(
    unpublished: Path, trained: Trained, tmp_path: Path
) -> None:
    trained.lock["stages"]["gone"] = {"cmd": "old", "outs": [{"path": "old", "hash": "md5", "md5": md5(b"three")}]}
    artifact = pack(trained.files(), tmp_path / "artifact.zip")
    with pytest.raises(UserError, match="its dvc.lock has the stage 'gone'"):
        take_handover(artifact)
    (unpublished / "dvc.lock").write_bytes(
        yaml.safe_dump({"stages": {"gone": trained.lock["stages"]["gone"]}}).encode()
    )
    git("add", "dvc.lock")
    git("commit", "--quiet", "--message", "An older pipeline")
    take_handover(artifact)
    assert kept() == trained.objects


# Publishing needs git, gh and one library


def test_what_publishes_imports_one_library_besides_pythons_own(
    unpublished: Path, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "ruamel").symlink_to(Path(ruamel.yaml.__file__).parents[1])
    gh = tmp_path / "bin/gh"
    gh.parent.mkdir()
    gh.write_text("#!/bin/sh\necho '[[]]'\n")  # there are no releases
    gh.chmod(0o755)
    monkeypatch.setenv("PATH", str(gh.parent), prepend=os.pathsep)
    monkeypatch.setenv("GITHUB_REPOSITORY", "acme/churn")
    monkeypatch.setenv("GITHUB_TOKEN", "none")
    monkeypatch.setenv("PYTHONPATH", f"{Path(mlops_actions.__file__).parents[1]}{os.pathsep}{folder}")
    artifact = pack(trained.files(), tmp_path / "artifact.zip")

    def mlops(*words: str | Path) -> str:
        done = subprocess.run(
            [sys.executable, "-S", "-P", "-m", "mlops_actions", *map(str, words)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "Took the record of the run that trained, and 5 objects" in mlops("handover", "take", artifact)
    mlops("push")
    assert "v1.0.0 is registered as model@v1.0.0." in mlops("version")
    mlops("release", "--prepare", "dist")
    card = Path("dist/MODEL_CARD.md").read_text()
    assert "| classes | `no`, `yes` |" in card and "| `roc_auc` | 0.9 |" in card and "Libraries: `numpy 2.4.6`." in card
    assert git("ls-remote", "origin", "refs/tags/model@v1.0.0") and git("ls-remote", "origin", "refs/dvc/store")
    assert {name: git("show", f"model@v1.0.0:{name}").encode() for name in RECORD} == {
        name: content.rstrip() for name, content in trained.record.items()
    }
