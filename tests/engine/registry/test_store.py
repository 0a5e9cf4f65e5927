"""The zero-cloud store: real git, real DVC, real processes; HTTP on loopback."""

import base64
import hashlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import chdir, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from dvc.cli import main as dvc_main
from mlops_actions.core import git
from mlops_actions.core.errors import UserError
from mlops_actions.registry import store, store_ref
from mlops_actions.registry.objects import drop_damaged, find
from stores import DVC_CONFIG, Project, forge, make_origin, sh, stored


def refuses(words: str):
    """`with refuses("words")`: a UserError of one plain sentence that has these words."""
    return pytest.raises(UserError, match=words)


@pytest.fixture(autouse=True)
def quiet(clean_environment, monkeypatch):
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")


def dvc(*words: str, cwd: Path) -> None:
    assert dvc_main(["--cd", str(cwd), *words]) == 0


@pytest.fixture
def origin(tmp_path) -> Path:
    return make_origin(tmp_path / "origin.git")


@pytest.fixture
def project(tmp_path, origin):
    """`project("name")` is a new clone of origin; `origin=` gives it another one."""
    return lambda name, origin=origin: Project(
        tmp_path / name, origin if isinstance(origin, str) else f"file://{origin}"
    )


def run_store(code: str, root: Path) -> subprocess.Popen:
    """A process of its own that runs `code` with `store` and `root` at hand."""
    lines = [
        "from pathlib import Path; from mlops_actions.registry import store",
        f"root = Path({str(root)!r})",
        code,
    ]
    return subprocess.Popen([sys.executable, "-c", "\n".join(lines)], stderr=subprocess.PIPE, text=True)


# Round trip


