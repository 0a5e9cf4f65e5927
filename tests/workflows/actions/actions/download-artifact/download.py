"""Download artifacts, of this run or by the API of another, as actions/download-artifact v8 does."""

import fnmatch
import io
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

TOKEN = os.environ["TOKEN"]
API = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['REPOSITORY']}/actions"


def get(address: str, token: str) -> bytes:
    """What the server answers."""
    request = Request(address)
    request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urlopen(request) as answer:
            return bytes(answer.read())
    except HTTPError as error:
        sys.exit(f"Unable to download artifact(s): {error.code} {error.read().decode()}")


def list_artifacts() -> list[dict[str, Any]]:
    """The artifacts of the run: their names and where their bytes are."""
    if not TOKEN:
        service, runtime = os.environ["ACTIONS_RESULTS_URL"], os.environ["ACTIONS_RUNTIME_TOKEN"]
        found = json.loads(get(f"{service}/artifacts", runtime))
        return [one | {"id": one["number"], "address": f"{service}/artifacts/{one['number']}"} for one in found]
    found = json.loads(get(f"{API}/runs/{os.environ['RUN']}/artifacts?per_page=100", TOKEN))["artifacts"]
    return [one | {"address": one["archive_download_url"]} for one in found]


def wanted(artifact: dict[str, Any]) -> bool:
    """Whether the inputs ask for it."""
    if os.environ["NAME"]:
        return bool(artifact["name"] == os.environ["NAME"])
    if os.environ["IDS"]:
        return str(artifact["id"]) in os.environ["IDS"].replace(" ", "").split(",")
    return fnmatch.fnmatch(artifact["name"], os.environ["PATTERN"] or "*")


found = [artifact for artifact in list_artifacts() if wanted(artifact)]
if os.environ["NAME"] and not found:
    sys.exit(f"Unable to download artifact(s): Artifact not found for name: {os.environ['NAME']}")
target = Path(os.environ["GITHUB_WORKSPACE"], os.path.expanduser(os.environ["TARGET"]))
flat = bool(os.environ["NAME"]) or os.environ["MERGE"] == "true" or (bool(os.environ["IDS"]) and len(found) == 1)
for artifact in found:
    directory = target if flat else target / artifact["name"]
    directory.mkdir(parents=True, exist_ok=True)
    content = get(artifact["address"], TOKEN or os.environ["ACTIONS_RUNTIME_TOKEN"])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if not (directory / name).resolve().is_relative_to(directory.resolve()):
                sys.exit(f"Malformed extraction path: {name}")
        archive.extractall(directory)
    print(f"Artifact {artifact['name']} was downloaded to {directory}")
with open(os.environ["GITHUB_OUTPUT"], "a") as outputs:
    outputs.write(f"download-path={target}\n")
