"""`mlops serve` with nothing behind /predict: every body gets the same answer. `noop.py serve --bundle FILE`."""

import sys
from typing import Any

from mlops_actions import cli
from mlops_actions.serving import app

ANSWER = (
    b'{"prediction":"no","probabilities":{"no":0.9802342653274536,"yes":0.01976575329899788},'
    b'"id":"0199d1f6a3b8f00c00000-0","version":"v1.0.0"}'
)


async def nothing(*_: Any) -> tuple[int, bytes]:
    """Return the answer to anything."""
    return 200, ANSWER


app.predict = nothing
sys.exit(cli.main())
