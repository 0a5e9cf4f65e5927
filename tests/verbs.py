"""A verb of `mlops` in this process: its exit code and what it prints."""

import contextlib
import io
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from mlops_actions import cli


class Answer(NamedTuple):
    """What a verb says, and whether it worked."""

    code: int
    out: str
    err: str


def call_verb(root: Path, *words: str) -> Answer:
    """Run `mlops WORDS` in a directory."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(root),
        mock.patch("sys.argv", ["mlops", *words]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = cli.main()
    return Answer(code, out.getvalue(), err.getvalue())
