"""The comment: what it says, and why GitHub refused it, on one line that gives the runner no command."""

from typing import Any

import pytest
from hostile import honest_report
from mlops_actions.review import comment


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    """What an honest retrain of the first pull request reports."""
    return honest_report()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("cml comment create <file>\n\nOptions:\n  --repo\n\nUnknown argument: bogus\n", "Unknown argument: bogus"),
        ('{"level":"warn","message":"x"}\n{"level":"error","message":"token not found"}\n', "token not found"),
        ('{"message":"a\\n::add-mask::b\\u001b[1m ##[add-mask]c"}', "a ::add-mask::b [1m #[add-mask]c"),
        ('{"message":1,"response":null}', '{"message":1,"response":null}'),
        ('{"message":"Not Found","request":{"body":"\\"message\\":\\"evil\\",\\"status\\":200,\\"url\\":', "Not Found"),
        ('{"input":"\\"message\\":\\"evil\\"","message":"Invalid URL"}', "Invalid URL"),
        ('{"message":"Gone","response":{"data":{},"status":410,"url":"x"},"status":410}', "HTTP 410, Gone"),
        ("[]", "[]"),
        ("x" * 70_000, "x" * 300),
        ("", ""),
    ],
)  # fmt: skip
def test_whatever_cml_says_is_one_line_that_gives_the_runner_no_command(said: str, reason: str) -> None:
    assert comment.read_reason(said) == reason
