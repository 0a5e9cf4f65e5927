"""A champion is run by its own engine: under today's libraries, else under its own, else the verdict is red."""

import hashlib
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from baked import Project
from mlops_actions.bundle.archive import load_bundle
from mlops_actions.core.config import Config, load_config
from mlops_actions.core.environment import ENVIRONMENTS
from mlops_actions.core.git import check_out
from mlops_actions.core.paths import BUNDLE, TEST_ROWS
from mlops_actions.review import rivals
from mlops_actions.review.champion import Champion, Incomparable, Unrunnable
from mlops_actions.review.judge import describe, judge
from mlops_actions.review.markdown import render
from mlops_actions.stages.predict import predict
from wheels import OTHER, VERSION, patch_engine

# Its answers have the probabilities of both classes the wrong way round.
REVERSED = """

_predict = predict


def predict(*arguments, **options):
    answers = _predict(*arguments, **options)
    answers[answers.columns[1:]] = answers[answers.columns[:0:-1]].to_numpy()
    return answers
"""
# Today's libraries are not those that it was written for.
BROKEN = """
import sys

if "/.dvc/tmp/environments/" not in sys.prefix:
    raise ImportError("cannot import name 'gone' from 'pandas'")
"""


def carry(project: Project, wheel: Path) -> None:
    """Let a project have another wheel, named and locked as `mlops engine use` does it with a network."""
    (former,) = (project.path / "vendor").glob("*.whl")
    digest = hashlib.sha256(former.read_bytes()).hexdigest()
    former.unlink()
    shutil.copy(wheel, project.path / "vendor")
    for name in ("pyproject.toml", "uv.lock"):
        project.write(name, project.read(name).replace(former.name, wheel.name))
    lock = project.read("uv.lock").replace(digest, hashlib.sha256(wheel.read_bytes()).hexdigest())
    named = 'name = "mlops-actions"\nversion = "{}"'
    assert named.format(VERSION) in lock
    project.write("uv.lock", lock.replace(named.format(VERSION), named.format(OTHER)))


@pytest.fixture(scope="module")
def older(template: Path, released: Project, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Champion]:
    """`older(project, patches)`: a version of the project whose engine is a patched one; the project's is today's."""
    folder = tmp_path_factory.mktemp("older")
    wheels: dict[tuple[tuple[str, str], ...], Path] = {}

    def publish(project: Project, *patches: tuple[str, str]) -> Champion:
        if patches not in wheels:
            wheels[patches] = patch_engine(template, folder / str(len(wheels)), OTHER, *patches)
        carry(project, wheels[patches])
        commit = project.commit("Release with another engine")
        project.run("git", "revert", "--no-edit", "HEAD")
        return Champion("v1.1.0", commit)

    return publish


@pytest.fixture
def project(released: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of a project with a released model, which this process works in."""
    project = released.copy(tmp_path / "churn")
    monkeypatch.chdir(project.path)
    monkeypatch.setenv("UV", str(Path(sys.executable).with_name("uv")))
    return project


def answer_here(config: Config) -> np.ndarray:
    """Return what today's engine and libraries answer to the test rows."""
    return rivals.read_predictions(predict(config, Path(TEST_ROWS), load_bundle(Path(BUNDLE)))).values


def test_an_older_champion_is_run_by_its_own_engine(project: Project, older: Callable[..., Champion]) -> None:
    champion = older(project, ("stages/predict.py", REVERSED))
    config = load_config()
    own, todays = rivals.ask(champion, None, config.data).values, answer_here(config)
    assert np.array_equal(own, todays[:, ::-1]) and not np.array_equal(own, todays)
    assert [path.name for path in Path(".dvc/tmp/engines").iterdir() if not path.name.startswith(".")]
    assert not ENVIRONMENTS.exists(), "it runs under the libraries that are here"


def test_what_fails_under_todays_libraries_is_run_under_its_own(
    project: Project, older: Callable[..., Champion], capfd: pytest.CaptureFixture[str]
) -> None:
    champion = older(project, ("stages/predict.py", BROKEN + REVERSED))
    config = load_config()
    own, todays = rivals.ask(champion, None, config.data).values, answer_here(config)
    assert np.allclose(own, todays[:, ::-1], atol=1e-6)
    (place,) = ENVIRONMENTS.iterdir()
    assert f"Installing what the uv.lock of another commit names into {place.resolve()}" in capfd.readouterr().err
    assert not list(place.glob("lib/*/site-packages/mlops_actions*")), "the engine is the checkout's, not a copy of it"


def test_what_fails_under_its_own_libraries_too_is_a_red_verdict_with_both_reasons(
    project: Project, older: Callable[..., Champion], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `gate.compare: false` makes of that tests/engine/review/test_compare.py asks."""
    champion = older(project, ("stages/predict.py", BROKEN + REVERSED))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    config = load_config()
    changed = replace(describe(config, champion), unchanged=False)
    report = judge(changed, config, champion)
    assert not report.passed and report.incomparable and "\n" not in report.incomparable
    today = "under this tree's libraries (ImportError: cannot import name 'gone' from 'pandas')"
    own = "under those of its own uv.lock (`uv sync` failed: "
    assert report.incomparable.startswith(f"it fails {today} and {own}")
    assert render(report, run_url=None, commit=None).startswith(
        "### ❌ Fails: the champion could not be run on these test rows\n"
    )


def test_rows_that_are_refused_are_refused_at_once_and_nothing_is_installed(
    project: Project, older: Callable[..., Champion], tmp_path: Path
) -> None:
    champion = older(project)
    home = tmp_path / "home"
    home.mkdir()
    check_out(champion.commit, home)
    (home / "rows.csv").write_text("state\nKS\n")
    with pytest.raises(Incomparable, match=r"^mlops predict: rows.csv: lacks the column ") as refused:
        rivals._run_all(home, [("predict", "rows.csv", "--bundle", str(Path("models/bundle.zip").resolve()))])
    assert not isinstance(refused.value, Unrunnable)
    assert not ENVIRONMENTS.exists()


def test_an_engine_that_is_damaged_at_the_champion_is_said(
    project: Project, older: Callable[..., Champion], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    check_out(older(project).commit, home)
    (wheel,) = (home / "vendor").glob("*.whl")
    wheel.write_bytes(wheel.read_bytes()[:1000])
    with pytest.raises(Unrunnable, match=r"^it fails, whichever libraries it has \(vendor/\S+ is not a wheel, or"):
        rivals._run_all(home, [("predict", "rows.csv", "--bundle", str(Path("models/bundle.zip").resolve()))])
