"""Refuses names that others have, brings the dataset, makes the project a git repository, says what comes next."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from jinja2 import Template

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")
# Modules that a project needs and that uv.lock names otherwise.
MODULES = "antlr4 attr dateutil dns dotenv flufl git google hydra jwt markdown_it mypyc pil public py rekor_types"
MODULES += " ruamel sklearn test tests tlz validate vl_convert yaml zc"
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


def check_names(name: str, package: str) -> None:
    """Refuse a distribution or a package that is called like one that the project needs."""
    others = re.findall('^name = "(.+)"$', Path("uv.lock").read_text("utf-8"), re.MULTILINE)
    others.remove(name)
    if name in others:
        sys.exit(f"\nproject_slug: {name!r} is the name of a package that the project needs: choose another.")
    if package.lower().replace("_", "-") in others or package.lower() in {*MODULES.split(), *sys.stdlib_module_names}:
        advice = f"choose another, such as '{package}_model'."
        sys.exit(f"\npackage_name {package!r} would hide a module of that name that the project needs: {advice}")


def bring(data: str) -> None:
    """Copy the dataset to its place, as `mlops setup --data` does, by the engine that the project carries."""
    sys.path.insert(0, str(next(Path("vendor").glob("*.whl")).absolute()))
    from mlops_actions.core.errors import UserError
    from mlops_actions.setup.dataset import copy_dataset

    try:
        copy_dataset(data, ANSWERS["__data_path"])
    except UserError as error:
        sys.exit(f"\n{error}")


def main() -> None:
    """Finish a generated project; a copy that cruft compares with has no .incoming and stays as it is."""
    drop_untracked()
    check_names(ANSWERS["__distribution"], ANSWERS["package_name"])
    incoming = Path(".incoming")
    if not incoming.exists():
        return
    if data := incoming.read_text("utf-8"):
        bring(data)
    incoming.unlink()
    try:
        subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], check=True)
    except (OSError, subprocess.CalledProcessError):
        sys.exit("\ngit could not start a repository: install git 2.28 or later and generate again.")
    print(NEXT.format(folder=Path.cwd().name, **ANSWERS))


if __name__ == "__main__":
    main()
