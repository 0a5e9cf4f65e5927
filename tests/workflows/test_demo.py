"""What `make demo` shows besides its acts, which tests/workflows/test_pull_request.py plays."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from baked import TEMPLATE
from desk import OWNER
from local_github import LocalGitHub

from demo.errors import DemoError
from demo.progress import Progress
from demo.review import fetch_pictures, read_metrics
from demo.story import Story, sum_charges


@pytest.fixture
def beginning(hub: LocalGitHub, tmp_path: Path) -> Story:
    """The story before its first act."""
    repository = hub.create_repository(f"{OWNER}/{tmp_path.name}")
    return Story(repository, tmp_path / "customer-churn", tmp_path, Progress(github=hub))


def test_it_generates_the_project_that_its_pull_request_edits(beginning: Story) -> None:
    beginning.generate()
    sum_charges(beginning.project)
    with pytest.raises(DemoError, match=r"^features\.py does not end in `return rows`, which .+\.$"):
        sum_charges(beginning.project)


TABLE = (
    "| metric | champion `v1.0.0` | candidate |\n|---|---|---|\n| **`f1`** | 0.5 | {} |\n| `log_loss` ↓ | – | 0.25 |\n"
)


@pytest.mark.parametrize(
    ("body", "sentence"),
    {
        "no table": ("### ✅ Better: `f1`\n\nWords.\n", r"has no table with the metrics"),
        "no values": ("### ✅ Better: `f1`\n\n" + TABLE.format("–"), r"has no table with the metrics"),
        "the same values": ("### ✅ Better: `f1`\n\n" + TABLE.format("0.5"), r"shows the same values"),
    }.values(),
)
def test_a_comment_without_both_models_values_ends_it_with_a_sentence(body: str, sentence: str) -> None:
    with pytest.raises(DemoError, match=rf"^The comment.+{sentence}.+\.$"):
        read_metrics(body)


def test_a_comment_without_pictures_or_with_a_dead_one_ends_it_with_a_sentence(
    hub: LocalGitHub, tmp_path: Path
) -> None:
    with pytest.raises(DemoError, match=r"^The comment shows no picture\.$"):
        fetch_pictures(hub, OWNER, TABLE, tmp_path)
    dead = f'<picture><img src="{hub.url}/{OWNER}/nowhere/raw/{"0" * 40}/roc-light.png"></picture>'
    with pytest.raises(DemoError, match=r"^The comment shows roc-light\.png, which cannot be fetched: Not Found\.$"):
        fetch_pictures(hub, OWNER, dead, tmp_path)


def test_while_a_step_ends_no_line_a_line_names_what_is_waited_for(beginning: Story) -> None:
    assert Progress().seconds < 9, "and the watcher's own delay: never more than ten"
    lines: list[str] = []

    def write(line: str) -> None:
        lines.append(line)
        if "half a" in line:
            (beginning.output / "seen").touch()

    script = beginning.output / "slow"
    script.write_text(r"printf 'A line\n\033[1mhalf a\033[0m line\r'; until [ -e seen ]; do sleep 0.05; done")
    beginning.progress = Progress(seconds=0.01, write=write)
    with beginning.progress.step("A slow step"):
        beginning.run("bash", str(script), directory=beginning.output)
    assert lines[0] == "▶ A slow step" and re.fullmatch(r"  done in \d+ s", lines[-1])
    assert any(re.fullmatch(r"  … bash .+/slow, \d+ s: half a line", line) for line in lines)
    assert all(line.isprintable() for line in lines)


def test_the_command_ends_with_one_sentence_and_no_traceback(tmp_path: Path) -> None:
    path = os.pathsep.join(str(TEMPLATE / folder) for folder in (".", "tests/workflows", "tests"))
    command = [sys.executable, "-m", "demo", "--pictures", str(tmp_path)]
    nowhere = {**os.environ, "PYTHONPATH": path, "PATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=nowhere, capture_output=True, text=True)
    assert done.returncode == 1 and not done.stdout
    assert re.fullmatch(r"demo: Pictures need Chromium or Chrome on PATH: .+\n", done.stderr)
