"""What answers the rows of one version: in this process where ONNX does, in a child process where it takes more.

Rows that wait are answered together: under load, one run of the model serves many requests.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..bundle.contract import Contract, Problem
from ..bundle.model import Answers, ReleasedModel, among, answers_of, check_reference, ordered
from ..bundle.parts import Parts, needs_code, read_parts
from ..core.config import ServingLimits
from ..core.engine import Engine, engine_of
from ..core.errors import UserError
from .state import Served

TOGETHER = 256  # rows that are answered in one go: more would keep requests of other rows waiting
STARTING = 60.0  # seconds that a child process may take until it answers


class Overloaded(Exception):
    """More rows wait than may."""


class Broken(Exception):
    """A model that fails on rows that it should answer; the text says how."""


Outcome = dict[str, Any] | Problem  # of a row
Waiting = tuple[Sequence[Any], "asyncio.Future[list[Outcome]]"]


class Lane(ABC):
    """The rows that wait for one version."""

    prompt = False  # whether what waits is surely answered in a moment

    def __init__(self, served: Served, parts: Parts, limits: ServingLimits) -> None:
        """`limits` say how many rows may wait, and how long."""
        self.served, self.manifest = served, parts.manifest
        self.classes = ordered(parts.manifest["classes"], parts.manifest["positive"])
        self.threshold = parts.manifest.get("threshold")
        self.example = parts.reference["rows"][0]
        self.limits, self.waiting = limits, 0
        self._queue: deque[Waiting] = deque()

    async def answer(self, rows: Sequence[Any]) -> list[Outcome]:
        """Return the outcome of each row.

        Raises:
            Overloaded: more rows wait than may.
            Broken: the model fails.
        """
        if self.waiting + len(rows) > self.limits.waiting:
            raise Overloaded
        future = asyncio.get_running_loop().create_future()
        self.waiting += len(rows)
        self._queue.append((rows, future))
        self._wake()
        return await future

    @abstractmethod
    def _wake(self) -> None:
        """See to it that what waits is answered."""

    async def close(self) -> None:
        """Answer what waits, then end."""
        while self._queue:
            await asyncio.sleep(0.01)

    def _take(self) -> list[Waiting]:
        """Return the requests that are answered next; those whose callers have gone are left out."""
        taken: list[Waiting] = []
        rows = 0
        while self._queue and (not taken or rows + len(self._queue[0][0]) <= TOGETHER):
            waiting = self._queue.popleft()
            if waiting[1].done():
                self.waiting -= len(waiting[0])
                continue
            taken.append(waiting)
            rows += len(waiting[0])
        return taken

    def _deliver(self, taken: list[Waiting], answers: Answers | Exception) -> None:
        outcomes = self._outcomes(answers) if isinstance(answers, Answers) else []
        start = 0
        for rows, future in taken:
            end = start + len(rows)
            own, start = outcomes[start:end], end
            if future.done():  # its caller has gone
                continue
            if isinstance(answers, Answers):
                future.set_result(own)
            else:
                future.set_exception(_broken(answers))
        self.waiting -= start

    def _outcomes(self, model_answers: Answers) -> list[Outcome]:
        """Return the outcome of each row, in order."""
        values, problems = model_answers
        answers: list[Outcome] = [*answers_of(values, self.classes, self.threshold)] if len(values) else []
        if not problems:
            return answers
        rest = iter(answers)
        return [problems[row] if row in problems else next(rest) for row in range(len(answers) + len(problems))]


def _broken(error: Exception) -> Broken:
    return Broken(f"{type(error).__name__}: {str(error)[:300]}")


class OnnxLane(Lane):
    """A version that answers in this process."""

    prompt = True

    def __init__(self, served: Served, parts: Parts, limits: ServingLimits) -> None:
        """Check that the model answers as its reference says."""
        super().__init__(served, parts, limits)
        check_reference(ReleasedModel(parts, served.bundle, enforce=False).answer, parts, served.bundle)
        self._model = ReleasedModel(parts, served.bundle)
        self._due = False  # whether what has come in this turn of the loop is about to be answered together
        self._alone, self._at_once = True, 0  # whether the last turn brought one request; those answered in this one

    async def answer(self, rows: Sequence[Any]) -> list[Outcome]:
        """Return the same; what comes alone is answered at once, without waiting for what may arrive with it."""
        if self._due or not self._alone:
            return await super().answer(rows)
        self._wake()
        self._at_once = 1
        try:
            return self._outcomes(self._model.answer(rows))
        except Exception as error:
            raise _broken(error) from error

    def _wake(self) -> None:
        """Answer together what arrives in this turn of the loop."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        self._due, self._alone, self._at_once = False, self._at_once + len(self._queue) <= 1, 0
        self._answer()
        if self._queue:
            self._wake()

    def _answer(self) -> None:
        taken = self._take()
        if not taken:
            return
        rows = taken[0][0] if len(taken) == 1 else [row for rows, _ in taken for row in rows]
        try:
            answers: Answers | Exception = self._model.answer(rows)
        except Exception as error:  # whatever a model fails with, it must fail its own requests only
            answers = error
        self._deliver(taken, answers)


