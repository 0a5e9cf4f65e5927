"""Which versions are whole by origin alone, and sending what older ones name: real git, `mlops` in this process."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest
from clones import give_version
from mlops_actions.core.github import BOT
from mlops_actions.registry import store, store_ref
from mlops_actions.registry.tags import annotate
from mlops_actions.registry.versions import Version, message_of
from serving import lives, wait_until
from stores import Project, forge, make_origin, sh, stored
from verbs import Answer, call_verb


class Model(Project):
    """A project whose commits are versions, each with a bundle and a directory of its own."""

    def __init__(self, path: Path, origin: str):
        super().__init__(path, origin)
        (path / "params.yaml").touch()
        (path / "dvc.yaml").write_text("stages: {export: {cmd: a, outs: [models/bundle.zip]}}\n")

    def publish(self, version: str) -> str:
        """Make a version, and return the md5 of its bundle."""
        bundle = self.put("", f"the bundle of {version}".encode())
        out = {"path": "models/bundle.zip", "hash": "md5", "md5": bundle}
        (self.path / "dvc.lock").write_text(json.dumps({"stages": {"export": {"outs": [out]}}}))
        self.put_directory("images", {"same.png": b"same", "own.png": version.encode()})
        self.tag(version)
        return bundle

    def tag(self, version: str) -> None:
        sh("git", "add", "--all", cwd=self.path)
        sh("git", "commit", "--quiet", "--message", version, cwd=self.path)
        give_version(self.path, version)
        sh("git", "push", "--quiet", "origin", f"model@{version}", cwd=self.path)

    def __call__(self, *words: str) -> Answer:
        answer = call_verb(self.path, *words)
        assert "Traceback" not in answer.err
        return answer


@pytest.fixture
def origin(clean_environment: None, tmp_path: Path) -> Path:
    return make_origin(tmp_path / "origin.git")


@pytest.fixture
def clone(origin: Path, tmp_path: Path) -> Callable[[str], Model]:
    return lambda name: Model(tmp_path / name, f"file://{origin}")


@pytest.fixture
def ada(clone: Callable[[str], Model]) -> Model:
    return clone("ada")


COMPARED = "Only bundles' and directory listings' bytes were compared; `mlops doctor --deep` compares all.\n"


def path_of(md5: str) -> str:
    return f"files/md5/{md5[:2]}/{md5[2:]}"


def test_versions_are_whole_by_origin_alone(ada: Model, clone: Callable[[str], Model]) -> None:
    assert ada("doctor") == (0, "There is no version yet.\n", "")
    for version in ("v1.0.0", "v1.1.0"):
        ada.publish(version)
    store.push(ada.path)
    bob = clone("bob")
    for model in (ada, bob):
        done = model("doctor")
        assert (done.code, done.out) == (0, f"v1.1.0  whole: 4 objects\nv1.0.0  whole: 4 objects\n{COMPARED}")
    assert bob.objects == set(), "nothing of it is kept"


@pytest.mark.parametrize("how", [["--depth=1"], ["--no-tags"], ["--depth=1", "--branch=model@v1.0.0"]], ids=" ".join)
def test_a_clone_that_has_less_sees_every_version(ada: Model, origin: Path, tmp_path: Path, how: list[str]) -> None:
    for version in ("v1.0.0", "v1.1.0"):
        ada.publish(version)
    store.push(ada.path)
    sh("git", "push", "--quiet", "origin", "HEAD:main", cwd=ada.path)
    sh("git", "clone", "--quiet", *how, f"file://{origin}", tmp_path / "less")
    done = call_verb(tmp_path / "less", "doctor")
    assert (done.code, done.out) == (0, f"v1.1.0  whole: 4 objects\nv1.0.0  whole: 4 objects\n{COMPARED}"), done.err


@pytest.mark.parametrize(("url", "told"), [("", "git remote add origin URL"), ("file:///nowhere.git", "/nowhere.git")])
def test_without_an_origin_or_its_answer_one_sentence_says_so(ada: Model, url: str, told: str) -> None:
    ada.publish("v1.0.0")
    sh("git", "remote", "remove", "origin", cwd=ada.path)
    if url:
        sh("git", "remote", "add", "origin", url, cwd=ada.path)
    done = ada("doctor")
    assert done.code == 1 and done.out == "" and told in done.err and done.err.count("\n") == 1
    assert sh("git", "tag", cwd=ada.path) == "model@v1.0.0"


@pytest.mark.parametrize("step", ["__post_init__", "refetch", "receive", "damaged"])
def test_killed_anywhere_it_leaves_nothing_that_the_next_one_minds(
    ada: Model, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    ada.publish("v1.0.0")
    store.push(ada.path)
    before = {file: file.read_bytes() for file in ada.path.rglob("*") if file.is_file() and ".git" not in file.parts}
    code = f"""