def test_data_added_with_dvc_reaches_a_fresh_clone(tmp_path, origin, capsys):
    ada = tmp_path / "ada"
    sh("git", "init", "-q", ada)
    dvc("init", "-q", cwd=ada)
    dvc("remote", "add", "-q", "-d", "store", ".dvc/store", cwd=ada)
    (ada / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n/store\n")
    (ada / "rows.csv").write_bytes(random.Random(0).randbytes(300_000))
    (ada / "images").mkdir()
    for number in range(3):
        (ada / f"images/{number}.png").write_bytes(bytes([number]) * 1000)
    dvc("add", "-q", "rows.csv", "images", cwd=ada)
    dvc("push", "-q", cwd=ada)
    sh("git", "add", "-A", cwd=ada)
    sh("git", "commit", "-qm", "Data", cwd=ada)
    sh("git", "remote", "add", "origin", f"file://{origin}", cwd=ada)
    sh("git", "push", "-q", "origin", "main", cwd=ada)
    assert store.push(ada) == 5
    assert "store: pushed 5 objects, 303.2 kB" in capsys.readouterr().err
    assert store.push(ada) == 0

    bob = tmp_path / "bob"
    sh("git", "clone", "-q", f"file://{origin}", bob)
    size = sum(file.stat().st_size for file in (bob / ".git/objects").rglob("*") if file.is_file())
    assert size < 10_000, "a plain clone must not carry the store"
    store.fetch(store.wanted(bob), bob)
    dvc("pull", "-q", cwd=bob)
    assert (bob / "rows.csv").read_bytes() == (ada / "rows.csv").read_bytes()
    assert {file.name for file in (bob / "images").iterdir()} == {"0.png", "1.png", "2.png"}
    assert not list((bob / ".dvc/tmp").glob("store-*"))


def test_only_the_blobs_that_are_wanted_travel(project, origin, monkeypatch, tmp_path):
    ada, bob = project("ada"), project("bob")
    names = {ada.put(f"{number}.bin", bytes([number]) * 5000): f"{number}.bin" for number in range(20)}
    store.push(ada.path)
    md5 = next(iter(names))

    seen = []
    take = store_ref.StoreRef.take

    def take_and_look(bare, objects):
        damaged = take(bare, objects)
        seen.append(bare._git("cat-file", "--batch-all-objects", "--batch-check").splitlines())
        return damaged

    monkeypatch.setattr(store_ref.StoreRef, "take", take_and_look)
    store.fetch({md5: names[md5]}, bob.path)
    assert bob.objects == {md5}
    assert [line.split()[0] for line in seen[0] if " blob " in line] == [stored(origin)[md5]]

    # Nor does a later push need the others' blobs.
    monkeypatch.setenv("GIT_TRACE_PACKET", str(tmp_path / "packets"))
    bob.put("new.bin", b"new")
    assert store.push(bob.path) == 1
    wants = [line for line in (tmp_path / "packets").read_text().splitlines() if "fetch> want " in line]
    assert len(wants) == 1
    assert len(stored(origin)) == 21


def test_a_directory_brings_its_members(project):
    ada, bob = project("ada"), project("bob")
    md5 = ada.put_directory("images", {"a.png": b"a", "b/c.png": b"c"})
    store.push(ada.path)
    store.fetch({md5: "images"}, bob.path)
    assert bob.objects == ada.objects

    # The listing may be in DVC's cache already while a member is not.
    cache = bob.path / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    cache.parent.mkdir(parents=True)
    bob.object(md5).rename(cache)
    bob.object(hashlib.md5(b"c").hexdigest()).unlink()
    store.fetch({md5: "images"}, bob.path)
    assert bob.objects == ada.objects - {md5}


def test_what_is_here_already_asks_no_remote(project):
    ada = project("ada", "http://127.0.0.1:9/nowhere.git")
    objects = {ada.put("a.bin", b"a"): "a.bin"}
    store.fetch(objects, ada.path)


def test_a_fork_and_upstream_serve_too(project, tmp_path):
    upstream, fork = make_origin(tmp_path / "upstream.git"), make_origin(tmp_path / "fork.git")
    ada, eve, bob = project("ada", upstream), project("eve", fork), project("bob")
    objects = {ada.put("a.bin", b"a"): "a.bin"}
    store.push(ada.path)
    more = objects | {eve.put("e.bin", b"e"): "e.bin"}
    store.push(eve.path)
    sh("git", "remote", "add", "upstream", f"file://{upstream}", cwd=bob.path)
    with refuses("^e.bin is not in the store of origin or upstream"):
        store.fetch(more, bob.path)
    store.fetch(more, bob.path, sources=("origin", f"file://{fork}"))
    assert bob.objects == set(more)


def test_a_server_that_cannot_filter_serves_too(project, origin):
    sh("git", "config", "uploadpack.allowFilter", "false", cwd=origin)
    ada, bob = project("ada", str(origin)), project("bob", str(origin))
    md5 = ada.put_directory("images", {"a.png": b"a", "b.png": b"b"})
    ada.put("other.bin", b"other")
    store.push(ada.path)
    store.fetch({md5: "images"}, bob.path)
    assert len(bob.objects) == 3
    bob.put("more.bin", b"more")
    assert store.push(bob.path) == 1
    assert set(stored(origin)) == ada.objects | bob.objects


def test_large_pushes_go_in_parts(project, origin, monkeypatch):
    monkeypatch.setattr(store, "MAX_PUSH", 25)
    ada = project("ada")
    for number in range(5):
        ada.put(f"{number}.bin", bytes([number]) * 10)
    assert store.push(ada.path) == 5
    assert set(stored(origin)) == ada.objects
    assert sh("git", "rev-list", "--count", "refs/dvc/store", cwd=origin) == "3"


def test_no_part_of_a_push_names_what_has_yet_to_be_sent(project, origin, monkeypatch):
    """Wherever DVC has the members: in its cache, and the listing in the store, or the other way round."""
    monkeypatch.setattr(store, "MAX_PUSH", 1)
    ada = project("ada")
    listing = ada.put_directory("images", {f"{number}.png": bytes([number]) for number in range(3)})
    cached = ada.path / ".dvc/cache/files/md5"
    for md5 in sorted(ada.objects - {listing})[:2]:
        (cached / md5[:2]).mkdir(parents=True, exist_ok=True)
        ada.object(md5).rename(cached / md5[:2] / md5[2:])
    assert store.push(ada.path) == 4
    changed = sh("git", "log", "--format=", "--name-only", "refs/dvc/store", cwd=origin).split()
    assert changed[0] == f"files/md5/{listing[:2]}/{listing[2:]}" and len(changed) == 4


def test_a_push_goes_where_git_pushes(project, origin, tmp_path):
    other = make_origin(tmp_path / "other.git")
    ada = project("ada")
    md5 = ada.put("a.bin", b"a")
    sh("git", "remote", "set-url", "--push", "origin", f"file://{other}", cwd=ada.path)
    assert store.push(ada.path) == 1
    assert set(stored(other)) == {md5} and sh("git", "for-each-ref", cwd=origin) == ""


def test_git_push_with_the_hook_is_enough(project, origin, tmp_path):
    ada = project("ada")
    md5 = ada.put("a.bin", b"a")
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-push").write_text(
        f'#!/bin/sh\n[ "$HOOK" ] && exit 1\nHOOK=1 exec {sys.executable} -c '
        "'from mlops_actions.registry import store; assert store.push() == 1'\n"
    )
    (hooks / "pre-push").chmod(0o755)
    sh("git", "config", "--global", "core.hooksPath", hooks)
    sh("git", "add", "-A", cwd=ada.path)
    sh("git", "commit", "-qm", "One", cwd=ada.path)
    sh("git", "push", "-q", "origin", "main", cwd=ada.path)
    assert set(stored(origin)) == {md5}


