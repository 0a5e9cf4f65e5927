"""Moves the checked dataset in, makes the project a git repository and says what comes next."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from jinja2 import Template

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")
NEXT = """
{project_name} is ready. Next:

    cd {folder}
    make setup
    make train
"""


def drop_untracked() -> None:
    """Delete what came from a used working tree of the template, where git does not track it."""
    template = Path(os.environ.get("PWD", ""), ANSWERS.get("_repo_dir") or "nowhere")
    tracked = ["git", "-C", template, "ls-files", "--error-unmatch", "cookiecutter.json"]
    if not shutil.which("git") or subprocess.run(tracked, capture_output=True).returncode:
        return
    listing = ["git", "-C", template, "ls-files", "-z", "--others", "--", "*cookiecutter.project_slug*"]
    for name in subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split("\0"):
        file = Path(*Path(Template(name).render(cookiecutter=ANSWERS)).parts[1:])
        if not file.is_file():
            continue
        file.unlink()
        for folder in file.parents[:-1]:
            if not any(folder.iterdir()):
                folder.rmdir()
        print(f"{file} is left out: git does not track it in the template (`git add` there, if it is meant).")


def main() -> None:
    """Finish a generated project; a copy that cruft compares with has no .incoming and stays as it is."""
    drop_untracked()
    name = ANSWERS["__distribution"]
    if len(re.findall(f'^name = "{re.escape(name)}"$', Path("uv.lock").read_text("utf-8"), re.MULTILINE)) > 1:
        sys.exit(f"\nproject_slug: {name!r} is the name of a package that the project needs: choose another.")
    incoming, raw = Path(".incoming"), Path("data", "raw")
    if not incoming.is_dir():
        return
    for dataset in incoming.iterdir():
        target = Path("ingest.sql") if dataset.name == "ingest.sql" else raw / dataset.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            shutil.rmtree(target)
        dataset.replace(target)
    incoming.rmdir()
    try:
        subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], check=True)
    except (OSError, subprocess.CalledProcessError):
        sys.exit("\ngit could not start a repository: install git 2.28 or later and generate again.")
    print(NEXT.format(folder=Path.cwd().name, **ANSWERS))


if __name__ == "__main__":
    main()
