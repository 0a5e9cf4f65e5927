"""The engine changes as a whole: another wheel, an index, a folder to patch, or nothing at all."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from baked import Project, environment, run
from mlops_actions import cli
from mlops_actions.core import engine_change
from mlops_actions.core.engine import check_engine, source_here
from mlops_actions.core.engine_change import eject, recover, use, was_killed
from mlops_actions.core.errors import UserError
from mlops_actions.core.wheel import Wheel
from wheels import INDEX, OTHER, VERSION, build_wheel, patch_engine, serve

WAITING_UV = """#!/bin/sh
echo $$ > {folder}/started.part
mv {folder}/started.part {folder}/started
exec sleep 600
"""

HOLD = """import fcntl
with open(".dvc/tmp/mlops.lock", "a") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print(flush=True)
    input()
"""


def contents(project: Project) -> dict[str, bytes]:
    """Return every file of a project but what lies in .dvc/tmp."""
    names = [name for name in project.files() if not name.startswith(".dvc/tmp/")]
    return {name: (project.path / name).read_bytes() for name in names}


def changed(project: Project) -> set[str]:
    """Return what git says has changed, file by file."""
    listing = project.run("git", "status", "--porcelain", "--untracked-files=all").stdout
    return {line[3:] for line in listing.splitlines()}


def is_locked(project: Project) -> bool:
    return project.run("uv", "lock", "--check", check=False).returncode == 0


def test_another_wheel_takes_the_place_of_the_former(small: Project, wheel: Path, patched: Path) -> None:
    source = use(str(patched))
    assert (source.kind, source.version, source.place) == ("wheel", OTHER, f"vendor/{patched.name}")
    assert changed(small) == {"pyproject.toml", "uv.lock", f"vendor/{wheel.name}", f"vendor/{patched.name}"}
    assert small.read("pyproject.toml") == small.run("git", "show", "HEAD:pyproject.toml").stdout.replace(
        wheel.name, patched.name
    )
    check_engine()
    assert is_locked(small)
    use(str(wheel))
    check_engine()
    assert changed(small) == set()


def test_other_bytes_under_the_same_name_are_locked_anew(small: Project, template: Path, tmp_path: Path) -> None:
    other = patch_engine(template, tmp_path, source_here().version, ("core/errors.py", "# patched\n"))
    use(str(other))
    assert source_here().sha256 == hashlib.sha256(other.read_bytes()).hexdigest()
    check_engine()
    assert changed(small) == {"uv.lock", f"vendor/{other.name}"}


def test_a_wheel_that_already_lies_in_vendor_is_taken_and_the_other_goes(small: Project, patched: Path) -> None:
    lying = Path(shutil.copy(patched, small.path / "vendor"))
    use(f"vendor/{lying.name}")
    assert [path.name for path in (small.path / "vendor").iterdir()] == [lying.name]
    check_engine()


def test_from_an_index_the_source_line_and_the_wheel_go_and_come_back(
    small: Project, wheel: Path, patched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_OFFLINE")
    with serve(wheel, patched) as url:
        small.write("pyproject.toml", small.read("pyproject.toml") + INDEX.format(url=url))
        small.run("uv", "lock", "--quiet")
        before = small.read("pyproject.toml")
        small.commit("Name an index")
        source = use(OTHER)
        assert (source.kind, source.version, source.place) == ("index", OTHER, url)
        assert source.sha256 == hashlib.sha256(patched.read_bytes()).hexdigest()
        after = small.read("pyproject.toml")
        assert f'"mlops-actions=={OTHER}", # the engine' in after and "[tool.uv.sources]" not in after
        assert changed(small) == {"pyproject.toml", "uv.lock", f"vendor/{wheel.name}", "vendor/README.md"}
        assert is_locked(small)
        check_engine()
        use(VERSION)
        assert source_here().version == VERSION
        small.commit("Take it from the index")
        with pytest.raises(UserError, match=r"there is no version of mlops-actions==7\.0.*; nothing has changed\."):
            use("7.0")
        assert changed(small) == set()
        with pytest.raises(UserError, match="the engine comes from http://127.0.0.1"):
            eject()
        use(str(wheel))
    assert small.read("pyproject.toml") == before
    assert [path.name for path in (small.path / "vendor").iterdir()] == [wheel.name]


@pytest.mark.parametrize(
    ("engine", "sentence"),
    [
        ("nonsense", "'nonsense' is neither a version, such as 1.2.0, nor the path of a wheel"),
        ("--upgrade", "'--upgrade' is neither a version"),
        ("nowhere/mlops_actions-1.0-py3-none-any.whl", r"cannot be read \(No such file or directory\)"),
        ("1.2.0", "`uv lock` failed: .*; nothing has changed"),
    ],
)
def test_what_cannot_be_taken_changes_nothing(small: Project, engine: str, sentence: str) -> None:
    before = contents(small)
    with pytest.raises(UserError, match=sentence):
        use(engine)
    assert contents(small) == before and not was_killed()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('mlops-actions = { path = "{}" }', 'mlops-actions.path = "{}"'),
        ('    "mlops-actions", # the engine', "    'mlops-actions>=0.1', # the engine"),
    ],
)
def test_a_project_that_is_written_otherwise_is_refused_and_not_guessed_at(
    small: Project, wheel: Path, patched: Path, old: str, new: str
) -> None:
    former, other = (line.replace("{}", f"vendor/{wheel.name}") for line in (old, new))
    assert former in small.read("pyproject.toml")
    small.write("pyproject.toml", small.read("pyproject.toml").replace(former, other))
    before = contents(small)
    with pytest.raises(UserError, match="^pyproject.toml is not written as this can edit it: put "):
        use(str(patched))
    assert contents(small) == before


def test_a_project_that_is_no_toml_says_where(small: Project, patched: Path) -> None:
    small.write("pyproject.toml", "[project\n")
    with pytest.raises(UserError, match="^pyproject.toml cannot be read as TOML .*line 1"):
        use(str(patched))


def test_killed_while_uv_locks_it_leaves_the_former_state(small: Project, patched: Path, tmp_path: Path) -> None:
    uv = tmp_path / "uv"
    uv.write_text(WAITING_UV.format(folder=tmp_path))
    uv.chmod(0o755)
    before = contents(small)
    command = ["mlops", "engine", "use", str(patched)]
    process = subprocess.Popen(command, cwd=small.path, env=environment(UV=str(uv)), stdout=subprocess.DEVNULL)
    while not (tmp_path / "started").exists():
        assert process.poll() is None
    process.kill()
    process.wait()
    os.kill(int((tmp_path / "started").read_text()), signal.SIGKILL)
    assert contents(small) == before and not was_killed()
    use(str(patched))
    check_engine()


class Cut(BaseException):
    """What interrupts a change."""


def cut_after(steps: int, end: Callable[[], object]) -> Callable[[Path, bytes], None]:
    """Return a write_file that ends after so many of the project's own files were written."""
    write, left = engine_change.write_file, [steps]

    def write_file(path: Path, content: bytes) -> None:
        if not str(path).startswith(".dvc/"):
            left[0] -= 1
            if left[0] < 0:
                end()
        write(path, content)

    return write_file