@pytest.mark.parametrize(
    ("file", "line", "where"),
    [
        (".dvc/config", "../../shared", "shared"),
        (".dvc/config.local", "{home}/shared # on the large disk", "shared"),
        (".dvc/config.local", '"~/with # in it"', "with # in it"),
        ("../.config/dvc/config", "its own", ".config/dvc/its own"),
    ],
)
def test_dvcs_cache_is_where_its_configuration_has_it(project, origin, tmp_path, monkeypatch, file, line, where):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    ada = project("ada")
    if file == ".dvc/config.local":
        (ada.path / ".dvc/config").write_text(f"{DVC_CONFIG}[cache]\n    dir = /nowhere\n")
    (ada.path / file).parent.mkdir(parents=True, exist_ok=True)
    with (ada.path / file).open("a") as config:
        config.write(f"[cache]\n    dir = {line.format(home=tmp_path)}\n")
    (ada.path / "rows.csv").write_bytes(b"rows")
    dvc("add", "-q", "rows.csv", cwd=ada.path)
    (md5,) = store.wanted(ada.path)
    kept = tmp_path / where / "files/md5" / md5[:2] / md5[2:]
    assert kept.read_bytes() == b"rows", "DVC has it there"
    assert store.push(ada.path) == 1
    assert set(stored(origin)) == {md5}
    store.fetch(store.wanted(ada.path), ada.path)
    assert ada.objects == set(), "it is here"
    kept.chmod(0o644)
    kept.write_bytes(b"damaged")
    with chdir(ada.path):
        drop_damaged({md5: "rows.csv"})
        assert find(md5) is None
    assert not kept.exists()


# Many at once, and killed


def test_many_pushers_at_once_lose_nothing(project, origin, tmp_path):
    clones = [project(f"clone{number}") for number in range(5)]
    for number, clone in enumerate(clones):
        for part in range(3):
            clone.put(f"{part}.bin", f"{number} {part}".encode())
        clone.put("same.bin", b"the same everywhere")
    go = tmp_path / "go"
    ready = "import time\nPath(root, 'ready').touch()"
    wait = f"{ready}\nwhile not Path({str(go)!r}).exists(): time.sleep(0.01)\nstore.push(root)"
    pushers = [run_store(wait, clone.path) for clone in clones]
    while not all((clone.path / "ready").exists() for clone in clones):
        assert not any(pusher.poll() for pusher in pushers)
        time.sleep(0.01)
    go.touch()
    for pusher in pushers:
        _, errors = pusher.communicate(timeout=60)
        assert pusher.returncode == 0, errors
    assert set(stored(origin)) == set().union(*(clone.objects for clone in clones))
    assert len(stored(origin)) == 5 * 3 + 1
    sh("git", "fsck", "--strict", cwd=origin)


def test_a_push_that_always_loses_gives_up_in_words(project, monkeypatch):
    ada = project("ada")
    ada.put("a.bin", b"a")
    naps = []
    monkeypatch.setattr(store_ref.StoreRef, "add", lambda bare, objects: False)
    monkeypatch.setattr(store.time, "sleep", naps.append)
    with refuses("run `mlops push` again"):
        store.push(ada.path)
    assert len(naps) == store.TRIES


@pytest.mark.parametrize("verb", ["push", "fetch"])
def test_killed_at_any_moment_the_next_run_completes(verb, project, origin, monkeypatch):
    ada = project("ada")
    for number in range(20):
        ada.put(f"{number}.bin", random.Random(number).randbytes(200_000))
    names = store.wanted(ada.path)
    if verb == "fetch":
        store.push(ada.path)
    victim = ada if verb == "push" else project("bob")
    code = {"push": "store.push(root)", "fetch": f"store.fetch({names!r}, root)"}[verb]

    chance = random.Random(0)
    killed = 0
    for turn in range(4):
        process = run_store(f"Path(root, 'ready').touch()\n{code}", victim.path)
        while not (victim.path / "ready").exists():
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.05 * (turn + 1)))
        process.kill()
        process.communicate(timeout=30)
        killed += process.returncode == -9
        (victim.path / "ready").unlink()
        for md5 in victim.objects:
            assert hashlib.md5(victim.object(md5).read_bytes()).hexdigest() == md5
    assert killed

    time.sleep(0.5)  # for the git processes that outlive their killed parents
    monkeypatch.setattr(store_ref, "_ABANDONED", 0)
    store.push(ada.path) if verb == "push" else store.fetch(names, victim.path)
    assert set(stored(origin)) == set(names)
    assert victim.objects == set(names)
    store.push(victim.path)
    assert not list((victim.path / ".dvc/tmp").glob("store-*")), "what the killed left is swept"
    sh("git", "fsck", "--strict", cwd=origin)


