"""Data larger than the memory it may take: prepared and featurized within it, to the same bytes."""

import hashlib
import sys
import time
from collections.abc import Callable
from subprocess import DEVNULL, Popen
from typing import Any

import duckdb
import pytest
from baked import Bake, Project, environment
from mlops_actions.core.config import load_config
from mlops_actions.core.errors import UserError
from mlops_actions.stages import featurize
from tables import knob

ROWS = 2_000_000
LIMIT = 500_000_000
GENERATE = f"""
COPY (
    SELECT (hash(i, 1) % 100000) / 100.0 AS amount,
           CASE WHEN hash(i, 2) % 50 = 0 THEN NULL ELSE 18 + hash(i, 3) % 60 END::DOUBLE AS age,
           (hash(i, 4) % 1000000007)::DOUBLE AS distance,
           'plan ' || (hash(i, 5) % 40) AS plan,
           TIMESTAMP '2020-01-01' + INTERVAL (hash(i, 6) % 157680000) SECOND AS since,
           'C' || lpad((hash(i, 7) % 100000000000)::VARCHAR, 11, '0') AS customer,
           CASE WHEN hash(i, 1) % 100000 + hash(i, 8) % 100000 > 130000 THEN 'yes' ELSE 'no' END AS churn
    FROM range({ROWS}) rows(i) ORDER BY i
) TO '{{}}' (FORMAT parquet)
"""
SCHEMA = """
target: {name: churn, type: category, values: ["no", "yes"]}
columns:
  amount: {type: number}
  age: {type: number, missing: true}
  distance: {type: number}
  plan: {type: category}
  since: {type: datetime}
  customer: {type: category}
"""
# As `mlops stage NAME`, with so many threads; then says the most memory that the process ever had, in bytes. Not by
# ru_maxrss, which begins with what the process had that started this one.
STAGE = """
import pathlib, re, sys
from mlops_actions import cli
from mlops_actions.stages import prepare
prepare.WORKERS = int(sys.argv.pop())
code = cli.main()
print(int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) * 1024)
sys.exit(code)
"""
OUTPUTS = ("data/prepared/train.parquet", "data/prepared/test.parquet", "data/summary.json")


@pytest.fixture(scope="module")
def large(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of two million rows."""
    rows = tmp_path_factory.mktemp("large") / "rows.parquet"
    duckdb.execute(GENERATE.format(rows))
    made = bake(dataset=str(rows), target="churn", task="classification", project_name="Customer churn")
    made.write("schema.yaml", SCHEMA)
    return made


@pytest.fixture(scope="module")
def stage(large: Project) -> Callable[..., Any]:
    """`stage("prepare", memory="500MB", threads=1)`: the run of a stage; with `start` its process, which goes on."""
    large.set(**{"gate.primary": "roc_auc"})

    def run(name: str, memory: str | None = None, threads: int = 2, start: bool = False) -> Any:
        large.set(**{"resources.memory": memory})
        command = [sys.executable, "-c", STAGE, "stage", name, str(threads)]
        variables = {"PYTHONHASHSEED": "0"}
        if start:
            return Popen(command, cwd=large.path, env=environment(**variables), stdout=DEVNULL)
        return large.run(*command, **variables)

    return run


@pytest.fixture(scope="module")
def bounded(large: Project, stage: Callable[..., Any]) -> tuple[int, list[str]]:
    """The most memory that prepare took of 500 MB, and the digests of what it wrote."""
    done = stage("prepare", memory="500MB", threads=1)
    return peak(done), digests(large)


def digests(project: Project) -> list[str]:
    return [hashlib.sha256((project.path / name).read_bytes()).hexdigest() for name in OUTPUTS]


def peak(done: Any) -> int:
    return int(done.stdout.splitlines()[-1])


def test_a_limit_bounds_the_process_and_neither_it_nor_a_killed_run_reaches_the_bytes(
    large: Project, stage: Callable[..., Any], bounded: tuple[int, list[str]]
) -> None:
    memory, files = bounded
    assert memory < LIMIT
    killed = stage("prepare", start=True)
    while not (large.path / "data/prepared/.train.parquet.partial").exists():
        assert killed.poll() is None, "it ended before it wrote"
        time.sleep(0.01)
    killed.kill()
    assert killed.wait(60) and digests(large) == files, "the old files are there"
    assert peak(stage("prepare", threads=3)) > LIMIT, "without a limit it takes more, or the limit proves nothing"
    assert digests(large) == files
    assert not (large.path / ".dvc/tmp/prepare").exists()
    assert {path.name for path in (large.path / "data/prepared").iterdir()} == {"train.parquet", "test.parquet"}
    assert peak(stage("featurize")) < LIMIT


# What add_features does to the second batch of rows and not to the first, and the sentence.
ODD = {
    "another type": ('rows["amount"] = "much"', "among others and much alone"),
    "another column": ('rows["extra"] = 1', "returns 'extra' for some rows only"),
    "a column less": ('del rows["plan"]', "among others and absent alone"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_differs_from_batch_to_batch_is_refused(large: Project, bounded: tuple[int, list[str]], name: str) -> None:
    change, sentence = ODD[name]
    file = "src/customer_churn/features.py"
    plain = large.read(file)
    turned = knob(
        "    rows = rows.copy()\n",
        f"    rows = rows.copy()\n    calls.append(1)\n    if len(calls) > 1:\n        {change}\n",
    )
    large.write(file, f"calls = []\n{turned(plain)}")
    try:
        with pytest.raises(UserError, match=sentence) as refusal:
            featurize.run(load_config(large.path))
    finally:
        large.write(file, plain)
    assert "\n" not in str(refusal.value)
