"""Serving against MLflow, BentoML and plain FastAPI: the same model and rows, one core each, in turn, by wrk."""

import csv
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.generation import TEMPLATE, generator
from bench.measure import in_turn

SERVERS = Path(__file__).parent / "servers"
# The same scikit-learn as the project's: it loads the project's pipeline.
PACKAGES = {"wrk": "wrk", "taskset": "util-linux"}
THEIRS = ("mlflow", "bentoml", "fastapi", "uvicorn", "uvloop", "httptools", "skops", "pandas")
SECONDS = 3  # of each measurement
SERVER_CORE, CLIENT_CORE = "0", "1"
LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = io.open(os.getenv("BODY")):read("*a")
"""
BARS = {"one row, 1 client": 40, "one row, 16 clients": 100, "100 rows, 1 client": 10}
FLOOR, MEMORY, START = 0.40, 100, 2.0  # of the no-op's rate; MiB; seconds


@dataclass(frozen=True)
class Case:
    """What is sent, and by how many clients at once."""

    rows: int
    clients: int

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"{'one row' if self.rows == 1 else f'{self.rows} rows'}, {self.clients} client{'s'[: self.clients - 1]}"


CASES = [Case(1, 1), Case(1, 16), Case(100, 1)]


@dataclass(frozen=True)
class Contender:
    """A server: how it is started, where it is asked, how rows are wrapped."""

    command: list[str]
    environment: dict[str, str]
    folder: Path
    path: str
    wrap: Any
    port: int

    @contextmanager
    def running(self) -> Iterator[float]:
        """Run it on one core; the seconds until it answers come out."""
        environment = {**os.environ, **self.environment}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a server that was started before has its bytecode
        command = ["taskset", "-c", SERVER_CORE, *self.command]
        started = time.monotonic()
        log = (self.folder / f"server-{self.port}.log").open("wb")
        process = subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            while not self.is_up():
                if process.poll() is not None or time.monotonic() - started > 180:
                    raise RuntimeError(Path(log.name).read_text()[-2000:])
                time.sleep(0.02)
            yield time.monotonic() - started
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)

    def is_up(self) -> bool:
        """Return whether it answers a row."""
        body = (self.folder / f"{self.port}-1.json").read_bytes()
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.settimeout(30)
                head = f"POST {self.path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                connection.sendall(f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
                return connection.recv(100).split(b" ")[1:2] == [b"200"]
        except OSError:
            return False

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Write the bodies that are sent."""
        for case in CASES:
            body = self.wrap(rows[: case.rows])
            (self.folder / f"{self.port}-{case.rows}.json").write_text(json.dumps(body))

    def rate(self, case: Case) -> float:
        """Return the requests a second."""
        script = self.folder / "post.lua"
        script.write_text(LUA)
        command = ["taskset", "-c", CLIENT_CORE, "wrk", "-t1", f"-c{case.clients}", f"-d{SECONDS}s", "-s", str(script)]
        environment = {**os.environ, "BODY": str(self.folder / f"{self.port}-{case.rows}.json")}
        address = f"http://127.0.0.1:{self.port}{self.path}"
        said = subprocess.run([*command, address], env=environment, check=True, capture_output=True, text=True).stdout
        if "Non-2xx" in said:
            raise RuntimeError(f"{address} refuses what it is sent: {said}")
        return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])  # type: ignore[index]


def measure_serving(directory: Path, repeats: int) -> bool:
    """Print every figure; return False where one misses its bar."""
    for tool in PACKAGES:
        if shutil.which(tool) is None:
            print(f"Serving is not measured: {tool} is missing (in Debian, install {PACKAGES[tool]}).")
            return False
    project = train(directory)
    contenders = make_contenders(directory, project)
    load = os.getloadavg()[0]
    print(f"Serving, one core, {SECONDS} s each, medians of {repeats} rounds (load {load:.1f})", flush=True)
    taken = in_turn(repeats, {name: lambda one=one: measure(one) for name, one in contenders.items()})
    mlflow = taken["mlflow"]
    met = True
    for case in CASES:
        base = middle(mlflow, case.name)
        for name, rounds in taken.items():
            rate = middle(rounds, case.name)
            bar = BARS[case.name] if name == "ours" else None
            met &= say(f"{case.name}: {name}", f"{rate:8.0f}/s", rate / base, "× MLflow", bar)
    for case in CASES[:2]:
        share = middle(taken["ours"], case.name) / middle(taken["no-op"], case.name)
        met &= say(f"of the no-op's rate: {case.name}", "", share, "", FLOOR)
    for name, rounds in taken.items():
        bars = (MEMORY, START) if name == "ours" else (None, None)
        met &= say_below(f"memory under load: {name}", middle(rounds, "memory"), "MiB", bars[0])
        met &= say_below(f"first answer: {name}", middle(rounds, "start"), "s", bars[1])
    return met


