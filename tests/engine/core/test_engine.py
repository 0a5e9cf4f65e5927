"""Where a project's engine comes from, whether it was edited, and whether its parts agree."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

import pytest
from baked import Project, run
from mlops_actions.core.engine import (
    Engine,
    check_engine,
    describe_engine,
    engine_of,
    engine_with_its_libraries,
    source_at,
    source_here,
)
from mlops_actions.core.engine_change import eject, use
from mlops_actions.core.environment import ENVIRONMENTS, KEPT, environment_of
from mlops_actions.core.errors import UserError
from wheels import INDEX, OTHER, VERSION, serve


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def facts(text: str) -> dict[str, str]:
    """Return what `mlops engine` says, by the name of each line."""
    return {line[:12].strip(): line[12:] for line in text.splitlines()}


def test_a_vendored_wheel_is_what_runs_here(small: Project, wheel: Path) -> None:
    assert facts(describe_engine()) == {
        "version": VERSION,
        "comes from": f"vendor/{wheel.name}",
        "SHA-256": sha256(wheel),
        "edited": "no",
    }
    check_engine()


@pytest.mark.parametrize("zipped", [False, True], ids=["unpacked", "zip"])
def test_what_runs_is_compared_with_the_wheel_file_by_file(
    small: Project, wheel: Path, tmp_path: Path, zipped: bool
) -> None:
    engine = tmp_path / "engine"
    shutil.unpack_archive(wheel, engine, "zip")
    command = (sys.executable, "-S", "-P", "-m", "mlops_actions", "engine")
    assert facts(small.run(*command, PYTHONPATH=str(engine)).stdout)["edited"] == "no"
    with (engine / "mlops_actions/core/errors.py").open("a") as errors:
        errors.write("# patched\n")
    (engine / "mlops_actions/core/more.py").touch()
    if zipped:
        engine = Path(shutil.make_archive(str(tmp_path / "patched"), "zip", engine))
    said = facts(small.run(*command, PYTHONPATH=str(engine)).stdout)["edited"]
    assert said.startswith(
        "yes, mlops_actions/core/errors.py, mlops_actions/core/more.py; `uv sync --reinstall-package"
    )


def test_another_version_that_is_named_is_not_installed_yet(small: Project, patched: Path) -> None:
    use(str(patched))
    assert facts(describe_engine())["edited"] == f"not known: version {VERSION} runs here; `uv sync` installs {OTHER}"


def test_the_engine_of_a_commit_is_told_from_git_alone(small: Project, wheel: Path, patched: Path) -> None:
    use(str(patched))
    assert (source_at("HEAD").version, source_at("HEAD").sha256) == (VERSION, sha256(wheel))
    assert (source_here().version, source_here().sha256) == (OTHER, sha256(patched))
    assert not source_here().same_as(source_at("HEAD"))


def test_a_checkout_runs_its_own_wheel_and_the_same_one_is_the_one_here(
    small: Project, patched: Path, tmp_path: Path
) -> None:
    home = small.copy(tmp_path / "home").path
    assert engine_of(home) == Engine()
    use(str(patched))
    theirs = engine_of(home)
    assert theirs.path and theirs.path.startswith(f"{small.path}/.dvc/tmp/engines/")
    assert engine_of(small.path) == Engine()
    where = (theirs.python, "-P", "-c", "import mlops_actions; print(mlops_actions.__path__[0])")
    assert run(*where, cwd=home, PYTHONPATH=theirs.path).stdout == f"{theirs.path}/mlops_actions\n"


def test_a_checkout_runs_its_own_folder(small: Project, tmp_path: Path) -> None:
    eject()
    home = small.copy(tmp_path / "home").path
    assert engine_of(home).path == f"{home}/vendor/mlops-actions/src"


def test_a_checkout_whose_engine_is_on_an_index_runs_in_an_environment_of_its_own(
    small: Project, wheel: Path, patched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_OFFLINE")
    with serve(patched) as url:
        small.write("pyproject.toml", small.read("pyproject.toml") + INDEX.format(url=url))
        use(OTHER)
        home = small.copy(tmp_path / "home").path
        assert engine_of(home) == Engine()
        use(str(wheel))
        theirs = engine_of(home)
    assert theirs == engine_of(home), "what is there needs no network"
    assert theirs == engine_with_its_libraries(home) and theirs.path is None
    assert theirs.python.startswith(f"{small.path}/.dvc/tmp/environments/")
    patch = run(theirs.python, "-c", "import mlops_actions.core.errors as it; print(it.PATCHED, it.__file__)", cwd=home)
    assert patch.stdout.startswith(f"yes {Path(theirs.python).parents[1]}/lib/")


def test_of_many_environments_the_ones_used_last_are_kept(small: Project) -> None:
    for number in range(KEPT + 2):
        lock = small.read("uv.lock")
        small.write("uv.lock", f"{lock}# {number}\n")
        python = environment_of(small.path)
        small.write("uv.lock", lock)
        assert len(list(ENVIRONMENTS.iterdir())) == min(number + 1, KEPT) and Path(python).exists()


def damage(small: Project, what: str, patched: Path) -> None:
    """Let the wheel, its name or the lock file disagree."""
    (wheel,) = small.path.glob("vendor/*.whl")
    if what == "another wheel beside it":
        shutil.copy(patched, small.path / "vendor")
    elif what == "other bytes under its name":
        wheel.write_bytes(patched.read_bytes())
    elif what == "another name":
        wheel.rename(wheel.with_name(wheel.name.replace(VERSION, OTHER)))
        small.write("pyproject.toml", small.read("pyproject.toml").replace(VERSION, OTHER))
    elif what == "another digest":
        small.write("uv.lock", small.read("uv.lock").replace(sha256(wheel), "0" * 64))
    elif what == "another version":
        small.write("uv.lock", small.read("uv.lock").replace(f'version = "{VERSION}"', f'version = "{OTHER}"'))
    elif what == "no wheel":
        wheel.unlink()
    elif what == "no engine in the lock file":
        small.write("uv.lock", "version = 1\n")


@pytest.mark.parametrize(
    ("what", "sentence"),
    {
        "another wheel beside it": rf"vendor/ holds mlops_actions-{OTHER}-\S+, which pyproject\.toml does not name",
        "other bytes under its name": f"does not agree with itself: its METADATA has the version {OTHER}, and its name",
        "another name": f"its METADATA has the version {VERSION}, and its name {OTHER}",
        "another digest": "has the SHA-256 [0-9a-f]{64} and uv.lock names 0{64}: if this wheel is meant, `uv lock",
        "another version": f"is version {VERSION} of the engine and uv.lock has {OTHER}: `uv lock` brings them",
        "no wheel": rf"takes the engine from vendor/mlops_actions-{VERSION}-\S+, which is not there: `git restore",
        "no engine in the lock file": "uv.lock has no mlops-actions, the engine: `uv lock` writes it anew",
    }.items(),
)
def test_what_does_not_agree_is_said_in_one_sentence(small: Project, patched: Path, what: str, sentence: str) -> None:
    damage(small, what, patched)
    with pytest.raises(UserError, match=sentence) as refused:
        check_engine()
    assert "\n" not in str(refused.value)


def test_an_ejected_engine_agrees_while_its_version_is_the_locked_one(small: Project) -> None:
    eject()
    check_engine()
    pyproject = "vendor/mlops-actions/pyproject.toml"
    small.write(pyproject, small.read(pyproject).replace(f'version = "{VERSION}"', f'version = "{OTHER}"'))
    with pytest.raises(
        UserError, match=f"vendor/mlops-actions is version {OTHER} of the engine and uv.lock has {VERSION}"
    ):
        check_engine()


def test_checks_look_at_the_engine_when_the_files_are_well(
    small: Project, patched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mlops check` runs pre-commit, here one that finds nothing, and then the engine's own check."""
    modules = small.path / "modules"
    modules.mkdir()
    (modules / "pre_commit.py").write_text('print("the files are well")\n')
    here = {"PYTHONPATH": os.pathsep.join([str(modules), *sys.path])}
    assert small.run("mlops", "check", **here).stdout == "the files are well\n"
    damage(small, "another digest", patched)
    refused = small.run("mlops", "check", check=False, **here)
    assert (refused.returncode, refused.stdout) == (1, "the files are well\n")
    assert refused.stderr.startswith(f"mlops check: vendor/mlops_actions-{VERSION}-py3-none-any.whl has the SHA-256 ")