class ChildLane(Lane):
    """A version that answers in a process of its own: it needs pandas or scikit-learn, or must not slow this one."""

    def __init__(self, served: Served, parts: Parts, limits: ServingLimits, nice: int = 0) -> None:
        """Do not start the child yet; `nice` lets other processes go before it."""
        super().__init__(served, parts, limits)
        self._contract, self._nice = Contract(parts.manifest["contract"]), nice
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, served: Served, parts: Parts, limits: ServingLimits, nice: int = 0) -> "ChildLane":
        """Return the lane, once its child has proved that it answers as the bundle's reference says."""
        lane = cls(served, parts, limits, nice)
        try:
            await lane._start()
        except BaseException:
            await lane.close()
            raise
        return lane

    def _wake(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while taken := self._take():
            rows = [row for rows, _ in taken for row in rows]
            _, problems = self._contract.read(rows)
            fitting = [row for number, row in enumerate(rows) if number not in problems]
            try:
                answers: Answers | Exception = Answers(np.empty(0), problems)
                if fitting:
                    if self._process is None or self._process.returncode is not None:
                        await self._start()
                    async with asyncio.timeout(self.limits.seconds):
                        values, beyond = await self._ask(fitting)
                    answers = Answers(values, among(problems, beyond, len(rows)))
            except TimeoutError:
                self._kill()
                answers = Broken(f"no answer within {self.limits.seconds:g} s")
            except Exception as error:  # whatever the child fails with, it must fail its own requests only
                answers = error
            self._deliver(taken, answers)

    async def _start(self) -> None:
        code = self.served.code
        engine = await asyncio.to_thread(engine_of, Path(code)) if code else Engine()
        command = [engine.python, "-P", "-m", f"{__package__}.child", self.served.bundle]
        if self._nice:
            command = ["nice", "-n", str(self._nice), *command]
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, cwd=code or None, env=engine.variables
        )
        try:
            async with asyncio.timeout(STARTING):
                message = msgspec.json.decode(await self._read())
        except TimeoutError:
            self._kill()
            raise Broken(f"the process that answers for {self.served.version} does not start") from None
        if message != "ready":
            raise UserError(str(message))

    async def _ask(self, rows: list[Any]) -> Answers:
        assert self._process and self._process.stdin
        content = msgspec.json.encode(rows)
        self._process.stdin.write(len(content).to_bytes(4, "big") + content)
        await self._process.stdin.drain()
        message = msgspec.json.decode(await self._read())
        if isinstance(message, str):
            raise Broken(message)
        values, problems = message
        return Answers(np.array(values), {int(row): Problem(*problem) for row, problem in problems.items()})

    async def _read(self) -> bytes:
        assert self._process and self._process.stdout
        try:
            size = int.from_bytes(await self._process.stdout.readexactly(4), "big")
            return await self._process.stdout.readexactly(size)
        except asyncio.IncompleteReadError:
            raise Broken(f"the process that answers for {self.served.version} ended") from None

    async def close(self) -> None:
        """Answer what waits, then end the child."""
        await super().close()
        if self._task:
            await asyncio.wait([self._task], timeout=STARTING)
        self._kill()

    def _kill(self) -> None:
        """End the child, which holds nothing; the next rows start another one."""
        if self._process and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        self._process = None


async def open_lane(served: Served, limits: ServingLimits, shadow: bool = False) -> Lane:
    """Return the lane of a version, checked: its digest, its parts, and that it answers as its reference says.

    Raises:
        UserError: the bundle is not what it should be.
    """
    started = time.monotonic()
    parts = await asyncio.to_thread(read_parts, Path(served.bundle), served.sha256)
    if shadow or needs_code(parts.manifest):
        lane: Lane = await ChildLane.start(served, parts, limits, nice=10 if shadow else 0)
    else:
        lane = await asyncio.to_thread(OnnxLane, served, parts, limits)
    print(f"serve: {served.version} passed its self-test in {time.monotonic() - started:.2f} s", flush=True)
    return lane