import os, signal, sys
from mlops_actions import cli
from mlops_actions.registry.store_ref import StoreRef
done = StoreRef.{step}
def last(*words):
    list(done(*words) or ())
    os.kill(os.getpid(), signal.SIGKILL)
StoreRef.{step} = last
sys.argv = ["mlops", "doctor"]
cli.main()
"""
    killed = subprocess.run([sys.executable, "-c", code], cwd=ada.path, capture_output=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    monkeypatch.setattr(store_ref, "_ABANDONED", -1)
    assert ada("doctor").code == 0
    after = {file: file.read_bytes() for file in ada.path.rglob("*") if file.is_file() and ".git" not in file.parts}
    assert after == before


def test_a_message_without_end_is_not_read(ada: Model) -> None:
    ada.publish("v1.0.0")
    store.push(ada.path)
    for tag, size in (("model@v2.0.0", 2**20 + 1), ("model#prod#1", 2**21), ("model@v0.1.0", 2**20 - 1000)):
        bundle = hashlib.md5(b"the bundle of v1.0.0").hexdigest()
        message = message_of(Version(tag.removeprefix("model@"), "HEAD"), "x " * (size // 2), bundle)
        with chdir(ada.path):
            annotate(tag, "HEAD", message, BOT)
        sh("git", "push", "--quiet", "origin", tag, cwd=ada.path)
    done = ada("doctor")
    assert done.out.splitlines()[:-1] == ["v1.0.0  whole: 4 objects", "v0.1.0  whole: 4 objects"]
    assert "model#prod#1, model@v2.0.0: ignored, for its message is longer than any of ours." in done.err


def test_what_is_lacking_or_damaged_is_said_with_what_helps(ada: Model, origin: Path) -> None:
    bundles = {version: ada.publish(version) for version in ("v1.0.0", "v1.1.0", "v1.2.0")}
    store.push(ada.path)
    forge(origin, path_of(bundles["v1.1.0"]), b"other bytes")
    keep = {md5: blob for md5, blob in stored(origin).items() if md5 != bundles["v1.0.0"]}
    rewrite(origin, keep)
    done = ada("doctor")
    assert done.code == 1 and done.out.splitlines() == [
        "v1.2.0  whole: 4 objects",
        "v1.1.0  not whole: models/bundle.zip is damaged in the store",
        "v1.0.0  not whole: models/bundle.zip is not in the store",
        COMPARED.strip(),
        "`mlops push --all` sends what is lacking, on a machine that has it in .dvc/store or DVC's cache.",
        "`mlops push --all --replace` sends what is damaged again, on a machine that has it.",
        "What no machine has: after `git switch --detach model@v1.1.0`, `mlops train --lost` makes results again and "
        "`mlops push --replace` sends them; data is lost.",
    ]
    assert ada("push", "--all", "--replace").code == 0
    assert ada("doctor").code == 0


def rewrite(origin: Path, objects: dict[str, str]) -> None:
    """Let the ref have these objects alone."""
    sh("git", "read-tree", "--empty", cwd=origin)
    lines = "".join(f"100644 {blob}\t{path_of(md5)}\n" for md5, blob in objects.items())
    sh("git", "update-index", "--add", "--index-info", cwd=origin, input=lines)
    commit = sh("git", "commit-tree", "-m", "Less", sh("git", "write-tree", cwd=origin), cwd=origin)
    sh("git", "update-ref", "refs/dvc/store", commit, cwd=origin)


def test_any_object_is_compared_where_that_is_asked_for(ada: Model, origin: Path) -> None:
    ada.publish("v1.0.0")
    store.push(ada.path)
    forge(origin, path_of(hashlib.md5(b"same").hexdigest()), b"other")
    assert ada("doctor").code == 0
    done = ada("doctor", "--deep")
    assert done.code == 1 and "v1.0.0  not whole: images/same.png is damaged in the store\n" in done.out
    assert COMPARED not in done.out


@pytest.mark.parametrize("listing", [b"other", b'[{"md5": "x", "relpath": "../a"}]', None])
def test_a_listing_that_is_none_hides_nothing(ada: Model, origin: Path, listing: bytes | None) -> None:
    ada.publish("v1.0.0")
    if listing is None:  # it is what its name says, and no listing
        ada.put("images", b"[7]", ".dir")
        ada.tag("v1.0.1")
        ada("push", "--all")
    else:
        store.push(ada.path)
        md5 = next(md5 for md5 in stored(origin) if md5.endswith(".dir"))
        forge(origin, path_of(md5), listing)
    done = ada("doctor")
    assert done.code == 1 and "  not whole: images is damaged in the store\n" in done.out


def test_a_version_that_cannot_be_read_stops_no_other(ada: Model) -> None:
    ada.publish("v1.0.0")
    (ada.path / "data.dvc").write_text("<<<<<<< HEAD\na: [")
    sh("git", "add", "--all", cwd=ada.path)
    sh("git", "commit", "--quiet", "--message", "v1.1.0", cwd=ada.path)
    bundle = hashlib.md5(b"the bundle of v1.0.0").hexdigest()
    with chdir(ada.path):
        annotate("model@v1.1.0", "HEAD", message_of(Version("v1.1.0", "HEAD"), "why", bundle), BOT)
    sh("git", "push", "--quiet", "origin", "model@v1.1.0", cwd=ada.path)
    (ada.path / "data.dvc").unlink()
    sent = ada("push", "--all")
    assert sent.code == 1 and "store: v1.1.0: data.dvc at " in sent.err
    second, first, _ = ada("doctor").out.splitlines()
    assert second.startswith("v1.1.0  not whole: data.dvc at ") and "is not valid YAML" in second
    assert first == "v1.0.0  whole: 4 objects"


def test_older_versions_come_back_after_the_ref_was_deleted(
    ada: Model, clone: Callable[[str], Model], origin: Path
) -> None:
    """Of DVC's cache as well as of the store here; what is nowhere is said by version, and stops nothing."""
    bundles = {version: ada.publish(version) for version in ("v1.0.0", "v1.1.0", "v1.2.0")}
    store.push(ada.path)
    sh("git", "update-ref", "-d", "refs/dvc/store", cwd=origin)
    done = ada("doctor")
    assert done.code == 1 and f"\nfile://{origin} has no refs/dvc/store: it has no store, or " in done.out
    assert COMPARED not in done.out and done.out.count(" (and 1 more) is not in the store\n") == 3
    shutil.move(ada.path / ".dvc/store", ada.path / ".dvc/cache")
    assert ada("push").code == 0
    assert bundles["v1.2.0"] in stored(origin) and bundles["v1.0.0"] not in stored(origin)
    (ada.path / ".dvc/cache" / path_of(bundles["v1.0.0"])).unlink()
    done = ada("push", "--all")
    assert done.code == 1
    lost = f"store: v1.0.0: models/bundle.zip is neither on this machine nor in the store on file://{origin}."
    assert lost in done.err.splitlines() and done.err.count("neither") == 1
    assert done.err.endswith("mlops push: the store is not whole: each line above says of what, and what to do.\n")
    assert bundles["v1.1.0"] in stored(origin)
    assert "v1.1.0  whole: 4 objects" in ada("doctor").out

    # Whoever has the rest sends it.
    bob = clone("bob")
    bob.put("", b"the bundle of v1.0.0")
    assert bob("push", "--all").code == 0
    assert bob("doctor").code == 0