def measure(contender: Contender) -> dict[str, float]:
    """Return what one server does."""
    with contender.running() as start:
        rates = {case.name: contender.rate(case) for case in CASES}
        return {**rates, "start": start, "memory": memory_of(contender.port)}


def middle(rounds: list[dict[str, float]], name: str) -> float:
    """Return the median of a figure."""
    return statistics.median(one[name] for one in rounds)


def say(title: str, value: str, ratio: float, unit: str, bar: float | None) -> bool:
    """Print a figure; return whether it meets its bar."""
    met = bar is None or ratio >= bar
    verdict = "" if bar is None else f"  at least {bar:g}  {'PASS' if met else 'MISS'}"
    print(f"  {title:<40} {value:>12} {ratio:8.2f} {unit}{verdict}", flush=True)
    return met


def say_below(title: str, value: float, unit: str, bar: float | None) -> bool:
    """Print a figure that must not be above its bar; return whether it is not."""
    met = bar is None or value <= bar
    verdict = "" if bar is None else f"  at most {bar:g}  {'PASS' if met else 'MISS'}"
    print(f"  {title:<48} {value:9.2f} {unit}{verdict}", flush=True)
    return met


def memory_of(port: int) -> float:
    """Return what the process that listens on a port holds, in MiB."""
    wanted = f":{port:04X} "
    inodes = {
        line.split()[9] for line in Path("/proc/net/tcp").read_text().splitlines() if wanted in line and " 0A " in line
    }
    for path in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(path).removeprefix("socket:[").rstrip("]") in inodes:
                status = (path.parents[1] / "status").read_text()
                return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]
        except OSError:
            continue
    raise RuntimeError(f"nothing listens on {port}")


def train(directory: Path) -> Path:
    """Return the example, trained."""
    path = generator(TEMPLATE, directory)()
    for target in ("setup", "train"):
        subprocess.run(["make", target], cwd=path, check=True, capture_output=True)
    return path


def make_contenders(directory: Path, project: Path) -> dict[str, Contender]:
    """Return the servers, with the bodies that they are sent."""
    sklearn = subprocess.run(
        [project / ".venv/bin/python", "-c", "import sklearn; print(sklearn.__version__)"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    theirs = directory / "theirs"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(theirs)], check=True)
    install = [*uv, "pip", "install", "--quiet", "--python", str(theirs / "bin/python")]
    subprocess.run([*install, *THEIRS, f"scikit-learn=={sklearn}"], check=True)
    pipeline = str(project / "models/pipeline.skops")
    environment = {
        "PIPELINE": pipeline,
        "PYTHONPATH": str(SERVERS),
        "PATH": f"{theirs / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "BENTOML_DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    saved = str(directory / "mlflow")
    data = str(project / "data/raw/dataset.csv")
    command = [str(theirs / "bin/python"), str(SERVERS / "mlflow_model.py"), pipeline, data, "churn", saved]
    subprocess.run(command, check=True, env={**os.environ, **environment}, capture_output=True)
    bin = theirs / "bin"
    served = ["--bundle", "models/bundle.zip", "--port"]
    contenders = {
        "ours": Contender(
            [str(project / ".venv/bin/mlops"), "serve", *served, "8810"],
            {}, project, "/predict", one_or_all, 8810,
        ),
        "no-op": Contender(
            [str(project / ".venv/bin/python"), str(SERVERS / "noop.py"), "serve", *served, "8811"],
            {}, project, "/predict", one_or_all, 8811,
        ),
        "mlflow": Contender(
            [str(bin / "mlflow"), "models", "serve", "-m", saved, "-p", "8821", "--env-manager", "local"],
            environment, directory, "/invocations", lambda rows: {"dataframe_records": rows}, 8821,
        ),
        "bentoml": Contender(
            [str(bin / "bentoml"), "serve", "bento:Churn", "--port", "8822"],
            environment, directory, "/predict", lambda rows: {"rows": rows}, 8822,
        ),
        "fastapi + pandas + scikit-learn": Contender(
            [str(bin / "uvicorn"), "fastapi_app:app", "--port", "8823", "--no-access-log"],
            environment, directory, "/predict", lambda rows: rows, 8823,
        ),
    }  # fmt: skip
    for contender in contenders.values():
        contender.write(first_rows(project, 100))
    return contenders


def one_or_all(rows: list[dict[str, Any]]) -> Any:
    """Return rows as our server wants them."""
    return rows[0] if len(rows) == 1 else rows


def first_rows(project: Path, count: int) -> list[dict[str, Any]]:
    """Return the example's first rows as a client sends them."""
    with (project / "data/raw/dataset.csv").open() as file:
        return [as_json(row) for row, _ in zip(csv.DictReader(file), range(count), strict=False)]


def as_json(row: dict[str, str]) -> dict[str, Any]:
    """Return a row of the example as a client sends it."""
    made: dict[str, Any] = {}
    for name, value in row.items():
        if name != "churn":
            made[name] = float(value) if re.fullmatch(r"-?[\d.]+", value) else value
    return made
