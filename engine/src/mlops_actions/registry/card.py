"""The model card: what a release's reader needs to know before using the model.

What it tells of the model comes from the run that trained, which may be anybody's code: a text of it stands in a code
span, and what has another type than it should is refused.
"""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..bundle.parts import read_parts
from ..core.errors import UserError
from ..core.git import git, show_file
from ..core.paths import METRICS, SUMMARY
from ..core.typed_json import typed
from .objects import load_yaml, parse_yaml
from .versions import MODEL, Version


@dataclass(frozen=True)
class Facts:
    """What a bundle says of its model, as far as a reader is told."""

    format: str
    why: str
    task: str
    target: str
    classes: list[str] | None
    positive: str | None
    threshold: float | None
    inputs: list[str]
    libraries: list[str]


@dataclass(frozen=True)
class RowCounts:
    """How many rows the data has, and how they were divided."""

    rows: int
    train_rows: int
    test_rows: int


def write_card(version: Version, bundle: Path) -> str:
    """Return the model card of a version as Markdown, from its commit and its bundle alone.

    Raises:
        UserError: one of them lacks what a card says.
    """
    facts = read_facts(bundle)
    metrics = read_metrics(show_file(version.commit, METRICS) or b"")
    data = read_rows(show_file(version.commit, SUMMARY) or b"")
    params = (show_file(version.commit, "params.yaml") or b"").decode()
    serving = (load_yaml("params.yaml", version.commit) or {}).get("serving") or {}
    publisher = (serving.get("attestation") or {}).get("repository") or "OWNER/NAME"
    settings = "\n".join(line for line in params.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    reason = git("tag", "--list", version.tag, "--format=%(contents:subject)")
    return f"""# {MODEL} {version}

{reason}. Trained from commit `{version.commit}`.

| | |
|---|---|
| task | {code(facts.task)} of {code(facts.target)} |
| classes | {", ".join(map(code, facts.classes or [])) or "none"} |
| decides by | {decision_of(facts)} |
| format | {code(facts.format)}: {code(facts.why)} |
| rows | {data.rows:,}: {data.train_rows:,} trained, {data.test_rows:,} tested |
| inputs | {", ".join(map(code, facts.inputs))} |

## Measured on the test rows

| metric | value |
|---|---|
{chr(10).join(f"| {code(name)} | {value:.6g} |" for name, value in metrics.items())}

## Made with

```yaml
{settings}
```

Libraries: {", ".join(map(code, facts.libraries))}.

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


def decision_of(facts: Facts) -> str:
    """Return how a prediction is made of what the model computes."""
    if facts.classes is None:
        return "the number itself"
    if facts.threshold is None:
        return "the most probable class"
    return f"{code(facts.positive or facts.classes[-1])} from a probability of {facts.threshold:g} on"


def code(text: str) -> str:
    """Return a text as a code span that is good for a cell of a table, whatever is in it."""
    return f"`{' '.join(text.split()).replace('`', chr(39)).replace('|', chr(92) + '|')}`"


def read_facts(bundle: Path) -> Facts:
    """Return what a bundle says of its model.

    Raises:
        UserError: it is none, or lacks a part of that.
    """
    parts = read_parts(bundle)
    try:
        facts: dict[str, Any] = {field.name: parts.manifest.get(field.name) for field in fields(Facts)}
        facts["inputs"] = list(parse_yaml(parts.schema.encode())["columns"])
        facts["libraries"] = [f"{name} {number}" for name, number in parts.manifest["libraries"].items()]
        return typed(Facts, facts)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{bundle}: it lacks what a model card says ({error!r}); train it again.") from None


def read_metrics(content: bytes) -> dict[str, float]:
    """Return the metrics in the bytes of metrics.json.

    Raises:
        UserError: they are none.
    """
    try:
        return {name: typed(float, value) for name, value in json.loads(content).items()}
    except (AttributeError, RecursionError, TypeError, ValueError):
        raise UserError(f"{METRICS} must hold a finite number for each metric; run `mlops train`.") from None


def read_rows(content: bytes) -> RowCounts:
    """Return the counts in the bytes of data/summary.json.

    Raises:
        UserError: there are none.
    """
    try:
        counts = json.loads(content)
        return typed(RowCounts, {field.name: counts[field.name] for field in fields(RowCounts)})
    except (KeyError, RecursionError, TypeError, ValueError):
        raise UserError(f"{SUMMARY} must hold how many rows there are; run `mlops train`.") from None
