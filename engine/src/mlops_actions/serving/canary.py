"""The canary: which requests are its own, and when it gets no more of them."""

import os
import statistics
from collections import deque
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from ..core.config import CanaryLimits as Limits
from .lanes import Lane

LOOKED_BACK = 10  # times the requests that a judgement takes


def is_drawn(key: str, version: str, share: float) -> bool:
    """Return whether a key is in the share (percent) of a version: always the same, whatever the process or the day.

    A larger share has every key of a smaller one, and another version draws other keys.
    """
    drawn = int.from_bytes(blake2b(f"{version}\0{key}".encode(), digest_size=8).digest(), "big")
    return drawn < share / 100 * 2**64


class Canary:
    """A lane that answers a share of the requests, watched against the champion's."""

    def __init__(self, lane: Lane, limits: Limits, key: Sequence[str]) -> None:
        """`key` are the columns that say whose a row is, where a request does not."""
        self.lane, self.limits, self.key = lane, limits, key
        self.cut_off: str | None = None  # why
        size = limits.requests * LOOKED_BACK
        self._failed: deque[bool] = deque(maxlen=size)
        self._seconds: dict[str, deque[float]] = {role: deque(maxlen=size) for role in ("champion", "canary")}

    def pick(self, rows: Sequence[Any], key: str | None) -> list[int]:
        """Return the numbers of the rows that are the canary's."""
        version, share = self.lane.served.version, self.lane.served.share
        if key is not None or not self.key:
            return [*range(len(rows))] if is_drawn(os.urandom(8).hex() if key is None else key, version, share) else []
        keys = ["\x1f".join(str(row.get(name)) for name in self.key) if isinstance(row, dict) else "" for row in rows]
        return [number for number, own in enumerate(keys) if is_drawn(own, version, share)]

    def note(self, role: str, seconds: float) -> None:
        """Take into account how long a row took."""
        self._seconds[role].append(seconds)

    def judge(self, failed: bool) -> str | None:
        """Take a request of the canary's into account; the reason, where it is one too many."""
        self._failed.append(failed)
        limits, requests, failures = self.limits, len(self._failed), sum(self._failed) if failed else 0
        if failures > limits.max_error_rate * max(requests, limits.requests):
            self.cut_off = (
                f"{failures} of its last {requests} requests failed, "
                f"and serving.canary.max_error_rate is {limits.max_error_rate:g}"
            )
        elif requests % limits.requests == 0 and min(map(len, self._seconds.values())) >= limits.requests:
            ours, theirs = (statistics.median(self._seconds[role]) for role in ("canary", "champion"))
            if ours > limits.max_latency_ratio * theirs:
                self.cut_off = (
                    f"it takes {1000 * ours:.3g} ms a row where the champion takes {1000 * theirs:.3g} ms, "
                    f"and serving.canary.max_latency_ratio is {limits.max_latency_ratio:g}"
                )
        return self.cut_off
