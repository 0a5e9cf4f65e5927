"""Upload files as one zip, cut to their least common directory, as actions/upload-artifact v7 does."""

import glob
import hashlib
import io
import json
import os
import sys
import zipfile
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen


def find_files(pattern: str) -> set[Path]:
    """The files that a path, a directory or a glob names; hidden ones only where asked for."""
    found: set[Path] = set()
    for match in glob.glob(pattern, recursive=True, include_hidden=True):
        path = Path(match).resolve()
        found |= {one for one in path.rglob("*") if one.is_file()} if path.is_dir() else {path}
    if os.environ["HIDDEN"] == "true":
        return found
    workspace = Path(os.environ["GITHUB_WORKSPACE"]).resolve()
    return {
        one
        for one in found
        if not any(part.startswith(".") for part in Path(os.path.relpath(one, workspace)).parts if part != "..")
    }


def choose_root(patterns: list[str], files: set[Path]) -> Path:
    """The directory that names in the zip start from."""
    if len(patterns) == 1 and not glob.has_magic(patterns[0]):
        path = Path(patterns[0]).resolve()
        return path if path.is_dir() else path.parent
    return Path(os.path.commonpath([str(one.parent) for one in files]))


patterns = [line.strip() for line in os.environ["FILES"].splitlines() if line.strip()]
wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
files = set().union(*map(find_files, wanted))
files -= set().union(*(find_files(pattern[1:]) for pattern in patterns if pattern.startswith("!")))
if not files:
    message = (
        f"No files were found with the provided path: {os.environ['FILES'].strip()}. No artifacts will be uploaded."
    )
    if os.environ["NONE_FOUND"] == "error":
        sys.exit(message)
    print(f"::warning::{message}" if os.environ["NONE_FOUND"] == "warn" else message)
    sys.exit(0)
root = choose_root(wanted, files)
if wrong := [str(file) for file in files if any(letter in str(file.relative_to(root)) for letter in '":<>|*?\r\n')]:
    sys.exit(f"The path for one of the files in artifact is not valid: {wrong[0]}.")
content = io.BytesIO()
with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
    for file in sorted(files):
        archive.write(file, file.relative_to(root))
query = urlencode({"name": os.environ["NAME"], "overwrite": os.environ["OVERWRITE"]})
address = f"{os.environ['ACTIONS_RESULTS_URL']}/artifacts?{query}"
headers = {"Authorization": f"Bearer {os.environ['ACTIONS_RUNTIME_TOKEN']}"}
try:
    with urlopen(Request(address, content.getvalue(), headers)) as answer:
        number = json.load(answer)["number"]
except HTTPError as error:
    sys.exit(f"Failed to CreateArtifact: {error.read().decode()}")
with open(os.environ["GITHUB_OUTPUT"], "a") as outputs:
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    outputs.write(f"artifact-id={number}\nartifact-digest={digest}\n")
print(f"Artifact {os.environ['NAME']} has been successfully uploaded: {len(files)} files, id {number}")
