"""Moves the checked dataset in, makes the project a git repository and says what comes next."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")
NEXT = """
{project_name} is ready. Next:

    cd {folder}
    make setup
    make train
"""


def main() -> None:
    """Finish a generated project; a copy that cruft compares with has no .incoming and stays as it is."""
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
