"""What a worker serves: the lanes of champion, canary and shadow, and what becomes of a request's rows."""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ..bundle.contract import Problem
from ..core.config import Serving
from ..core.errors import UserError
from ..data.prediction_log.cut_off import cut_off, read_cut_off
from ..data.prediction_log.journal import Journal, Prediction
from .canary import Canary
from .http import Bodies, Refused, encode
from .lanes import Broken, Lane, Outcome, Overloaded, open_lane
from .prometheus import Metrics
from .shadow import Shadow
from .state import Served, State

SPARE = 50  # columns of a row that the contract does not know
IDS = 256  # that are drawn at once: to ask the system takes longer than to make an id


class Unready(Exception):
    """There is no champion; the text says why."""


def draw_ids() -> Iterator[str]:
    """Yield ids of 128 random bits: who has one knows no other."""
    while True:
        drawn = os.urandom(16 * IDS).hex()
        yield from (drawn[at : at + 32] for at in range(0, len(drawn), 32))


class Exchange:
    """A request and what became of it: the outcome of each row, and which version made which of them.

    A row's id is the exchange's and the row's number: it tells those of the same request, and of no other.
    """

    __slots__ = ("count", "id", "key", "many", "outcomes", "parts", "time")

    def __init__(self, id: str, time: float, key: str | None) -> None:
        """`time` is in seconds since 1970."""
        self.id, self.time, self.key, self.count, self.many = id, time, key, 0, False
        self.outcomes: list[Outcome] = []
        # role, version, numbers of rows (None: all), seconds, error
        self.parts: list[tuple[str, str, list[int] | None, float, str | None]] = []


