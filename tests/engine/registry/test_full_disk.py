"""A full disk is called that, whoever was writing: on a real file system of a few MB, which ends with its process."""

import hashlib
import json
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from clones import clean_environment
from stores import Project, make_origin, sh, stored

__all__ = ["clean_environment"]

MOUNT = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
RUN = """
import contextlib, os, sys
from pathlib import Path
from mlops_actions.core.errors import UserError
from mlops_actions.core.files import replacing, write_file
from mlops_actions.registry import store
try:
    exec(sys.argv[1])
except UserError as error:
    sys.exit(str(error))
"""


class Small(Project):
    """A project, and runs of commands in copies of it that lie on a disk of a few MB."""

    def run(self, size: str, *words: str) -> subprocess.CompletedProcess[str]:
        disk = self.path.with_name("disk")
        script = f'mount -t tmpfs -o size={size} none {disk}; cp -a {self.path}/. {disk}; cd {disk}; exec "$@"'
        return subprocess.run([*MOUNT, script, "sh", *words], capture_output=True, text=True, timeout=60)

    def python(self, size: str, code: str) -> subprocess.CompletedProcess[str]:
        return self.run(size, sys.executable, "-c", RUN, code)


@pytest.fixture
def small(clean_environment: None, tmp_path: Path) -> Small:
    disk = tmp_path / "disk"
    disk.mkdir()
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    if subprocess.run([*MOUNT, f"mount -t tmpfs none {disk}"], capture_output=True).returncode:
        pytest.skip("this user may not mount a disk in a namespace of their own")
    return Small(tmp_path / "project", f"file://{make_origin(tmp_path / 'origin.git')}")


def assert_told(done: subprocess.CompletedProcess[str], place: str = "") -> None:
    """Fail unless one sentence says that the disk is full, and where."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("store: ")]
    assert done.returncode == 1 and len(lines) == 1, done.stderr
    assert "the disk is full: " in lines[0], lines
    assert lines[0].endswith(f"{place} could not be written; free some space there and run this again."), lines


def test_a_push_for_which_git_has_no_room(small: Small, tmp_path: Path) -> None:
    small.put("rows.csv", random.Random(0).randbytes(2_000_000))
    assert_told(small.python("3m", "store.push()"))
    assert sh("git", "for-each-ref", cwd=tmp_path / "origin.git") == ""
    assert small.python("9m", "store.push()").returncode == 0
    assert len(stored(tmp_path / "origin.git")) == 1


def test_a_push_to_a_server_that_has_no_room(small: Small) -> None:
    small.put("rows.csv", random.Random(0).randbytes(3_000_000))
    code = f"""
os.system("git init --quiet --bare there.git; git remote set-url origin file://$PWD/there.git")
origin = os.popen("git remote get-url origin").read().strip()
os.system(f"git -C {small.path} remote set-url origin {{origin}}")
store.push(Path({str(small.path)!r}))
"""
    done = small.python("4m", code)
    assert done.returncode == 1
    assert done.stderr.endswith("took no push, so check that you may write there: the server's disk is full.\n")


@pytest.mark.parametrize("data", [bytes(3_000_000), random.Random(0).randbytes(3_000_000)], ids=["ours", "of git"])
def test_a_fetch_with_no_room(small: Small, data: bytes) -> None:
    """Of zeros git's pack is small, and the object that we write from it is not."""
    small.put("rows.csv", data)
    small.python("20m", "store.push()")
    shutil.rmtree(small.path / ".dvc/store")
    assert_told(small.python("2m", "store.fetch(store.wanted())"))
    look = """
with contextlib.suppress(UserError):
    store.fetch(store.wanted())
print(*Path('.dvc/store').rglob('*'), *Path('.dvc/tmp').iterdir())
"""
    assert small.python("2m", look).stdout.strip() == "", "no half object stays"


REPLACE = "with replacing(Path('a.bin')) as partial: partial.write_bytes(bytes(3_000_000))"


@pytest.mark.parametrize("write", ["write_file(Path('a.bin'), bytes(3_000_000))", REPLACE])
def test_a_file_with_no_room(small: Small, write: str) -> None:
    assert_told(small.python("2m", write), "a.bin")
    look = f"with contextlib.suppress(UserError):\n  {write}\nprint(*Path().glob('*a.bin*'))"
    assert small.python("2m", look).stdout.strip() == "", "nothing of it stays"


def test_a_verb_with_no_room(small: Small, tmp_path: Path) -> None:
    """What a job hands over is unpacked before it is kept."""
    large, counts = bytes(3_000_000), json.dumps({"rows": 2, "train_rows": 1, "test_rows": 1}).encode()
    files = {"b.bin": large, "metrics.json": b"{}", "data/summary.json": counts}
    digests = {path: hashlib.md5(content).hexdigest() for path, content in files.items()}
    outs = [{"path": path, "hash": "md5", "md5": md5} for path, md5 in digests.items()]
    (small.path / "dvc.yaml").write_text(json.dumps({"stages": {"export": {"cmd": "a", "outs": [*files]}}}))
    (small.path / "params.yaml").touch()
    sh("git", "add", "--all", cwd=small.path)
    sh("git", "commit", "--quiet", "--message", "One", cwd=small.path)
    packed = tmp_path / "trained.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("dvc.lock", json.dumps({"stages": {"export": {"cmd": "a", "outs": outs}}}))
        archive.writestr(f"objects/{digests['b.bin'][:2]}/{digests['b.bin'][2:]}", large)
        for path in ("metrics.json", "data/summary.json"):
            archive.writestr(path, files[path])
    done = small.run("2m", sys.executable, "-m", "mlops_actions", "handover", "take", str(packed))
    assert_told(done, str(tmp_path / "disk"))