def interrupt() -> None:
    raise Cut


@pytest.mark.parametrize("steps", range(3))
def test_interrupted_while_it_puts_files_in_place_it_takes_them_back(
    small: Project, patched: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """The wheel, pyproject.toml and uv.lock are three files: each of them may be the one that fails."""
    before = contents(small)
    with monkeypatch.context() as patch, pytest.raises(Cut):
        patch.setattr(engine_change, "write_file", cut_after(steps, interrupt_once()))
        use(str(patched))
    assert contents(small) == before and not was_killed()


def interrupt_once() -> Callable[[], None]:
    ends = iter([True])

    def end() -> None:
        if next(ends, False):
            interrupt()

    return end


@pytest.mark.parametrize("steps", range(3))
def test_killed_while_it_puts_files_in_place_the_next_command_takes_them_back(
    small: Project, patched: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], steps: int
) -> None:
    before = contents(small)
    child = os.fork()
    if not child:
        engine_change.write_file = cut_after(steps, lambda: os._exit(9))
        use(str(patched))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert was_killed() and contents(small) != before
    monkeypatch.setattr(sys, "argv", ["mlops", "engine"])
    assert cli.main() == 0
    said = capsys.readouterr().out
    assert said.startswith("A change of the engine was killed half-way; what was here before it is back.\nversion ")
    assert contents(small) == before and not was_killed()
    recover()
    assert contents(small) == before