def test_what_a_killed_move_left_goes_once_nobody_can_be_at_work_in_it(project):
    ada = project("ada")
    ada.put("a.bin", b"a")
    now = time.time()
    for name, age in (("store-young", 3600), ("store-old", 2 * 24 * 3600)):
        (ada.path / ".dvc/tmp" / name).mkdir(parents=True)
        os.utime(ada.path / ".dvc/tmp" / name, (now - age, now - age))
    store.push(ada.path)
    assert [left.name for left in (ada.path / ".dvc/tmp").iterdir()] == ["store-young"]


def test_killed_in_the_middle_of_a_file_leaves_no_half_object(project):
    ada, bob = project("ada"), project("bob")
    ada.put("a.bin", b"a" * 1000)
    store.push(ada.path)
    names = store.wanted(ada.path)
    die = """
import os, signal
def die(source, target, size):
    target.write(source.read(size // 2))
    target.flush()
    os.kill(os.getpid(), signal.SIGKILL)
from mlops_actions.registry import store_ref
store_ref._copy = die
"""
    process = run_store(f"{die}\nstore.fetch({names!r}, root)", bob.path)
    process.communicate(timeout=30)
    assert process.returncode == -9
    assert bob.objects == set()
    store.fetch(names, bob.path)
    assert bob.objects == set(names)


# Refusals


@pytest.mark.parametrize("inside", [False, True])
def test_a_file_that_git_servers_refuse_stops_the_push(inside, project, origin):
    ada = project("ada")
    ada.put("small.bin", b"small")
    large = ada.object("f" * 32)
    large.parent.mkdir(parents=True)
    with large.open("wb") as file:
        file.truncate(96 * 2**20)
    if inside:
        ada.put("images", json.dumps([{"md5": "f" * 32, "relpath": "big.tif"}]).encode(), ".dir")
    else:
        ada.name("big.tif", "f" * 32)
    with refuses(rf"^{'images/' if inside else ''}big.tif has 96 MiB.*95 MiB.*dvc remote add"):
        store.push(ada.path)
    assert sh("git", "for-each-ref", cwd=origin) == ""

    # Once nothing names it, what is left of it in the store is in nobody's way.
    (ada.path / ("images.dvc" if inside else "big.tif.dvc")).unlink()
    store.push(ada.path)
    assert hashlib.md5(b"small").hexdigest() in stored(origin)
    assert "f" * 32 not in stored(origin)


def test_a_damaged_object_is_refused_and_can_be_mended(project, origin):
    ada, bob = project("ada"), project("bob")
    md5 = ada.put("a.bin", b"good")
    forge(origin, f"files/md5/{md5[:2]}/{md5[2:]}", b"forged")
    with refuses("a.bin is damaged.*mlops push --replace"):
        store.fetch({md5: "a.bin"}, bob.path)
    assert bob.objects == set()

    other = ada.put("b.bin", b"b")
    with refuses(r"^a.bin has other bytes in the store on file:\S+ than its name says: `mlops push --replace` sends"):
        store.push(ada.path)
    assert other in stored(origin), "the rest is sent"
    assert store.push(ada.path, replace=True) == 1
    assert store.push(ada.path) == 0
    store.fetch({md5: "a.bin"}, bob.path)
    assert bob.object(md5).read_bytes() == b"good"


def test_all_but_the_damaged_is_taken_and_another_source_may_have_that(project, origin, tmp_path):
    upstream = make_origin(tmp_path / "upstream.git")
    ada, bob = project("ada"), project("bob")
    bad, good = ada.put("a.bin", b"a"), ada.put_directory("images", {"a.png": b"b", "b.png": b"c"})
    objects = store.wanted(ada.path)
    store.push(ada.path)
    sh("git", "push", "--quiet", f"file://{upstream}", "+refs/dvc/store", cwd=origin)
    for md5 in (bad, hashlib.md5(b"b").hexdigest()):
        forge(origin, f"files/md5/{md5[:2]}/{md5[2:]}", b"forged")
    lost = {"0" * 32: "lost.csv"}
    with refuses(r"^a.bin \(and 1 more\) is damaged in .* lost.csv is not in the store of origin: run `mlops push`"):
        store.fetch(objects | lost, bob.path)
    assert bob.objects == {good, hashlib.md5(b"c").hexdigest()}
    sh("git", "remote", "add", "upstream", f"file://{upstream}", cwd=bob.path)
    store.fetch(objects, bob.path)
    assert bob.objects == ada.objects


