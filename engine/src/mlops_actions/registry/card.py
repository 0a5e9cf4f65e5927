"""The model card: what a release's reader needs to know before using the model."""

import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ..bundle.archive import load_bundle
from ..core.git import git, show_file
from ..core.paths import METRICS, SUMMARY
from .versions import MODEL, Version


def write_card(version: Version, bundle: Path) -> str:
    """Return the model card of a version as Markdown, from its commit and its bundle alone."""
    loaded = load_bundle(bundle)
    manifest, inputs = loaded.manifest, YAML(typ="safe").load(loaded.schema)["columns"]
    metrics = json.loads(show_file(version.commit, METRICS) or b"{}")
    data = json.loads(show_file(version.commit, SUMMARY) or b"{}")
    params = (show_file(version.commit, "params.yaml") or b"").decode()
    serving = YAML(typ="safe").load(params).get("serving", {})
    publisher = serving.get("attestation", {}).get("repository") or "OWNER/NAME"
    settings = "\n".join(line for line in params.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    reason = git("tag", "--list", version.tag, "--format=%(contents:subject)")
    return f"""# {MODEL} {version}

{reason}. Trained from commit `{version.commit}`.

| | |
|---|---|
| task | {manifest["task"]} of `{manifest["target"]}` |
| classes | {", ".join(f"`{name}`" for name in manifest["classes"] or []) or "none"} |
| decides by | {decision_of(manifest)} |
| format | {manifest["format"]}: {manifest["why"]} |
| rows | {data["rows"]:,}: {data["train_rows"]:,} trained, {data["test_rows"]:,} tested |
| inputs | {", ".join(f"`{name}`" for name in inputs)} |

## Measured on the test rows

| metric | value |
|---|---|
{chr(10).join(f"| {name} | {value:.6g} |" for name, value in metrics.items())}

## Made with

```yaml
{settings}
```

Libraries: {", ".join(f"{name} {number}" for name, number in manifest["libraries"].items())}.

## Use

Check the files, then predict from a checkout of this version:

```sh
sha256sum --check SHA256SUMS
git checkout {version.tag}
uv run mlops predict ROWS.csv --bundle bundle.zip
```

The bundle is data: loading it runs no code of its own. Where the release has a `bundle.zip.sigstore.json`, that proves
which repository's workflow made the bundle:

```sh
gh attestation verify bundle.zip --repo {publisher} --bundle bundle.zip.sigstore.json
```
"""


def decision_of(manifest: dict[str, Any]) -> str:
    """How a prediction is made of what the model computes."""
    if manifest["classes"] is None:
        return "the number itself"
    if (threshold := manifest.get("threshold")) is None:
        return "the most probable class"
    return f"`{manifest['positive'] or manifest['classes'][-1]}` from a probability of {threshold:g} on"
