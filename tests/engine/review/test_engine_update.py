"""A pull request that changes the engine says so in the comment's first lines."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from baked import Project, run
from mlops_actions.core import github
from mlops_actions.core.engine_change import eject, use
from mlops_actions.review.comment import write_body
from mlops_actions.review.engine_update import find_engine_update, same_engine
from mlops_actions.review.markdown import render
from mlops_actions.review.page import write_page
from mlops_actions.review.report import FORMAT, EngineUpdate, EngineVersion, Report, read_report
from wheels import OTHER, VERSION

RUN = {"conclusion": "success", "html_url": "https://github.example/run", "head_sha": "0" * 40}
EVIL = "`@acme` <b>|"


@pytest.fixture(autouse=True)
def forget_event() -> Iterator[None]:
    github.event.cache_clear()
    yield
    github.event.cache_clear()


def report_of(update: EngineUpdate | None) -> Report:
    facts: dict[str, Any] = dict.fromkeys(("params", "schema", "data", "stages"), [])
    facts |= {"passed": True, "unchanged": True, "same_recipe": True, "baseline": "champion", "champion": "v1.0.0"}
    facts |= {"pull_request": 1, "primary": "roc_auc", "margin": 0.01, "confidence": 0.95, "format": FORMAT}
    return Report(**facts, engine=update)


def lines_of(update: EngineUpdate | None) -> list[str]:
    """Return the first three lines of the comment of a report that went over the border."""
    report = read_report(report_of(update).to_json().encode())
    return render(report, run_url=None, commit=None).splitlines()[:3]


def test_an_engine_that_stays_is_not_spoken_of(small: Project) -> None:
    assert find_engine_update() is None and same_engine("HEAD")
    assert "engine" not in render(report_of(None), run_url=None, commit=None)


def test_the_comment_opens_with_both_versions_and_digests(small: Project, wheel: Path, patched: Path) -> None:
    use(str(patched))
    update = find_engine_update()
    assert update and update.base and update.candidate and not same_engine("HEAD")
    first, _, second = lines_of(update)
    assert first.startswith("### ➖ Nothing to retrain")
    assert second == (
        f"**This changes the engine:** `{VERSION}` (`vendor/{wheel.name}`, SHA-256 `{update.base.sha256}`) → `{OTHER}` "
        f"(`vendor/{patched.name}`, SHA-256 `{update.candidate.sha256}`). "
        "⚠️ **Whether it is a release of the template is not known:** `not verified here: 'mlops engine verify'`"
    )
    assert f"<strong>This changes the engine:</strong> <code>{VERSION}</code>" in write_page(report_of(update))


def test_a_patch_in_an_ejected_engine_is_a_change_of_it(small: Project) -> None:
    eject()
    small.commit("Eject the engine")
    assert find_engine_update() is None
    errors = small.path / "vendor/mlops-actions/src/mlops_actions/core/errors.py"
    errors.write_text(errors.read_text() + "# patched\n")
    update = find_engine_update()
    assert update and update.base == update.candidate
    assert update.candidate == EngineVersion(VERSION, "vendor/mlops-actions", update.candidate.sha256)


def test_a_commit_without_an_engine_has_none(small: Project) -> None:
    small.run("git", "rm", "--quiet", "--cached", "pyproject.toml")
    small.run("git", "commit", "--quiet", "--message", "No project")
    update = find_engine_update()
    assert update and update.base is None
    assert lines_of(update)[2].startswith(f"**This changes the engine:** none → `{VERSION}` (")


def propose(small: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commit the change, and let this process be the run of its pull request."""
    base = small.run("git", "rev-parse", "HEAD").stdout.strip()
    small.commit("Take another engine")
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"number": 1, "pull_request": {"base": {"sha": base}}}))
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(event))


