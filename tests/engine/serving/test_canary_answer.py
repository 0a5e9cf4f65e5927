"""Who asks a server for the canary's report gets the one that is being made."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlops_actions.serving import app
from mlops_actions.serving.http import Refused


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The processes that were started for reports, in a folder where there is nothing to report on."""
    monkeypatch.chdir(tmp_path)
    processes: list[Any] = []
    real = asyncio.create_subprocess_exec

    async def count(*command: str, **options: Any) -> Any:
        process = await real(*command, **options)
        processes.append(process)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", count)
    return processes


def ask(engine: Any) -> Any:
    return asyncio.ensure_future(app.report_canary(engine, {}, b""))


def test_who_asks_meanwhile_gets_the_same_report_and_who_goes_disturbs_nobody(started: list[Any]) -> None:
    async def play() -> None:
        engine: Any = SimpleNamespace(report=None)
        first, *others = [ask(engine) for _ in range(20)]
        while not started:
            await asyncio.sleep(0.01)
        first.cancel()
        problems = await asyncio.gather(*others, return_exceptions=True)
        assert len(started) == 1
        assert {type(problem) for problem in problems} == {Refused} and len({str(problem) for problem in problems}) == 1
        with pytest.raises(Refused):
            await ask(engine)
        assert len(started) == 2, "what failed is made anew"

    asyncio.run(play())


def test_a_report_that_nobody_waits_for_any_more_leaves_no_process(started: list[Any]) -> None:
    async def play() -> None:
        engine: Any = SimpleNamespace(report=None)
        asked = ask(engine)
        while not started:
            await asyncio.sleep(0.01)
        asked.cancel()
        engine.report.cancel()  # as a worker does that closes
        await asyncio.gather(asked, engine.report, return_exceptions=True)
        assert await started[0].wait() == -9

    asyncio.run(play())
