"""Have the local GitHub attest the subjects, and keep what it signs in a file; it checks the token's permissions."""

import glob
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

subjects = {}
for pattern in os.environ["FILES"].replace(",", "\n").split():
    for name in glob.glob(pattern, recursive=True):
        if Path(name).is_file():
            subjects[Path(name).name] = hashlib.sha256(Path(name).read_bytes()).hexdigest()
if os.environ["CHECKSUMS"]:
    lines = Path(os.environ["CHECKSUMS"]).read_text().splitlines()
    subjects |= {name.strip(" *"): digest for digest, name in (line.split(maxsplit=1) for line in lines)}
if os.environ["DIGEST"]:
    subjects[os.environ["NAME"]] = os.environ["DIGEST"].removeprefix("sha256:")
if not subjects:
    sys.exit("Could not find subject at path " + os.environ["FILES"])
address = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/attestations"
headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
try:
    with urlopen(Request(address, json.dumps({"subjects": subjects}).encode(), headers)) as answer:
        made = json.load(answer)
except HTTPError as error:
    sys.exit(f"Failed to persist attestation: {error.read().decode()}")
bundle = Path(tempfile.mkdtemp()) / "attestation.json"
bundle.write_text(json.dumps(made["bundle"]) + "\n")
page = f"{os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}/attestations/{made['id']}"
with open(os.environ["GITHUB_OUTPUT"], "a") as outputs:
    outputs.write(f"bundle-path={bundle}\nattestation-id={made['id']}\nattestation-url={page}\n")
print(f"Attestation created for {len(subjects)} subjects")