def test_what_replace_cannot_mend_is_said(project, origin):
    """The good bytes of one are not here: whoever has the others must not believe that all is mended."""
    ada, bob = project("ada"), project("bob")
    ada.put_directory("images", {"a.png": b"a", "b.png": b"b"})
    ada.put("c.bin", b"c")
    store.push(ada.path)
    for data in (b"a", b"c"):
        md5 = hashlib.md5(data).hexdigest()
        forge(origin, f"files/md5/{md5[:2]}/{md5[2:]}", b"forged")
    for name in ("images.dvc", "c.bin.dvc"):
        shutil.copy(ada.path / name, bob.path)
    bob.put("c.bin", b"c")
    with refuses(
        "^images/a.png is damaged in .* and not on this machine, so it was not replaced: .* `mlops pull` says"
    ):
        store.push(bob.path, replace=True)
    assert stored(origin)[hashlib.md5(b"c").hexdigest()] == sh("git", "hash-object", "--stdin", cwd=origin, input="c")
    assert store.push(ada.path, replace=True) == 1


def test_replace_looks_at_every_object_here(project, origin):
    """At one that nothing names any more, and at one that is damaged in the same way here and there."""
    ada = project("ada")
    ada.put("a.bin", b"a")
    unnamed, spoilt = ada.put("", b"unnamed"), ada.put("b.bin", b"b")
    store.push(ada.path)
    for md5 in (unnamed, spoilt):
        forge(origin, f"files/md5/{md5[:2]}/{md5[2:]}", b"forged")
    ada.object(spoilt).write_bytes(b"forged")
    assert store.push(ada.path) == 0
    with refuses(r"\(of b.bin\) is damaged: delete it"):
        store.push(ada.path, replace=True)
    ada.object(spoilt).unlink()
    ada.put("b.bin", b"b")
    assert store.push(ada.path, replace=True) == 2


def test_a_push_says_what_it_did(project, origin, capsys):
    ada = project("ada")

    def said(**options) -> str:
        store.push(ada.path, **options)
        return capsys.readouterr().err.splitlines()[-1]

    assert said() == "store: nothing to push: no dvc.lock or .dvc file names an object"
    ada.put("a.bin", b"a")
    assert said() == "store: pushed 1 object, 0.0 kB"
    assert said() == "store: nothing new: the one object is there"
    ada.put("b.bin", b"b")
    assert said() == "store: pushed 1 object, 0.0 kB"
    assert said(versions={}) == "store: nothing new: all 2 objects are there"
    assert said(replace=True) == "store: nothing to replace: all 2 objects are there"


def test_a_forged_member_of_a_directory_is_told_and_a_damaged_one_here_is_not_blamed_on_the_store(project, origin):
    ada = project("ada")
    ada.put_directory("images", {"a.png": b"a", "b.png": b"b"})
    md5 = hashlib.md5(b"b").hexdigest()
    store.push(ada.path)
    ada.object(md5).write_bytes(b"x")
    with refuses("is damaged: delete it"):
        store.push(ada.path)
    ada.object(md5).write_bytes(b"b")
    forge(origin, f"files/md5/{md5[:2]}/{md5[2:]}", b"x")
    with refuses("^images/b.png has other bytes in the store"):
        store.push(ada.path)


@pytest.mark.parametrize("kind", ["blob", "tree", "tag"])
def test_a_ref_that_is_no_store_is_named_and_can_be_left(project, origin, kind):
    ada = project("ada")
    md5 = ada.put("a.bin", b"a")
    store.push(ada.path)
    commit = sh("git", "rev-parse", "refs/dvc/store", cwd=origin)
    other = {
        "blob": ["git", "hash-object", "-w", "--stdin"],
        "tree": ["git", "rev-parse", f"{commit}^{{tree}}"],
        "tag": ["git", "mktag"],
    }[kind]
    text = f"object {commit}\ntype commit\ntag x\ntagger A <a@example.com> 1 +0000\n\nx\n"
    sh("git", "update-ref", "refs/dvc/store", sh(*other, cwd=origin, input=text), cwd=origin)
    for command in (lambda: store.push(ada.path), lambda: store.fetch({"f" * 32: "b.bin"}, ada.path)):
        with refuses(f"refs/dvc/store on file:.* is a {kind} and no store.*`git push origin :refs/dvc/store`"):
            command()
    sh("git", "push", "--quiet", "origin", ":refs/dvc/store", cwd=ada.path)
    assert store.push(ada.path) == 1
    assert set(stored(origin)) == {md5}


def test_a_second_path_to_one_name_is_no_object(project, origin):
    """It would hide the good one, and outlive each `--replace`."""
    ada, bob = project("ada"), project("bob")
    md5 = ada.put("a.bin", b"good")
    store.push(ada.path)
    forge(origin, f"files/md5/{md5[:3]}/{md5[3:]}", b"forged")
    assert store.push(ada.path) == 0
    store.fetch({md5: "a.bin"}, bob.path)
    assert bob.objects == {md5}