def test_members_of_a_directory_whose_listing_is_on_origin_alone_are_sent(
    ada: Model, clone: Callable[[str], Model], origin: Path
) -> None:
    ada.publish("v1.0.0")
    store.push(ada.path)
    member = hashlib.md5(b"v1.0.0").hexdigest()
    rewrite(origin, {md5: blob for md5, blob in stored(origin).items() if md5 != member})
    bob = clone("bob")
    assert "v1.0.0: images/own.png is neither on this machine" in bob("push", "--all").err
    bob.put("", b"v1.0.0")
    assert bob("push", "--all").code == 0
    assert member in stored(origin)


def test_a_listing_that_is_damaged_on_origin_is_told_by_version_and_mended_from_where_it_is(
    ada: Model, clone: Callable[[str], Model], origin: Path
) -> None:
    ada.publish("v1.0.0")
    store.push(ada.path)
    listing = next(md5 for md5 in stored(origin) if md5.endswith(".dir"))
    member = hashlib.md5(b"v1.0.0").hexdigest()
    rewrite(origin, {md5: blob for md5, blob in stored(origin).items() if md5 != member})
    forge(origin, path_of(listing), b"other")
    bob = clone("bob")
    refused = f"store: v1.0.0: images is damaged in the store on file://{origin}, so it was not taken: "
    assert f"{refused}run `mlops push --all --replace` where the good data is.\n" in bob("push", "--all").err
    assert "so it was not replaced" in bob("push", "--all", "--replace").err
    assert ada("push", "--all", "--replace").code == 0 and ada("doctor").code == 0