def test_in_a_pull_request_it_is_compared_with_the_release_that_the_base_names(
    small: Project, wheel: Path, patched: Path, upstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(str(patched))
    small.write(".cruft.json", json.dumps({"template": str(upstream)}))
    small.commit("Begin with another engine")
    use(str(wheel))
    small.write(".cruft.json", json.dumps({"template": "/a/template/of/ones/own"}))
    propose(small, tmp_path, monkeypatch)
    second = lines_of(find_engine_update())[2]
    assert f"→ `{VERSION}` (`vendor/{wheel.name}`, SHA-256 " in second
    assert f". The run compared it with the template's release: `vendor/{wheel.name} is, byte for byte, what " in second


def test_an_engine_that_is_no_release_is_marked(
    small: Project, patched: Path, upstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.write(".cruft.json", json.dumps({"template": str(upstream)}))
    small.commit("Come from a template")
    use(str(patched))
    run("git", "tag", f"v{OTHER}", cwd=upstream)
    propose(small, tmp_path, monkeypatch)
    update = find_engine_update()
    assert update and (update.release, f"its tag v{OTHER} has version {VERSION} of the engine." in update.text) == (
        "unknown",
        True,
    )
    pyproject = upstream / "engine/pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace(f'version = "{VERSION}"', f'version = "{OTHER}"', 1))
    run("git", "commit", "--quiet", "--all", "--message", "Another", cwd=upstream)
    run("git", "tag", "--force", f"v{OTHER}", cwd=upstream)
    second = lines_of(find_engine_update())[2]
    assert f". ❌ **It is not the template's release:** `vendor/{patched.name} has the SHA-256 " in second


@pytest.mark.parametrize("release", ["same", "different", "unknown"])
def test_every_string_of_it_stands_in_a_code_span(release: Any) -> None:
    update = EngineUpdate(EngineVersion(EVIL, EVIL, EVIL), EngineVersion(EVIL, EVIL, None), release, EVIL)
    second = lines_of(update)[2]
    outside = "".join(second.split("`")[::2])
    assert "@acme" in second and not [sign for sign in "@<|" if sign in outside]


def test_an_engine_that_its_report_hides_is_named_by_what_github_says() -> None:
    """The report may be written by the very engine that the pull request brings."""
    files = ["vendor/a`@acme`.whl", "vendor/b.whl", "vendor/c.whl", "vendor/d.whl"]
    body = write_body(report_of(None), RUN, None, files)
    first, _, second, *_ = body.splitlines()
    assert first.startswith("### ➖ Nothing to retrain")
    assert second == (
        "⚠️ **This changes the engine, and its report does not say how:** `vendor/a'@acme'.whl`, `vendor/b.whl`, "
        "`vendor/c.whl` and 1 more"
    )
    assert write_body(None, RUN, None, files[1:2]).splitlines()[2].endswith("not say how:** `vendor/b.whl`")
    told = report_of(EngineUpdate(None, EngineVersion(OTHER, files[1], None), "unknown", "not verified here"))
    assert "does not say how" not in write_body(told, RUN, None, files)
    assert "does not say how" not in write_body(report_of(None), RUN, None, [])


def test_what_jobs_that_may_write_will_obey_is_named_by_what_github_says() -> None:
    """A lock's difference is folded on GitHub, and a workflow may stand between many files."""
    warned = "⚠️ **Once merged, jobs that may write obey what this says:** "
    harmless = ["docs/.github/x", "params.yaml", "src/uv.lock"]
    for files in (["uv.lock"], [".github/workflows/publish.yml", "uv.lock"], [".dvc/config"]):
        lines = write_body(report_of(None), RUN, None, sorted([*harmless, *files])).splitlines()
        assert lines[2] == warned + ", ".join(f"`{name}`" for name in files)
    assert warned not in write_body(report_of(None), RUN, None, harmless)
    both = write_body(None, RUN, None, ["uv.lock", "vendor/a.whl"]).splitlines()
    assert both[0].startswith("### ❌") and "changes the engine" in both[2] and both[4] == f"{warned}`uv.lock`"