def test_a_damaged_object_is_not_pushed(project, origin):
    ada = project("ada")
    ada.object(ada.put("a.bin", b"good")).write_bytes(b"half")
    with refuses("is damaged: delete it"):
        store.push(ada.path)
    assert sh("git", "for-each-ref", cwd=origin) == ""


def test_files_in_the_making_are_no_objects(project, origin):
    ada = project("ada")
    md5 = ada.put("a.bin", b"a")
    ada.object(md5).with_name(f"{md5[2:]}.x7tmp").write_bytes(b"half")
    assert store.push(ada.path) == 1
    assert set(stored(origin)) == {md5}


def test_what_nobody_has_is_named(project):
    ada = project("ada")
    objects = {"0" * 32: "data/rows.csv", "1" * 32: "model.bin"}
    with refuses(r"^data/rows.csv \(and 1 more\) is not in the store of origin: run `mlops push` where the data is"):
        store.fetch(objects, ada.path)


def test_no_remote_and_no_network_give_a_sentence(project):
    ada = project("ada", "file:///nowhere/origin.git")
    ada.put("a.bin", b"a")
    with refuses("The store on file:///nowhere/origin.git was not reached"):
        store.push(ada.path)
    with refuses("was not reached"):
        store.fetch({"0" * 32: "rows.csv"}, ada.path)
    sh("git", "remote", "remove", "origin", cwd=ada.path)
    with refuses("git remote add origin"):
        store.push(ada.path)
    with refuses("rows.csv is not in a store, as there is no remote"):
        store.fetch({"0" * 32: "rows.csv"}, ada.path)


def test_a_project_on_a_cloud_remote_is_left_to_dvc(project, origin):
    ada = project("ada")
    objects = {ada.put("a.bin", b"a"): "a.bin", "0" * 32: "rows.csv"}
    assert store.uses_store(ada.path)
    (ada.path / ".dvc/config.local").write_text(
        "[core]\n    remote = cloud\n['remote \"cloud\"']\n    url = s3://b/p\n"
    )
    assert not store.uses_store(ada.path)
    assert store.push(ada.path) == 0
    store.fetch(objects, ada.path)
    assert sh("git", "for-each-ref", cwd=origin) == ""


# What lock files name


def test_wanted_reads_locks_and_dvc_files(project):
    ada = project("ada")
    md5 = [f"{number:032x}" for number in range(9)]
    (ada.path / "dvc.yaml").write_text("""
stages:
  train:
    outs: [model.bin, {kept.bin: {cache: true}}]
    metrics: [{metrics.json: {cache: false}}]
  each:
    foreach: [a, b]
    do:
      plots: [{"plots/${item}.csv": {push: false}}]
""")
    (ada.path / "dvc.lock").write_text(f"""
stages:
  train:
    deps: [{{path: rows.csv, hash: md5, md5: "{md5[0]}"}}]
    outs:
    - {{path: model.bin, hash: md5, md5: "{md5[1]}"}}
    - {{path: kept.bin, hash: md5, md5: "{md5[2]}"}}
    - {{path: metrics.json, hash: md5, md5: "{md5[3]}"}}
  each@a:
    outs: [{{path: plots/a.csv, hash: md5, md5: "{md5[4]}"}}]
""")
    (ada.path / "data").mkdir()
    ada.name("data/rows.csv", md5[5])
    (ada.path / "data/rows.csv.dvc").write_text(f"outs:\n- {{md5: '{md5[5]}.dir', hash: md5, path: rows.csv}}\n")
    (ada.path / "old.dvc").write_text(
        f"outs:\n- {{md5: '{md5[6]}', path: old}}\n- {{md5: ../../x, hash: md5, path: y}}\n"
    )
    objects = {md5[1]: "model.bin", md5[2]: "kept.bin", f"{md5[5]}.dir": "data/rows.csv"}
    assert store.wanted(ada.path) == objects
    assert store.wanted(ada.path, only={"data/rows.csv"}) == {f"{md5[5]}.dir": "data/rows.csv"}

    sh("git", "add", "-A", cwd=ada.path)
    sh("git", "commit", "-qm", "One", cwd=ada.path)
    (ada.path / "dvc.lock").unlink()
    assert store.wanted(ada.path, rev="HEAD") == objects
    assert store.wanted(ada.path) == {f"{md5[5]}.dir": "data/rows.csv"}
    (ada.path / "dvc.lock").write_text("stages: {train: [], each: {outs: 7}}")
    assert store.wanted(ada.path) == {f"{md5[5]}.dir": "data/rows.csv"}
    (ada.path / "dvc.lock").write_text("<<<<<<< HEAD\na: b\n=======\nc: [\n")
    with refuses("^dvc.lock is not valid YAML"):
        store.wanted(ada.path)