class ServedVersions:
    """The versions that one worker serves."""

    def __init__(self, settings: Serving, journal: Journal | None, metrics: Metrics) -> None:
        """Without a journal no prediction is kept."""
        self.settings, self.journal, self.metrics = settings, journal, metrics
        self.bodies = Bodies(settings.limits.body_mb * 1e6)
        self.champion: Lane | None = None
        self.canary: Canary | None = None
        self.shadow: Shadow | None = None
        self.why = "the server is starting"
        self.problems: dict[str, str] = {}  # role: why its version is not served
        self._ids, self._said = draw_ids(), set[str]()
        self.report: asyncio.Task[bytes] | None = None  # that is being made, or was
        self._closing: set[asyncio.Task[None]] = set()

    async def apply(self, state: State) -> None:
        """Serve another state; what is answered meanwhile is answered by the versions before."""
        self.problems = {}
        if state.champion != (self.champion and self.champion.served):
            if lane := await self._open("champion", state.champion):
                self.champion = self._retire(self.champion, lane)
            elif state.champion is None:
                self.champion = self._retire(self.champion, None)
        if self.champion is None:
            self.why = self.problems.get("champion", state.why)
        if state.canary != (self.canary and self.canary.lane.served):
            lane = await self._open("canary", state.canary)
            self._retire(self.canary.lane if self.canary else None, None)
            self.canary = Canary(lane, self.settings.canary, self.settings.key) if lane else None
        if state.shadow != (self.shadow and self.shadow.lane.served):
            lane = await self._open("shadow", state.shadow)
            self._retire(self.shadow, None)
            self.shadow = Shadow(lane, self._note_shadow) if lane else None
        self.look_at_cut_off()
        self.metrics.show_roles(self)

    def look_at_cut_off(self) -> None:
        """Take over what other workers found out about the canary."""
        if self.canary and self.canary.cut_off is None:
            try:
                self.canary.cut_off = read_cut_off().get(self.canary.lane.served.assignment)
            except UserError as error:  # the canary goes on, and the next one to be cut off replaces the file
                self._say_once(str(error))

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            print(f"serve: {line}", flush=True)

    async def predict(self, rows: Sequence[Any], key: str | None) -> "Exchange":
        """Answer the rows, of which those with the canary's keys are the canary's.

        Raises:
            Unready: there is no champion.
            Overloaded: more rows wait than may.
            TimeoutError: the rows had to wait too long.
            Broken: the champion fails on rows that it should answer.
        """
        champion, canary = self.lane(), self.canary
        now, started = time.time(), time.perf_counter()
        exchange = Exchange(next(self._ids), now, key)
        own = canary.pick(rows, key) if canary and canary.cut_off is None else []
        if canary and own:
            async with asyncio.timeout(self.settings.limits.seconds):
                await self._share(exchange, champion, canary, rows, own)
        else:
            if champion.prompt:
                exchange.outcomes = await champion.answer(rows)
            else:
                async with asyncio.timeout(self.settings.limits.seconds):
                    exchange.outcomes = await champion.answer(rows)
            seconds = time.perf_counter() - started
            if canary:
                canary.note("champion", seconds / len(rows))
            self._add(exchange, "champion", champion, None, seconds)
        return exchange

    def keep(self, exchange: "Exchange", rows: bytes, answers: bytes) -> None:
        """Log what became of a request, the JSON of its rows and of the answers; and let the shadow see it.

        Whether it is a list of rows is said here, once, by how the JSON begins that was just read: what a row holds
        decides nothing later.
        """
        exchange.many = rows.lstrip()[:1] == b"["
        if self.journal:
            for role, version, numbers, seconds, error in exchange.parts:
                logged = answers if error is None else None
                self.journal.keep(
                    Prediction(
                        exchange.id,
                        exchange.time,
                        version,
                        role,
                        exchange.key,
                        1000 * seconds,
                        rows,
                        exchange.many,
                        numbers,
                        logged,
                        error,
                    )
                )
        if self.shadow and exchange.parts:
            exchange.count, exchange.outcomes = len(exchange.outcomes), []  # the bytes suffice from here on
            self.shadow.offer(exchange, rows)

    def most_values(self) -> int:
        """Return how many values a body may hold: those of as many rows as may wait, and some that are ignored.

        Raises:
            Unready: there is no champion.
        """
        return self.settings.limits.waiting * (len(self.lane().manifest["contract"]) + SPARE)

    def require_few(self, count: int, what: str = "rows") -> None:
        """Raise Refused for more rows than may wait."""
        if count > self.settings.limits.waiting:
            raise Refused(422, f"{count} {what} are more than {self.settings.limits.waiting}; send fewer at once")

    def lane(self) -> Lane:
        """Return the champion's lane.

        Raises:
            Unready: there is none.
        """
        if self.champion is None:
            raise Unready(self.why)
        return self.champion

    def roles(self) -> dict[str, str]:
        """Return the version in each role that is served."""
        lanes = {
            "champion": self.champion,
            "canary": self.canary.lane if self.canary and self.canary.cut_off is None else None,
            "shadow": self.shadow and self.shadow.lane,
        }
        return {role: lane.served.version for role, lane in lanes.items() if lane}

    async def _share(
        self, exchange: "Exchange", champion: Lane, canary: Canary, rows: Sequence[Any], own: list[int]
    ) -> None:
        """Let the canary answer its own rows, and the champion the others and those on which the canary fails."""
        outcomes: list[Any] = [None] * len(rows)
        started, reason = time.perf_counter(), None
        limit = self.settings.limits.seconds / 2
        try:
            async with asyncio.timeout(limit):
                shared = await canary.lane.answer([rows[number] for number in own])
            for number, outcome in zip(own, shared, strict=True):
                outcomes[number] = outcome
        except Overloaded:
            reason = "more rows wait for it than may"
        except (Broken, TimeoutError) as error:
            reason = str(error) or f"no answer within {limit:g} s"
        seconds = time.perf_counter() - started
        refused = {number: outcome for number, outcome in enumerate(outcomes) if isinstance(outcome, Problem)}
        answered = [number for number in own if isinstance(outcomes[number], dict)]
        failed = own if reason else []
        exchange.outcomes = outcomes
        self._add(exchange, "canary", canary.lane, answered, seconds)
        if rest := [number for number, outcome in enumerate(outcomes) if not isinstance(outcome, dict)]:
            begun = time.perf_counter()
            for number, outcome in zip(rest, await champion.answer([rows[number] for number in rest]), strict=True):
                outcomes[number] = outcome
            canary.note("champion", (time.perf_counter() - begun) / len(rest))
            kept = [number for number in rest if isinstance(outcomes[number], dict)]
            self._add(exchange, "champion", champion, kept, time.perf_counter() - begun)
            # What the champion answers and the canary refuses is the canary's failure, not the client's.
            if not reason and (failed := [number for number in refused if number in kept]):
                column, why = refused[failed[0]]
                reason = f"refuses what the champion answers: the column {column!r} {why}"
        self._add(exchange, "canary", canary.lane, failed, seconds, reason)
        if answered:
            canary.note("canary", seconds / len(own))
        if (answered or failed) and (verdict := canary.judge(bool(failed))):
            cut_off(canary.lane.served.assignment, verdict)
            self.metrics.show_roles(self)
            print(f"serve: the canary {canary.lane.served.version} is cut off: {verdict}", flush=True)

    def _add(
        self,
        exchange: "Exchange",
        role: str,
        lane: Lane,
        numbers: list[int] | None,
        seconds: float,
        error: str | None = None,
    ) -> None:
        """Note what a version said of some rows (None: of all), or why it failed, and give answers their ids."""
        if numbers == []:
            return
        version, outcomes = lane.served.version, exchange.outcomes
        count = len(outcomes) if numbers is None else len(numbers)
        self.metrics.answered(role, version, count, seconds, failed=error is not None)
        exchange.parts.append((role, version, numbers, seconds, error))
        if error is None:
            for number in range(count) if numbers is None else numbers:
                outcome = outcomes[number]
                if isinstance(outcome, dict):
                    outcome["id"], outcome["version"] = f"{exchange.id}-{number}", version

    def _note_shadow(
        self, exchange: "Exchange", rows: bytes, said: list[Outcome] | None, why: str | None, took: float
    ) -> None:
        """Log what the shadow said of the rows of a request, or why it failed."""
        if self.shadow is None:
            return
        version = self.shadow.lane.served.version
        self.metrics.answered("shadow", version, exchange.count, took, failed=said is None)
        if self.journal:
            answers = None
            if said is not None:
                kept = [outcome if isinstance(outcome, dict) else {} for outcome in said]
                answers = encode(kept if exchange.many else kept[0])
            self.journal.keep(
                Prediction(
                    exchange.id,
                    time.time(),
                    version,
                    "shadow",
                    exchange.key,
                    1000 * took,
                    rows,
                    exchange.many,
                    None,
                    answers,
                    why,
                )
            )

    async def _open(self, role: str, served: Served | None) -> Lane | None:
        if served is None:
            return None
        try:
            return await open_lane(served, self.settings.limits, shadow=role == "shadow")
        except (UserError, Broken, TimeoutError, OSError) as error:
            self.problems[role] = str(error) or "it did not start in time"
            print(f"serve: {role} {served.version} is not served: {self.problems[role]}", flush=True)
            return None

    def _retire(self, before: Lane | Shadow | None, after: Lane | None) -> Lane | None:
        """Close a lane once it has answered what waits for it; the lane after it comes back."""
        if before is not None:
            task = asyncio.create_task(before.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        return after

    async def close(self) -> None:
        """Answer what waits, and end every lane."""
        if self.report:
            self.report.cancel()
        for lane in (self.champion, self.canary.lane if self.canary else None, self.shadow):
            self._retire(lane, None)
        if self._closing:
            await asyncio.wait(self._closing)
