"""The server's routes. Rows in, answers out: no framework stands between, for it would take most of the time."""

import asyncio
import ctypes
import gc
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from ..bundle.contract import Problem
from ..core.config import Serving
from ..core.errors import UserError
from ..core.paths import PACKAGE
from ..data.prediction_log.journal import Journal, Truth
from . import inference, openapi
from .feedback import read_truths
from .http import JSON, Gone, Receive, Refused, Scope, Send, encode, read_json, request_key, send_bytes
from .lanes import Broken, Overloaded
from .prometheus import Metrics
from .state import STATE, State, read_state
from .token import require_token, token_for
from .worker import ServedVersions, Unready

LOOK = 0.5  # seconds between looks at the state
AGAIN = 30.0  # seconds until a version that could not be served is tried once more
REPORTED = 60.0  # seconds that a report may take
RETRY = (b"retry-after", b"1")
LEFT = 499  # nginx's number for a request that was never whole: its client left, or took too long and was left

Handler = Callable[[ServedVersions, Scope, bytes], Awaitable[tuple[int, Any]]]


class Endpoint:
    """An answer to requests, with what every answer has: bounds, a metric, errors as JSON."""

    def __init__(
        self, engine: ServedVersions, path: str, answer: Handler, kind: str = "application/json", token: str = ""
    ) -> None:
        """`path` is what metrics call it, `kind` the content type; where there is a token, it must be brought."""
        self.engine, self.path, self._answer, self._token = engine, path, answer, token
        self._kind = (b"content-type", kind.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.perf_counter()
        headers: tuple[tuple[bytes, bytes], ...] = ()
        try:
            if self._token:
                require_token(scope, self._token)
            body = await self.engine.bodies.read(receive)
            status, answer = await self._answer(self.engine, scope, body)
        except Gone:
            self.engine.metrics.ended(self.path, LEFT, time.perf_counter() - started)
            return
        except Refused as refused:
            status, answer, headers = refused.status, refused.body, refused.headers
        except Unready as error:
            status, answer, headers = 503, {"error": str(error)}, (RETRY,)
        except Overloaded:
            status, answer, headers = 503, {"error": "too many rows wait; try again in a second"}, (RETRY,)
        except TimeoutError:
            status, answer, headers = 503, {"error": "no answer in time; try again in a second"}, (RETRY,)
        except Broken as error:
            status, answer = 500, {"error": f"the model failed: {error}"}
        except Exception as error:  # whatever else escapes is ours to mend, and this request's alone
            print(f"serve: {self.path} failed: {where(error)}", flush=True)
            status, answer = 500, {"error": "the server failed on this request; its log says where"}
        kind = self._kind if status == 200 else JSON
        await send_bytes(send, answer if isinstance(answer, bytes) else encode(answer), status, (kind, *headers))
        self.engine.metrics.ended(self.path, status, time.perf_counter() - started)


def where(error: Exception) -> str:
    """Return an error and the line that raised it, in one line."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return f"{said} ({Path(frame.filename).name}:{frame.lineno})"


async def predict(engine: ServedVersions, scope: Scope, body: bytes) -> tuple[int, Any]:
    """Return the answer for one row, an object, or for a list of them, each of which has its answer or its error."""
    content = read_json(body, engine.most_values())
    rows = content if isinstance(content, list) else [content]
    if not rows:
        raise Refused(422, "the list has no rows; send one at least")
    engine.require_few(len(rows))
    exchange = await engine.predict(rows, request_key(scope))
    answers = [problem(outcome) if isinstance(outcome, Problem) else outcome for outcome in exchange.outcomes]
    if all(isinstance(outcome, Problem) for outcome in exchange.outcomes):
        return 422, {"predictions": answers} if content is rows else answers[0]
    answer = encode({"predictions": answers} if content is rows else answers[0])
    engine.keep(exchange, body, answer)
    return 200, answer


def problem(reason: Problem) -> dict[str, Any]:
    """Return a problem as it is sent."""
    what = "the row" if reason.column is None else f"the column {reason.column!r}"
    return {"error": f"{what} {reason.reason}", "column": reason.column, "reason": reason.reason}


async def feedback(engine: ServedVersions, scope: Scope, body: bytes) -> tuple[int, Any]:
    """Keep what turned out to be true of predictions: {"id": …, "truth": …}, or a list of them, all or none."""
    if engine.journal is None:
        raise Refused(409, "no log is kept (params.yaml: serving.log.path is null), so there is nothing to join")
    content = read_json(body, engine.most_values())
    if isinstance(content, list):
        engine.require_few(len(content), "truths")
    truths = read_truths(content, engine)
    for id, truth in truths:
        engine.journal.keep(Truth(id, time.time(), truth))
    return 202, {"kept": len(truths)}


async def report_canary(engine: ServedVersions, scope: Scope, body: bytes) -> tuple[int, Any]:
    """Return the canary report, which all who ask while it is made get."""
    if engine.report is None or engine.report.done():
        engine.report = asyncio.create_task(make_report())
    return 200, await asyncio.shield(engine.report)


async def make_report() -> bytes:
    """Return the canary report, made by a process of its own."""
    command = [sys.executable, "-P", "-m", PACKAGE, "canary", "report", "--json"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(REPORTED):
            report, problem = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise Refused(409, problem.decode(errors="replace").strip().splitlines()[-1])
    return report


async def show_metrics(engine: ServedVersions, scope: Scope, body: bytes) -> tuple[int, Any]:
    """Return the counters, for Prometheus."""
    return 200, await asyncio.to_thread(engine.metrics.page, engine)


class App(Starlette):
    """The routes; a path without parameters is looked up, as trying them in turn takes longer than reading the row."""

    direct: dict[tuple[str, str], ASGIApp]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        endpoint = self.direct.get((scope.get("method", ""), scope.get("path", "")))
        await (endpoint or super().__call__)(scope, receive, send)


def make_app(settings: Serving, fixed: State | None = None) -> Starlette:
    """Yield the application; with `fixed` it serves that state, else what the follower writes."""
    engine = ServedVersions(settings, None, Metrics())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        engine.journal = Journal(settings.log) if settings.log.path else None
        seen = _written()  # before the look: what is written from here on is a change
        await engine.apply(fixed or _look() or State(why="the server looks for published versions"))
        if fixed and engine.champion is None:
            raise UserError(engine.why)
        task = asyncio.create_task(_follow(engine, fixed, seen))
        give_back()
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await engine.close()
        if engine.journal:
            await asyncio.to_thread(engine.journal.close)

    def route(method: str, path: str, answer: Handler, kind: str = "application/json") -> Route:
        return Route(path, Endpoint(engine, path, answer, kind, token_for(path, settings)), methods=[method])

    app = App(
        routes=[
            route("POST", "/predict", predict),
            route("POST", "/feedback", feedback),
            *[route(*each) for each in inference.ROUTES],
            route("GET", "/canary", report_canary),
            route("GET", "/metrics", show_metrics, CONTENT_TYPE_LATEST),
            route("GET", "/openapi.json", openapi.document),
            route("GET", "/docs", openapi.page, "text/html; charset=utf-8"),
            Mount("/docs/assets", StaticFiles(directory=openapi.ASSETS)),
        ],
        exception_handlers={HTTPException: no_such_page},
        lifespan=lifespan,
    )
    plain = [
        route_there for route_there in app.routes if isinstance(route_there, Route) and "{" not in route_there.path
    ]
    app.direct = {
        (method, route_there.path): route_there.endpoint
        for route_there in plain
        for method in route_there.methods or ()
    }
    return app


def give_back() -> None:
    """Let the system have what loading took and nothing needs now; what is left stays, and is not looked at again."""
    gc.collect()
    gc.freeze()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # other C libraries than glibc do it on their own
        trim(0)


async def no_such_page(request: Request, error: Exception) -> Response:
    """Return the answer to a path or a method that is not served."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


def _look() -> State | None:
    try:
        return read_state()
    except UserError as error:
        print(f"serve: {error}", flush=True)
        return None


def _written() -> tuple[int, int] | None:
    """Return what tells the state's file from each that was or will be written."""
    try:
        status = STATE.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino


async def _follow(engine: ServedVersions, fixed: State | None, seen: tuple[int, int] | None) -> None:
    """Take over each state written since `seen`, and what other workers find out about the canary."""
    again = time.monotonic() + AGAIN
    while True:
        await asyncio.sleep(LOOK)
        engine.look_at_cut_off()
        changed = seen if fixed else _written()
        if changed != seen or (engine.problems and time.monotonic() > again):
            seen, again = changed, time.monotonic() + AGAIN
            if state := _look():
                await engine.apply(state)
