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
BESIDE = 9  # the champion's last answers, against which one of the canary's is held


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
        self._requests = 0
        self._failed: deque[bool] = deque(maxlen=size)
        self._champion: deque[float] = deque(maxlen=BESIDE)
        self._ratios: deque[float] = deque(maxlen=size)  # of a row's seconds to the champion's at that time

    def pick(self, rows: Sequence[Any], key: str | None) -> list[int]:
        """Return the numbers of the rows that are the canary's."""
        version, share = self.lane.served.version, self.lane.served.share
        if key is not None or not self.key:
            return [*range(len(rows))] if is_drawn(os.urandom(8).hex() if key is None else key, version, share) else []
        keys = ["\x1f".join(str(row.get(name)) for name in self.key) if isinstance(row, dict) else "" for row in rows]
        return [number for number, own in enumerate(keys) if is_drawn(own, version, share)]

    def note(self, role: str, seconds: float) -> None:
        """Take into account how long a row took: each against its neighbours, as a burst slows both."""
        if role == "champion":
            self._champion.append(seconds)
        elif len(self._champion) == BESIDE:
            self._ratios.append(seconds / max(statistics.median(self._champion), 1e-9))

    def judge(self, failed: bool) -> str | None:
        """Take a request of the canary's into account; the reason, where it is the one that is too many."""
        if self.cut_off:
            return None  # requests that were on their way
        self._requests += 1
        self._failed.append(failed)
        limits, requests, failures = self.limits, len(self._failed), sum(self._failed) if failed else 0
        if failures > limits.max_error_rate * max(requests, limits.requests):
            self.cut_off = (
                f"{failures} of its last {requests} requests failed, "
                f"and serving.canary.max_error_rate is {limits.max_error_rate:g}"
            )
        elif self._requests % limits.requests == 0 and len(self._ratios) >= limits.requests:
            ratio = statistics.median(self._ratios)
            if ratio > limits.max_latency_ratio:
                self.cut_off = (
                    f"a row takes it {ratio:.3g} times what the champion takes at the same time, "
                    f"and serving.canary.max_latency_ratio is {limits.max_latency_ratio:g}"
                )
        return self.cut_off
