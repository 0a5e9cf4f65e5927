"""What the terminal says: each step, and while it lasts, at least every few seconds what is being waited for."""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from local_github import LocalGitHub, Run

COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
WIDTH = 60  # characters of what a command said last
LAST_LINES = 4096  # bytes of a run's journal: its last lines


@dataclass
class Progress:
    """Lines of text, the same in a terminal and in a log, with `seconds` between two of them at most."""

    seconds: float = 8
    github: LocalGitHub | None = None
    write: Callable[[str], None] = partial(print, flush=True)
    command: str = ""
    heard: str = ""
    _told: set[int] = field(default_factory=set)
    _printed: float = field(default_factory=time.monotonic)

    def say(self, line: str) -> None:
        """Write a line now."""
        self.write(line)
        self._printed = time.monotonic()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Say what happens, what is waited for, and how long it took."""
        self.say(f"▶ {title}")
        started, over = time.monotonic(), threading.Event()
        watcher = threading.Thread(target=self._watch, args=(title, over), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
        self.say(f"  done in {time.monotonic() - started:.0f} s")

    def _watch(self, title: str, over: threading.Event) -> None:
        waited_for, since = title, time.monotonic()
        while not over.wait(min(0.2, self.seconds)):
            self._tell_ended()
            current = self._describe() or title
            if current != waited_for:
                waited_for, since = current, time.monotonic()
            if time.monotonic() - self._printed >= self.seconds:
                said = f": {self.heard}" if self.command and self.heard else ""
                self.say(f"  … {waited_for}, {time.monotonic() - since:.0f} s{said}")
        self._tell_ended()

    def _runs(self) -> list[Run]:
        return list(self.github.runs.values()) if self.github else []

    def _tell_ended(self) -> None:
        for run in self._runs():
            if run.conclusion and run.id not in self._told:
                self._told.add(run.id)
                if run.conclusion != "skipped":
                    self.say(f"  {run.name}: {run.conclusion} in {run.seconds:.0f} s")

    def _describe(self) -> str:
        """Return the command or the workflows' steps that are under way."""
        if self.command:
            return self.command
        return ", ".join(f"{run.name} › {find_step(run)}" for run in self._runs() if not run.conclusion)

    @contextmanager
    def running(self, command: str) -> Iterator[None]:
        """Name a command as what is waited for."""
        self.command, self.heard = command, ""
        try:
            yield
        finally:
            self.command = ""

    def hear(self, said: str) -> None:
        """Note the end of what the command has said: its last line tells how far it is."""
        for line in reversed(COLOUR.sub("", said).splitlines()):
            if words := "".join(letter for letter in line if letter.isprintable()).strip(" ."):
                self.heard = words if len(words) <= WIDTH else f"{words[: WIDTH - 1]}…"
                return


def find_step(run: Run) -> str:
    """Return the step that a run is at, by act's journal."""
    if not run.journal.exists():
        return "start"
    with run.journal.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_LINES))
        whole = [line for line in file.read().splitlines(keepends=True) if line[:1] + line[-2:] == b"{}\n"]
    return next((str(entry["step"]) for line in reversed(whole) if "step" in (entry := json.loads(line))), "start")
