"""Concurrency groups: one run goes, one waits, and a newer one takes the waiting one's place."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Cancellable(Protocol):
    """A run that can be told to end."""

    cancelled: bool

    def cancel(self) -> None:
        """End it, also while it waits."""


class Groups:
    """Every concurrency group of a local GitHub."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._running: dict[str, Cancellable] = {}
        self._waiting: dict[str, Cancellable] = {}

    @contextmanager
    def enter(self, group: str, run: Cancellable, cancel_running: bool) -> Iterator[None]:
        """Hold the group for a run, which may find itself cancelled when its turn comes."""
        with self._change:
            if group in self._running:
                if group in self._waiting:
                    self._waiting[group].cancel()
                if cancel_running:
                    self._running[group].cancel()
                self._waiting[group] = run
                self._change.notify_all()
                self._change.wait_for(lambda: run.cancelled or group not in self._running)
                if self._waiting.get(group) is run:
                    del self._waiting[group]
            if not run.cancelled:
                self._running[group] = run
        try:
            yield
        finally:
            with self._change:
                if self._running.get(group) is run:
                    del self._running[group]
                self._change.notify_all()