def test_an_ejected_engine_is_the_wheels_source_and_builds_it_again(
    small: Project, wheel: Path, tmp_path: Path
) -> None:
    source = eject()
    assert (source.kind, source.version, source.place) == ("folder", VERSION, "vendor/mlops-actions")
    assert source.sha256 == hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert 'mlops-actions = { path = "vendor/mlops-actions", editable = true }\n' in small.read("pyproject.toml")
    assert is_locked(small) and not list(small.path.glob("vendor/*.whl"))
    again, former = Wheel.read(build_wheel(small.path / source.place, tmp_path)), Wheel.read(wheel)
    package = [name for name in former.files if name.startswith("mlops_actions/")]
    assert {name: again.files[name] for name in package} == {name: former.files[name] for name in package}
    for field in ("Requires-Dist", "Provides-Extra", "Requires-Python", "Version"):
        assert again.metadata.get_all(field) == former.metadata.get_all(field)
    for name in ("entry_points.txt", "WHEEL"):
        assert again.text(name) == former.text(name)
    with pytest.raises(UserError, match="the engine is a folder already, vendor/mlops-actions"):
        eject()


def test_a_patched_engine_is_run_and_never_thrown_away_unsaved(small: Project, wheel: Path, patched: Path) -> None:
    eject()
    use(str(wheel))
    assert changed(small) == set(), "nothing was patched, so nothing is lost"
    eject()
    errors = small.path / "vendor/mlops-actions/src/mlops_actions/core/errors.py"
    errors.write_text(errors.read_text() + "# patched\n")
    engine = {"PYTHONPATH": str(small.path / "vendor/mlops-actions/src")}
    run_here = (sys.executable, "-P", "-m", "mlops_actions", "engine")
    assert small.run(*run_here, **engine).stdout.endswith("edited      yes, mlops_actions/core/errors.py\n")
    with pytest.raises(UserError, match="has patches that are not committed, and would go: commit them first"):
        use(str(patched))
    small.commit("Patch the engine")
    use(str(patched))
    assert not (small.path / "vendor/mlops-actions").exists()
    check_engine()


def test_no_linter_looks_at_an_ejected_engine(bake: Callable[..., Project]) -> None:
    project = bake()
    folder = project.path / "vendor/mlops-actions/src"
    folder.mkdir(parents=True)
    (folder / "patch.py").write_text("import os,sys\n")
    project.run("ruff", "check", "--no-cache", "--force-exclude", ".", folder / "patch.py")
    project.run("ruff", "format", "--no-cache", "--check", "--force-exclude", ".", folder / "patch.py")


def test_the_lines_of_a_generated_project_are_edited_and_come_back(
    bake: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its extras, its groups and its comments stay as they are."""
    project = bake()
    before = project.read("pyproject.toml")
    (wheel,) = project.path.glob("vendor/*.whl")
    monkeypatch.chdir(project.path)
    without = engine_change._pinned(engine_change._without_source(before), "1.2.0")
    lines = [line for line in without.splitlines() if line not in before.splitlines()]
    assert lines == ['    "mlops-actions[train]==1.2.0",']
    gone = [line for line in before.splitlines() if line not in without.splitlines()]
    source = f'mlops-actions = {{ path = "vendor/{wheel.name}" }}'
    assert gone == ['    "mlops-actions[train]",', "[tool.uv.sources]", source]
    back = engine_change._with_source(without, f"vendor/{wheel.name}", editable=False)
    assert engine_change._pinned(back, None) == before


def test_a_command_that_changes_the_engine_has_the_project_to_itself(small: Project, patched: Path) -> None:
    (small.path / ".dvc/tmp").mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=small.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout and other.stdout.readline()
        for words in (("use", str(patched)), ("eject",)):
            refused = small.run("mlops", "engine", *words, check=False)
            assert (refused.returncode, "runs in this project: wait for its end" in refused.stderr) == (1, True)
        other.communicate(b"\n")
    assert changed(small) == set()
    run("mlops", "engine", "eject", cwd=small.path, UV_OFFLINE="1")