def test_what_is_damaged_or_too_large_here_stops_no_other(
    ada: Model, origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundles = {version: ada.publish(version) for version in ("v1.0.0", "v1.1.0", "v1.2.0")}
    ada.object(bundles["v1.0.0"]).write_bytes(b"half")
    ada.object(bundles["v1.1.0"]).write_bytes(bytes(1000))
    monkeypatch.setattr(store, "MAX_FILE", 999)
    done = ada("push", "--all")
    assert done.code == 1
    assert f"{path_of(bundles['v1.0.0'])} (of models/bundle.zip of v1.0.0) is damaged: delete it" in done.err
    assert [version for version, md5 in bundles.items() if md5 in stored(origin)] == ["v1.2.0"]


def test_another_remote_is_said_to_be_another(ada: Model) -> None:
    (ada.path / ".dvc/config.local").write_text("[core]\n    remote = s\n['remote \"s\"']\n    url = s3://b/p\n")
    for words, advice in ((["doctor"], "dvc status --cloud"), (["push", "--all"], "dvc push --all-tags")):
        done = ada(*words)
        assert done.code == 1 and advice in done.err and done.err.count("\n") == 1


# `push --all`: many at once, and killed


def start(root: Path, code: str) -> subprocess.Popen[str]:
    """Return a process of `mlops push --all` in a project, before which `code` runs, with `root` at hand."""
    lines = ["import sys", "from pathlib import Path", f"root = Path({str(root)!r})", code]
    lines += ["from mlops_actions import cli", "sys.argv = ['mlops', 'push', '--all']", "sys.exit(cli.main())"]
    command = [sys.executable, "-c", "\n".join(lines)]
    return subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True, start_new_session=True)


def test_two_that_send_the_older_versions_at_once_end_in_the_union(
    ada: Model, clone: Callable[[str], Model], origin: Path, tmp_path: Path
) -> None:
    """Each has what the other lacks, and both meet in the ref that each of them saw empty."""
    bundles = [ada.publish(version) for version in ("v1.0.0", "v1.1.0", "v1.2.0")]
    bob = clone("bob")
    shutil.copytree(ada.path / ".dvc/store", bob.path / ".dvc/store")
    ada.object(bundles[0]).unlink()
    bob.object(bundles[1]).unlink()
    wait = """
import time
from mlops_actions.registry.store_ref import StoreRef
add = StoreRef.add
def add_once_both_are_here(ref, objects):
    Path(root, "ready").touch()
    while not Path(root.parent, "go").exists():
        time.sleep(0.01)
    return add(ref, objects)
StoreRef.add = add_once_both_are_here
"""
    pushers = [start(model.path, wait) for model in (ada, bob)]
    while not all((model.path / "ready").exists() for model in (ada, bob)):
        assert not any(pusher.poll() for pusher in pushers)
        time.sleep(0.01)
    (tmp_path / "go").touch()
    for pusher in pushers:
        pusher.communicate(timeout=60)
    assert set(stored(origin)) == ada.objects | bob.objects
    sh("git", "fsck", "--strict", cwd=origin)
    assert ada("doctor").code == 0 and ada("push", "--all").code == 0


def test_killed_anywhere_and_run_again_it_ends_as_if_it_never_was(ada: Model, origin: Path) -> None:
    """While git sends: its process outlives the killed one, and may or may not reach the ref."""
    bundles = [ada.publish(f"v1.{number}.0") for number in range(5)]
    for sent in range(5):
        # Parts of one object; the run dies when git has begun to send one more.
        code = f"""
import os, signal
from mlops_actions.core import git
from mlops_actions.registry import store
store.MAX_PUSH = 1
start, left = git.start, [{sent}]
def last(*words, **options):
    process = start(*words, **options)
    if words[0] == "push":
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return process
git.start = last
"""
        killed = start(ada.path, code)
        killed.communicate(timeout=60)
        assert killed.returncode == -signal.SIGKILL
        wait_until(lambda: not lives(killed.pid))  # noqa: B023
        sh("git", "fsck", "--strict", cwd=origin)
    assert ada("push", "--all").code == 0
    assert set(stored(origin)) == ada.objects > set(bundles)
    assert ada("doctor", "--deep").code == 0