# Over HTTP


class GitServer(ThreadingHTTPServer):
    """`git http-backend` on loopback; `authorization` is the header it insists on."""

    def __init__(self, root: Path):
        super().__init__(("127.0.0.1", 0), GitHandler)
        self.root, self.authorization = root, None
        self.seen: list[list[str]] = []
        self.leads_to = ""
        self.stalls_at, self.stalled = b"nowhere", threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"


class GitHandler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.answer()

    def log_message(self, *args):
        pass

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self):
        body = self.body()
        headers = self.headers.get_all("Authorization") or []
        self.server.seen.append(headers)
        if self.server.leads_to:
            self.send_response(302)
            self.send_header("Location", self.server.leads_to + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.server.authorization and headers != [self.server.authorization]:
            self.send_response(401 if len(headers) < 2 else 400)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.server.stalls_at in self.path.encode() and body:
            self.send_response(200)
            self.send_header("Content-Type", "application/x-git-upload-pack-result")
            self.end_headers()
            self.wfile.flush()
            self.server.stalled.wait()
            return
        path, _, query = self.path.partition("?")
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            env=os.environ
            | {
                "GIT_PROJECT_ROOT": str(self.server.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            },
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in (fields | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serve(root: Path):
    server = GitServer(root)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def server(origin, tmp_path):
    sh("git", "config", "http.receivepack", "true", cwd=origin)
    with serve(tmp_path) as server:
        yield server


@pytest.fixture
def remote(server, project):
    """A project whose origin is on the HTTP server, with one object of its own."""
    ada = project("ada", f"{server.url}/origin.git")
    ada.put("a.bin", b"a" * 50_000)
    return ada


def test_a_read_only_clone_fetches_and_cannot_push(server, remote, project, origin):
    store.push(remote.path)
    sh("git", "config", "http.receivepack", "false", cwd=origin)
    bob = project("bob", f"{server.url}/origin.git")
    store.fetch(store.wanted(remote.path), bob.path)
    assert bob.objects == remote.objects
    bob.put("b.bin", b"b")
    with refuses("took no push, so check that you may write there: .*403"):
        store.push(bob.path)
    assert len(stored(origin)) == 1


def test_a_server_that_declines_is_not_asked_again(project, origin, monkeypatch):
    (origin / "hooks").mkdir(exist_ok=True)
    (origin / "hooks/pre-receive").write_text("#!/bin/sh\nexit 1\n")
    (origin / "hooks/pre-receive").chmod(0o755)
    monkeypatch.setattr(store, "time", SimpleNamespace(time=time.time, sleep=lambda seconds: pytest.fail("retried")))
    ada = project("ada")
    ada.put("a.bin", b"a")
    with refuses("pre-receive hook declined"):
        store.push(ada.path)


def test_credentials_left_by_checkout_are_used(server, remote, tmp_path, origin):
    server.authorization = "basic c2VjcmV0"
    with refuses("was not reached"):
        store.push(remote.path)
    credentials = tmp_path / "credentials.config"
    credentials.write_text(f'[http "{server.url}/"]\n\textraheader = AUTHORIZATION: basic c2VjcmV0\n')
    sh("git", "config", f"includeIf.gitdir:{remote.path}/.git.path", credentials, cwd=remote.path)
    assert store.push(remote.path) == 1
    assert set(stored(origin)) == remote.objects


def test_credentials_of_the_user_are_sent_once(server, remote, origin):
    server.authorization = "basic c2VjcmV0"
    header = "AUTHORIZATION: basic c2VjcmV0"
    sh("git", "config", "--global", f"http.{server.url}/.extraheader", header)
    assert store.push(remote.path) == 1
    assert set(stored(origin)) == remote.objects


@pytest.mark.parametrize("variable", ["GITHUB_TOKEN", "GH_TOKEN"])
def test_the_workflow_token_is_used_and_never_shown(variable, server, remote, monkeypatch, tmp_path, origin, capfd):
    header = base64.b64encode(b"x-access-token:t0ken").decode()
    server.authorization = f"basic {header}"
    # A header from elsewhere gives way: two of them are refused.
    sh("git", "config", f"http.{server.url}/.extraheader", "AUTHORIZATION: basic b2xk", cwd=remote.path)
    monkeypatch.setenv(variable, "t0ken")
    monkeypatch.setenv("GITHUB_SERVER_URL", server.url)
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    assert store.push(remote.path) == 1
    assert set(stored(origin)) == remote.objects
    shown = (tmp_path / "trace").read_text() + "".join(capfd.readouterr())
    assert "push --porcelain" in shown
    assert header not in shown
    assert "t0ken" not in shown


def test_the_token_goes_to_its_own_server_only(server, remote, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "t0ken")
    store.push(remote.path)
    assert server.seen
    assert not any(server.seen)


@pytest.mark.parametrize("source", ["variable", "checkout", "user"])
def test_no_header_follows_a_redirect(source, server, remote, monkeypatch, tmp_path):
    """git sends it to wherever the first request leads; without one, a redirect is followed."""
    header = "AUTHORIZATION: basic c2VjcmV0"
    with serve(tmp_path) as other:
        server.leads_to = other.url.replace("127.0.0.1", "localhost")
        if source == "variable":
            monkeypatch.setenv("GITHUB_TOKEN", "t0ken")
            monkeypatch.setenv("GITHUB_SERVER_URL", server.url)
        elif source == "checkout":
            sh("git", "config", f"http.{server.url}/.extraheader", header, cwd=remote.path)
        else:
            sh("git", "config", "--global", "http.extraHeader", header)
        with refuses("was not reached: .* 302 .it leads elsewhere: name that address by `git remote set-url`"):
            store.push(remote.path)
        assert server.seen[-1] and not other.seen
        monkeypatch.delenv("GITHUB_TOKEN", raising=False)
        (tmp_path / "gitconfig").write_text("")
        sh(
            "git", "config", "--remove-section", f"http.{server.url}/", cwd=remote.path
        ) if source == "checkout" else None
        assert store.push(remote.path) == 1
        assert other.seen and not any(other.seen)


def test_a_killed_move_leaves_no_credential(server, project, monkeypatch, tmp_path):
    """Neither of the token's header nor of a login in origin's address, in what a later run sweeps."""
    secrets = ["t0ken", base64.b64encode(b"x-access-token:t0ken").decode(), "pa55word"]
    ada = project("ada", f"{server.url}/origin.git".replace("//", "//ada:pa55word@"))
    md5 = ada.put("a.bin", b"a" * 1000)
    monkeypatch.setenv("GITHUB_TOKEN", secrets[0])
    monkeypatch.setenv("GITHUB_SERVER_URL", server.url)
    for verb, step in (("push(root)", "StoreRef.add"), ("fetch(store.wanted(root), root)", "_copy")):
        code = f"""
import os, signal
from mlops_actions.registry import store_ref
store_ref.{step} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
store.{verb}
"""
        process = run_store(code, ada.path)
        process.communicate(timeout=30)
        assert process.returncode == -9
        left = [file for file in (ada.path / ".dvc/tmp").rglob("*") if file.is_file()]
        assert any(file.name == "config" for file in left)
        for file in left:
            assert not any(secret.encode() in file.read_bytes() for secret in secrets), file
        store.push(ada.path)
        ada.object(md5).unlink(missing_ok=True)


# A server that stalls


@pytest.fixture
def mute():
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield silent.getsockname()[1]


LEFT = "was not reached: the server was left, as it stalls .http.lowSpeedTime.: less than 1 bytes/sec .* last 1 seconds"


def test_a_server_that_says_nothing_is_left(project, mute, monkeypatch):
    monkeypatch.setattr(git, "PATIENCE", 1)
    ada = project("ada", f"http://127.0.0.1:{mute}/origin.git")
    ada.put("a.bin", b"a")
    with refuses(LEFT):
        store.push(ada.path)
    with refuses(LEFT):
        store.fetch({"0" * 32: "b.bin"}, ada.path)


def test_a_server_that_stops_in_the_middle_is_left(server, remote, project, monkeypatch):
    store.push(remote.path)
    monkeypatch.setattr(git, "PATIENCE", 1)
    server.stalls_at = b"git-upload-pack"
    bob = project("bob", f"{server.url}/origin.git")
    with refuses("the server was left, as it stalls"):
        store.fetch(store.wanted(remote.path), bob.path)
    assert bob.objects == set()
    server.stalled.set()


@pytest.mark.parametrize("where", ["--local", "--global"])
def test_how_long_a_server_is_waited_for_is_the_users_to_say(project, mute, monkeypatch, where):
    monkeypatch.setattr(git, "PATIENCE", 3600)
    ada = project("ada", f"http://127.0.0.1:{mute}/origin.git")
    sh("git", "config", where, "http.lowSpeedTime", "1", cwd=ada.path)
    ada.put("a.bin", b"a")
    with refuses(LEFT):
        store.push(ada.path)


def test_a_server_that_says_nothing_over_ssh_is_left(project, mute, monkeypatch):
    if shutil.which("ssh") is None:
        pytest.skip("ssh is not installed")
    monkeypatch.setattr(git, "PATIENCE", 3)
    ada = project("ada", f"ssh://git@127.0.0.1:{mute}/origin.git")
    ada.put("a.bin", b"a")
    with refuses("was not reached: "):
        store.push(ada.path)
