"""A run that trained a small pipeline, made up: its record and objects, and the commit that it is published of."""

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from clones import git
from mlops_actions.bundle.archive import write_bundle

PIPELINE = """\
stages:
  prepare:
    cmd: mlops stage prepare
    deps: [data.csv]
    outs:
      - data/summary.json: {cache: false}
  history:
    cmd: mlops stage history
    outs: [data/history]
  evaluate:
    cmd: mlops stage evaluate
    metrics:
      - metrics.json: {cache: false}
  export:
    cmd: mlops stage export
    outs:
      - models/bundle.zip
      - "models/${name}.bin"
"""
CONFIG = "[core]\n    remote = store\n    analytics = false\n['remote \"store\"']\n    url = {url}\n"
MANIFEST = {
    "format": "onnx",
    "why": "agrees with scikit-learn",
    "task": "classification",
    "target": "churn",
    "classes": ["no", "yes"],
    "positive": None,
    "threshold": None,
    "libraries": {"numpy": "2.4.6"},
}
RECORD = ("dvc.lock", "metrics.json", "data/summary.json")
Files = dict[str, bytes]


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@dataclass
class Trained:
    """What a run made: its lock, its recorded files, and its objects by their digests."""

    lock: dict[str, Any]
    metrics: Any
    summary: Any
    objects: dict[str, bytes] = field(default_factory=dict)

    def out(self, stage: str, path: str, content: bytes, suffix: str = "") -> str:
        """Let a stage have made a file; its digest."""
        digest = md5(content) + suffix
        entry = {"path": path, "hash": "md5", "md5": digest, "size": len(content)}
        outs = self.lock["stages"].setdefault(stage, {"cmd": f"mlops stage {stage}"}).setdefault("outs", [])
        outs[:] = [out for out in outs if out["path"] != path] + [entry]
        return digest

    def keep(self, stage: str, path: str, content: bytes, suffix: str = "") -> str:
        """The same, as an object, in the place of the former one."""
        for out in self.lock["stages"].get(stage, {}).get("outs", []):
            if out["path"] == path:
                self.objects.pop(out["md5"], None)
        digest = self.out(stage, path, content, suffix)
        self.objects[digest] = content
        return digest

    def fill(self, members: dict[str, bytes]) -> None:
        """Let the folder data/history have these files, and no others."""
        for content in (b"one", b"two"):
            self.objects.pop(md5(content), None)
        self.objects |= {md5(content): content for content in members.values()}
        self.list_members([{"md5": md5(content), "relpath": path} for path, content in members.items()])

    def list_members(self, listing: Any) -> None:
        """Let data/history be a folder with this listing."""
        self.keep("history", "data/history", json.dumps(listing).encode(), ".dir")

    @property
    def record(self) -> Files:
        """The three recorded files, the lock in agreement with the others."""
        files = {"metrics.json": self.metrics, "data/summary.json": self.summary}
        texts = {
            path: value if isinstance(value, bytes) else json.dumps(value).encode() for path, value in files.items()
        }
        self.out("evaluate", "metrics.json", texts["metrics.json"])
        self.out("prepare", "data/summary.json", texts["data/summary.json"])
        return {"dvc.lock": yaml.safe_dump(self.lock, sort_keys=False).encode(), **texts}

    def files(self) -> Files:
        """What its artifact has."""
        objects = {f"objects/{digest[:2]}/{digest[2:]}": content for digest, content in self.objects.items()}
        return self.record | objects


def make_trained(bundle: Path, manifest: dict[str, Any] | None = None) -> Trained:
    trained = Trained({"schema": "2.0", "stages": {}}, {"roc_auc": 0.9}, {"rows": 5, "train_rows": 4, "test_rows": 1})
    trained.lock["stages"]["prepare"] = {
        "cmd": "mlops stage prepare",
        "deps": [{"path": "data.csv", "hash": "md5", "md5": md5(b"a,b\n"), "size": 4}],
    }
    trained.fill({"2026.parquet": b"one", "more/2027.parquet": b"two"})
    schema = "columns: {age: {type: number}}\n"
    write_bundle(bundle, b"a model", manifest or MANIFEST, schema, {"rows": []})
    trained.keep("export", "models/bundle.zip", bundle.read_bytes())
    trained.keep("export", "models/x.bin", b"three")
    return trained


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An origin, and a clone of its commit that is to be published, where nothing was trained: copy both."""
    folder = tmp_path_factory.mktemp("begun")
    git("init", "--quiet", "--bare", "--initial-branch=main", folder / "origin.git")
    path = folder / "project"
    git("init", "--quiet", "--initial-branch=main", path)
    (path / ".dvc").mkdir()
    (path / ".dvc/config").write_text(CONFIG.format(url="store"))
    (path / ".dvc/.gitignore").write_text("/config.local\n/cache\n/tmp\n/store\n")
    (path / ".gitignore").write_text("/models\n/data/history\n/trained\n/dist\n")
    (path / "dvc.yaml").write_text(PIPELINE)
    (path / "params.yaml").write_text("name: x\nserving: {image: ghcr.io/acme/churn}\n")
    (path / "schema.yaml").write_text("columns: {age: {type: number}}\ntarget: {name: churn, type: category}\n")
    git("add", "--all", cwd=path)
    git("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "--quiet", "--message", "Begin", cwd=path)
    git("push", "--quiet", folder / "origin.git", "main", cwd=path)
    return folder


@pytest.fixture
def unpublished(clean_environment: None, begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of a commit that is to be published, where nothing was trained, and which is the working directory."""
    shutil.copytree(begun / "origin.git", tmp_path / "origin.git")
    path = Path(shutil.copytree(begun / "project", tmp_path / "project"))
    git("remote", "add", "origin", tmp_path / "origin.git", cwd=path)
    monkeypatch.chdir(path)
    return path


def place(trained: Trained) -> None:
    """Let the working directory be where it was trained."""
    for name, content in trained.record.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(content)
    for digest, content in trained.objects.items():
        file = Path(".dvc/cache/files/md5", digest[:2], digest[2:])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


@pytest.fixture
def trained(tmp_path: Path) -> Trained:
    return make_trained(tmp_path / "bundle.zip")


@pytest.fixture
def merged(unpublished: Path, trained: Trained) -> Path:
    """The clone in which a merge was trained."""
    place(trained)
    return unpublished
