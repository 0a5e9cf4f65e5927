"""Refuses names that cannot work, and a dataset that is not there; what is in the dataset, `mlops setup` judges."""

import glob
import json
import keyword
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")
LINE = r"(?!\s*$)(?!.*[{][%#{])[^\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]+"
# What git must not keep of a URL and of a query: the engine refuses the same, in data/sources.
SECRET = r"://[^/?#]*@|[?&](?i:[\w-]*(token|signature|password|secret)|sig|(api_?)?key|X-Amz-Credential)="
PASSWORD = r"//[^/@\s]*:[^/@\s]+@|--.*\b(?i:pass(word|wd)?)\s*="


def require(holds: object, sentence: str) -> None:
    """End the generation with a sentence unless a condition holds."""
    if not holds:
        sys.exit(f"\n{sentence}")


def check_names(slug: str, package: str, owner: str, registry: str) -> None:
    """Refuse names that GitHub, Python or a registry of images would not take."""
    fits = re.fullmatch(r"(?!.*\.(?i:git|wiki)$)[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?", slug)
    advice = "use 1 to 100 letters, digits, '-', '_' or '.', a letter or digit at both ends, no .git or .wiki behind."
    require(fits, f"project_slug {slug!r} is no repository name: {advice}")
    fits = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", package) and not keyword.iskeyword(package)
    require(fits, f"package_name {package!r} is no Python name: use letters, digits, '_', a letter first, no keyword.")
    fits = re.fullmatch(r"(?=.{1,39}$)[A-Za-z0-9](-?[A-Za-z0-9])*(_[A-Za-z0-9]+)?", owner)
    require(fits, f"github_owner {owner!r} is no GitHub login: use up to 39 letters and digits, single '-' between.")
    fits = registry == "none" or re.fullmatch(r"[A-Za-z0-9]+((\.|__?|-+)[A-Za-z0-9]+)*", slug)
    advice = "put single '.', '_' or '-' between letters and digits, or answer container_registry with none."
    require(fits, f"project_slug {slug!r} is no name of a container image: {advice}")


def is_comparison(folder: Path) -> bool:
    """Say whether cruft renders a copy to compare with, which it does not say: there may be no dataset by now."""
    temporary = folder.parent.resolve() == Path(tempfile.gettempdir()).resolve()
    return "_output_dir" not in ANSWERS and temporary and bool(re.fullmatch("tmp[a-z0-9_]{8}", folder.name))


def check_place(here: Path) -> None:
    """Refuse a place in another repository's work tree that it does not ignore: each would see the other's files."""
    outside = {name: value for name, value in os.environ.items() if name not in ("GIT_DIR", "GIT_WORK_TREE")}
    asked = subprocess.run(["git", "check-ignore", "--quiet", "--", here], cwd="..", env=outside, capture_output=True)
    advice = "generate it elsewhere (--output-dir), or in a folder that its .gitignore names."
    sentence = f"a project is a git repository of its own, and {here} would lie in another one: {advice}"
    require(asked.returncode != 1 or (here / ".git").exists(), sentence)


def find_dataset(answer: str) -> str:
    """Return the path of a file, folder or pattern: it begins where it was typed, or beside the project."""
    for path in (Path(folder, Path(answer).expanduser()) for folder in (os.environ.get("PWD", ""), "..")):
        pattern = str(Path(glob.escape(str(path)), "*") if path.is_dir() else path)
        if path.is_file() or glob.glob(pattern, recursive=True):
            return str(path.absolute())
    sys.exit(f"\ndataset {answer!r} is neither a file nor a folder or pattern with files, a URL, or `example`.")


def main() -> None:
    """Check every answer, and note for the next hook where the dataset is."""
    for name in ("project_name", "description", "author_name", "target", "dataset"):
        advice = "without control characters or template syntax (a brace followed by '%', '#' or another one)."
        require(re.fullmatch(LINE, ANSWERS[name]), f"{name} must be one line of text, {advice}")
    check_names(*(ANSWERS[name] for name in ("project_slug", "package_name", "github_owner", "container_registry")))
    if is_comparison(Path.cwd().parent):
        return
    if shutil.which("git"):
        check_place(Path.cwd())
    answer, is_url = ANSWERS["dataset"], "://" in ANSWERS["dataset"]
    path = "" if answer == "example" or is_url else find_dataset(answer)
    is_query = path.lower().endswith(".sql") and Path(path).is_file()
    text = Path(path).read_text("utf-8", "replace").replace("\0", "") if is_query else answer
    secret = re.search(PASSWORD if is_query else SECRET, text)
    require(
        not secret, "dataset holds a password or token, which git would keep: use ~/.netrc, AWS's files, ~/.pgpass."
    )
    plausible = not is_url or re.fullmatch(r"(https?|s3)://[^/?#\s]+/[^?#\s]\S*", answer)
    require(plausible, f"dataset {answer!r} is no URL of a file: use http(s):// or s3://, with a path and no spaces.")
    Path(".incoming").write_text(path, "utf-8")


if __name__ == "__main__":
    main()
