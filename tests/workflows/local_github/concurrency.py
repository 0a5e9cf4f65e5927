"""Concurrency groups: one run goes, and others wait: the newest alone, or all of them, in their order."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol


class Cancellable(Protocol):
    """A run that can be told to end."""

    cancelled: bool

    def cancel(self) -> None:
        """End it, also while it waits."""


@dataclass(frozen=True)
class Turn:
    """How runs of a group take turns: whether a newer one ends the running one, and whether it leaves the waiting."""

    group: str
    cancel_running: bool = False
    keep_waiting: bool = False


class Groups:
    """Every concurrency group of a local GitHub."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._running: dict[str, Cancellable] = {}
        self._waiting: dict[str, list[Cancellable]] = {}

    @contextmanager
    def enter(self, scope: str, turn: Turn, run: Cancellable) -> Iterator[None]:
        """Hold a scope's group for a run, which may find itself cancelled when its turn comes."""
        group = f"{scope} {turn.group}"
        with self._change:
            waiting = self._waiting.setdefault(group, [])
            if group in self._running or waiting:
                if not turn.keep_waiting:
                    for other in waiting:
                        other.cancel()
                if turn.cancel_running and group in self._running:
                    self._running[group].cancel()
                waiting.append(run)
                self._change.notify_all()
                self._change.wait_for(lambda: run.cancelled or (group not in self._running and waiting[0] is run))
                waiting.remove(run)
            if not run.cancelled:
                self._running[group] = run
            self._change.notify_all()
        try:
            yield
        finally:
            with self._change:
                if self._running.get(group) is run:
                    del self._running[group]
                self._change.notify_all()
