"""Where work runs: the environment variable COMPUTE, which decides how long it takes and not what comes out."""

import importlib.metadata
import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import joblib
from joblib.externals import loky

from ..core.errors import UserError, need
from ..core.owner import loaded_package
from ..core.paths import PACKAGE

WAIT = 10  # seconds for a scheduler to answer, and for its first worker
# What a worker computes with: it must have the versions of this environment for the same digits.
LIBRARIES = ("numpy", "pandas", "scikit-learn", "xgboost-cpu", "xgboost")
# A process has one core of its own; what a candidate warns of is told by its score.
ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
Work = Callable[[Any, Any], Any]
Pool = Callable[[Work, list[Any]], Iterator[Any]]
_kept: Any = None


@dataclass(frozen=True)
class Compute:
    """A number of processes on this machine, or the address of a Dask scheduler."""

    processes: int | None = None
    scheduler: str | None = None


def read_compute() -> Compute:
    """Return what COMPUTE says; without it, a process for each core of this machine."""
    place = os.environ.get("COMPUTE") or "local"
    if place == "local":
        return Compute()
    if processes := re.fullmatch(r"processes:([1-9]\d{0,3})", place):
        return Compute(processes=int(processes[1]))
    if re.fullmatch(r"(tcp|tls)://[^/\s]+:\d+", place):
        return Compute(scheduler=place)
    raise UserError(f"COMPUTE is {place!r}; use local, processes:N such as processes:4, or tcp://HOST:8786.")


@contextmanager
def open_pool(data: Any) -> Iterator[Pool]:
    """Yield `run(work, tasks)`, which gives `work(data, task)` for each task in order; `data` is sent once.

    Raises:
        UserError: COMPUTE is wrong, its scheduler does not answer, or the processes die.
    """
    place = read_compute()
    if place.scheduler:
        with connect(place) as client:
            yield _on_dask(client, data)
        return
    processes = place.processes or joblib.cpu_count()
    if processes == 1:
        yield _here(data)
        return
    # loky, since it starts where nothing but joblib is installed and notices that a process was killed.
    executor = loky.ProcessPoolExecutor(processes, initializer=_begin, initargs=(data,), env=ALONE)

    def run(work: Work, tasks: list[Any]) -> Iterator[Any]:
        with _uninterrupted():  # its processes start here
            futures = [executor.submit(_call, work, task) for task in tasks]
        for future in futures:
            try:
                yield future.result()
            except loky.BrokenProcessPool:
                raise UserError(
                    "COMPUTE: a process was killed, most likely for want of memory; use fewer of them, such as "
                    "COMPUTE=processes:1, or fewer rows (model.rows)."
                ) from None

    try:
        yield run
    finally:
        executor.shutdown(kill_workers=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Keep Ctrl-C from the processes that are started meanwhile, until they ignore it: who starts them ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def connect(place: Compute) -> Iterator[Any]:
    """Yield a Dask client: of the scheduler, or of a cluster of processes on this machine that ends with it."""
    distributed = need("distributed", f"COMPUTE={place.scheduler}" if place.scheduler else "xgboost_dask")
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # versions are compared below
        if place.scheduler is None:
            workers, cores = place.processes or 1, joblib.cpu_count()
            cluster = distributed.LocalCluster(
                workers, threads_per_worker=max(1, cores // workers), memory_limit=None, dashboard_address=None
            )
            with cluster, distributed.Client(cluster) as client:
                yield client
            return
        try:
            client = distributed.Client(place.scheduler, timeout=WAIT)
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"COMPUTE: no Dask scheduler answers at {place.scheduler} ({reason[:120]}); start it, or correct the "
                "address."
            ) from None
    with client:
        _check_workers(client, place.scheduler)
        yield client


def by_value(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function in a form that a worker can run without this package: its code is sent along."""
    return _Sent(function)


class _Sent:
    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        cloudpickle = need("cloudpickle", "COMPUTE")
        packages = [sys.modules[name] for name in (PACKAGE, loaded_package()) if name in sys.modules]
        for package in packages:
            cloudpickle.register_pickle_by_value(package)
        try:
            return cloudpickle.loads, (cloudpickle.dumps(self.function),)
        finally:
            for package in packages:
                cloudpickle.unregister_pickle_by_value(package)


def _here(data: Any) -> Pool:
    """Return the pool of this process alone: another one would take time to begin, and memory for the same data."""

    def run(work: Work, tasks: list[Any]) -> Iterator[Any]:
        for task in tasks:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answer = work(data, task)
            yield answer

    return run


def _on_dask(client: Any, data: Any) -> Pool:
    lost = (need("distributed", "COMPUTE").KilledWorker, CancelledError, OSError)
    (sent,) = client.scatter([data], broadcast=True)

    def run(work: Work, tasks: list[Any]) -> Iterator[Any]:
        futures = [client.submit(by_value(work), sent, task, pure=False) for task in tasks]
        try:
            for future in futures:
                yield future.result()
        except lost as error:
            raise UserError(
                f"COMPUTE: the Dask workers died or left ({' '.join(str(error).split())[:150]}); give them more memory."
            ) from None
        finally:
            client.cancel(futures)

    return run


def _check_workers(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=WAIT)
    except TimeoutError:
        raise UserError(f"COMPUTE: the scheduler at {address} has no worker; start one with `dask worker`.") from None
    here = versions()
    for worker, there in client.run(by_value(versions)).items():
        for name, version in here.items():
            if there.get(name) != version:
                raise UserError(
                    f"COMPUTE: the worker {worker} has {name} {there.get(name) or '(none)'}, but this environment has "
                    f"{version}; give the workers what uv.lock names."
                )


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that are installed where this runs."""
    versions = {"Python": ".".join(map(str, sys.version_info[:2]))}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _begin(data: Any) -> None:
    """Begin a process: Ctrl-C is for the one that started it, and the data is the same for every task."""
    global _kept
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _kept = data


def _call(work: Work, task: Any) -> Any:
    return work(_kept, task)
