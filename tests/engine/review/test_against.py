"""`mlops compare --against`: a working tree's model, held against any version, branch or commit, on a laptop."""

import json
from collections.abc import Callable
from pathlib import Path

from baked import Project
from clones import Said, run_verb
from mlops_actions.core.git import rev_parse

__all__ = ["run_verb"]


def test_any_version_branch_or_commit_can_be_named(
    released: Project, tmp_path: Path, run_verb: Callable[[Path, tuple[str, ...]], Said]
) -> None:
    laptop = released.copy(tmp_path / released.path.name)
    laptop.run("git", "branch", "tuned")
    said = run_verb(laptop.path, ("compare", "--against", "tuned")).expect(
        0,
        "### ➖ Retrained as `tuned` was: the model is the same, byte for byte",
        "The full report: report/report.html",
    )
    assert "champion" not in said.out and "tuned" in laptop.read("report/report.html")
    assert json.loads(laptop.read("report/report.json"))["baseline"] == "named"
    commit = str(rev_parse("HEAD"))
    run_verb(laptop.path, ("compare", "--against", commit, "--report", "by-commit")).expect(
        0, f"Retrained as `{commit}` was"
    )
    refused = "nowhere is no version, branch or commit. There are v1.0.0."
    run_verb(laptop.path, ("compare", "--against", "nowhere")).expect(1, refused)


def test_make_hands_on_what_is_named(released: Project) -> None:
    for asked, words in (("", "compare"), ("AGAINST=origin/main", "compare --against origin/main")):
        said = released.run("make", "--dry-run", "compare", *filter(None, [asked])).stdout
        assert said.splitlines()[-1].rstrip().endswith(f" run mlops {words}")
